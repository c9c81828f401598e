/* Wait queues: a list of waiting threads under the owner's mutex, and wait morphing: a wake-up moves the thread onto the mutex's own queue, as the waker has the mutex and a
   thread that ran now could only wait for it. The unlock that follows wakes it.

   Who leaves the list decides one exchange on the entry's state: the waker's to MOVED, or the waiter's to LEAVING when its time is over or a signal came. The waker
   always takes the entry off the list. If it finds LEAVING, that thread is on its way to the mutex by itself and is not queued a second time; it finds MOVED
   when it has the mutex and reports the wake-up, so none is lost to a time-out that came with it. If the waiter finds MOVED, the mutex will come and it waits for that.

   Entries lie on the waiters' stacks. One that is LEAVING stays until its thread has had the mutex, which the waker holds; one that is MOVED until its turn at the mutex has come. */
#include <asm/errno.h>
#include <kernel/clock.h>
#include <kernel/log.h>
#include <sched/thread.h>
#include <sched/waitq.h>
#include <stdatomic.h>

enum { WAITING, LEAVING, MOVED };

struct waitq_entry {
    TAILQ_ENTRY(waitq_entry) link;
    struct mutex *mutex;
    struct mutex_waiter waiter;
    _Atomic int state;
};

static bool leave(struct waitq_entry *e)
{
    int waiting = WAITING;
    /* relaxed: what the waker did is seen by way of the mutex, in both cases */
    return atomic_compare_exchange_strong_explicit(&e->state, &waiting, LEAVING, memory_order_relaxed, memory_order_relaxed);
}

/* 0: the mutex comes; else why the thread leaves. */
static int sleep_until_moved(struct waitq_entry *e, uint64_t deadline_ns, bool interruptible)
{
    int result = 0;
    for (;;) {
        thread_wait_prepare();
        if (atomic_load_explicit(&e->state, memory_order_relaxed) == MOVED)
            break;
        if (interruptible && thread_interrupted())
            result = -EINTR;
        else if (deadline_ns != TIME_NEVER && clock_monotonic_ns() >= deadline_ns)
            result = -ETIMEDOUT;
        if (result != 0) {
            if (!leave(e))
                result = 0;
            break;
        }
        thread_wait_until(deadline_ns);
    }
    thread_wait_cancel();
    return result;
}

int waitq_wait(struct waitq *q, struct mutex *m, uint64_t deadline_ns, bool interruptible)
{
    return waitq_wait_then(q, m, deadline_ns, interruptible, NULL);
}

int waitq_wait_then(struct waitq *q, struct mutex *m, uint64_t deadline_ns, bool interruptible, void (*released)(void))
{
    struct waitq_entry e = {.mutex = m, .waiter.thread = thread_current()};

    if (interruptible && thread_interrupted())
        return -EINTR;
    TAILQ_INSERT_TAIL(q, &e, link);
    mutex_unlock(m);
    if (released)
        released();
    const char *outer = thread_wait_reason("wait queue");
    if (outer) /* the caller knows better what the queue is for */
        thread_wait_reason(outer);
    int result = sleep_until_moved(&e, deadline_ns, interruptible);
    thread_wait_reason(outer);
    if (result == 0) {
        mutex_lock_wait(m, &e.waiter);
        return 0;
    }
    mutex_lock(m);
    if (atomic_load_explicit(&e.state, memory_order_relaxed) == MOVED)
        return 0;
    TAILQ_REMOVE(q, &e, link);
    return result;
}

int waitq_wake(struct waitq *q, int n)
{
    int woken = 0;
    struct waitq_entry *e;
    while (woken < n && (e = TAILQ_FIRST(q))) {
        if (unlikely(!mutex_held(e->mutex)))
            panic("waitq_wake: the mutex of the queue %p is not held", (void *)q);
        TAILQ_REMOVE(q, e, link);
        if (atomic_exchange_explicit(&e->state, MOVED, memory_order_relaxed) == WAITING)
            mutex_lock_for(e->mutex, &e->waiter);
        woken++;
    }
    return woken;
}
