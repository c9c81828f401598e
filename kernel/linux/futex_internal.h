/* What the files of the futex share: the hash table, the waiters, sleeping and waking.
   futex_queue.c says how they fit together. */
#ifndef FUTEX_INTERNAL_H
#define FUTEX_INTERNAL_H

#include <sched/mutex.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/queue.h>

#define FUTEX_BUCKETS 1024u /* power of two */

struct futex_pi;

/* On the stack of the thread that waits. "The bucket's mutex": of the bucket that it is in; requeue
   holds both. */
struct futex_waiter {
    TAILQ_ENTRY(futex_waiter) link;      /* bucket's mutex; once taken off, whoever took it off */
    struct thread *thread;
    int *address;                        /* bucket's mutex */
    struct futex_bucket *_Atomic bucket; /* bucket's mutex; NULL: taken off, it will be woken */
    uint32_t bitset;
    int priority;                        /* of its place in the bucket */
    _Atomic bool woken;                  /* the last that a waker touches */
    int *pi_target;                      /* WAIT_REQUEUE_PI: the PI futex to be moved to */
    struct futex_pi *pi;                 /* what it waits in; bucket's mutex and pi_lock to change it */
    int pi_priority;                     /* of its place there, with what it inherited; pi_lock */
    TAILQ_ENTRY(futex_waiter) pi_link;   /* pi_lock */
};
TAILQ_HEAD(futex_waiters, futex_waiter);

/* Puts w into a list after all of at least its priority; a waiter has a link and a priority for
   each list it may be in. */
#define FUTEX_INSERT(list, w, link, priority)                                                      \
    do {                                                                                           \
        struct futex_waiter *other_;                                                               \
        TAILQ_FOREACH_REVERSE(other_, list, futex_waiters, link)                                   \
            if (other_->priority >= (w)->priority)                                                 \
                break;                                                                             \
        if (other_)                                                                                \
            TAILQ_INSERT_AFTER(list, other_, w, link);                                             \
        else                                                                                       \
            TAILQ_INSERT_HEAD(list, w, link);                                                      \
    } while (0)

struct futex_bucket {
    struct mutex lock;
    struct futex_waiters waiters; /* lock; by priority, then by age; made valid on first use */
    _Atomic int count;            /* of waiters; changed under lock, read without it by wakers */
} __attribute__((aligned(64)));
extern struct futex_bucket futex_buckets[FUTEX_BUCKETS];

static inline struct futex_bucket *futex_bucket(const int *address)
{
    return &futex_buckets[((uint64_t)address >> 2) * 0x9e3779b97f4a7c15ull >> 54];
}

static inline unsigned futex_load(const int *address)
{
    return (unsigned)atomic_load_explicit((const _Atomic int *)address, memory_order_seq_cst);
}

/* Changes the word from *old, or sets *old to what it is. */
static inline bool futex_compare_exchange(int *address, unsigned *old, unsigned new)
{
    return atomic_compare_exchange_strong_explicit((_Atomic unsigned *)address, old, new, memory_order_seq_cst,
                                                   memory_order_seq_cst);
}

void futex_lock_bucket(struct futex_bucket *b);
void futex_lock_two(struct futex_bucket *a, struct futex_bucket *b);
void futex_unlock_two(struct futex_bucket *a, struct futex_bucket *b);
/* With the bucket's mutex held: the first waiter at this address, NULL when there is none. */
struct futex_waiter *futex_first(struct futex_bucket *b, const int *address);
/* With the bucket's mutex held: counts w, then puts it in. */
void futex_enqueue(struct futex_bucket *b, struct futex_waiter *w);
/* With the mutexes of both, which may be the same: w goes from a to b and waits at address. */
void futex_move(struct futex_bucket *a, struct futex_bucket *b, struct futex_waiter *w, int *address);
/* With the bucket's mutex held: takes w off, to be woken by futex_wake_taken when the mutex is
   free. */
void futex_take(struct futex_bucket *b, struct futex_waiter *w, struct futex_waiters *taken);
void futex_wake_taken(struct futex_waiters *taken);

/* Nobody waits in the bucket for a word that the caller changed before; needs no mutex. */
static inline bool futex_is_deserted(struct futex_bucket *b)
{
    atomic_thread_fence(memory_order_seq_cst);                         /* X in futex_queue.c */
    return atomic_load_explicit(&b->count, memory_order_relaxed) == 0; /* K2 */
}

/* Queues w at its address if the word is as expected: 0, else -EAGAIN. */
long futex_wait_setup(struct futex_waiter *w, int expected);
/* Sleeps until woken and returns 0, or -EINTR, or -ETIMEDOUT at the deadline (TIME_NEVER: none) of
   the clock; then futex_leave. */
long futex_sleep(struct futex_waiter *w, uint64_t deadline, bool realtime);
/* Ends a wait that was not woken. False: it was, after all. */
bool futex_leave(struct futex_waiter *w);

/* futex_pi.c: the operations of that name, and what the other files need of it. */
long futex_lock_pi(int *address, uint64_t deadline, bool realtime);
long futex_trylock_pi(int *address);
long futex_unlock_pi(int *address);
long futex_wait_requeue_pi(int *address, int expected, uint64_t deadline, bool realtime, int *target);
long futex_cmp_requeue_pi(int *from, int *to, int wake, int move, int expected);
/* With the bucket's mutex held: w gives up waiting for a PI futex. */
void futex_pi_leave(struct futex_waiter *w);
/* With the bucket's mutex held: the caller ends; if others wait for this PI futex of its, it
   becomes the first one's. */
bool futex_pi_died(struct futex_bucket *b, int *address, struct futex_waiters *taken);
/* The caller ends: all its PI futexes that others wait for are passed on, and none comes any
   more. */
void futex_pi_exit(void);

/* futex_robust.c: marks the futexes of the caller's list as owned by the dead. */
void futex_robust_exit(void *list, size_t size);

#endif
