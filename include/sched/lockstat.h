/* How often, and how long, threads waited for mutexes: counted where --lock-stats is given. */
#ifndef SCHED_LOCKSTAT_H
#define SCHED_LOCKSTAT_H

#include <kernel/compiler.h>
#include <stdatomic.h>

/* One mutex and one place that takes it. */
struct lock_stat {
    const void *mutex, *site; /* site: the return address of mutex_lock */
    uint64_t contended;       /* acquisitions that had to queue */
    uint64_t total_ns, longest_ns;
};

extern _Atomic bool lock_stats_on; /* set once, at the start */

/* Any context that may take a mutex; never waits. What finds no room in the table is only counted. */
void lock_stat_record(const void *mutex, const void *site, uint64_t waited_ns);
/* Copies at most max entries, the longest total first, and returns how many; *lost: acquisitions without room. Any context. */
unsigned lock_stat_read(struct lock_stat *out, unsigned max, uint64_t *lost);

#define LOCK_STAT_MAX 512u /* entries there can be */

#endif
