/* Reader-writer lock whose readers scale: as long as there is no writer, a reader touches only the cache line of its own CPU. A writer pays: it looks at the line of every CPU.

   Both may sleep while they hold it; a reader may come back on another CPU. Writers come one after the other, in order, and readers that meet one queue up with them: nobody
   is starved. So a thread must not take the lock for reading twice: a writer between the two would wait for the first, and the second for the writer. Threads only. */
#ifndef SCHED_RWLOCK_H
#define SCHED_RWLOCK_H

#include <arch/percpu.h>
#include <sched/mutex.h>

struct rwlock_count {
    _Atomic unsigned readers; /* entered less left, on this CPU: only the sum over all means something */
} __attribute__((aligned(64)));

struct rwlock {
    struct rwlock_count *counts;      /* one for each CPU; constant */
    _Atomic bool writer;              /* one is there, or waits until the readers are gone; written with mutex held */
    struct thread *_Atomic draining;  /* the writer, while it waits for that */
    struct mutex mutex __attribute__((aligned(64))); /* held by the writer */
};

/* A lock that lasts, with its counts (64 bytes for each possible CPU). */
#define RWLOCK_DEFINE(name)                                                \
    static struct rwlock_count name##_counts[PERCPU_MAX];                  \
    struct rwlock name = {.counts = name##_counts, .mutex = MUTEX_INIT}

void rwlock_read_lock(struct rwlock *l);
void rwlock_read_unlock(struct rwlock *l);
void rwlock_write_lock(struct rwlock *l);
void rwlock_write_unlock(struct rwlock *l);
/* The caller holds it as the writer. */
static inline bool rwlock_write_held(const struct rwlock *l) { return mutex_held(&l->mutex); }

#endif
