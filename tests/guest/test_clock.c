/* Clocks and sleeping. Bounds are lower ones: a machine may be as slow as it likes. */
#include "check.h"
#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/times.h>

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

static void all_clocks(void)
{
    static const clockid_t ids[] = {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID,
                                    CLOCK_MONOTONIC_RAW, CLOCK_REALTIME_COARSE, CLOCK_MONOTONIC_COARSE, CLOCK_BOOTTIME, CLOCK_TAI};
    for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
        struct timespec t = {-1, -1}, r = {-1, -1};
        equal(clock_gettime(ids[i], &t), 0, "clock %d", (int)ids[i]);
        check(t.tv_sec >= 0 && t.tv_nsec >= 0 && t.tv_nsec < 1000000000, "a time");
        equal(clock_getres(ids[i], &r), 0, "its resolution");
        check(r.tv_sec == 0 && r.tv_nsec > 0 && r.tv_nsec <= 10000000, "at least 100 Hz");
        equal(clock_getres(ids[i], NULL), 0, "into nothing");
    }
    check(read_ns(CLOCK_TAI) + 1000000000 > read_ns(CLOCK_REALTIME), "TAI is not behind UTC");
    fails(clock_getres(12345, NULL), EINVAL, "an unknown clock's resolution");
    fails(syscall(SYS_clock_gettime, CLOCK_BOOTTIME, (void *)8), EFAULT, "a bad pointer");
    fails(syscall(SYS_clock_getres, CLOCK_BOOTTIME, (void *)8), EFAULT, "clock_getres: a bad pointer");
    fails(clock_gettime(-1, &(struct timespec){0, 0}), EINVAL, "a clock behind a bad descriptor");
    fails(clock_gettime(15, &(struct timespec){0, 0}), EINVAL, "a number without a clock");
    struct timespec bad = {0, 1000000000}, good = {1700000000, 0};
    fails(clock_settime(CLOCK_REALTIME, &bad), EINVAL, "clock_settime: a bad time");
    fails(clock_settime(CLOCK_MONOTONIC, &good), EINVAL, "of a clock that cannot be set");
    fails(clock_settime(CLOCK_PROCESS_CPUTIME_ID, &good), EINVAL, "of CPU time");
    fails(syscall(SYS_clock_settime, CLOCK_REALTIME, (void *)8), EFAULT, "a bad pointer");
}

static _Atomic bool leave;
static _Atomic clockid_t thread_clock;
static void *compute(void *n)
{
    clockid_t clock;
    volatile unsigned long x = 0;
    pthread_getcpuclockid(pthread_self(), &clock);
    thread_clock = clock;
    while (!leave)
        x = x + 1;
    return n;
}

static void dynamic_clocks(void)
{
    clockid_t own, process;
    equal(pthread_getcpuclockid(pthread_self(), &own), 0, "pthread_getcpuclockid");
    check(own < 0, "a dynamic id");
    uint64_t a = read_ns(own), b = read_ns(CLOCK_THREAD_CPUTIME_ID), c = read_ns(own);
    check(a <= b && b <= c && a > 0, "the caller's CPU time");
    equal(clock_getcpuclockid(0, &process), 0, "clock_getcpuclockid");
    a = read_ns(process), b = read_ns(CLOCK_PROCESS_CPUTIME_ID);
    check(a > 0 && a <= b, "the process's");
    equal(clock_getcpuclockid(getpid(), &process), 0, "by its id");
    check(read_ns(process) >= b, "as well");
    struct timespec r = {1, 1};
    equal(clock_getres(own, &r), 0, "its resolution");
    for (int which = 0; which < 3; which++)
        equal(clock_gettime(~0 * 8 | 4 | which, &r), 0, "the caller's by number, kind %d", which);
    fails(clock_gettime(~0 * 8 | 4 | 3, &r), EINVAL, "a kind that is none");
    fails(clock_gettime((int)(~999999u << 3 | 6), &r), EINVAL, "a thread that is none");
    fails(clock_gettime((int)(~999999u << 3 | 2), &r), EINVAL, "a process that is none");
    fails(clock_settime(own, &(struct timespec){0, 0}), EPERM, "CPU time is not set");
    pthread_t t = start(compute, NULL);
    check(eventually(thread_clock != 0), "another thread");
    clockid_t other = thread_clock;
    a = read_ns(other);
    check(eventually(read_ns(other) > a + 2000000), "its CPU time is seen to advance");
    int back = 0;
    uint64_t last = 0, last_all = 0;
    for (int i = 0; i < 3000; i++) {
        uint64_t now = read_ns(other), all = read_ns(CLOCK_PROCESS_CPUTIME_ID);
        back += now < last || all < last_all;
        last = now;
        last_all = all;
    }
    equal(back, 0, "and never goes back, nor does the process's");
    leave = true;
    pthread_join(t, NULL);
    check(read_ns(CLOCK_PROCESS_CPUTIME_ID) >= last_all && last_all >= last, "what it used stays the process's");
    check(eventually(clock_gettime(other, &r) < 0), "its clock goes with it");
    equal(errno, EINVAL, "EINVAL");
}

static void usage(void)
{
    struct rusage before, after, all;
    struct tms t;
    check(times(&t) != (clock_t)-1 && t.tms_utime >= 0 && t.tms_cutime == 0, "times");
    fails(getrusage(99, &all), EINVAL, "getrusage of nobody");
    equal(getrusage(RUSAGE_CHILDREN, &all), 0, "of children");
    equal(getrusage(RUSAGE_THREAD, &before), 0, "of the thread");
    /* A sleep that is over before it began, because the host was elsewhere, is none. */
    check(eventually(getrusage(RUSAGE_THREAD, &after) == 0 && after.ru_nvcsw >= before.ru_nvcsw + 10),
          "sleeping is a voluntary switch");
    getrusage(RUSAGE_SELF, &all);
    check(after.ru_nivcsw >= before.ru_nivcsw, "others do not become fewer");
    check(all.ru_nvcsw >= after.ru_nvcsw && all.ru_nivcsw >= after.ru_nivcsw, "the process has all of them");
    long thread_us = after.ru_utime.tv_sec * 1000000 + after.ru_utime.tv_usec, all_us = all.ru_utime.tv_sec * 1000000 + all.ru_utime.tv_usec;
    check(all_us + 20000 >= thread_us, "and all the time");
}

static void nothing(int sig) {}

static pthread_t main_thread;
static void *interrupt_soon(void *n)
{
    sleep_ms(30);
    pthread_kill(main_thread, SIGUSR1);
    return n;
}

static void sleep_clocks(void)
{
    static const clockid_t good[] = {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME, CLOCK_TAI},
                           bad[] = {CLOCK_MONOTONIC_RAW, CLOCK_REALTIME_COARSE, CLOCK_MONOTONIC_COARSE, CLOCK_THREAD_CPUTIME_ID};
    struct timespec t = {0, 2000000}, at, left;
    for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
        uint64_t before = read_ns(good[i]);
        equal(syscall(SYS_clock_nanosleep, good[i], 0, &t, NULL), 0, "clock_nanosleep on clock %d", (int)good[i]);
        check(read_ns(good[i]) >= before + 2000000, "not early");
        clock_gettime(good[i], &at);
        at.tv_sec++;
        uint64_t target = (uint64_t)at.tv_sec * 1000000000 + (uint64_t)at.tv_nsec - 995000000;
        at = (struct timespec){(time_t)(target / 1000000000), (long)(target % 1000000000)};
        equal(syscall(SYS_clock_nanosleep, good[i], TIMER_ABSTIME, &at, NULL), 0, "to a point in time");
        check(read_ns(good[i]) >= target, "it has come");
    }
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        fails(syscall(SYS_clock_nanosleep, bad[i], 0, &t, NULL), EOPNOTSUPP, "not on clock %d", (int)bad[i]);
    clockid_t own;
    pthread_getcpuclockid(pthread_self(), &own);
    fails(syscall(SYS_clock_nanosleep, own, 0, &t, NULL), EINVAL, "nor on the caller's CPU time");
    equal(clock_nanosleep(CLOCK_THREAD_CPUTIME_ID, 0, &t, NULL), EINVAL, "as the C library says");
    fails(syscall(SYS_clock_nanosleep, CLOCK_BOOTTIME, 0, (void *)8, NULL), EFAULT, "a bad pointer");
    t.tv_nsec = -1;
    fails(syscall(SYS_clock_nanosleep, CLOCK_BOOTTIME, 0, &t, NULL), EINVAL, "a bad time");
    signal(SIGUSR1, nothing);
    main_thread = pthread_self();
    static const clockid_t interrupted[] = {CLOCK_REALTIME, CLOCK_BOOTTIME, CLOCK_PROCESS_CPUTIME_ID};
    for (size_t i = 0; i < ARRAY_SIZE(interrupted); i++) {
        pthread_t thread = start(interrupt_soon, NULL);
        left = (struct timespec){0, 0};
        t = (struct timespec){1000, 0};
        equal(clock_nanosleep(interrupted[i], 0, &t, &left), EINTR, "interrupted on clock %d", (int)interrupted[i]);
        check(left.tv_sec >= 900 && left.tv_sec < 1000, "the time that is left");
        pthread_join(thread, NULL);
    }
    pthread_t thread = start(interrupt_soon, NULL);
    clock_gettime(CLOCK_REALTIME, &at);
    at.tv_sec += 1000;
    left = (struct timespec){5, 5};
    equal(clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &at, &left), EINTR, "interrupted before a point in time");
    check(left.tv_sec == 5 && left.tv_nsec == 5, "what is left is not told");
    pthread_join(thread, NULL);
    signal(SIGUSR1, SIG_IGN);
}

static void step(long seconds)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    t.tv_sec += seconds;
    equal(clock_settime(CLOCK_REALTIME, &t), 0, "the wall clock is set by %ld s", seconds);
}

static _Atomic int asleep, slept;
static void *sleep_on_wall(void *n)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    t.tv_sec += 1000;
    asleep = 1;
    slept = clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &t, NULL) == 0;
    return n;
}

static void *sleep_relative(void *n)
{
    uint64_t before = now_ns();
    struct timespec t = {0, 50000000};
    asleep = 2;
    clock_nanosleep(CLOCK_REALTIME, 0, &t, NULL);
    return (void *)(now_ns() - before);
}

static void steps(void)
{
    if (!on_singlet()) {
        skip("the host's clock is not set");
        return;
    }
    void *result;
    pthread_t t = start(sleep_on_wall, NULL);
    check(eventually(asleep == 1), "a thread sleeps until the wall clock says so");
    sleep_ms(10);
    uint64_t before = now_ns(), boot = read_ns(CLOCK_BOOTTIME), wall = read_ns(CLOCK_REALTIME);
    step(2000);
    check(read_ns(CLOCK_REALTIME) >= wall + 2000000000000u, "it is set");
    check(now_ns() - before < 1000000000000u && read_ns(CLOCK_BOOTTIME) - boot < 1000000000000u, "monotonic time is not");
    pthread_join(t, NULL);
    equal(slept, 1, "the sleeper wakes");
    check(now_ns() - before < 900000000000u, "because of that");
    t = start(sleep_relative, NULL);
    check(eventually(asleep == 2), "a thread sleeps for some wall time");
    step(-2000);
    pthread_join(t, &result);
    check((uint64_t)result >= 50000000 && (uint64_t)result < 60000000000u, "that is a length of time");
    struct timespec past = {0, 0};
    fails(clock_settime(CLOCK_REALTIME, &past), EINVAL, "a time before that of the boot would be before 1970");
    struct timeval v;
    gettimeofday(&v, NULL);
    equal(settimeofday(&v, NULL), 0, "settimeofday");
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
    run(all_clocks);
    run(dynamic_clocks);
    run(usage);
    run(sleep_clocks);
    run(steps);
    run(calendar);
    return 0;
}
