/* Shares of one CPU: equal hogs, hogs of different nice values, and a thread that wants little of it but at once. Shares are CPU time by the threads'
   own clocks; with QEMU's -icount the machine's time is its instructions, and the host's load does not matter. */
#include "bench.h"
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MAX_HOGS 8
#define CPU_NS 5000000000u /* of all hogs together */
#define PERIOD_NS 20000000u
#define WORK_NS 1000000u
#define PROMPT_NS 1000000u /* later than that, a hog was let run first */
#define WAKES 250
#define NICE 5
#define WEIGHT_RATIO (1024.0 / 335) /* of nice 0 to nice 5, in steps of about 1.25 (sched(7)) */

static _Atomic bool go, stop;
static _Atomic int ready;
static uint64_t used_ns[MAX_HOGS];
static int nice_of[MAX_HOGS], nice_error;

static void *hog(void *number)
{
    int self = (int)(long)number;
    if (nice_of[self] && syscall(SYS_setpriority, PRIO_PROCESS, syscall(SYS_gettid), nice_of[self]) < 0)
        nice_error = errno;
    ready++;
    while (!go)
        sleep_ns(1000000);
    uint64_t began = clock_ns(CLOCK_THREAD_CPUTIME_ID);
    while (!atomic_load_explicit(&stop, memory_order_relaxed))
        ;
    used_ns[self] = clock_ns(CLOCK_THREAD_CPUTIME_ID) - began;
    return NULL;
}

static void start_hogs(pthread_t *t, int count)
{
    go = stop = false;
    ready = nice_error = 0;
    for (long i = 0; i < count; i++)
        pthread_create(&t[i], NULL, hog, (void *)i);
    while (ready < count)
        sleep_ns(1000000);
    go = true;
}

static void end_hogs(pthread_t *t, int count)
{
    stop = true;
    for (int i = 0; i < count; i++)
        pthread_join(t[i], NULL);
}

static void run_hogs(int count)
{
    pthread_t t[MAX_HOGS];
    start_hogs(t, count);
    uint64_t end = clock_ns(CLOCK_PROCESS_CPUTIME_ID) + CPU_NS;
    while (clock_ns(CLOCK_PROCESS_CPUTIME_ID) < end)
        sleep_ns(100000000);
    end_hogs(t, count);
}

static void fair(const char *name, int count)
{
    uint64_t sum = 0;
    double worst = 0;
    run_hogs(count);
    for (int i = 0; i < count; i++)
        sum += used_ns[i];
    for (int i = 0; i < count; i++) {
        double off = (double)used_ns[i] * count / (double)sum - 1;
        worst = off > worst ? off : -off > worst ? -off : worst;
    }
    printf("bench %s off_percent=%.2f cpu_seconds=%.2f\n", name, 100 * worst, (double)sum / 1e9);
}

void bench_fair2(void) { fair("fair2", 2); }
void bench_fair5(void) { fair("fair5", 5); }

void bench_nice(void)
{
    nice_of[1] = NICE;
    run_hogs(2);
    nice_of[1] = 0;
    if (nice_error) {
        errno = nice_error;
        unavailable("nice", "setpriority");
        return;
    }
    double ratio = (double)used_ns[0] / (double)used_ns[1], off = ratio / WEIGHT_RATIO - 1;
    printf("bench nice off_percent=%.2f ratio=%.3f\n", 100 * (off < 0 ? -off : off), ratio);
}

static void work(uint64_t loops)
{
    for (volatile uint64_t i = 0; i < loops; i++)
        ;
}

static uint64_t loops_of(uint64_t ns)
{
    uint64_t loops = 1000, began;
    do {
        loops *= 2;
        began = clock_ns(CLOCK_THREAD_CPUTIME_ID);
        work(loops);
        began = clock_ns(CLOCK_THREAD_CPUTIME_ID) - began;
    } while (began < 4 * ns);
    return loops * ns / began;
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

void bench_interactive(void)
{
    static uint64_t late[WAKES];
    pthread_t t[4];
    uint64_t loops = loops_of(WORK_NS);
    int prompt = 0;
    start_hogs(t, 4);
    uint64_t next = clock_ns(CLOCK_MONOTONIC);
    for (int i = 0; i < WAKES; i++) {
        next += PERIOD_NS;
        struct timespec at = {(time_t)(next / 1000000000u), (long)(next % 1000000000u)};
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
        uint64_t now = clock_ns(CLOCK_MONOTONIC);
        late[i] = now - next;
        prompt += late[i] < PROMPT_NS;
        if (late[i] > PERIOD_NS)
            next = now;
        work(loops);
    }
    end_hogs(t, 4);
    qsort(late, WAKES, sizeof(late[0]), compare);
    printf("bench interactive prompt_percent=%.1f median_us=%.0f p99_us=%.0f worst_us=%.0f\n", 100.0 * prompt / WAKES,
           (double)late[WAKES / 2] / 1e3, (double)late[WAKES * 99 / 100] / 1e3, (double)late[WAKES - 1] / 1e3);
}
