/* The lock-free hand-off mutex of Gidenstam & Papatriantafilou (LFTHREADS, 2007), as OSv made it known.

   count is the number of threads that hold the mutex or want it. Lock adds one: from 0 the mutex is ours. Otherwise we put ourselves into the queue and sleep until an
   unlock hands the mutex over. Unlock takes one off: if others want it, it pops the first waiter and makes it the owner.

   The gap: a locker has counted itself but is not in the queue yet (its CPU may be taken away right there). Unlock does not wait for it: it publishes a token in
   handoff and leaves. The locker, after queueing, sees the token; whoever exchanges it for 0 holds the right to pop and hands the mutex to the first in the queue,
   possibly itself. Unlock looks at the queue once more after publishing, so one of the two sees the other: handoff and the queue are both
   sequentially consistent (store token, load queue against push queue, load token: Dekker's pattern).

   The queue is a lock-free push stack (incoming) that the one thread with the right to pop reverses into a private list, so waiters are served in order.

   A waiter's node is on its stack. The waker reads the thread from it before it sets woken; thread structures are never returned to the heap, so that a wake-up
   that comes late is spurious at worst. */
#include <kernel/clock.h>
#include <kernel/log.h>
#include <mm/stack_probe.h>
#include <sched/lockstat.h>
#include <sched/mutex.h>
#include <sched/thread.h>
#include <stdatomic.h>

struct mutex_waiter {
    struct mutex_waiter *next;
    struct thread *thread;
    _Atomic bool woken;
};

/* Only with the right to pop: as the holder in unlock, or after winning the hand-off. */
static struct mutex_waiter *pop(struct mutex *m)
{
    if (!m->queue) {
        struct mutex_waiter *w = atomic_exchange_explicit(&m->incoming, NULL, memory_order_seq_cst);
        while (w) { /* newest first: reverse */
            struct mutex_waiter *next = w->next;
            w->next = m->queue;
            m->queue = w;
            w = next;
        }
    }
    struct mutex_waiter *first = m->queue;
    if (first)
        m->queue = first->next;
    return first;
}

static void hand_over(struct mutex *m, struct mutex_waiter *w)
{
    struct thread *t = w->thread;
    atomic_store_explicit(&m->owner, t, memory_order_relaxed);
    /* release: the holder's writes, among them queue and sequence, are visible to the next owner */
    atomic_store_explicit(&w->woken, true, memory_order_release);
    thread_wake(t);
}

static __attribute__((noinline)) void wait_turn(struct mutex *m)
{
    struct mutex_waiter w = {.thread = thread_current()};
    struct mutex_waiter *head = atomic_load_explicit(&m->incoming, memory_order_relaxed);
    do
        w.next = head;
    while (!atomic_compare_exchange_weak_explicit(&m->incoming, &head, &w, memory_order_seq_cst, memory_order_relaxed));

    unsigned token = atomic_load_explicit(&m->handoff, memory_order_seq_cst);
    if (token && atomic_compare_exchange_strong_explicit(&m->handoff, &token, 0, memory_order_seq_cst, memory_order_relaxed)) {
        struct mutex_waiter *first = pop(m); /* not NULL: we are in the queue, and only we may pop */
        if (first == &w) {
            atomic_store_explicit(&m->owner, w.thread, memory_order_relaxed);
            return;
        }
        hand_over(m, first);
    }
    const char *outer = thread_wait_reason("mutex");
    for (;;) {
        thread_wait_prepare();
        if (atomic_load_explicit(&w.woken, memory_order_acquire))
            break;
        thread_wait();
    }
    thread_wait_cancel();
    thread_wait_reason(outer);
}

/* mutex_lock jumps here, so the return address is its caller's. */
static __attribute__((noinline)) void lock_slow(struct mutex *m)
{
    if (likely(!atomic_load_explicit(&lock_stats_on, memory_order_relaxed))) {
        wait_turn(m);
        return;
    }
    uint64_t start = clock_monotonic_ns();
    wait_turn(m);
    lock_stat_record(m, __builtin_return_address(0), clock_monotonic_ns() - start);
}

void mutex_lock(struct mutex *m)
{
    stack_probe();
    if (likely(atomic_fetch_add_explicit(&m->count, 1, memory_order_acquire) == 0))
        atomic_store_explicit(&m->owner, thread_current(), memory_order_relaxed);
    else
        lock_slow(m);
}

bool mutex_trylock(struct mutex *m)
{
    int expected = 0;
    stack_probe();
    if (!atomic_compare_exchange_strong_explicit(&m->count, &expected, 1, memory_order_acquire, memory_order_relaxed))
        return false;
    atomic_store_explicit(&m->owner, thread_current(), memory_order_relaxed);
    return true;
}

static __attribute__((noinline)) void unlock_slow(struct mutex *m)
{
    for (;;) {
        struct mutex_waiter *w = pop(m);
        if (w) {
            hand_over(m, w);
            return;
        }
        unsigned token = ++m->sequence ? m->sequence : ++m->sequence; /* never 0 */
        atomic_store_explicit(&m->handoff, token, memory_order_seq_cst);
        /* queue was empty and is not ours any more; incoming says whether somebody came meanwhile */
        if (!atomic_load_explicit(&m->incoming, memory_order_seq_cst))
            return; /* the locker on its way will find the token */
        if (!atomic_compare_exchange_strong_explicit(&m->handoff, &token, 0, memory_order_seq_cst, memory_order_relaxed))
            return; /* somebody took it */
    }
}

void mutex_unlock(struct mutex *m)
{
    atomic_store_explicit(&m->owner, NULL, memory_order_relaxed);
    if (unlikely(atomic_fetch_sub_explicit(&m->count, 1, memory_order_release) != 1))
        unlock_slow(m);
}

bool mutex_held(const struct mutex *m)
{
    return atomic_load_explicit(&m->count, memory_order_relaxed) &&
           atomic_load_explicit(&m->owner, memory_order_relaxed) == thread_current();
}
