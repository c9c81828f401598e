/* Clocks and sleeping. CPU-time clocks count the calling thread, or all threads. */
#include <asm/errno.h>
#include <kernel/clock.h>
#include <kernel/syscall.h>
#include <kernel/timespec.h>
#include <kernel/user.h>
#include <linux/time.h>
#include <sched/internal.h>

static uint64_t thread_cpu_ns(void)
{
    struct thread *t = thread_current();
    preempt_disable(); /* the two move together at a switch */
    uint64_t ns = t->cpu_time_ns + (clock_monotonic_ns() - t->charged_ns);
    preempt_enable();
    return ns;
}

static uint64_t process_cpu_ns(void)
{
    struct thread *t;
    uint64_t ns = clock_monotonic_ns() - thread_current()->charged_ns;
    mutex_lock(&threads_lock);
    TAILQ_FOREACH(t, &all_threads, all_link)
        if (t->app)
            ns += t->cpu_time_ns;
    mutex_unlock(&threads_lock);
    return ns;
}

static int clock_read(int clock, uint64_t *ns)
{
    switch (clock) {
    case CLOCK_REALTIME: case CLOCK_REALTIME_COARSE: case CLOCK_TAI: *ns = clock_realtime_ns(); return 0;
    case CLOCK_MONOTONIC: case CLOCK_MONOTONIC_COARSE: case CLOCK_MONOTONIC_RAW: case CLOCK_BOOTTIME: *ns = clock_monotonic_ns(); return 0;
    case CLOCK_THREAD_CPUTIME_ID: *ns = thread_cpu_ns(); return 0;
    case CLOCK_PROCESS_CPUTIME_ID: *ns = process_cpu_ns(); return 0;
    default: return -EINVAL;
    }
}

SYSCALL(clock_gettime, 2, "clock, time", SYSCALL_COMPLETE)
long sys_clock_gettime(int clock, struct timespec64 *time)
{
    uint64_t ns;
    if (unlikely(!user_range_ok(time, sizeof(*time))))
        return -EFAULT;
    if (likely(clock == CLOCK_MONOTONIC)) { /* the two that servers ask for all the time */
        ns = clock_monotonic_ns();
    } else if (likely(clock == CLOCK_REALTIME)) {
        ns = clock_realtime_ns();
    } else {
        int err = clock_read(clock, &ns);
        if (err)
            return err;
    }
    *time = timespec_of_ns(ns);
    return 0;
}

SYSCALL(clock_getres, 2, "clock, resolution", SYSCALL_COMPLETE)
long sys_clock_getres(int clock, struct timespec64 *resolution)
{
    uint64_t ns;
    int err = clock_read(clock, &ns);
    if (!err && resolution)
        *resolution = (struct timespec64){0, 1};
    return err;
}

SYSCALL(gettimeofday, 2, "time, zone", SYSCALL_COMPLETE)
long sys_gettimeofday(struct timeval64 *time, void *zone)
{
    uint64_t ns = clock_realtime_ns();
    if (time && !user_range_ok(time, sizeof(*time)))
        return -EFAULT;
    if (time)
        *time = (struct timeval64){(int64_t)(ns / NS_PER_SEC), (int64_t)(ns % NS_PER_SEC / 1000)};
    return 0;
}

SYSCALL(time, 1, "time", SYSCALL_COMPLETE)
long sys_time(long *time)
{
    long s = (long)(clock_realtime_ns() / NS_PER_SEC);
    if (time)
        *time = s;
    return s;
}

SYSCALL(clock_settime, 2, "clock, time", SYSCALL_COMPLETE)
long sys_clock_settime(int clock, const struct timespec64 *time)
{
    if (clock != CLOCK_REALTIME || !timespec_valid(time))
        return -EINVAL;
    clock_set_realtime_ns(timespec_ns(time));
    return 0;
}

/* Sleeps until the deadline on the given clock; -EINTR by a signal. The wall clock may be set meanwhile, so it is looked at again at least once a second. */
static int sleep_until(uint64_t deadline, bool realtime)
{
    for (;;) {
        uint64_t now = realtime ? clock_realtime_ns() : clock_monotonic_ns();
        if (now >= deadline)
            return 0;
        thread_wait_prepare();
        if (thread_interrupted()) {
            thread_wait_cancel();
            return -EINTR;
        }
        uint64_t left = deadline - now;
        thread_wait_until(deadline_after(realtime && left > NS_PER_SEC ? NS_PER_SEC : left));
    }
}

SYSCALL(clock_nanosleep, 4, "clock, flags, request, remain", SYSCALL_PARTIAL) /* no CPU-time clocks */
long sys_clock_nanosleep(int clock, int flags, const struct timespec64 *request, struct timespec64 *remain)
{
    bool realtime = clock == CLOCK_REALTIME && (flags & TIMER_ABSTIME);
    if (clock != CLOCK_REALTIME && clock != CLOCK_MONOTONIC && clock != CLOCK_BOOTTIME)
        return -EINVAL;
    if (!user_range_ok(request, sizeof(*request)) || (remain && !user_range_ok(remain, sizeof(*remain))))
        return -EFAULT;
    if (!timespec_valid(request))
        return -EINVAL;
    uint64_t deadline = flags & TIMER_ABSTIME ? timespec_ns(request) : deadline_after(timespec_ns(request));
    int err = sleep_until(deadline, realtime);
    if (err && remain && !(flags & TIMER_ABSTIME)) {
        uint64_t now = clock_monotonic_ns();
        *remain = timespec_of_ns(deadline > now ? deadline - now : 0);
    }
    return err;
}

SYSCALL(nanosleep, 2, "request, remain", SYSCALL_COMPLETE)
long sys_nanosleep(const struct timespec64 *request, struct timespec64 *remain)
{
    return sys_clock_nanosleep(CLOCK_MONOTONIC, 0, request, remain);
}

SYSCALL(times, 1, "tms", SYSCALL_COMPLETE)
long sys_times(long tms[4])
{
    if (tms && !user_range_ok(tms, 4 * sizeof(*tms)))
        return -EFAULT;
    if (tms) {
        tms[0] = (long)(process_cpu_ns() / (NS_PER_SEC / 100));
        tms[1] = tms[2] = tms[3] = 0;
    }
    return (long)(clock_monotonic_ns() / (NS_PER_SEC / 100));
}
