/* What the parts of the benchmark share. */
#ifndef BENCH_H
#define BENCH_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

/* The benchmarks; each prints its line. */
void bench_handover(void);
void bench_create(void);
void bench_wake(void);
void bench_pipe(void);
void bench_stream(void);
void bench_eventfd(void);
void bench_lookup(void);
void bench_fair2(void);
void bench_fair5(void);
void bench_nice(void);
void bench_interactive(void);
void bench_spread(void);
void bench_idle(void);

extern long cpu_count;
uint64_t clock_ns(clockid_t clock);
void sleep_ns(uint64_t ns);
/* Of a thread by its id, 0: the caller's. False if the kernel does not allow it. */
bool pin(int tid, int cpu);
bool unpin(int tid);
/* Says that the kernel lacks something that the benchmark needs. */
void unavailable(const char *name, const char *what);
/* futex(2): waits while *word is value; wakes n waiters. */
void futex_wait(_Atomic int *word, int value);
void futex_wake(_Atomic int *word, int n);

#endif
