/* Interval timers: ITIMER_REAL and alarm, which send SIGALRM to the process. The CPU-time timers answer EINVAL. */
#include <asm/errno.h>
#include <kernel/clock.h>
#include <kernel/signal.h>
#include <kernel/syscall.h>
#include <kernel/timespec.h>
#include <kernel/user.h>
#include <linux/signal.h>
#include <linux/time.h>
#include <sched/mutex.h>
#include <sched/timer.h>

struct itimerval64 {
    struct timeval64 interval, value;
};

static struct mutex lock = MUTEX_INIT; /* protects all below */
static uint64_t interval_ns, deadline_ns; /* deadline 0: off */

static void expire(struct soft_timer *t)
{
    bool fired = false;
    mutex_lock(&lock);
    if (deadline_ns && clock_monotonic_ns() >= deadline_ns) {
        fired = true;
        deadline_ns = interval_ns ? deadline_after(interval_ns) : 0;
        if (deadline_ns)
            soft_timer_arm(t, deadline_ns);
    }
    mutex_unlock(&lock);
    if (fired)
        signal_send_process(SIGALRM);
}
static struct soft_timer timer = {.fn = expire};

static int to_ns(const struct timeval64 *t, uint64_t *ns)
{
    if (t->sec < 0 || t->usec < 0 || t->usec >= 1000000)
        return -EINVAL;
    *ns = timespec_ns(&(struct timespec64){t->sec, t->usec * 1000});
    return 0;
}

static struct timeval64 of_ns(uint64_t ns)
{
    return (struct timeval64){(int64_t)(ns / NS_PER_SEC), (int64_t)(ns % NS_PER_SEC / 1000)};
}

/* Sets the timer to value (0: off); returns what was left. */
static uint64_t set(uint64_t value_ns, uint64_t new_interval_ns, uint64_t *old_interval)
{
    mutex_lock(&lock);
    uint64_t now = clock_monotonic_ns(), left = deadline_ns > now ? deadline_ns - now : 0;
    *old_interval = interval_ns;
    interval_ns = new_interval_ns;
    deadline_ns = value_ns ? deadline_after(value_ns) : 0;
    if (deadline_ns)
        soft_timer_arm(&timer, deadline_ns);
    else
        (void)soft_timer_cancel(&timer);
    mutex_unlock(&lock);
    return left;
}

SYSCALL(setitimer, 3, "which, new, old", SYSCALL_PARTIAL) /* ITIMER_REAL */
long sys_setitimer(int which, const struct itimerval64 *new, struct itimerval64 *old)
{
    uint64_t value = 0, interval = 0, old_interval;
    if ((new && !user_range_ok(new, sizeof(*new))) || (old && !user_range_ok(old, sizeof(*old))))
        return -EFAULT;
    if (which != ITIMER_REAL || (new && (to_ns(&new->value, &value) || to_ns(&new->interval, &interval))))
        return -EINVAL;
    uint64_t left = set(value, interval, &old_interval);
    if (old)
        *old = (struct itimerval64){of_ns(old_interval), of_ns(left)};
    return 0;
}

SYSCALL(getitimer, 2, "which, value", SYSCALL_PARTIAL) /* ITIMER_REAL */
long sys_getitimer(int which, struct itimerval64 *value)
{
    if (which != ITIMER_REAL)
        return -EINVAL;
    mutex_lock(&lock);
    uint64_t now = clock_monotonic_ns();
    *value = (struct itimerval64){of_ns(interval_ns), of_ns(deadline_ns > now ? deadline_ns - now : 0)};
    mutex_unlock(&lock);
    return 0;
}

SYSCALL(alarm, 1, "seconds", SYSCALL_COMPLETE)
long sys_alarm(unsigned seconds)
{
    uint64_t interval;
    return (long)((set(seconds * NS_PER_SEC, 0, &interval) + NS_PER_SEC - 1) / NS_PER_SEC);
}
