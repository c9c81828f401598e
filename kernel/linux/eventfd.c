/* eventfd(2): a counter. Reading takes all of it, or one with EFD_SEMAPHORE; writing adds, and waits while the sum would exceed 2^64 - 2. */
#include <fs/file.h>
#include <kernel/syscall.h>
#include <linux/fcntl.h>
#include <mm/kmem.h>
#include <sched/waitq.h>

/* eventfd(2); these are not among the UAPI headers. */
#define EFD_SEMAPHORE 1
#define EFD_CLOEXEC O_CLOEXEC
#define EFD_NONBLOCK O_NONBLOCK
#define COUNT_MAX (UINT64_MAX - 1)

struct eventfd {
    struct mutex lock;
    struct waitq changed;
    uint64_t count; /* protected by lock, as above */
    bool semaphore; /* constant */
};

static bool nonblocking(struct file *f)
{
    return atomic_load_explicit(&f->flags, memory_order_relaxed) & O_NONBLOCK;
}

static ssize_t eventfd_readv(struct file *f, const struct iovec *iov, int count, off_t pos)
{
    struct eventfd *e = f->priv;
    int r = 0;
    if (count < 1 || iov[0].iov_len < sizeof(uint64_t))
        return -EINVAL;
    mutex_lock(&e->lock);
    while (e->count == 0 && r == 0)
        r = nonblocking(f) ? -EAGAIN : waitq_wait(&e->changed, &e->lock, TIME_NEVER, true);
    if (e->count) {
        uint64_t value = e->semaphore ? 1 : e->count;
        e->count -= value;
        __builtin_memcpy(iov[0].iov_base, &value, sizeof(value));
        waitq_wake_all(&e->changed);
        r = sizeof(value);
    }
    mutex_unlock(&e->lock);
    if (r > 0)
        poll_source_notify(&f->poll_source, EPOLLOUT | EPOLLWRNORM);
    return r;
}

static ssize_t eventfd_writev(struct file *f, const struct iovec *iov, int count, off_t pos)
{
    struct eventfd *e = f->priv;
    uint64_t value;
    int r = 0;
    if (count < 1 || iov[0].iov_len < sizeof(value))
        return -EINVAL;
    __builtin_memcpy(&value, iov[0].iov_base, sizeof(value));
    if (value == UINT64_MAX)
        return -EINVAL;
    mutex_lock(&e->lock);
    while (value > COUNT_MAX - e->count && r == 0)
        r = nonblocking(f) ? -EAGAIN : waitq_wait(&e->changed, &e->lock, TIME_NEVER, true);
    if (value <= COUNT_MAX - e->count) {
        e->count += value;
        waitq_wake_all(&e->changed);
        r = sizeof(value);
    }
    mutex_unlock(&e->lock);
    if (r > 0)
        poll_source_notify(&f->poll_source, EPOLLIN | EPOLLRDNORM);
    return r;
}

static uint32_t eventfd_poll(struct file *f)
{
    struct eventfd *e = f->priv;
    mutex_lock(&e->lock);
    uint32_t events = (e->count ? EPOLLIN | EPOLLRDNORM : 0) |
                      (e->count < COUNT_MAX ? EPOLLOUT | EPOLLWRNORM : 0);
    mutex_unlock(&e->lock);
    return events;
}

static void eventfd_release(struct file *f)
{
    kfree(f->priv);
}

static const struct file_ops eventfd_ops = {.readv = eventfd_readv, .writev = eventfd_writev,
                                            .poll = eventfd_poll, .release = eventfd_release};

SYSCALL(eventfd2, 2, "count, flags", SYSCALL_COMPLETE)
long sys_eventfd2(unsigned count, int flags)
{
    if (flags & ~(EFD_SEMAPHORE | EFD_CLOEXEC | EFD_NONBLOCK))
        return -EINVAL;
    struct eventfd *e = kzalloc(sizeof(*e));
    struct file *f = e ? file_new(&eventfd_ops, O_RDWR | (flags & O_NONBLOCK), e) : NULL;
    if (!f) {
        kfree(e);
        return -ENOMEM;
    }
    mutex_init(&e->lock);
    waitq_init(&e->changed);
    e->count = count;
    e->semaphore = flags & EFD_SEMAPHORE;
    int fd = fd_install(f, 0, flags & EFD_CLOEXEC);
    if (fd < 0)
        file_put(f);
    return fd;
}

SYSCALL(eventfd, 1, "count", SYSCALL_COMPLETE)
long sys_eventfd(unsigned count)
{
    return sys_eventfd2(count, 0);
}
