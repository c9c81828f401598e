/* A counting semaphore without a lock, so that interrupt handlers can give units.

   count is the number of free units less that of waiting threads that are promised none. Down takes one off; from 1 or more that was a unit, otherwise the thread queues. Up
   adds one; from below 0 that is a promise to a waiter, whichever, and counted in grants. So count and grants never speak of one thread, and a grant always finds its
   waiter: the waiters that are counted are those below 0 in count and those in grants.

   Grants and waiters meet in serve(). One at a time does that (serving); who comes meanwhile leaves, as the one who serves looks again when it has stopped. No grant lies beside a
   queued waiter: each of the two is published (an addition to grants, a push), then serving is tried; who serves takes its flag down, then looks at both. All of it is sequentially
   consistent, so of two that came at once one sees what the other left. Who was counted but had not queued yet when its grant came finds that grant after the push. An
   interrupt handler that finds its own CPU's thread serving just leaves its grant with it; with preemption off that thread is not away for long.

   Giving up: a waiter may go if nothing is promised to it. As promises have no names, who serves decides: if count is below 0 it adds one there in one step with the look, and
   takes the waiter out of the queue; otherwise all that wait are promised a unit, and so is this one, which gets it. Only who serves touches the queue, so the waiter asks and
   sleeps for the answer. A unit that comes with the time-out is thus taken, not lost.

   Nodes are on the waiters' stacks; the state is the last that a server writes, and thread structures last, so a wake-up that comes late is spurious at worst. */
#include <asm/errno.h>
#include <kernel/clock.h>
#include <mm/stack_probe.h>
#include <sched/semaphore.h>
#include <sched/thread.h>
#include <stdatomic.h>

enum { WAITING, LEAVING, GRANTED, GONE };

struct semaphore_waiter {
    struct semaphore_waiter *next;
    struct thread *thread;
    _Atomic int state;
};

static struct semaphore_waiter *queue_of(struct semaphore *s) { return atomic_load_explicit(&s->queue, memory_order_seq_cst); }
static void queue_set(struct semaphore *s, struct semaphore_waiter *w) { atomic_store_explicit(&s->queue, w, memory_order_seq_cst); }

/* The functions down to serve_all are for who is serving. */

/* What has come goes to the end of the queue. */
static void take_incoming(struct semaphore *s)
{
    struct semaphore_waiter *w = atomic_exchange_explicit(&s->incoming, NULL, memory_order_seq_cst), *first = NULL;
    while (w) { /* newest first: reverse */
        struct semaphore_waiter *next = w->next;
        w->next = first;
        first = w;
        w = next;
    }
    struct semaphore_waiter *last = queue_of(s);
    if (!last) {
        queue_set(s, first);
        return;
    }
    while (last->next)
        last = last->next;
    last->next = first;
}

static void answer(struct semaphore_waiter *w, int state)
{
    struct thread *t = w->thread;
    /* release: what we know of the giver's writes; the node is the waiter's again */
    atomic_store_explicit(&w->state, state, memory_order_release);
    thread_wake(t);
}

static void give_out(struct semaphore *s)
{
    /* only we take from grants; what comes meanwhile is for the next turn. acquire: what who gave the unit did before */
    unsigned n = atomic_load_explicit(&s->grants, memory_order_acquire);
    struct semaphore_waiter *w = queue_of(s);
    for (; n && w; n--) {
        struct semaphore_waiter *next = w->next;
        atomic_fetch_sub_explicit(&s->grants, 1, memory_order_acquire);
        queue_set(s, next);
        answer(w, GRANTED);
        w = next;
    }
}

/* True: a waiter that was promised nothing is not counted any more. */
static bool resign(struct semaphore *s)
{
    int count = atomic_load_explicit(&s->count, memory_order_relaxed);
    while (count < 0)
        if (atomic_compare_exchange_weak_explicit(&s->count, &count, count + 1, memory_order_relaxed, memory_order_relaxed))
            return true;
    return false;
}

static void let_leavers_go(struct semaphore *s)
{
    struct semaphore_waiter *before = NULL, *next;
    for (struct semaphore_waiter *w = queue_of(s); w; w = next) {
        next = w->next;
        if (atomic_load_explicit(&w->state, memory_order_relaxed) != LEAVING || !resign(s)) {
            before = w;
            continue;
        }
        if (before)
            before->next = next;
        else
            queue_set(s, next);
        answer(w, GONE);
    }
}

static void serve_all(struct semaphore *s)
{
    unsigned leavers = atomic_exchange_explicit(&s->leavers, 0, memory_order_seq_cst);
    take_incoming(s);
    give_out(s);
    if (leavers)
        let_leavers_go(s);
}

static bool has_work(struct semaphore *s)
{
    if (atomic_load_explicit(&s->leavers, memory_order_seq_cst))
        return true;
    return atomic_load_explicit(&s->grants, memory_order_seq_cst) &&
           (atomic_load_explicit(&s->incoming, memory_order_seq_cst) || queue_of(s));
}

/* Any context. Each turn does what somebody left here; it ends when nobody did. */
static __attribute__((noinline)) void serve(struct semaphore *s)
{
    if (!percpu()->interrupt_depth)
        stack_probe();
    preempt_disable();
    while (has_work(s)) {
        if (atomic_exchange_explicit(&s->serving, true, memory_order_seq_cst))
            break;
        serve_all(s);
        atomic_store_explicit(&s->serving, false, memory_order_seq_cst);
    }
    preempt_enable();
}

static int wait_for_unit(struct semaphore *s, struct semaphore_waiter *w, uint64_t deadline_ns, bool interruptible)
{
    int state, result = 0;
    for (;;) {
        thread_wait_prepare();
        state = atomic_load_explicit(&w->state, memory_order_acquire);
        if (state == GRANTED || state == GONE)
            break;
        if (state == WAITING) {
            if (interruptible && thread_interrupted())
                result = -EINTR;
            else if (deadline_ns != TIME_NEVER && clock_monotonic_ns() >= deadline_ns)
                result = -ETIMEDOUT;
            if (result != 0) {
                thread_wait_cancel();
                if (atomic_compare_exchange_strong_explicit(&w->state, &state, LEAVING, memory_order_relaxed, memory_order_relaxed)) {
                    atomic_fetch_add_explicit(&s->leavers, 1, memory_order_seq_cst);
                    serve(s);
                }
                continue;
            }
        }
        thread_wait_until(result ? TIME_NEVER : deadline_ns);
    }
    thread_wait_cancel();
    return state == GRANTED ? 0 : result;
}

static __attribute__((noinline)) int down_slow(struct semaphore *s, uint64_t deadline_ns, bool interruptible)
{
    struct semaphore_waiter w = {.thread = thread_current()};
    struct semaphore_waiter *head = atomic_load_explicit(&s->incoming, memory_order_relaxed);
    do
        w.next = head;
    while (!atomic_compare_exchange_weak_explicit(&s->incoming, &head, &w, memory_order_seq_cst, memory_order_relaxed));
    serve(s);
    const char *outer = thread_wait_reason("semaphore");
    if (outer) /* the caller knows better what it is for */
        thread_wait_reason(outer);
    int r = wait_for_unit(s, &w, deadline_ns, interruptible);
    thread_wait_reason(outer);
    return r;
}

int semaphore_down(struct semaphore *s, uint64_t deadline_ns, bool interruptible)
{
    /* acquire: pairs with the release of who gave the unit */
    if (likely(atomic_fetch_sub_explicit(&s->count, 1, memory_order_acquire) > 0))
        return 0;
    return down_slow(s, deadline_ns, interruptible);
}

bool semaphore_try(struct semaphore *s)
{
    int count = atomic_load_explicit(&s->count, memory_order_relaxed);
    while (count > 0)
        if (atomic_compare_exchange_weak_explicit(&s->count, &count, count - 1, memory_order_acquire, memory_order_relaxed))
            return true;
    return false;
}

void semaphore_up(struct semaphore *s)
{
    if (likely(atomic_fetch_add_explicit(&s->count, 1, memory_order_release) >= 0))
        return;
    atomic_fetch_add_explicit(&s->grants, 1, memory_order_seq_cst);
    serve(s);
}
