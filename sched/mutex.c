/* The lock-free hand-off mutex of Gidenstam & Papatriantafilou (LFTHREADS, 2007), as OSv made it known.

   count is the number of threads that hold the mutex or want it. Lock adds one: from 0 the mutex is ours. Otherwise we put ourselves into the queue and sleep until an
   unlock hands the mutex over. Unlock takes one off: if others want it, it pops the first waiter and makes it the owner.

   The gap: a locker has counted itself but is not in the queue yet (its CPU may be taken away right there). Unlock does not wait for it: it publishes a token in
   handoff and leaves. The locker, after queueing, sees the token; whoever exchanges it for 0 holds the right to pop and hands the mutex to the first in the queue,
   possibly itself. Unlock looks at the queue once more after publishing, so one of the two sees the other: handoff and the queue are both
   sequentially consistent (store token, load queue against push queue, load token: Dekker's pattern).

   The queue is a lock-free push stack (incoming) that the one thread with the right to pop reverses into a private list, so waiters are served in order.

   Moving (mutex_lock_for, wait morphing): the holder counts and queues a thread that sleeps for something else. The mutex is held, so the count is not 0, there is no
   token (one that is published is taken back before there is an owner again), and nobody else may pop: the push needs no look at the token. If at unlock such a thread
   is the only one that wants the mutex, the mutex is left free and the thread, woken, takes it like anybody: an owner that has yet to get a CPU would make all others
   wait for that, the waker first of all when it comes back with its next message. The count of 1 is the waiter's, whose node was popped, so the exchange for 0 leaves no one behind.

   A waiter's node is on its stack. The waker reads the thread from it before it sets turn; thread structures are never returned to the heap, so that a wake-up
   that comes late is spurious at worst. */
#include <kernel/clock.h>
#include <kernel/log.h>
#include <mm/stack_probe.h>
#include <sched/lockstat.h>
#include <sched/mutex.h>
#include <sched/thread.h>
#include <stdatomic.h>

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
    atomic_store_explicit(&w->turn, MUTEX_TURN_OWNER, memory_order_release);
    thread_wake(t);
}

/* With the right to pop: leaves the mutex free if only w, which was popped, wants it. */
static bool let_go(struct mutex *m, struct mutex_waiter *w)
{
    struct thread *t = w->thread;
    int only = 1;
    /* release: as in mutex_unlock */
    if (!atomic_compare_exchange_strong_explicit(&m->count, &only, 0, memory_order_release, memory_order_relaxed))
        return false;
    atomic_store_explicit(&w->turn, MUTEX_TURN_RETRY, memory_order_release);
    thread_wake(t);
    return true;
}

static void push(struct mutex *m, struct mutex_waiter *w)
{
    struct mutex_waiter *head = atomic_load_explicit(&m->incoming, memory_order_relaxed);
    do
        w->next = head;
    while (!atomic_compare_exchange_weak_explicit(&m->incoming, &head, w, memory_order_seq_cst, memory_order_relaxed));
}

/* Returns what w's turn was. */
static int sleep_until_turn(struct mutex_waiter *w)
{
    int turn;
    for (;;) {
        thread_wait_prepare();
        turn = atomic_load_explicit(&w->turn, memory_order_acquire);
        if (turn != MUTEX_TURN_WAIT)
            break;
        thread_wait();
    }
    thread_wait_cancel();
    return turn;
}

static __attribute__((noinline)) void wait_turn(struct mutex *m)
{
    struct mutex_waiter w = {.thread = thread_current()};
    push(m, &w);

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
    (void)sleep_until_turn(&w); /* never MUTEX_TURN_RETRY: it was not moved */
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

void mutex_lock_for(struct mutex *m, struct mutex_waiter *w)
{
    w->moved = true;
    atomic_fetch_add_explicit(&m->count, 1, memory_order_relaxed);
    /* The private list is the holder's. Who pushes between the look and the store came later. */
    if (!m->queue && !atomic_load_explicit(&m->incoming, memory_order_relaxed)) {
        w->next = NULL;
        m->queue = w;
    } else {
        push(m, w);
    }
}

void mutex_lock_wait(struct mutex *m, struct mutex_waiter *w)
{
    int turn = atomic_load_explicit(&w->turn, memory_order_acquire);
    if (turn == MUTEX_TURN_WAIT)
        turn = sleep_until_turn(w);
    if (turn == MUTEX_TURN_RETRY)
        mutex_lock(m);
}

static __attribute__((noinline)) void unlock_slow(struct mutex *m)
{
    for (;;) {
        struct mutex_waiter *w = pop(m);
        if (w) {
            if (!w->moved || !let_go(m, w))
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
