/* A queue of threads that wait for a condition which a mutex protects (a condition variable by another name).
   All fields are protected by that mutex. */
#ifndef SCHED_WAITQ_H
#define SCHED_WAITQ_H

#include <sched/mutex.h>
#include <sys/queue.h>

struct waitq_entry;
TAILQ_HEAD(waitq, waitq_entry);
#define WAITQ_INIT(name) TAILQ_HEAD_INITIALIZER(name)

static inline void waitq_init(struct waitq *q) { TAILQ_INIT(q); }
static inline bool waitq_empty(struct waitq *q) { return TAILQ_EMPTY(q); }

#define TIME_NEVER UINT64_MAX

/* With m held: releases m, sleeps, takes m again. Returns 0 when woken by waitq_wake (or spuriously: loop over the condition),
   -ETIMEDOUT after deadline_ns (monotonic), -EINTR when interruptible and a signal came. */
int waitq_wait(struct waitq *q, struct mutex *m, uint64_t deadline_ns, bool interruptible);
/* The same, and calls released between the release of m and sleeping. */
int waitq_wait_then(struct waitq *q, struct mutex *m, uint64_t deadline_ns, bool interruptible, void (*released)(void));
/* With the mutex held: wakes the first n waiters; returns how many. */
int waitq_wake(struct waitq *q, int n);
static inline int waitq_wake_all(struct waitq *q) { return waitq_wake(q, __INT_MAX__); }

#endif
