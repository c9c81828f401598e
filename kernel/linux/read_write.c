/* read, write and their kin, lseek. The hot path of read and write is fd_file, two checks, the file's operation, file_put: nothing is
   copied, as the program's buffer is in our own address space.

   RWF_* flags of preadv2/pwritev2: RWF_NOWAIT and others answer EOPNOTSUPP. */
#include <asm/fcntl.h>
#include <fs/file.h>
#include <kernel/syscall.h>
#include <kernel/user.h>

#define COUNT_MAX 0x7ffff000ul /* as on Linux */
#define IOV_COUNT_MAX 1024

static bool readable(struct file *f)
{
    return !(atomic_load_explicit(&f->flags, memory_order_relaxed) & (O_WRONLY | O_PATH));
}

static bool writable(struct file *f)
{
    return atomic_load_explicit(&f->flags, memory_order_relaxed) & O_ACCMODE;
}

static ssize_t do_read(struct file *f, const struct iovec *iov, int count, off_t pos)
{
    if (unlikely(!f->ops->readv || !readable(f)))
        return readable(f) ? -EINVAL : -EBADF;
    return f->ops->readv(f, iov, count, pos);
}

static ssize_t do_write(struct file *f, const struct iovec *iov, int count, off_t pos)
{
    if (unlikely(!f->ops->writev || !writable(f)))
        return writable(f) ? -EINVAL : -EBADF;
    return f->ops->writev(f, iov, count, pos);
}

SYSCALL(read, 3, "fd, buf, count", SYSCALL_COMPLETE)
long sys_read(int fd, void *buf, size_t count)
{
    struct file *f = fd_file(fd);
    if (unlikely(!f))
        return -EBADF;
    long r = -EFAULT;
    if (likely(user_range_ok(buf, count))) {
        struct iovec iov = {buf, MIN(count, COUNT_MAX)};
        r = do_read(f, &iov, 1, FILE_POS_CURRENT);
    }
    file_put(f);
    return r;
}

SYSCALL(write, 3, "fd, buf, count", SYSCALL_COMPLETE)
long sys_write(int fd, const void *buf, size_t count)
{
    struct file *f = fd_file(fd);
    if (unlikely(!f))
        return -EBADF;
    long r = -EFAULT;
    if (likely(user_range_ok(buf, count))) {
        struct iovec iov = {(void *)buf, MIN(count, COUNT_MAX)};
        r = do_write(f, &iov, 1, FILE_POS_CURRENT);
    }
    file_put(f);
    return r;
}

/* 0 or a negative errno. */
static long check_iov(const struct iovec *iov, unsigned long count)
{
    size_t total = 0;
    if (count > IOV_COUNT_MAX)
        return -EINVAL;
    if (!user_range_ok(iov, count * sizeof(*iov)))
        return -EFAULT;
    for (unsigned long i = 0; i < count; i++) {
        if ((ssize_t)iov[i].iov_len < 0 || iov[i].iov_len > COUNT_MAX - total)
            return -EINVAL;
        total += iov[i].iov_len;
        if (!user_range_ok(iov[i].iov_base, iov[i].iov_len))
            return -EFAULT;
    }
    return 0;
}

typedef ssize_t (*transfer)(struct file *f, const struct iovec *iov, int count, off_t pos);

static long vector(transfer fn, int fd, const struct iovec *iov, unsigned long count)
{
    struct file *f = fd_file(fd);
    if (unlikely(!f))
        return -EBADF;
    long r = check_iov(iov, count);
    if (r == 0)
        r = fn(f, iov, (int)count, FILE_POS_CURRENT);
    file_put(f);
    return r;
}

static long vector_at(transfer fn, int fd, const struct iovec *iov, unsigned long count, off_t pos)
{
    if (pos < 0)
        return -EINVAL;
    struct file *f = fd_file(fd);
    if (!f)
        return -EBADF;
    long r = check_iov(iov, count);
    if (r == 0)
        r = f->ops->seek ? fn(f, iov, (int)count, pos) : -ESPIPE;
    file_put(f);
    return r;
}

SYSCALL(readv, 3, "fd, iov, count", SYSCALL_COMPLETE)
long sys_readv(int fd, const struct iovec *iov, unsigned long count)
{
    return vector(do_read, fd, iov, count);
}

SYSCALL(writev, 3, "fd, iov, count", SYSCALL_COMPLETE)
long sys_writev(int fd, const struct iovec *iov, unsigned long count)
{
    return vector(do_write, fd, iov, count);
}

SYSCALL(pread64, 4, "fd, buf, count, pos", SYSCALL_COMPLETE)
long sys_pread64(int fd, void *buf, size_t count, off_t pos)
{
    struct iovec iov = {buf, MIN(count, COUNT_MAX)};
    return user_range_ok(buf, count) ? vector_at(do_read, fd, &iov, 1, pos) : -EFAULT;
}

SYSCALL(pwrite64, 4, "fd, buf, count, pos", SYSCALL_COMPLETE)
long sys_pwrite64(int fd, const void *buf, size_t count, off_t pos)
{
    struct iovec iov = {(void *)buf, MIN(count, COUNT_MAX)};
    return user_range_ok(buf, count) ? vector_at(do_write, fd, &iov, 1, pos) : -EFAULT;
}

SYSCALL(preadv, 5, "fd, iov, count, pos_low, pos_high", SYSCALL_COMPLETE)
long sys_preadv(int fd, const struct iovec *iov, unsigned long count, off_t pos, long high)
{
    return vector_at(do_read, fd, iov, count, pos);
}

SYSCALL(pwritev, 5, "fd, iov, count, pos_low, pos_high", SYSCALL_COMPLETE)
long sys_pwritev(int fd, const struct iovec *iov, unsigned long count, off_t pos, long high)
{
    return vector_at(do_write, fd, iov, count, pos);
}

SYSCALL(preadv2, 6, "fd, iov, count, pos_low, pos_high, flags", SYSCALL_PARTIAL)
long sys_preadv2(int fd, const struct iovec *iov, unsigned long count, off_t pos, long high, int flags)
{
    if (flags)
        return -EOPNOTSUPP;
    return pos == -1 ? vector(do_read, fd, iov, count) : vector_at(do_read, fd, iov, count, pos);
}

SYSCALL(pwritev2, 6, "fd, iov, count, pos_low, pos_high, flags", SYSCALL_PARTIAL)
long sys_pwritev2(int fd, const struct iovec *iov, unsigned long count, off_t pos, long high, int flags)
{
    if (flags)
        return -EOPNOTSUPP;
    return pos == -1 ? vector(do_write, fd, iov, count) : vector_at(do_write, fd, iov, count, pos);
}

SYSCALL(lseek, 3, "fd, offset, whence", SYSCALL_COMPLETE)
long sys_lseek(int fd, off_t offset, int whence)
{
    struct file *f = fd_file(fd);
    if (!f)
        return -EBADF;
    long r = f->ops->seek ? f->ops->seek(f, offset, whence) : -ESPIPE;
    file_put(f);
    return r;
}
