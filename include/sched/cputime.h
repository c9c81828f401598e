/* CPU time of threads. */
#ifndef SCHED_CPUTIME_H
#define SCHED_CPUTIME_H

#include <stdint.h>

struct thread;

/* Nanoseconds that t has run so far, up to this instant if it runs now. Any thread that cannot go
   away meanwhile: the caller itself, or another that is held. Does not sleep, takes no lock.
 */
uint64_t thread_cpu_time_ns(const struct thread *t);

#endif
