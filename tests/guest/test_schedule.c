/* Scheduling: hogs share the CPU, sleepers wake while they run, and nobody starves. Bounds are loose. */
#include "check.h"
#include <sched.h>
#include <stdatomic.h>
#include <sys/syscall.h>

static _Atomic bool stop;
static _Atomic long counts[8];

static void *hog(void *n)
{
    while (!stop)
        atomic_fetch_add_explicit(&counts[(long)n], 1, memory_order_relaxed);
    return NULL;
}

static void *yielder(void *n)
{
    while (!stop) {
        atomic_fetch_add_explicit(&counts[(long)n], 1, memory_order_relaxed);
        sched_yield();
    }
    return NULL;
}

static long cpu_ns(pthread_t t)
{
    clockid_t clock;
    struct timespec at = {0};
    if (pthread_getcpuclockid(t, &clock) == 0)
        clock_gettime(clock, &at);
    return at.tv_sec * 1000000000 + at.tv_nsec;
}

/* By CPU time, not by what they got done: a vCPU may lose its CPU in one hog's slice, and that is shared fairly, too. */
static void fairness(void)
{
    pthread_t t[3];
    stop = false;
    for (long i = 0; i < 3; i++) {
        counts[i] = 0;
        t[i] = start(hog, (void *)i);
    }
    long c[3], all = 0;
    int wakes = 0;
    for (uint64_t give_up = now_ns() + 60000000000ull; all < 900000000 && now_ns() < give_up; wakes++) {
        sleep_ms(10);
        all = 0;
        for (int i = 0; i < 3; i++)
            all += c[i] = cpu_ns(t[i]);
    }
    stop = true;
    for (int i = 0; i < 3; i++)
        pthread_join(t[i], NULL);
    long least = c[0] < c[1] ? c[0] : c[1], most = c[0] > c[1] ? c[0] : c[1];
    least = least < c[2] ? least : c[2];
    most = most > c[2] ? most : c[2];
    check(least > 0 && most < least * 4, "three hogs get about the same (%ld to %ld ns)", least, most);
    check(wakes >= 3, "a thread that sleeps gets its turn among them (%d times)", wakes);
}

static void yielding(void)
{
    pthread_t t[4];
    stop = false;
    for (long i = 0; i < 4; i++) {
        counts[i] = 0;
        t[i] = start(yielder, (void *)i);
    }
    check(eventually(counts[0] > 100 && counts[1] > 100 && counts[2] > 100 && counts[3] > 100), "four that yield all advance");
    stop = true;
    for (int i = 0; i < 4; i++)
        pthread_join(t[i], NULL);
}

/* Each round trip needs two wake-ups while a hog runs. */
static int there[2], back[2];
static void *echo(void *n)
{
    char c;
    while (read(there[0], &c, 1) == 1 && c != 'q')
        if (write(back[1], &c, 1) != 1)
            break;
    return n;
}

static void waking(void)
{
    if (pipe(there) < 0 || pipe(back) < 0)
        return;
    stop = false;
    pthread_t h = start(hog, (void *)0), e = start(echo, NULL);
    int n = 0;
    char c = 'x';
    for (; n < 50; n++)
        if (write(there[1], &c, 1) != 1 || read(back[0], &c, 1) != 1)
            break;
    equal(n, 50, "50 round trips beside a hog");
    stop = true;
    c = 'q';
    equal(write(there[1], &c, 1), 1, "end");
    pthread_join(h, NULL);
    pthread_join(e, NULL);
    close(there[0]), close(there[1]), close(back[0]), close(back[1]);
}

static void *do_nothing(void *n) { return n; }

static void storm(void)
{
    int good = 0;
    for (int round = 0; round < 20; round++) {
        pthread_t t[20];
        for (long i = 0; i < 20; i++)
            t[i] = start(do_nothing, (void *)i);
        for (long i = 0; i < 20; i++) {
            void *r;
            good += pthread_join(t[i], &r) == 0 && r == (void *)i;
        }
    }
    equal(good, 400, "400 threads in waves of 20");
}

static void affinity(void)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    equal(sched_getaffinity(0, sizeof(set), &set), 0, "sched_getaffinity");
    check(CPU_COUNT(&set) >= 1, "at least one CPU");
    check(sched_getcpu() >= 0, "sched_getcpu");
    equal(syscall(SYS_sched_getscheduler, 0), SCHED_OTHER, "the policy"); /* not musl's function, which is always ENOSYS */
    check(sched_get_priority_max(SCHED_FIFO) == 99 && sched_get_priority_min(SCHED_OTHER) == 0, "priorities");
    equal(sched_yield(), 0, "sched_yield");
}

int main(void)
{
    run(fairness);
    run(yielding);
    run(waking);
    run(storm);
    run(affinity);
    return 0;
}
