/*
 * musl's, with two differences: no fallback for old kernels, and a thread that has waited in vain
 * for its whole timeout lets the allocator give back what is free. A server's periodic timer thus
 * does so when it is idle, and never when it is busy.
 */
#include <sys/epoll.h>
#include <signal.h>
#include "syscall.h"

static void no_allocator(void)
{
}
weak_alias(no_allocator, __malloc_idle);
void __malloc_idle(void);

int epoll_create(int size)
{
    return epoll_create1(0);
}

int epoll_create1(int flags)
{
    return syscall(SYS_epoll_create1, flags);
}

int epoll_ctl(int fd, int op, int fd2, struct epoll_event *ev)
{
    return syscall(SYS_epoll_ctl, fd, op, fd2, ev);
}

int epoll_pwait(int fd, struct epoll_event *ev, int cnt, int to, const sigset_t *sigs)
{
    int r = __syscall_cp(SYS_epoll_pwait, fd, ev, cnt, to, sigs, _NSIG / 8);

    if (r == 0 && to != 0)
        __malloc_idle();
    return __syscall_ret(r);
}

int epoll_wait(int fd, struct epoll_event *ev, int cnt, int to)
{
    int r = __syscall_cp(SYS_epoll_wait, fd, ev, cnt, to);

    if (r == 0 && to != 0)
        __malloc_idle();
    return __syscall_ret(r);
}
