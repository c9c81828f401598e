/* Threads on all CPUs that look up the same path: what one call costs in instructions, waiting for each other included. */
#include "bench.h"
#include "mark.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#define CALLS 5000 /* by each thread */
#define THREADS_MAX 64

static _Atomic int ready;

static void *look_up(void *times)
{
    ready++;
    while (ready < cpu_count)
        futex_wait(&ready, ready);
    futex_wake(&ready, THREADS_MAX); /* the last one wakes all, the others nobody */
    for (long i = 0; i < (long)times; i++)
        if (access("/etc/passwd", F_OK) < 0)
            perror("access");
    return NULL;
}

static void on_all(long times)
{
    pthread_t t[THREADS_MAX];
    long n = cpu_count < THREADS_MAX ? cpu_count : THREADS_MAX;
    ready = (int)(cpu_count - n);
    for (long i = 0; i < n; i++)
        pthread_create(&t[i], NULL, look_up, (void *)times);
    for (long i = 0; i < n; i++)
        pthread_join(t[i], NULL);
}

void bench_lookup(void)
{
    if (access("/etc/passwd", F_OK) < 0) {
        unavailable("lookup", "/etc/passwd");
        return;
    }
    on_all(100);
    MARK(MARK_LOOKUP_BEGIN);
    on_all(CALLS);
    MARK(MARK_LOOKUP_END);
    printf("bench lookup calls=%ld\n", CALLS * (cpu_count < THREADS_MAX ? cpu_count : THREADS_MAX));
}
