/* Wait queues: a list of waiting threads under the owner's mutex. The waker takes the entry off the list, so a waiter that finds itself off the list was
   woken. Entries lie on the waiters' stacks; the waker reads the thread first, and thread structures are never returned to the heap. */
#include <asm/errno.h>
#include <kernel/clock.h>
#include <sched/thread.h>
#include <sched/waitq.h>
#include <stdatomic.h>

struct waitq_entry {
    TAILQ_ENTRY(waitq_entry) link;
    struct thread *thread;
    _Atomic bool woken;
};

int waitq_wait(struct waitq *q, struct mutex *m, uint64_t deadline_ns, bool interruptible)
{
    return waitq_wait_then(q, m, deadline_ns, interruptible, NULL);
}

int waitq_wait_then(struct waitq *q, struct mutex *m, uint64_t deadline_ns, bool interruptible, void (*released)(void))
{
    struct waitq_entry e = {.thread = thread_current()};
    int result = 0;

    if (interruptible && thread_interrupted())
        return -EINTR;
    TAILQ_INSERT_TAIL(q, &e, link);
    mutex_unlock(m);
    if (released)
        released();
    const char *outer = thread_wait_reason("wait queue");
    if (outer) /* the caller knows better what the queue is for */
        thread_wait_reason(outer);
    for (;;) {
        thread_wait_prepare();
        /* acquire: pairs with the waker's store, after which the entry is ours again */
        if (atomic_load_explicit(&e.woken, memory_order_acquire))
            break;
        if (interruptible && thread_interrupted()) {
            result = -EINTR;
            break;
        }
        if (deadline_ns != TIME_NEVER && clock_monotonic_ns() >= deadline_ns) {
            result = -ETIMEDOUT;
            break;
        }
        thread_wait_until(deadline_ns);
    }
    thread_wait_cancel();
    thread_wait_reason(outer);
    mutex_lock(m);
    if (atomic_load_explicit(&e.woken, memory_order_relaxed))
        return 0; /* a wake-up is never lost to a time-out that came with it */
    TAILQ_REMOVE(q, &e, link);
    return result;
}

int waitq_wake(struct waitq *q, int n)
{
    int woken = 0;
    struct waitq_entry *e;
    while (woken < n && (e = TAILQ_FIRST(q))) {
        struct thread *t = e->thread;
        TAILQ_REMOVE(q, e, link);
        atomic_store_explicit(&e->woken, true, memory_order_release);
        thread_wake(t);
        woken++;
    }
    return woken;
}
