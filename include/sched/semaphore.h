/* Counting semaphore. Up is for any context, interrupt handlers among them; down for threads. First come, first served. Neither takes more than one atomic instruction where nobody waits. */
#ifndef SCHED_SEMAPHORE_H
#define SCHED_SEMAPHORE_H

#include <kernel/compiler.h>
#include <sched/waitq.h>

struct semaphore_waiter;

struct semaphore {
    _Atomic int count;        /* units that are free, less threads that wait and are promised none yet */
    _Atomic unsigned grants;  /* units that are promised to waiters and not given out yet */
    _Atomic unsigned leavers; /* waiters that want to give up, and may not have been looked at */
    _Atomic bool serving;     /* somebody has the right to the queue */
    struct semaphore_waiter *_Atomic incoming; /* pushed by anyone, newest first */
    struct semaphore_waiter *_Atomic queue;    /* the same in order; changed by who is serving */
};
#define SEMAPHORE_INIT(n) {.count = (n)}

static inline void semaphore_init(struct semaphore *s, int n) { *s = (struct semaphore)SEMAPHORE_INIT(n); }
/* Takes a unit, waiting for one. 0; -ETIMEDOUT after deadline_ns (monotonic; TIME_NEVER: no deadline), -EINTR when interruptible and a signal came. */
int semaphore_down(struct semaphore *s, uint64_t deadline_ns, bool interruptible) WARN_UNUSED;
bool semaphore_try(struct semaphore *s) WARN_UNUSED;
/* Gives a unit back, or a new one. */
void semaphore_up(struct semaphore *s);

#endif
