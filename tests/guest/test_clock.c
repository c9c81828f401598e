/* Clocks and sleeping. Bounds are lower ones: a machine may be as slow as it likes. */
#include "check.h"
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/time.h>

static uint64_t read_ns(clockid_t clock)
{
    struct timespec t = {0, 0};
    clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void monotonic(void)
{
    uint64_t last = 0;
    int back = 0, same = 0;
    for (int i = 0; i < 100000; i++) {
        uint64_t now = read_ns(CLOCK_MONOTONIC);
        back += now < last;
        same += now == last;
        last = now;
    }
    equal(back, 0, "100,000 readings never go back");
    check(same < 99000, "and they advance");
    check(read_ns(CLOCK_MONOTONIC_RAW) && read_ns(CLOCK_MONOTONIC_COARSE) && read_ns(CLOCK_BOOTTIME), "the other ones");
    fails(clock_gettime(12345, &(struct timespec){0, 0}), EINVAL, "an unknown clock");
    struct timespec r = {1, 1};
    equal(clock_getres(CLOCK_MONOTONIC, &r), 0, "clock_getres");
    check(r.tv_sec == 0 && r.tv_nsec > 0 && r.tv_nsec <= 10000000, "a resolution of at least 100 Hz");
}

static _Atomic uint64_t shared_time;
static _Atomic int went_back;
static void *check_shared(void *n)
{
    for (int i = 0; i < 20000; i++) {
        uint64_t seen = shared_time, now = read_ns(CLOCK_MONOTONIC);
        if (now < seen)
            went_back++;
        shared_time = now;
    }
    return n;
}

static void across_threads(void)
{
    pthread_t t[3];
    for (int i = 0; i < 3; i++)
        t[i] = start(check_shared, NULL);
    for (int i = 0; i < 3; i++)
        pthread_join(t[i], NULL);
    equal(went_back, 0, "what another thread read is never in the future");
}

static void wall(void)
{
    struct timeval v;
    struct timespec t;
    gettimeofday(&v, NULL);
    clock_gettime(CLOCK_REALTIME, &t);
    check(v.tv_sec > 1600000000, "a date after 2020");
    check(t.tv_sec - v.tv_sec >= 0 && t.tv_sec - v.tv_sec < 60, "gettimeofday and clock_gettime agree");
    check(time(NULL) - v.tv_sec >= 0 && time(NULL) - v.tv_sec < 60, "time() does, too");
}

static void sleeping(void)
{
    static const unsigned times_us[] = {0, 1, 100, 1000, 20000, 60000};
    for (size_t i = 0; i < ARRAY_SIZE(times_us); i++) {
        struct timespec t = {0, times_us[i] * 1000};
        uint64_t before = now_ns();
        int r = nanosleep(&t, NULL);
        uint64_t slept = now_ns() - before;
        check(r == 0 && slept >= times_us[i] * 1000ull, "nanosleep of %u us is no shorter", times_us[i]);
    }
    struct timespec bad = {0, 1000000000}, negative = {-1, 0};
    fails(nanosleep(&bad, NULL), EINVAL, "a bad number of nanoseconds");
    fails(nanosleep(&negative, NULL), EINVAL, "a negative time");
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_nsec += 20000000;
    at.tv_sec += at.tv_nsec / 1000000000;
    at.tv_nsec %= 1000000000;
    equal(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL), 0, "clock_nanosleep to a point in time");
    check(now_ns() >= (uint64_t)at.tv_sec * 1000000000u + (uint64_t)at.tv_nsec, "it has come");
    equal(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &(struct timespec){0, 1}, NULL), 0, "to a point past");
    equal(clock_nanosleep(12345, 0, &at, NULL), EINVAL, "on an unknown clock");
    clock_gettime(CLOCK_REALTIME, &at);
    equal(clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &at, NULL), 0, "on the wall clock");
}

static void *sleep_and_stamp(void *ms)
{
    sleep_ms((unsigned)(long)ms);
    return (void *)now_ns();
}

static void many_sleepers(void)
{
    pthread_t t[20];
    uint64_t began = now_ns();
    int early = 0;
    for (long i = 0; i < 20; i++)
        t[i] = start(sleep_and_stamp, (void *)(5 + i * 7 % 20 * 3));
    for (long i = 0; i < 20; i++) {
        void *stamp;
        pthread_join(t[i], &stamp);
        early += (uint64_t)stamp < began + (uint64_t)(5 + i * 7 % 20 * 3) * 1000000;
    }
    equal(early, 0, "20 threads that sleep for different times");
}

static void cpu_time(void)
{
    /* The wall is read first and last, so that no pause between two readings counts as CPU time only. */
    uint64_t wall = now_ns(), process = read_ns(CLOCK_PROCESS_CPUTIME_ID), thread = read_ns(CLOCK_THREAD_CPUTIME_ID);
    volatile unsigned long x = 0;
    while (now_ns() - wall < 30000000)
        x = x + 1;
    uint64_t used = read_ns(CLOCK_THREAD_CPUTIME_ID) - thread, all = read_ns(CLOCK_PROCESS_CPUTIME_ID) - process;
    check(used > 1000000, "the thread's CPU time advances");
    check(used <= now_ns() - wall, "and no faster than time");
    check(all + 1000000 >= used, "the process's is no less");
    wall = now_ns();
    thread = read_ns(CLOCK_THREAD_CPUTIME_ID);
    sleep_ms(50);
    check(read_ns(CLOCK_THREAD_CPUTIME_ID) - thread < (now_ns() - wall), "sleeping does not count");
    struct rusage u;
    equal(getrusage(RUSAGE_SELF, &u), 0, "getrusage");
    check(u.ru_utime.tv_sec + u.ru_stime.tv_sec > 0 || u.ru_utime.tv_usec + u.ru_stime.tv_usec > 0, "has used time");
    check(clock() > 0, "clock()");
}

static void calendar(void)
{
    time_t t = 1700000000;
    struct tm tm;
    char text[64];
    gmtime_r(&t, &tm);
    strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S %a", &tm);
    check(!strcmp(text, "2023-11-14 22:13:20 Tue"), "gmtime and strftime: %s", text);
    equal(timegm(&tm), t, "timegm");
}

int main(void)
{
    run(monotonic);
    run(across_threads);
    run(wall);
    run(sleeping);
    run(many_sleepers);
    run(cpu_time);
    run(calendar);
    return 0;
}
