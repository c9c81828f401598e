/* PI futexes: locks whose owner inherits the priority of who waits for it. The word holds the
   owner's thread id, FUTEX_WAITERS if an unlock must come here, and FUTEX_OWNER_DIED; a program
   takes and releases a lock that nobody waits for by itself. linux/futex.h; futex(2).

   A struct futex_pi is what the kernel knows of a PI futex. It exists while there are waiters, and
   belongs to the list of the thread that owns the futex. Its waiters are in order of priority,
   first come first served among equals. The futex is handed over: whoever unlocks it makes the
   first waiter the owner, in the word as well, before it wakes it. So with the bucket's mutex held,
   a futex that has waiters has an owner, too.

   Threads that wait for futexes whose owners wait for futexes make chains. Priority is inherited
   along them, and a wait that would close a ring is EDEADLK. pi_lock protects all of that: who
   owns, who waits for what, in which order. One lock makes walking a chain simple; it is taken only
   where somebody has to wait for a PI futex, or did, and never while sleeping. It comes after the
   buckets' mutexes and before holding a thread.

   A thread that ends passes on what it owns. That nothing is attached to it afterwards takes no
   lock in the common case: the thread sets ended and then looks at attached; who attaches (holding
   the thread, so that it is not gone) sets attached and then looks at ended. All
   four are sequentially consistent, so one of the two sees the other. */
#include "futex_internal.h"
#include <asm/errno.h>
#include <kernel/futex.h>
#include <linux/futex.h>
#include <mm/kmem.h>
#include <sched/internal.h>

struct futex_pi {
    struct thread *owner;
    LIST_ENTRY(futex_pi) link;   /* in the owner's futex_thread */
    struct futex_waiters waiters; /* by pi_link */
    struct futex_bucket *bucket;
    int *address;
}; /* all fields: pi_lock; bucket and address never change */

static struct mutex pi_lock = MUTEX_INIT;

static unsigned id(const struct thread *t) { return (unsigned)thread_id(t); }

/* ---- priorities ---- */

static void insert_by_priority(struct futex_pi *pi, struct futex_waiter *w)
{
    FUTEX_INSERT(&pi->waiters, w, pi_link, pi_priority);
}

static int effective_priority(struct thread *t) { return MAX(thread_priority(t), thread_futex(t)->inherited); }

/* What t inherits, and what the owners that it waits for inherit from it, and so on. There are no
   rings, so this ends. */
static void inherit(struct thread *t)
{
    for (;;) {
        struct futex_thread *f = thread_futex(t);
        struct futex_pi *pi;
        int best = 0;
        LIST_FOREACH(pi, &f->owned, link)
            best = MAX(best, TAILQ_FIRST(&pi->waiters)->pi_priority);
        if (best != f->inherited) {
            f->inherited = best;
            thread_inherit(t, best);
        }
        struct futex_waiter *w = f->blocked;
        int priority = effective_priority(t);
        if (!w || w->pi_priority == priority)
            return;
        TAILQ_REMOVE(&w->pi->waiters, w, pi_link);
        w->pi_priority = priority;
        insert_by_priority(w->pi, w);
        t = w->pi->owner;
    }
}

void futex_priority_changed(int tid)
{
    mutex_lock(&pi_lock);
    struct thread *t = thread_hold(tid);
    if (t && thread_futex(t))
        inherit(t);
    if (t)
        thread_release(t);
    mutex_unlock(&pi_lock);
}

/* ---- owners and waiters; pi_lock and the bucket's mutex held ---- */

/* Makes *spare into the *pi of the futex that thread tid owns. Without spare it looks whether there
   is such an owner, and then answers -EAGAIN. */
static long attach(struct futex_bucket *b, int *address, unsigned tid, struct futex_pi **pi, struct futex_pi **spare)
{
    long result = spare ? 0 : -EAGAIN;
    struct thread *t = thread_hold((int)tid);
    struct futex_thread *f = t ? thread_futex(t) : NULL;
    if (f)
        atomic_store_explicit(&f->attached, true, memory_order_seq_cst);
    if (!t || (f && atomic_load_explicit(&f->ended, memory_order_seq_cst)))
        result = -ESRCH;
    else if (!f)
        result = -EPERM;
    if (!result) {
        *pi = *spare;
        *spare = NULL;
        **pi = (struct futex_pi){.owner = t, .bucket = b, .address = address};
        TAILQ_INIT(&(*pi)->waiters);
        LIST_INSERT_HEAD(&f->owned, *pi, link);
    }
    if (t)
        thread_release(t);
    return result;
}

static void detach(struct futex_pi *pi)
{
    LIST_REMOVE(pi, link);
    kfree(pi);
}

/* The futex for thread t: 1 when it is t's now, 0 when *pi is what it has to wait in, or an error.
   What is not there yet is made of *spare; without spare the answer is -EAGAIN instead of 0. */
static long acquire(struct futex_bucket *b, int *address, struct thread *t, struct futex_pi **pi, struct futex_pi **spare)
{
    struct futex_waiter *first = futex_first(b, address);
    unsigned v = futex_load(address);
    for (;;) {
        unsigned owner = v & FUTEX_TID_MASK, seen = v | FUTEX_WAITERS;
        if (owner == id(t))
            return -EDEADLK;
        if (first && (!first->pi || owner != id(first->pi->owner)))
            return -EINVAL; /* the program uses the word for something else as well, or wrote nonsense */
        if (first && !spare)
            return -EAGAIN;
        if (first) {
            *pi = first->pi;
            return 0;
        }
        if (!owner) {
            if (futex_compare_exchange(address, &v, (v & FUTEX_OWNER_DIED) | id(t)))
                return 1;
            continue;
        }
        if (!futex_compare_exchange(address, &v, seen))
            continue;
        long result = attach(b, address, owner, pi, spare);
        if (result != -ESRCH)
            return result;
        v = futex_load(address);
        if (v == seen)
            return -ESRCH; /* else the owner died just now, and said so in the word */
    }
}

static bool would_deadlock(struct thread *owner, const struct thread *waiter)
{
    struct futex_waiter *w;
    while (owner != waiter && (w = thread_futex(owner)->blocked))
        owner = w->pi->owner;
    return owner == waiter;
}

/* Puts w among the waiters; the caller puts it into the bucket. */
static long block(struct futex_pi *pi, struct futex_waiter *w)
{
    if (would_deadlock(pi->owner, w->thread)) {
        if (TAILQ_EMPTY(&pi->waiters))
            detach(pi);
        return -EDEADLK;
    }
    w->pi = pi;
    w->pi_priority = effective_priority(w->thread);
    thread_futex(w->thread)->blocked = w;
    insert_by_priority(pi, w);
    inherit(pi->owner);
    return 0;
}

static void unblock(struct futex_waiter *w)
{
    TAILQ_REMOVE(&w->pi->waiters, w, pi_link);
    thread_futex(w->thread)->blocked = NULL;
    w->pi = NULL;
}

/* The word after hand_over, without FUTEX_OWNER_DIED. */
static unsigned next_word(const struct futex_pi *pi)
{
    const struct futex_waiter *w = TAILQ_FIRST(&pi->waiters);
    return id(w->thread) | (TAILQ_NEXT(w, pi_link) ? FUTEX_WAITERS : 0);
}

/* The word says already that the first waiter is the owner. */
static void hand_over(struct futex_pi *pi, struct futex_waiters *taken)
{
    struct thread *old = pi->owner;
    struct futex_waiter *w = TAILQ_FIRST(&pi->waiters);
    struct futex_bucket *b = pi->bucket;
    unblock(w);
    if (TAILQ_EMPTY(&pi->waiters)) {
        detach(pi);
    } else {
        LIST_REMOVE(pi, link);
        pi->owner = w->thread;
        atomic_store_explicit(&thread_futex(w->thread)->attached, true, memory_order_relaxed); /* it sleeps, so it has not ended */
        LIST_INSERT_HEAD(&thread_futex(w->thread)->owned, pi, link);
    }
    inherit(w->thread); /* first: what old may lose its priority to is ready then */
    inherit(old);
    futex_take(b, w, taken);
}

void futex_pi_leave(struct futex_waiter *w)
{
    mutex_lock(&pi_lock);
    struct futex_pi *pi = w->pi;
    struct thread *owner = pi->owner;
    unblock(w);
    if (TAILQ_EMPTY(&pi->waiters))
        detach(pi); /* the word keeps FUTEX_WAITERS: the owner's unlock comes here for nothing */
    inherit(owner);
    mutex_unlock(&pi_lock);
}

/* ---- the operations ---- */

static void lock_both(struct futex_bucket *b)
{
    futex_lock_bucket(b);
    mutex_lock(&pi_lock);
}

static void unlock_both(struct futex_bucket *b)
{
    mutex_unlock(&pi_lock);
    mutex_unlock(&b->lock);
}

long futex_lock_pi(int *address, uint64_t deadline, bool realtime)
{
    struct futex_bucket *b = futex_bucket(address);
    struct futex_waiter w = {.thread = thread_current(), .address = address};
    struct futex_pi *pi, *spare = kmalloc(sizeof(*spare));
    if (!spare)
        return -ENOMEM;
    lock_both(b);
    long result = acquire(b, address, w.thread, &pi, &spare);
    bool acquired = result > 0;
    if (!result)
        result = block(pi, &w);
    if (!result)
        futex_enqueue(b, &w);
    unlock_both(b);
    kfree(spare);
    if (result)
        return acquired ? 0 : result;
    result = futex_sleep(&w, deadline, realtime);
    return result && futex_leave(&w) ? result : 0;
}

long futex_trylock_pi(int *address)
{
    struct futex_bucket *b = futex_bucket(address);
    lock_both(b);
    long result = acquire(b, address, thread_current(), NULL, NULL);
    unlock_both(b);
    return result > 0 ? 0 : result;
}

/* With the bucket's mutex and pi_lock held. */
static long release(struct futex_bucket *b, int *address, struct futex_waiters *taken)
{
    struct futex_waiter *first = futex_first(b, address);
    struct thread *self = thread_current();
    unsigned v = futex_load(address);
    if (first && (!first->pi || first->pi->owner != self))
        return -EINVAL;
    do {
        if ((v & FUTEX_TID_MASK) != id(self))
            return -EPERM;
    } while (!futex_compare_exchange(address, &v, first ? next_word(first->pi) : 0));
    if (first)
        hand_over(first->pi, taken);
    return 0;
}

long futex_unlock_pi(int *address)
{
    struct futex_bucket *b = futex_bucket(address);
    struct futex_waiters taken = TAILQ_HEAD_INITIALIZER(taken);
    if ((futex_load(address) & FUTEX_TID_MASK) != id(thread_current()))
        return -EPERM;
    lock_both(b);
    long result = release(b, address, &taken);
    unlock_both(b);
    futex_wake_taken(&taken);
    return result;
}

/* ---- from a condition variable to a PI futex ---- */

long futex_wait_requeue_pi(int *address, int expected, uint64_t deadline, bool realtime, int *target)
{
    struct futex_waiter w = {.thread = thread_current(), .address = address, .bitset = FUTEX_BITSET_MATCH_ANY, .pi_target = target};
    if (address == target)
        return -EINVAL;
    long result = futex_wait_setup(&w, expected);
    if (result)
        return result;
    result = futex_sleep(&w, deadline, realtime);
    if (!result || !futex_leave(&w))
        return 0;
    /* Once moved it cannot start again, because the word has changed. Linux answers so as well. */
    return result == -EINTR && w.address == target ? -EAGAIN : result;
}

/* With the mutexes of both buckets and pi_lock held: the first waiter gets the PI futex if it is
   free; the others are moved there. */
static long move_waiters(int *from, int *to, long limit, struct futex_pi **spare, struct futex_waiters *taken)
{
    struct futex_bucket *a = futex_bucket(from), *b = futex_bucket(to);
    struct futex_waiter *w, *next;
    struct futex_pi *pi = NULL;
    long count = 0;
    for (w = TAILQ_FIRST(&a->waiters); w && count < limit; w = next) {
        next = TAILQ_NEXT(w, link);
        if (w->address != from)
            continue;
        if (w->pi || w->pi_target != to)
            return -EINVAL;
        long result = pi ? 0 : acquire(b, to, w->thread, &pi, spare);
        if (result > 0)
            futex_take(a, w, taken);
        else if (!result)
            result = block(pi, w);
        if (result < 0)
            return result;
        if (w->pi)
            futex_move(a, b, w, to);
        count++;
    }
    return count;
}

long futex_cmp_requeue_pi(int *from, int *to, int wake, int move, int expected)
{
    struct futex_bucket *a = futex_bucket(from), *b = futex_bucket(to);
    struct futex_waiters taken = TAILQ_HEAD_INITIALIZER(taken);
    if (from == to || wake != 1 || move < 0)
        return -EINVAL;
    if (futex_load(from) != (unsigned)expected)
        return -EAGAIN;
    if (futex_is_deserted(a))
        return 0;
    struct futex_pi *spare = kmalloc(sizeof(*spare));
    if (!spare)
        return -ENOMEM;
    futex_lock_two(a, b);
    mutex_lock(&pi_lock);
    long result = futex_load(from) != (unsigned)expected ? -EAGAIN : move_waiters(from, to, 1 + (long)move, &spare, &taken);
    mutex_unlock(&pi_lock);
    futex_unlock_two(a, b);
    kfree(spare);
    futex_wake_taken(&taken);
    return result;
}

/* ---- the end of a thread ---- */

static void pass_on_from_dead(struct futex_pi *pi, struct futex_waiters *taken)
{
    unsigned v = futex_load(pi->address);
    while (!futex_compare_exchange(pi->address, &v, next_word(pi) | FUTEX_OWNER_DIED))
        ;
    hand_over(pi, taken);
}

bool futex_pi_died(struct futex_bucket *b, int *address, struct futex_waiters *taken)
{
    struct futex_waiter *first = futex_first(b, address);
    if (!first || !first->pi)
        return false;
    mutex_lock(&pi_lock);
    bool mine = first->pi->owner == thread_current();
    if (mine)
        pass_on_from_dead(first->pi, taken);
    mutex_unlock(&pi_lock);
    return mine;
}

void futex_pi_exit(void)
{
    struct futex_thread *f = thread_futex(thread_current());
    atomic_store_explicit(&f->ended, true, memory_order_seq_cst);
    if (!atomic_load_explicit(&f->attached, memory_order_seq_cst))
        return;
    for (;;) {
        struct futex_waiters taken = TAILQ_HEAD_INITIALIZER(taken);
        mutex_lock(&pi_lock);
        struct futex_pi *pi = LIST_FIRST(&f->owned);
        struct futex_bucket *b = pi ? pi->bucket : NULL;
        mutex_unlock(&pi_lock);
        if (!b)
            return;
        lock_both(b); /* in this order; so the list may have changed */
        if (LIST_FIRST(&f->owned) == pi && pi->bucket == b)
            pass_on_from_dead(pi, &taken);
        unlock_both(b);
        futex_wake_taken(&taken);
    }
}
