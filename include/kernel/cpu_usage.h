/* What the application's threads used of the CPUs. */
#ifndef KERNEL_CPU_USAGE_H
#define KERNEL_CPU_USAGE_H

#include <stdint.h>

struct thread;

struct cpu_usage {
    uint64_t cpu_ns;
    uint64_t voluntary, involuntary; /* switches */
};

/* Of the calling thread. */
struct cpu_usage cpu_usage_self(void);
/* Of all threads of the application, those that have ended among them. Sleeps. */
struct cpu_usage cpu_usage_process(void);
/* t, the caller, stops being a thread of the application (t->app becomes NULL); what it used stays
 * counted. Sleeps. */
void cpu_usage_retire(struct thread *t);

/* The program's living threads. May sleep. */
int cpu_usage_threads(void);

#endif
