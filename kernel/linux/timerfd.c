/* timerfd(2): expirations of a timer as a file. Expirations are counted from the clock when somebody looks, so the timer that runs behind it only has
   to wake: once for each period while anybody may wait.

   CLOCK_REALTIME is turned into monotonic time when the timer is set; TFD_TIMER_CANCEL_ON_SET answers EINVAL. */
#include <fs/file.h>
#include <kernel/syscall.h>
#include <kernel/timespec.h>
#include <kernel/user.h>
#include <linux/fcntl.h>
#include <linux/time.h>
#include <linux/timerfd.h>
#include <mm/kmem.h>
#include <sched/timer.h>
#include <sched/waitq.h>

#define PERIOD_MIN_NS 1000u /* a shorter period would do nothing but fire */

struct itimerspec64 {
    struct timespec64 interval, value;
};

struct timerfd {
    struct mutex lock;
    struct waitq expired;
    struct soft_timer timer;
    struct file *file;
    int clock;        /* constant */
    uint64_t next_ns; /* monotonic; 0: not armed. Protected by lock, as the two below */
    uint64_t period_ns;
    uint64_t count;   /* expirations not read yet */
};

/* Counts what expired up to now. With lock held. */
static void catch_up(struct timerfd *t)
{
    uint64_t now = clock_monotonic_ns();
    if (!t->next_ns || now < t->next_ns)
        return;
    if (!t->period_ns) {
        t->count++;
        t->next_ns = 0;
        return;
    }
    uint64_t periods = (now - t->next_ns) / t->period_ns + 1;
    t->count += periods;
    t->next_ns += periods * t->period_ns;
}

static void timer_fired(struct soft_timer *timer)
{
    struct timerfd *t = CONTAINER_OF(timer, struct timerfd, timer);
    mutex_lock(&t->lock);
    catch_up(t);
    bool ready = t->count > 0;
    if (t->next_ns)
        soft_timer_arm(&t->timer, t->next_ns);
    waitq_wake_all(&t->expired);
    mutex_unlock(&t->lock);
    if (ready)
        poll_source_notify(&t->file->poll_source, EPOLLIN | EPOLLRDNORM);
}

static ssize_t timerfd_readv(struct file *f, const struct iovec *iov, int count, off_t pos)
{
    struct timerfd *t = f->priv;
    int r = 0;
    if (count < 1 || iov[0].iov_len < sizeof(uint64_t))
        return -EINVAL;
    mutex_lock(&t->lock);
    catch_up(t);
    while (t->count == 0 && r == 0) {
        if (atomic_load_explicit(&f->flags, memory_order_relaxed) & O_NONBLOCK)
            r = -EAGAIN;
        else
            r = waitq_wait(&t->expired, &t->lock, TIME_NEVER, true);
        catch_up(t);
    }
    if (t->count) {
        __builtin_memcpy(iov[0].iov_base, &t->count, sizeof(t->count));
        t->count = 0;
        r = sizeof(t->count);
    }
    mutex_unlock(&t->lock);
    return r;
}

static uint32_t timerfd_poll(struct file *f)
{
    struct timerfd *t = f->priv;
    mutex_lock(&t->lock);
    catch_up(t);
    uint32_t events = t->count ? EPOLLIN | EPOLLRDNORM : 0;
    mutex_unlock(&t->lock);
    return events;
}

static void timerfd_release(struct file *f)
{
    struct timerfd *t = f->priv;
    mutex_lock(&t->lock);
    t->next_ns = 0; /* the function does not arm it again */
    mutex_unlock(&t->lock);
    soft_timer_cancel(&t->timer);
    soft_timer_sync(&t->timer);
    kfree(t);
}

static const struct file_ops timerfd_ops = {.readv = timerfd_readv, .poll = timerfd_poll,
                                            .release = timerfd_release};

SYSCALL(timerfd_create, 2, "clock, flags", SYSCALL_COMPLETE)
long sys_timerfd_create(int clock, int flags)
{
    if (flags & ~(TFD_CLOEXEC | TFD_NONBLOCK) ||
        (clock != CLOCK_MONOTONIC && clock != CLOCK_REALTIME && clock != CLOCK_BOOTTIME))
        return -EINVAL;
    struct timerfd *t = kzalloc(sizeof(*t));
    struct file *f = t ? file_new(&timerfd_ops, O_RDWR | (flags & O_NONBLOCK), t) : NULL;
    if (!f) {
        kfree(t);
        return -ENOMEM;
    }
    mutex_init(&t->lock);
    waitq_init(&t->expired);
    t->timer.fn = timer_fired;
    t->clock = clock;
    t->file = f;
    int fd = fd_install(f, 0, flags & TFD_CLOEXEC);
    if (fd < 0)
        file_put(f);
    return fd;
}

/* What timerfd_gettime reports. With lock held. */
static struct itimerspec64 remaining(struct timerfd *t)
{
    catch_up(t);
    uint64_t now = clock_monotonic_ns();
    uint64_t left = t->next_ns > now ? t->next_ns - now : t->next_ns != 0;
    return (struct itimerspec64){timespec_of_ns(t->period_ns), timespec_of_ns(left)};
}

/* Monotonic time of the first expiration; never 0. */
static uint64_t first_expiration(const struct timerfd *t, uint64_t value_ns, bool absolute)
{
    if (!absolute)
        return deadline_after(value_ns);
    if (t->clock == CLOCK_REALTIME) {
        uint64_t now = clock_realtime_ns();
        return deadline_after(value_ns > now ? value_ns - now : 0);
    }
    return value_ns;
}

static long set_time(struct timerfd *t, int flags, const struct itimerspec64 *value,
                     struct itimerspec64 *old)
{
    uint64_t value_ns = timespec_ns(&value->value), period = timespec_ns(&value->interval);
    mutex_lock(&t->lock);
    struct itimerspec64 before = remaining(t);
    t->count = 0;
    t->period_ns = period ? MAX(period, PERIOD_MIN_NS) : 0;
    t->next_ns = value_ns ? first_expiration(t, value_ns, flags & TFD_TIMER_ABSTIME) : 0;
    if (t->next_ns)
        soft_timer_arm(&t->timer, t->next_ns);
    else
        soft_timer_cancel(&t->timer);
    mutex_unlock(&t->lock);
    if (old)
        *old = before;
    return 0;
}

SYSCALL(timerfd_settime, 4, "fd, flags, value, old", SYSCALL_PARTIAL)
long sys_timerfd_settime(int fd, int flags, const struct itimerspec64 *value, struct itimerspec64 *old)
{
    if (!user_range_ok(value, sizeof(*value)) || (old && !user_range_ok(old, sizeof(*old))))
        return -EFAULT;
    if (flags & ~TFD_TIMER_ABSTIME || !timespec_valid(&value->value) || !timespec_valid(&value->interval))
        return -EINVAL;
    struct file *f = fd_file(fd);
    if (!f)
        return -EBADF;
    long r = f->ops == &timerfd_ops ? set_time(f->priv, flags, value, old) : -EINVAL;
    file_put(f);
    return r;
}

SYSCALL(timerfd_gettime, 2, "fd, value", SYSCALL_COMPLETE)
long sys_timerfd_gettime(int fd, struct itimerspec64 *value)
{
    if (!user_range_ok(value, sizeof(*value)))
        return -EFAULT;
    struct file *f = fd_file(fd);
    if (!f)
        return -EBADF;
    long r = -EINVAL;
    if (f->ops == &timerfd_ops) {
        struct timerfd *t = f->priv;
        mutex_lock(&t->lock);
        *value = remaining(t);
        mutex_unlock(&t->lock);
        r = 0;
    }
    file_put(f);
    return r;
}
