/* fcntl, ioctl, flock. There is one process, and advisory locks never conflict inside a process: F_SETLK succeeds and F_GETLK finds nothing
   in the way, exactly as one process sees it on Linux. Open file description locks (F_OFD_*) and flock conflict between descriptions even
   in one process; that is not there: F_OFD_* answers EINVAL, and flock gives every lock, as there is nobody else to exclude. */
#include <asm/ioctls.h>
#include <fs/file.h>
#include <fs/pipe.h>
#include <kernel/syscall.h>
#include <kernel/user.h>
#include <linux/fcntl.h>

#define SETTABLE (O_APPEND | O_NONBLOCK | FASYNC | O_DIRECT | O_NOATIME)

static long dup_from(struct file *f, int min, bool cloexec)
{
    if (min < 0 || (unsigned)min >= fd_limit_get())
        return -EINVAL;
    int r = fd_install(file_get(f), min, cloexec);
    if (r < 0)
        file_put(f);
    return r;
}

static long set_flags(struct file *f, int flags)
{
    int old = atomic_load_explicit(&f->flags, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(&f->flags, &old,
                                                  (old & ~SETTABLE) | (flags & SETTABLE),
                                                  memory_order_relaxed, memory_order_relaxed))
        ;
    return 0;
}

static long lock_call(struct file *f, unsigned cmd, struct flock *lock)
{
    if (!user_range_ok(lock, sizeof(*lock)))
        return -EFAULT;
    if (lock->l_type != F_RDLCK && lock->l_type != F_WRLCK && lock->l_type != F_UNLCK)
        return -EINVAL;
    int access = atomic_load_explicit(&f->flags, memory_order_relaxed) & O_ACCMODE;
    if (cmd == F_GETLK) {
        lock->l_type = F_UNLCK;
        return 0;
    }
    return (lock->l_type == F_RDLCK && access == O_WRONLY) || (lock->l_type == F_WRLCK && access == O_RDONLY)
               ? -EBADF
               : 0;
}

static long control(struct file *f, int fd, unsigned cmd, unsigned long arg)
{
    switch (cmd) {
    case F_DUPFD:
        return dup_from(f, (int)arg, false);
    case F_DUPFD_CLOEXEC:
        return dup_from(f, (int)arg, true);
    case F_GETFD:
        return fd_get_cloexec(fd);
    case F_SETFD:
        return fd_set_cloexec(fd, arg & FD_CLOEXEC);
    case F_GETFL:
        return atomic_load_explicit(&f->flags, memory_order_relaxed) | O_LARGEFILE;
    case F_SETFL:
        return set_flags(f, (int)arg);
    case F_GETLK:
    case F_SETLK:
    case F_SETLKW:
        return lock_call(f, cmd, (struct flock *)arg);
    case F_GETPIPE_SZ:
        return pipe_capacity(f);
    case F_SETPIPE_SZ:
        return pipe_set_capacity(f, arg);
    default:
        return -EINVAL;
    }
}

SYSCALL(fcntl, 3, "fd, cmd, arg", SYSCALL_PARTIAL)
long sys_fcntl(int fd, unsigned cmd, unsigned long arg)
{
    struct file *f = fd_file(fd);
    if (!f)
        return -EBADF;
    long r = control(f, fd, cmd, arg);
    file_put(f);
    return r;
}

SYSCALL(flock, 2, "fd, operation", SYSCALL_COMPLETE)
long sys_flock(int fd, int operation)
{
    struct file *f = fd_file(fd);
    if (!f)
        return -EBADF;
    file_put(f);
    int kind = operation & ~LOCK_NB;
    return kind == LOCK_SH || kind == LOCK_EX || kind == LOCK_UN ? 0 : -EINVAL;
}

static long set_nonblock(struct file *f, const int *on)
{
    if (!user_range_ok(on, sizeof(*on)))
        return -EFAULT;
    int flags = atomic_load_explicit(&f->flags, memory_order_relaxed);
    return set_flags(f, *on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK);
}

SYSCALL(ioctl, 3, "fd, request, arg", SYSCALL_COMPLETE)
long sys_ioctl(int fd, unsigned request, unsigned long arg)
{
    struct file *f = fd_file(fd);
    if (!f)
        return -EBADF;
    long r;
    if (request == FIONBIO)
        r = set_nonblock(f, (const int *)arg);
    else if (request == FIOCLEX || request == FIONCLEX)
        r = fd_set_cloexec(fd, request == FIOCLEX);
    else
        r = f->ops->ioctl ? f->ops->ioctl(f, request, arg) : -ENOTTY;
    file_put(f);
    return r;
}
