/* How fast threads that are runnable on one CPU are on all of four: they run pinned to CPU 0, then may run anywhere; the time until each is on
   a CPU of its own is taken by the threads themselves. Once while they run (balancing), once while they sleep and are woken together. */
#include "bench.h"
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#define THREADS 4
#define ROUNDS 21
#define GIVE_UP_NS 3000000000u

static _Atomic int tids[THREADS], on_cpu[THREADS], ready, go;
static _Atomic uint64_t began, spread_at;
static bool asleep; /* before the change of affinity */

static bool all_apart(void)
{
    uint64_t seen = 0;
    for (int i = 0; i < THREADS; i++)
        seen |= 1ull << (on_cpu[i] & 63);
    return __builtin_popcountll(seen) == THREADS;
}

static void *runner(void *number)
{
    int self = (int)(long)number;
    pin(0, 0);
    tids[self] = (int)syscall(SYS_gettid);
    on_cpu[self] = 0;
    ready++;
    if (asleep)
        while (!go)
            futex_wait(&go, 0);
    while (!spread_at) {
        on_cpu[self] = sched_getcpu();
        uint64_t from = began, now = clock_ns(CLOCK_MONOTONIC), none = 0; /* in this order: now is not before from */
        if (!from)
            continue;
        if (all_apart() || now - from > GIVE_UP_NS)
            atomic_compare_exchange_strong(&spread_at, &none, now);
    }
    return NULL;
}

static uint64_t round_ns(void)
{
    pthread_t t[THREADS];
    ready = go = 0;
    began = spread_at = 0;
    for (long i = 0; i < THREADS; i++)
        pthread_create(&t[i], NULL, runner, (void *)i);
    while (ready < THREADS)
        sleep_ns(1000000);
    sleep_ns(20000000); /* all other CPUs are idle for a while */
    began = clock_ns(CLOCK_MONOTONIC);
    for (int i = 0; i < THREADS; i++)
        unpin(tids[i]);
    go = 1;
    futex_wake(&go, THREADS);
    for (int i = 0; i < THREADS; i++)
        pthread_join(t[i], NULL);
    return spread_at - began;
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static double median_ms(bool sleeping)
{
    uint64_t took[ROUNDS];
    asleep = sleeping;
    for (int i = 0; i < ROUNDS; i++)
        took[i] = round_ns();
    qsort(took, ROUNDS, sizeof(took[0]), compare);
    return (double)took[ROUNDS / 2] / 1e6;
}

void bench_spread(void)
{
    if (cpu_count < THREADS || !pin(0, 1)) {
        unavailable("spread", "cpus");
        return;
    }
    double running = median_ms(false), woken = median_ms(true);
    unpin(0);
    printf("bench spread running_ms=%.2f woken_ms=%.2f\n", running, woken);
}

void bench_idle(void)
{
    printf("bench idle\n");
    for (;;)
        pause();
}
