/* The waiters of futexes: a hash table by address, a mutex for each bucket.

   The comparison with the expected value happens under the bucket's mutex, so a waker that changed
   the word and then takes the mutex cannot be missed. But a waker takes it only where somebody
   waits: it looks at the bucket's count of waiters first. No wake-up is lost to that. The waiter
   adds one to count (W1), then compares the word (W2). The waker changes the word (K1), has a fence
   (X), then loads count (K2). W1, W2 and X are sequentially consistent, so they have one order. If
   W1 comes before X, then K2, which is after X, sees W1 or what came after it, and count is not 0
   while the waiter is in the bucket: the waker takes the mutex. If X comes before W1, it comes
   before W2, which then sees K1 or what came after it: the waiter does not sleep for the old value.
   Where count is taken down needs no order: a waker that reads too much takes the mutex for
   nothing.

   A waker takes waiters off under the mutex and wakes them when it is free again, so that none of
   them runs into it. The record of a waiter is on its stack: one that gives up finds its bucket
   NULL if it was taken off, and then sleeps until the waker has touched the record for the last
   time. Thread structures are never returned to the heap, so thread_wake may come late.

   Two buckets are locked in the order of their addresses. Then come pi_lock (futex_pi.c) and a
   thread that is held. */
#include "futex_internal.h"
#include <asm/errno.h>
#include <kernel/clock.h>
#include <kernel/compiler.h>
#include <kernel/timespec.h>
#include <sched/thread.h>
#include <sched/waitq.h>

struct futex_bucket futex_buckets[FUTEX_BUCKETS];

void futex_lock_bucket(struct futex_bucket *b)
{
    mutex_lock(&b->lock);
    if (unlikely(!b->waiters.tqh_last))
        TAILQ_INIT(&b->waiters);
}

void futex_lock_two(struct futex_bucket *a, struct futex_bucket *b)
{
    futex_lock_bucket(a < b ? a : b);
    if (a != b)
        futex_lock_bucket(a < b ? b : a);
}

void futex_unlock_two(struct futex_bucket *a, struct futex_bucket *b)
{
    mutex_unlock(&a->lock);
    if (a != b)
        mutex_unlock(&b->lock);
}

/* Under the mutex, so that there is one writer. */
static void uncount(struct futex_bucket *b)
{
    int n = atomic_load_explicit(&b->count, memory_order_relaxed);
    atomic_store_explicit(&b->count, n - 1, memory_order_relaxed);
}

static void insert(struct futex_bucket *b, struct futex_waiter *w)
{
    FUTEX_INSERT(&b->waiters, w, link, priority);
}

void futex_enqueue(struct futex_bucket *b, struct futex_waiter *w)
{
    atomic_fetch_add_explicit(&b->count, 1, memory_order_seq_cst); /* W1 */
    w->priority = thread_priority(w->thread);
    atomic_store_explicit(&w->bucket, b, memory_order_relaxed);
    insert(b, w);
}

void futex_move(struct futex_bucket *a, struct futex_bucket *b, struct futex_waiter *w, int *address)
{
    w->address = address;
    if (a == b) /* it stays where it is, so that the caller's walk through the bucket ends */
        return;
    atomic_fetch_add_explicit(&b->count, 1, memory_order_seq_cst);
    TAILQ_REMOVE(&a->waiters, w, link);
    uncount(a);
    insert(b, w);
    atomic_store_explicit(&w->bucket, b, memory_order_release);
}

struct futex_waiter *futex_first(struct futex_bucket *b, const int *address)
{
    struct futex_waiter *w;
    TAILQ_FOREACH(w, &b->waiters, link)
        if (w->address == address)
            break;
    return w;
}

void futex_take(struct futex_bucket *b, struct futex_waiter *w, struct futex_waiters *taken)
{
    TAILQ_REMOVE(&b->waiters, w, link);
    uncount(b);
    atomic_store_explicit(&w->bucket, NULL, memory_order_relaxed);
    TAILQ_INSERT_TAIL(taken, w, link);
}

void futex_wake_taken(struct futex_waiters *taken)
{
    struct futex_waiter *w;
    while ((w = TAILQ_FIRST(taken))) {
        struct thread *t = w->thread;
        TAILQ_REMOVE(taken, w, link);
        /* release: after this the waiter's frame may be gone */
        atomic_store_explicit(&w->woken, true, memory_order_release);
        thread_wake(t);
    }
}

long futex_wait_setup(struct futex_waiter *w, int expected)
{
    /* Before the mutex, too: a word that changed already costs nothing, and a page that is not
       there is fetched here. */
    if (futex_load(w->address) != (unsigned)expected)
        return -EAGAIN;
    struct futex_bucket *b = futex_bucket(w->address);
    futex_lock_bucket(b);
    futex_enqueue(b, w);
    bool same = futex_load(w->address) == (unsigned)expected; /* W2 */
    if (!same) {
        TAILQ_REMOVE(&b->waiters, w, link);
        uncount(b);
    }
    mutex_unlock(&b->lock);
    return same ? 0 : -EAGAIN;
}

static bool is_woken(const struct futex_waiter *w) { return atomic_load_explicit(&w->woken, memory_order_acquire); }

long futex_sleep(struct futex_waiter *w, uint64_t deadline, bool realtime)
{
    long result = 0;
    const char *outer = thread_wait_reason("futex");
    for (;;) {
        thread_wait_prepare();
        if (is_woken(w))
            break;
        if (thread_interrupted()) {
            result = -EINTR;
            break;
        }
        if (deadline == TIME_NEVER) {
            thread_wait();
            continue;
        }
        uint64_t now = realtime ? clock_realtime_ns() : clock_monotonic_ns();
        if (now >= deadline) {
            result = -ETIMEDOUT;
            break;
        }
        thread_wait_until(realtime ? deadline_after(deadline - now) : deadline);
    }
    thread_wait_cancel();
    thread_wait_reason(outer);
    return result;
}

bool futex_leave(struct futex_waiter *w)
{
    struct futex_bucket *b;
    while ((b = atomic_load_explicit(&w->bucket, memory_order_acquire))) {
        mutex_lock(&b->lock);
        if (b == atomic_load_explicit(&w->bucket, memory_order_relaxed)) {
            TAILQ_REMOVE(&b->waiters, w, link);
            uncount(b);
            if (w->pi)
                futex_pi_leave(w);
            mutex_unlock(&b->lock);
            return true;
        }
        mutex_unlock(&b->lock); /* requeue moved us, or we were taken off */
    }
    for (;;) {
        thread_wait_prepare();
        if (is_woken(w))
            break;
        thread_wait();
    }
    thread_wait_cancel();
    return false;
}
