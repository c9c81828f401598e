/* Per-CPU counters in tests whose threads play CPUs: the first thread is CPU 0, and what others counted goes to CPU 1 when they end. */
#ifndef TESTS_UNIT_HOST_CPUS_H
#define TESTS_UNIT_HOST_CPUS_H

#include <arch/percpu.h>
#include <stdatomic.h>

struct percpu *percpu_table[PERCPU_MAX];
unsigned percpu_count;
static struct percpu host_cpus_ended;

static inline void host_cpus_start(void)
{
    percpu_table[0] = percpu();
    percpu_table[1] = &host_cpus_ended;
    percpu_count = 2;
}
static inline void host_cpu_end(void)
{
    for (unsigned i = 0; i < PERCPU_COUNTERS; i++)
        atomic_fetch_add(&host_cpus_ended.counters[i], percpu()->counters[i]);
}

#endif
