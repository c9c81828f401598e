/* Interval timers: ITIMER_REAL and alarm send SIGALRM to the process, ITIMER_VIRTUAL SIGVTALRM and
   ITIMER_PROF SIGPROF. The last two count the same CPU time, the process's: a program in the
   kernel's address space has no system time of its own. */
#include <asm/errno.h>
#include <kernel/clock_timer.h>
#include <kernel/posix_timer.h>
#include <kernel/signal.h>
#include <kernel/syscall.h>
#include <kernel/timespec.h>
#include <kernel/user.h>
#include <linux/signal.h>
#include <linux/time.h>
#include <sched/mutex.h>

/* Between two signals: a shorter interval would do nothing but fire. */
#define FIRE_MIN_NS (100 * NS_PER_US)

struct itimerval64 {
    struct timeval64 interval, value;
};

static void fired(struct soft_timer *soft);

#define ITIMER(clock_kind, sig_)                                                                   \
    {                                                                                              \
        .clock = {clock_kind, 0}, .sig = sig_, .timer.timer.fn = fired                             \
    }
static struct itimer {
    struct clock_ref clock; /* constant, as sig */
    int sig;
    struct clock_timer timer; /* lock */
} itimers[3] = {
    [ITIMER_REAL] = ITIMER(CLOCK_OF_BOOT, SIGALRM),
    [ITIMER_VIRTUAL] = ITIMER(CLOCK_OF_PROCESS, SIGVTALRM),
    [ITIMER_PROF] = ITIMER(CLOCK_OF_PROCESS, SIGPROF),
};
static struct mutex lock = MUTEX_INIT; /* taken before a thread is held */

static void fired(struct soft_timer *soft)
{
    struct itimer *t = CONTAINER_OF(soft, struct itimer, timer.timer);
    mutex_lock(&lock);
    bool expired = clock_timer_expired(&t->timer) > 0;
    clock_timer_arm(&t->timer, expired ? deadline_after(FIRE_MIN_NS) : 0);
    mutex_unlock(&lock);
    if (expired)
        signal_send_process(t->sig);
}

void itimers_end(void)
{
    mutex_lock(&lock);
    for (unsigned i = 0; i < ARRAY_SIZE(itimers); i++) {
        itimers[i].timer.next_ns = 0;
        (void)soft_timer_cancel(&itimers[i].timer.timer);
    }
    mutex_unlock(&lock);
}

static bool valid(const struct timeval64 *t)
{
    return t->sec >= 0 && t->usec >= 0 && t->usec < 1000000;
}

static uint64_t to_ns(const struct timeval64 *t)
{
    return timespec_ns(&(struct timespec64){t->sec, t->usec * 1000});
}

/* Rounded up: what is left of a running timer is never 0. */
static struct timeval64 of_ns(uint64_t ns)
{
    uint64_t us = ns / NS_PER_US + (ns % NS_PER_US != 0);
    return (struct timeval64){(int64_t)(us / 1000000), (int64_t)(us % 1000000)};
}

static struct itimerval64 setting(const struct itimer *t)
{
    return (struct itimerval64){of_ns(t->timer.period_ns), of_ns(clock_timer_left(&t->timer))};
}

/* Sets the timer (a value of 0 stops it); returns what it was. */
static struct itimerval64 set(struct itimer *t, const struct itimerval64 *new)
{
    mutex_lock(&lock);
    struct itimerval64 was = setting(t);
    if (!clock_timer_set(&t->timer, &t->clock, to_ns(&new->value), to_ns(&new->interval), false))
        clock_timer_arm(&t->timer, 0);
    mutex_unlock(&lock);
    return was;
}

SYSCALL(setitimer, 3, "which, new, old", SYSCALL_COMPLETE)
long sys_setitimer(int which, const struct itimerval64 *new, struct itimerval64 *old)
{
    struct itimerval64 wanted = {0};
    if ((new && !user_range_ok(new, sizeof(*new))) || (old && !user_range_ok(old, sizeof(*old))))
        return -EFAULT;
    if (new)
        wanted = *new;
    if (which < 0 || which > ITIMER_PROF || !valid(&wanted.value) || !valid(&wanted.interval))
        return -EINVAL;
    struct itimerval64 was = set(&itimers[which], &wanted);
    if (old)
        *old = was;
    return 0;
}

SYSCALL(getitimer, 2, "which, value", SYSCALL_COMPLETE)
long sys_getitimer(int which, struct itimerval64 *value)
{
    if (which < 0 || which > ITIMER_PROF)
        return -EINVAL;
    if (!user_range_ok(value, sizeof(*value)))
        return -EFAULT;
    mutex_lock(&lock);
    struct itimerval64 now = setting(&itimers[which]);
    mutex_unlock(&lock);
    *value = now;
    return 0;
}

/* Seconds that were left, rounded to the nearest, but not to 0. */
SYSCALL(alarm, 1, "seconds", SYSCALL_COMPLETE)
long sys_alarm(unsigned seconds)
{
    struct itimerval64 was =
        set(&itimers[ITIMER_REAL], &(struct itimerval64){.value = {seconds, 0}});
    return was.value.sec + ((!was.value.sec && was.value.usec) || was.value.usec >= 500000);
}
