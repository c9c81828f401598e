/* The epoll system calls; the machinery is fs/epoll.c. */
#include <fs/epoll.h>
#include <kernel/signal.h>
#include <kernel/syscall.h>
#include <kernel/timespec.h>
#include <kernel/user.h>
#include <sched/waitq.h>

#define EVENTS_MAX (__INT_MAX__ / (int)sizeof(struct epoll_event))

SYSCALL(epoll_create1, 1, "flags", SYSCALL_COMPLETE)
long sys_epoll_create1(int flags)
{
    if (flags & ~EPOLL_CLOEXEC)
        return -EINVAL;
    struct file *f = epoll_new();
    if (!f)
        return -ENOMEM;
    int fd = fd_install(f, 0, flags & EPOLL_CLOEXEC);
    if (fd < 0)
        file_put(f);
    return fd;
}

SYSCALL(epoll_create, 1, "size", SYSCALL_COMPLETE)
long sys_epoll_create(int size)
{
    return size <= 0 ? -EINVAL : sys_epoll_create1(0);
}

SYSCALL(epoll_ctl, 4, "epfd, op, fd, event", SYSCALL_COMPLETE)
long sys_epoll_ctl(int epfd, int op, int fd, const struct epoll_event *event)
{
    if (op != EPOLL_CTL_DEL && !user_range_ok(event, sizeof(*event)))
        return -EFAULT;
    struct file *ep = fd_file(epfd);
    if (!ep)
        return -EBADF;
    long r = -EBADF;
    struct file *target = fd_file(fd);
    if (target) {
        if (ep->ops != &epoll_ops || op < EPOLL_CTL_ADD || op > EPOLL_CTL_MOD)
            r = -EINVAL;
        else
            r = epoll_control(ep, op, target, fd, event);
        file_put(target);
    }
    file_put(ep);
    return r;
}

static long collect(int epfd, struct epoll_event *events, int max, uint64_t deadline_ns)
{
    if (unlikely(max <= 0 || max > EVENTS_MAX))
        return -EINVAL;
    if (unlikely(!user_range_ok(events, (size_t)max * sizeof(*events))))
        return -EFAULT;
    struct file *ep = fd_file(epfd);
    if (unlikely(!ep))
        return -EBADF;
    long r = likely(ep->ops == &epoll_ops) ? epoll_collect(ep, events, max, deadline_ns) : -EINVAL;
    file_put(ep);
    return r;
}

static uint64_t deadline_of_ms(int ms)
{
    return ms < 0 ? TIME_NEVER : ms == 0 ? 0 : deadline_after((uint64_t)ms * NS_PER_MS);
}

/* With the signal mask of the call, when there is one. */
static long collect_masked(int epfd, struct epoll_event *events, int max, uint64_t deadline_ns,
                           const uint64_t *mask, size_t mask_size)
{
    if (!mask)
        return collect(epfd, events, max, deadline_ns);
    if (mask_size != sizeof(*mask))
        return -EINVAL;
    if (!user_range_ok(mask, sizeof(*mask)))
        return -EFAULT;
    uint64_t old = signal_mask_swap(*mask);
    long r = collect(epfd, events, max, deadline_ns);
    signal_mask_restore(old, r);
    return r;
}

SYSCALL(epoll_wait, 4, "epfd, events, max, timeout_ms", SYSCALL_COMPLETE)
long sys_epoll_wait(int epfd, struct epoll_event *events, int max, int timeout_ms)
{
    return collect(epfd, events, max, deadline_of_ms(timeout_ms));
}

SYSCALL(epoll_pwait, 6, "epfd, events, max, timeout_ms, mask, mask_size", SYSCALL_COMPLETE)
long sys_epoll_pwait(int epfd, struct epoll_event *events, int max, int timeout_ms, const uint64_t *mask,
                     size_t mask_size)
{
    return collect_masked(epfd, events, max, deadline_of_ms(timeout_ms), mask, mask_size);
}

SYSCALL(epoll_pwait2, 6, "epfd, events, max, timeout, mask, mask_size", SYSCALL_COMPLETE)
long sys_epoll_pwait2(int epfd, struct epoll_event *events, int max, const struct timespec64 *timeout,
                      const uint64_t *mask, size_t mask_size)
{
    uint64_t deadline = TIME_NEVER;
    if (timeout) {
        if (!user_range_ok(timeout, sizeof(*timeout)))
            return -EFAULT;
        if (!timespec_valid(timeout))
            return -EINVAL;
        uint64_t ns = timespec_ns(timeout);
        deadline = ns ? deadline_after(ns) : 0;
    }
    return collect_masked(epfd, events, max, deadline, mask, mask_size);
}
