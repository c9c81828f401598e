/* Open directories: they can be listed (getdents64, with the position as cookie), sought, and used as a base of paths. */
#include <fs/file.h>
#include <fs/vfs.h>

static ssize_t dir_readv(struct file *f, const struct iovec *iov, int count, off_t pos)
{
    return -EISDIR;
}

static off_t dir_seek(struct file *f, off_t offset, int whence)
{
    mutex_lock(&f->pos_lock);
    off_t r = whence == 0 ? offset : whence == 1 && offset == 0 ? f->pos : -EINVAL;
    if (r >= 0)
        f->pos = r;
    mutex_unlock(&f->pos_lock);
    return r < 0 ? -EINVAL : r;
}

const struct file_ops vfs_dir_file_ops = {.readv = dir_readv, .seek = dir_seek};
