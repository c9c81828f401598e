/* Reading and setting the clocks. CPU-time clocks count the calling thread, another one, or all
 * threads (clocks.c). */
#include <asm/errno.h>
#include <kernel/clock.h>
#include <kernel/clocks.h>
#include <kernel/cpu_usage.h>
#include <kernel/syscall.h>
#include <kernel/timespec.h>
#include <kernel/user.h>
#include <linux/time.h>

#define TICKS_PER_SEC 100 /* USER_HZ, of times(2) */
#define REALTIME_MAX_NS                                                                            \
    (INT64_MAX -                                                                                   \
     30ll * 365 * 86400 * (int64_t)NS_PER_SEC) /* as Linux: 30 years of uptime are left */

static int clock_read(int id, uint64_t *ns)
{
    struct clock_ref clock;
    int err = clock_resolve(id, &clock);
    if (!err && clock_now(&clock, ns)) /* its thread ended just now */
        err = -EINVAL;
    return err;
}

static __attribute__((noinline)) long get_other(int clock, struct timespec64 *time)
{
    uint64_t ns;
    int err = clock_read(clock, &ns);
    if (!err)
        *time = timespec_of_ns(ns);
    return err;
}

SYSCALL(clock_gettime, 2, "clock, time", SYSCALL_COMPLETE)
long sys_clock_gettime(int clock, struct timespec64 *time)
{
    if (unlikely(!user_range_ok(time, sizeof(*time))))
        return -EFAULT;
    if (likely(clock == CLOCK_MONOTONIC)) /* the two that servers ask for all the time */
        *time = timespec_of_ns(clock_monotonic_ns());
    else if (likely(clock == CLOCK_REALTIME))
        *time = timespec_of_ns(clock_realtime_ns());
    else
        return get_other(clock, time);
    return 0;
}

/* All clocks, the coarse ones among them, are as fine as the TSC. */
SYSCALL(clock_getres, 2, "clock, resolution", SYSCALL_COMPLETE)
long sys_clock_getres(int clock, struct timespec64 *resolution)
{
    struct clock_ref ref;
    int err = clock_resolve(clock, &ref);
    if (err)
        return err;
    if (resolution && !user_range_ok(resolution, sizeof(*resolution)))
        return -EFAULT;
    if (resolution)
        *resolution = (struct timespec64){0, 1};
    return 0;
}

SYSCALL(gettimeofday, 2, "time, zone", SYSCALL_COMPLETE)
long sys_gettimeofday(struct timeval64 *time, int zone[2])
{
    uint64_t ns = clock_realtime_ns();
    if ((time && !user_range_ok(time, sizeof(*time))) ||
        (zone && !user_range_ok(zone, 2 * sizeof(*zone))))
        return -EFAULT;
    if (time)
        *time = (struct timeval64){(int64_t)(ns / NS_PER_SEC), (int64_t)(ns % NS_PER_SEC / 1000)};
    if (zone)
        zone[0] = zone[1] = 0; /* UTC: setting another answers EINVAL */
    return 0;
}

SYSCALL(time, 1, "time", SYSCALL_COMPLETE)
long sys_time(long *time)
{
    long s = (long)(clock_realtime_ns() / NS_PER_SEC);
    if (time && !user_range_ok(time, sizeof(*time)))
        return -EFAULT;
    if (time)
        *time = s;
    return s;
}

/* As on Linux the wall clock cannot be set to a time before that of the boot would be one before
 * 1970. */
static long set_realtime(const struct timespec64 *time)
{
    if (!timespec_valid(time) || timespec_ns(time) > (uint64_t)REALTIME_MAX_NS ||
        timespec_ns(time) < clock_monotonic_ns())
        return -EINVAL;
    wall_set(timespec_ns(time));
    return 0;
}

SYSCALL(clock_settime, 2, "clock, time", SYSCALL_COMPLETE)
long sys_clock_settime(int clock, const struct timespec64 *time)
{
    struct clock_ref ref;
    if (clock != CLOCK_REALTIME && (clock >= 0 || clock_resolve(clock, &ref)))
        return -EINVAL;
    if (!user_range_ok(time, sizeof(*time)))
        return -EFAULT;
    return clock == CLOCK_REALTIME ? set_realtime(time) : -EPERM;
}

SYSCALL(settimeofday, 2, "time, zone", SYSCALL_PARTIAL) /* no time zone: EINVAL */
long sys_settimeofday(const struct timeval64 *time, const void *zone)
{
    if (time && !user_range_ok(time, sizeof(*time)))
        return -EFAULT;
    if (zone || (time && (time->usec < 0 || time->usec >= 1000000)))
        return -EINVAL;
    return time ? set_realtime(&(struct timespec64){time->sec, time->usec * 1000}) : 0;
}

SYSCALL(times, 1, "tms", SYSCALL_COMPLETE)
long sys_times(long tms[4])
{
    if (tms && !user_range_ok(tms, 4 * sizeof(*tms)))
        return -EFAULT;
    if (tms) {
        tms[0] = (long)(cpu_usage_process().cpu_ns / (NS_PER_SEC / TICKS_PER_SEC));
        tms[1] = tms[2] = tms[3] = 0; /* one address space: no system time; no children */
    }
    return (long)(clock_monotonic_ns() / (NS_PER_SEC / TICKS_PER_SEC));
}
