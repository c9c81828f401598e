/* open, close, and copies of descriptors. openat2's RESOLVE_* restrictions answer EINVAL; O_TMPFILE answers EOPNOTSUPP. */
#include <fs/file.h>
#include <fs/vfs.h>
#include <kernel/syscall.h>
#include <kernel/user.h>
#include <linux/close_range.h>
#include <linux/fcntl.h>
#include <linux/openat2.h>

static long open_fd(int dirfd, const char *path, int flags, unsigned mode)
{
    if (!user_range_ok(path, 1))
        return -EFAULT;
    struct file *f = vfs_open(dirfd, path, flags, mode);
    if (IS_ERR(f))
        return PTR_ERR(f);
    int fd = fd_install(f, 0, flags & O_CLOEXEC);
    if (fd < 0)
        file_put(f);
    return fd;
}

SYSCALL(open, 3, "path, flags, mode", SYSCALL_PARTIAL)
long sys_open(const char *path, int flags, unsigned mode)
{
    return open_fd(AT_FDCWD, path, flags, mode);
}

SYSCALL(openat, 4, "dirfd, path, flags, mode", SYSCALL_PARTIAL)
long sys_openat(int dirfd, const char *path, int flags, unsigned mode)
{
    return open_fd(dirfd, path, flags, mode);
}

SYSCALL(openat2, 4, "dirfd, path, how, size", SYSCALL_PARTIAL)
long sys_openat2(int dirfd, const char *path, const struct open_how *how, size_t size)
{
    if (!user_range_ok(how, size))
        return -EFAULT;
    if (size != sizeof(*how))
        return size < sizeof(*how) ? -EINVAL : -E2BIG;
    if (how->resolve || how->flags >> 32 || how->mode & ~07777ull)
        return -EINVAL;
    return open_fd(dirfd, path, (int)how->flags, (unsigned)how->mode);
}

SYSCALL(creat, 2, "path, mode", SYSCALL_COMPLETE)
long sys_creat(const char *path, unsigned mode)
{
    return open_fd(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode);
}

SYSCALL(close, 1, "fd", SYSCALL_COMPLETE)
long sys_close(int fd)
{
    return fd_close(fd);
}

SYSCALL(close_range, 3, "first, last, flags", SYSCALL_COMPLETE)
long sys_close_range(unsigned first, unsigned last, unsigned flags)
{
    if (first > last || flags & ~(CLOSE_RANGE_UNSHARE | CLOSE_RANGE_CLOEXEC))
        return -EINVAL;
    if (flags & CLOSE_RANGE_UNSHARE)
        return -EINVAL; /* there is one table */
    if (!(flags & CLOSE_RANGE_CLOEXEC)) {
        fd_close_range(first, last);
        return 0;
    }
    for (int fd = first > __INT_MAX__ ? -1 : fd_next_open((int)first); fd >= 0 && (unsigned)fd <= last;
         fd = fd_next_open(fd + 1))
        fd_set_cloexec(fd, true);
    return 0;
}

SYSCALL(dup, 1, "fd", SYSCALL_COMPLETE)
long sys_dup(int fd)
{
    struct file *f = fd_file(fd);
    if (!f)
        return -EBADF;
    int r = fd_install(f, 0, false);
    if (r < 0)
        file_put(f);
    return r;
}

static long dup_to(int from, int to, bool cloexec)
{
    struct file *f = fd_file(from);
    if (!f)
        return -EBADF;
    int r = fd_install_at(f, to, cloexec);
    if (r < 0)
        file_put(f);
    return r;
}

SYSCALL(dup2, 2, "from, to", SYSCALL_COMPLETE)
long sys_dup2(int from, int to)
{
    if (from == to)
        return fd_get_cloexec(from) < 0 ? -EBADF : to;
    return dup_to(from, to, false);
}

SYSCALL(dup3, 3, "from, to, flags", SYSCALL_COMPLETE)
long sys_dup3(int from, int to, int flags)
{
    if (from == to || flags & ~O_CLOEXEC)
        return -EINVAL;
    return dup_to(from, to, flags & O_CLOEXEC);
}
