/* timerfd(2): expirations of a timer as a file. Expirations are counted from the clock when
   somebody looks. The timer behind it fires once and rests while there is something to read, as on
   Linux; reading has it go on.

   An absolute time on CLOCK_REALTIME follows the clock when that is set. With
   TFD_TIMER_CANCEL_ON_SET as well, setting the clock makes the file readable, and the next read, or
   the next timerfd_settime that starts it, answers ECANCELED once. */
#include <fs/file.h>
#include <kernel/clock_timer.h>
#include <kernel/syscall.h>
#include <kernel/timespec.h>
#include <kernel/user.h>
#include <linux/fcntl.h>
#include <linux/time.h>
#include <linux/timerfd.h>
#include <mm/kmem.h>
#include <sched/waitq.h>
#include <stdatomic.h>

struct timerfd {
    struct mutex lock;
    struct waitq changed;
    struct file *file;
    struct clock_ref clock;   /* constant, as file */
    struct clock_timer timer; /* protected by lock, as the next two */
    uint64_t count;           /* expirations not read yet */
    bool cancellable;         /* TFD_TIMER_CANCEL_ON_SET: canceller watches */
    struct wall_watch canceller;
    _Atomic bool stepped; /* the clock was set since somebody was told */
};

/* With lock held, as the next three. */
static bool cancelled(const struct timerfd *t)
{
    return t->cancellable && atomic_load_explicit(&t->stepped, memory_order_relaxed);
}

static bool take_cancellation(struct timerfd *t)
{
    return t->cancellable && atomic_exchange_explicit(&t->stepped, false, memory_order_relaxed);
}

static void catch_up(struct timerfd *t) { t->count += clock_timer_expired(&t->timer); }

static void go_on(struct timerfd *t)
{
    if (!t->count)
        clock_timer_arm(&t->timer, 0);
}

static void timer_fired(struct soft_timer *timer)
{
    struct timerfd *t = CONTAINER_OF(timer, struct timerfd, timer.timer);
    mutex_lock(&t->lock);
    catch_up(t);
    go_on(t);
    bool ready = t->count || cancelled(t);
    if (ready)
        waitq_wake_all(&t->changed);
    mutex_unlock(&t->lock);
    if (ready)
        poll_source_notify(&t->file->poll_source, EPOLLIN | EPOLLRDNORM);
}

/* Whoever waits hears of it from timer_fired, which may take the lock. */
static void clock_stepped(struct wall_watch *w)
{
    struct timerfd *t = CONTAINER_OF(w, struct timerfd, canceller);
    atomic_store_explicit(&t->stepped, true, memory_order_relaxed);
    soft_timer_arm(&t->timer.timer, 0);
}

static ssize_t timerfd_readv(struct file *f, const struct iovec *iov, int count, off_t pos)
{
    struct timerfd *t = f->priv;
    uint64_t expirations = 0;
    int r = 0;
    if (count < 1 || iov[0].iov_len < sizeof(uint64_t))
        return -EINVAL;
    mutex_lock(&t->lock);
    catch_up(t);
    while (!t->count && !cancelled(t) && r == 0) {
        if (atomic_load_explicit(&f->flags, memory_order_relaxed) & O_NONBLOCK)
            r = -EAGAIN;
        else
            r = waitq_wait(&t->changed, &t->lock, TIME_NEVER, true);
        catch_up(t);
    }
    if (take_cancellation(t)) {
        r = -ECANCELED;
        t->count = 0;
        go_on(t);
    } else if (t->count) {
        r = sizeof(expirations);
        expirations = t->count;
        t->count = 0;
        go_on(t);
    }
    mutex_unlock(&t->lock);
    if (expirations)
        __builtin_memcpy(iov[0].iov_base, &expirations, sizeof(expirations));
    return r;
}

static uint32_t timerfd_poll(struct file *f)
{
    struct timerfd *t = f->priv;
    mutex_lock(&t->lock);
    catch_up(t);
    uint32_t events = t->count || cancelled(t) ? EPOLLIN | EPOLLRDNORM : 0;
    mutex_unlock(&t->lock);
    return events;
}

static void timerfd_release(struct file *f)
{
    struct timerfd *t = f->priv;
    mutex_lock(&t->lock);
    t->timer.next_ns = 0; /* the function does not arm it again */
    mutex_unlock(&t->lock);
    wall_watch_remove(&t->canceller);
    clock_timer_end(&t->timer);
    kfree(t);
}

static const struct file_ops timerfd_ops = {
    .readv = timerfd_readv, .poll = timerfd_poll, .release = timerfd_release};

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
    waitq_init(&t->changed);
    clock_timer_init(&t->timer, timer_fired);
    t->canceller.stepped = clock_stepped;
    t->clock.kind = clock == CLOCK_REALTIME ? CLOCK_OF_WALL : CLOCK_OF_BOOT;
    t->file = f;
    int fd = fd_install(f, 0, flags & TFD_CLOEXEC);
    if (fd < 0)
        file_put(f);
    return fd;
}

/* What timerfd_gettime reports. With lock held. */
static struct itimerspec64 setting(struct timerfd *t)
{
    catch_up(t);
    return (struct itimerspec64){timespec_of_ns(t->timer.period_ns),
                                 timespec_of_ns(clock_timer_left(&t->timer))};
}

/* With lock held. */
static void set_cancellable(struct timerfd *t, bool cancellable)
{
    if (cancellable && !t->cancellable) {
        atomic_store_explicit(&t->stepped, false, memory_order_relaxed);
        wall_watch_add(&t->canceller);
    } else if (!cancellable) {
        wall_watch_remove(&t->canceller);
    }
    t->cancellable = cancellable;
}

static long set_time(struct timerfd *t, int flags, const struct itimerspec64 *new,
                     struct itimerspec64 *old)
{
    uint64_t value = timespec_ns(&new->value), period = timespec_ns(&new->interval);
    bool absolute = flags & TFD_TIMER_ABSTIME;
    mutex_lock(&t->lock);
    set_cancellable(t, t->clock.kind == CLOCK_OF_WALL && absolute &&
                           (flags & TFD_TIMER_CANCEL_ON_SET));
    struct itimerspec64 before = setting(t);
    t->count = 0;
    long r = clock_timer_set(&t->timer, &t->clock, value, period, absolute);
    go_on(t);
    if (value && take_cancellation(t))
        r = -ECANCELED;
    mutex_unlock(&t->lock);
    if (old)
        *old = before;
    return r;
}

SYSCALL(timerfd_settime, 4, "fd, flags, value, old", SYSCALL_COMPLETE)
long sys_timerfd_settime(int fd, int flags, const struct itimerspec64 *value,
                         struct itimerspec64 *old)
{
    if (!user_range_ok(value, sizeof(*value)) || (old && !user_range_ok(old, sizeof(*old))))
        return -EFAULT;
    if (flags & ~(TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET) || !timespec_valid(&value->value) ||
        !timespec_valid(&value->interval))
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
        *value = setting(t);
        mutex_unlock(&t->lock);
        r = 0;
    }
    file_put(f);
    return r;
}
