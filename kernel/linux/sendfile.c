/* sendfile and copy_file_range: pieces of at most 64 KiB through a buffer. What was read but could not be written is put back by
   moving the source's position, so neither end loses bytes. */
#include <fs/file.h>
#include <fs/vfs.h>
#include <kernel/syscall.h>
#include <kernel/user.h>
#include <linux/fcntl.h>
#include <mm/kmem.h>

#define PIECE_BYTES (64ul << 10)
#define COUNT_MAX 0x7ffff000ul

/* One piece, from *from to *to (NULL: the file's own position). The bytes moved, 0 at the end, or a negative errno. */
static ssize_t copy_piece(struct file *in, off_t *from, struct file *out, off_t *to, char *buf, size_t n)
{
    struct iovec iov = {buf, n};
    ssize_t got = in->ops->readv(in, &iov, 1, *from);
    if (got <= 0)
        return got;
    iov.iov_len = (size_t)got;
    ssize_t put = out->ops->writev(out, &iov, 1, to ? *to : FILE_POS_CURRENT);
    if (put > 0) {
        *from += put;
        if (to)
            *to += put;
    }
    return put;
}

static ssize_t copy(struct file *in, off_t *from, struct file *out, off_t *to, size_t count)
{
    ssize_t total = 0, n = 0;
    count = MIN(count, COUNT_MAX);
    if (count == 0)
        return 0;
    size_t size = MIN(count, PIECE_BYTES);
    char *buf = kmalloc(size);
    if (!buf)
        return -ENOMEM;
    while ((size_t)total < count && (n = copy_piece(in, from, out, to, buf, MIN(size, count - (size_t)total))) > 0)
        total += n;
    kfree(buf);
    return total ? total : n;
}

static int check_ends(struct file *in, struct file *out)
{
    int in_flags = atomic_load_explicit(&in->flags, memory_order_relaxed);
    int out_flags = atomic_load_explicit(&out->flags, memory_order_relaxed);
    if ((in_flags & O_ACCMODE) == O_WRONLY || !(out_flags & O_ACCMODE))
        return -EBADF;
    if (!in->ops->readv || !in->ops->seek || !out->ops->writev)
        return -EINVAL;
    return 0;
}

static long copy_files(struct file *in, off_t *in_pos, struct file *out, off_t *out_pos, size_t count)
{
    off_t from = in_pos ? *in_pos : in->ops->seek(in, 0, 1);
    if (from < 0 || (out_pos && *out_pos < 0))
        return -EINVAL;
    ssize_t r = copy(in, &from, out, out_pos, count);
    if (in_pos)
        *in_pos = from;
    else if (r > 0)
        in->ops->seek(in, from, 0);
    return r;
}

static long between(int in_fd, off_t *in_pos, int out_fd, off_t *out_pos, size_t count, bool regular)
{
    if ((in_pos && !user_range_ok(in_pos, sizeof(*in_pos))) ||
        (out_pos && !user_range_ok(out_pos, sizeof(*out_pos))))
        return -EFAULT;
    long r = -EBADF;
    struct file *in = fd_file(in_fd), *out = fd_file(out_fd);
    if (in && out) {
        r = check_ends(in, out);
        if (r == 0 && regular && (!in->vnode || !out->vnode || !vnode_is(in->vnode, S_IFREG) ||
                                  !vnode_is(out->vnode, S_IFREG)))
            r = -EINVAL;
        if (r == 0 && out_pos && !out->ops->seek)
            r = -ESPIPE;
        if (r == 0)
            r = copy_files(in, in_pos, out, out_pos, count);
    }
    if (in)
        file_put(in);
    if (out)
        file_put(out);
    return r;
}

SYSCALL(sendfile, 4, "out_fd, in_fd, offset, count", SYSCALL_COMPLETE)
long sys_sendfile(int out_fd, int in_fd, off_t *offset, size_t count)
{
    return between(in_fd, offset, out_fd, NULL, count, false);
}

SYSCALL(copy_file_range, 6, "in_fd, in_pos, out_fd, out_pos, count, flags", SYSCALL_COMPLETE)
long sys_copy_file_range(int in_fd, off_t *in_pos, int out_fd, off_t *out_pos, size_t count, unsigned flags)
{
    return flags ? -EINVAL : between(in_fd, in_pos, out_fd, out_pos, count, true);
}
