/* The simple devices: null, zero, full, random, urandom, and the links of /dev. */
#include <asm/errno.h>
#include <fs/file.h>
#include <fs/iov.h>
#include <fs/synthfs.h>
#include <kernel/random.h>

static ssize_t null_readv(struct file *f, const struct iovec *iov, int count, off_t pos)
{
    return 0;
}

static ssize_t null_writev(struct file *f, const struct iovec *iov, int count, off_t pos)
{
    return (ssize_t)iov_total(iov, count);
}

static ssize_t zero_readv(struct file *f, const struct iovec *iov, int count, off_t pos)
{
    struct iov_iter it = iov_iter_of(iov, count);
    return (ssize_t)iov_iter_put(&it, NULL, iov_total(iov, count));
}

static ssize_t full_writev(struct file *f, const struct iovec *iov, int count, off_t pos)
{
    return iov_total(iov, count) ? -ENOSPC : 0;
}

static ssize_t random_readv(struct file *f, const struct iovec *iov, int count, off_t pos)
{
    for (int i = 0; i < count; i++)
        random_bytes(iov[i].iov_base, iov[i].iov_len);
    return (ssize_t)iov_total(iov, count);
}

/* What a program writes is mixed in. */
static ssize_t random_writev(struct file *f, const struct iovec *iov, int count, off_t pos)
{
    for (int i = 0; i < count; i++)
        random_add(iov[i].iov_base, iov[i].iov_len);
    return (ssize_t)iov_total(iov, count);
}

/* They have a position, as on Linux, which is always 0. */
static off_t null_seek(struct file *f, off_t offset, int whence)
{
    return 0;
}

static const struct file_ops null_ops = {.readv = null_readv, .writev = null_writev, .seek = null_seek};
static const struct file_ops zero_ops = {.readv = zero_readv, .writev = null_writev, .seek = null_seek};
static const struct file_ops full_ops = {.readv = zero_readv, .writev = full_writev, .seek = null_seek};
static const struct file_ops random_ops = {.readv = random_readv, .writev = random_writev, .seek = null_seek};

SYNTH_FILE(dev_null, .path = "/dev/null", .mode = S_IFCHR | 0666, .rdev = DEV(1, 3), .ops = &null_ops);
SYNTH_FILE(dev_zero, .path = "/dev/zero", .mode = S_IFCHR | 0666, .rdev = DEV(1, 5), .ops = &zero_ops);
SYNTH_FILE(dev_full, .path = "/dev/full", .mode = S_IFCHR | 0666, .rdev = DEV(1, 7), .ops = &full_ops);
SYNTH_FILE(dev_random, .path = "/dev/random", .mode = S_IFCHR | 0666, .rdev = DEV(1, 8), .ops = &random_ops);
SYNTH_FILE(dev_urandom, .path = "/dev/urandom", .mode = S_IFCHR | 0666, .rdev = DEV(1, 9), .ops = &random_ops);
SYNTH_FILE(dev_fd, .path = "/dev/fd", .mode = S_IFLNK | 0777, .target = "/proc/self/fd");
SYNTH_FILE(dev_stdin, .path = "/dev/stdin", .mode = S_IFLNK | 0777, .target = "/proc/self/fd/0");
SYNTH_FILE(dev_stdout, .path = "/dev/stdout", .mode = S_IFLNK | 0777, .target = "/proc/self/fd/1");
SYNTH_FILE(dev_stderr, .path = "/dev/stderr", .mode = S_IFLNK | 0777, .target = "/proc/self/fd/2");
