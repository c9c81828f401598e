/* Calls that change a file's extent, and those that make data durable: files in memory have nothing to write back. */
#include <fs/file.h>
#include <fs/vfs.h>
#include <kernel/syscall.h>
#include <kernel/user.h>
#include <linux/fcntl.h>
#include <linux/fs.h>

static long truncate_vnode(struct vnode *v, off_t size)
{
    if (vnode_is(v, S_IFDIR))
        return -EISDIR;
    return vnode_is(v, S_IFREG) && v->ops->truncate ? v->ops->truncate(v, (uint64_t)size) : -EINVAL;
}

SYSCALL(truncate, 2, "path, size", SYSCALL_COMPLETE)
long sys_truncate(const char *path, off_t size)
{
    struct path p;
    if (!user_range_ok(path, 1))
        return -EFAULT;
    if (size < 0)
        return -EINVAL;
    int r = vfs_lookup(AT_FDCWD, path, 0, 0, &p);
    if (r < 0)
        return r;
    long done = truncate_vnode(p.vnode, size);
    path_put(&p);
    return done;
}

static bool writable(struct file *f)
{
    return atomic_load_explicit(&f->flags, memory_order_relaxed) & O_ACCMODE;
}

SYSCALL(ftruncate, 2, "fd, size", SYSCALL_COMPLETE)
long sys_ftruncate(int fd, off_t size)
{
    struct file *f = fd_file(fd);
    if (!f)
        return -EBADF;
    long r = size >= 0 && f->vnode && writable(f) ? truncate_vnode(f->vnode, size) : -EINVAL;
    file_put(f);
    return r;
}

SYSCALL(fallocate, 4, "fd, mode, offset, len", SYSCALL_PARTIAL)
long sys_fallocate(int fd, int mode, off_t offset, off_t len)
{
    if (offset < 0 || len <= 0)
        return -EINVAL;
    if (offset > INT64_MAX - len)
        return -EFBIG;
    struct file *f = fd_file(fd);
    if (!f)
        return -EBADF;
    long r = -EBADF;
    if (writable(f))
        r = f->vnode && f->vnode->ops->allocate
                ? f->vnode->ops->allocate(f->vnode, mode, (uint64_t)offset, (uint64_t)len)
                : -ENODEV;
    file_put(f);
    return r;
}

/* Only the descriptor can be wrong; what has no data to keep (a pipe, a socket) answers EINVAL. */
static long sync_fd(int fd)
{
    struct file *f = fd_file(fd);
    if (!f)
        return -EBADF;
    long r = f->vnode ? 0 : -EINVAL;
    file_put(f);
    return r;
}

SYSCALL(fsync, 1, "fd", SYSCALL_COMPLETE)
long sys_fsync(int fd)
{
    return sync_fd(fd);
}

SYSCALL(fdatasync, 1, "fd", SYSCALL_COMPLETE)
long sys_fdatasync(int fd)
{
    return sync_fd(fd);
}

SYSCALL(syncfs, 1, "fd", SYSCALL_COMPLETE)
long sys_syncfs(int fd)
{
    return sync_fd(fd);
}

SYSCALL(sync_file_range, 4, "fd, offset, len, flags", SYSCALL_COMPLETE)
long sys_sync_file_range(int fd, off_t offset, off_t len, unsigned flags)
{
    if (offset < 0 || len < 0 || flags & ~(SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER))
        return -EINVAL;
    return sync_fd(fd);
}

SYSCALL(sync, 0, "", SYSCALL_COMPLETE)
long sys_sync(void)
{
    return 0;
}

SYSCALL(fadvise64, 4, "fd, offset, len, advice", SYSCALL_COMPLETE)
long sys_fadvise64(int fd, off_t offset, off_t len, int advice)
{
    struct file *f = fd_file(fd);
    if (!f)
        return -EBADF;
    long r = f->ops->seek ? 0 : -ESPIPE;
    file_put(f);
    return r == 0 && (len < 0 || advice < 0 || advice > 5) ? -EINVAL : r;
}
