/* Sleeping mutex: lock-free hand-off (Gidenstam & Papatriantafilou, "LFTHREADS: A lock-free thread library", 2007). Not recursive.
   Uncontended lock and unlock are one atomic instruction each. Threads only. */
#ifndef SCHED_MUTEX_H
#define SCHED_MUTEX_H

#include <kernel/compiler.h>

struct mutex_waiter;

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

#endif
