/* Sleeping mutex: lock-free hand-off (Gidenstam & Papatriantafilou, "LFTHREADS: A lock-free thread library", 2007). Not recursive.
   Uncontended lock and unlock are one atomic instruction each. Threads only. */
#ifndef SCHED_MUTEX_H
#define SCHED_MUTEX_H

#include <kernel/compiler.h>

enum mutex_turn {
    MUTEX_TURN_WAIT,
    MUTEX_TURN_OWNER, /* the mutex was handed over to this waiter */
    MUTEX_TURN_RETRY, /* it was free: the waiter is to take it like anybody */
};

/* On the stack of a thread that waits. */
struct mutex_waiter {
    struct mutex_waiter *next;
    struct thread *thread;
    bool moved;             /* by mutex_lock_for; constant while it is in a queue */
    _Atomic int turn;       /* enum mutex_turn; the last thing that a waker writes */
};

struct mutex {
    _Atomic int count;                    /* holder and waiters */
    _Atomic unsigned handoff;             /* token of a hand-off in progress, 0: none */
    struct thread *_Atomic owner;         /* for debugging and for the assertion in unlock */
    struct mutex_waiter *_Atomic incoming; /* waiters pushed by anyone, newest first */
    struct mutex_waiter *queue;           /* the same in order; only the one who may pop touches it */
    unsigned sequence;                    /* of hand-offs; only the holder touches it */
};
#define MUTEX_INIT {0}

static inline void mutex_init(struct mutex *m) { *m = (struct mutex)MUTEX_INIT; }
void mutex_lock(struct mutex *m);
bool mutex_trylock(struct mutex *m) WARN_UNUSED;
void mutex_unlock(struct mutex *m);
bool mutex_held(const struct mutex *m); /* by the caller */

/* For what builds on mutexes (waitq.c). By the holder of m: puts w, whose thread sleeps, behind those that wait for m, as if that thread had called mutex_lock. w->thread
   is set and w->turn is MUTEX_TURN_WAIT. */
void mutex_lock_for(struct mutex *m, struct mutex_waiter *w);
/* And what that thread does then: sleeps until m is its own. */
void mutex_lock_wait(struct mutex *m, struct mutex_waiter *w);

#endif
