/* Calls that change or list the tree: getdents64, mkdir, rmdir, unlink, rename, link, symlink, mknod, and the working directory.
   mknod makes regular files and socket names; devices and FIFOs answer EPERM. */
#include <fs/file.h>
#include <fs/vfs.h>
#include <kernel/string.h>
#include <kernel/syscall.h>
#include <kernel/user.h>
#include <linux/fcntl.h>
#include <linux/fs.h>

struct dirent64 {
    uint64_t ino;
    int64_t next;
    uint16_t reclen;
    uint8_t type;
    char name[];
};

struct getdents_sink {
    struct vnode_dir_sink sink;
    char *buf;
    size_t size, used;
    bool full;
};

#define DOTS 2 /* "." and "..": cookies 0 and 1; those of the file system follow */

static bool add_dirent(struct getdents_sink *s, const char *name, size_t len, uint64_t ino, unsigned type,
                       uint64_t next)
{
    size_t reclen = ALIGN_UP(offsetof(struct dirent64, name) + len + 1, 8ul);
    if (reclen > s->size - s->used) {
        s->full = true;
        return false;
    }
    struct dirent64 *d = (struct dirent64 *)(s->buf + s->used);
    d->ino = ino;
    d->next = (int64_t)next;
    d->reclen = (uint16_t)reclen;
    d->type = (uint8_t)type;
    memcpy(d->name, name, len);
    d->name[len] = 0;
    s->used += reclen;
    return true;
}

static bool sink_entry(struct vnode_dir_sink *sink, const char *name, size_t len, uint64_t ino,
                       unsigned type, uint64_t next)
{
    return add_dirent(CONTAINER_OF(sink, struct getdents_sink, sink), name, len, ino, type, next + DOTS);
}

static uint64_t parent_ino(struct vnode *v)
{
    struct vnode *up = v->ops->parent ? v->ops->parent(v) : NULL;
    if (!up || IS_ERR(up))
        return v->ino;
    uint64_t ino = up->ino;
    vnode_put(up);
    return ino;
}

static long list(struct file *f, char *buf, size_t size)
{
    struct vnode *v = f->vnode;
    struct getdents_sink s = {.sink.entry = sink_entry, .buf = buf, .size = size};
    mutex_lock(&f->pos_lock);
    rwlock_read_lock(&vfs_lock);
    if (f->pos == 0 && add_dirent(&s, ".", 1, v->ino, vnode_dirent_type(S_IFDIR), 1))
        f->pos = 1;
    if (f->pos == 1 && add_dirent(&s, "..", 2, parent_ino(v), vnode_dirent_type(S_IFDIR), DOTS))
        f->pos = DOTS;
    int r = 0;
    if (f->pos >= DOTS && v->ops->readdir) {
        uint64_t cookie = (uint64_t)f->pos - DOTS;
        r = v->ops->readdir(v, &cookie, &s.sink);
        f->pos = (off_t)(cookie + DOTS);
    }
    rwlock_read_unlock(&vfs_lock);
    mutex_unlock(&f->pos_lock);
    if (s.used)
        return (long)s.used;
    return r < 0 ? r : s.full ? -EINVAL : 0;
}

SYSCALL(getdents64, 3, "fd, buf, size", SYSCALL_COMPLETE)
long sys_getdents64(int fd, void *buf, unsigned size)
{
    if (!user_range_ok(buf, size))
        return -EFAULT;
    struct file *f = fd_file(fd);
    if (!f)
        return -EBADF;
    long r = f->ops == &vfs_dir_file_ops ? list(f, buf, size) : -ENOTDIR;
    file_put(f);
    return r;
}

static long make(int dirfd, const char *path, unsigned mode, const char *target)
{
    return user_range_ok(path, 1) ? vfs_create(dirfd, path, mode, target) : -EFAULT;
}

SYSCALL(mkdirat, 3, "dirfd, path, mode", SYSCALL_COMPLETE)
long sys_mkdirat(int dirfd, const char *path, unsigned mode)
{
    return make(dirfd, path, S_IFDIR | (mode & 01777), NULL);
}

SYSCALL(mkdir, 2, "path, mode", SYSCALL_COMPLETE)
long sys_mkdir(const char *path, unsigned mode)
{
    return sys_mkdirat(AT_FDCWD, path, mode);
}

SYSCALL(mknodat, 4, "dirfd, path, mode, dev", SYSCALL_PARTIAL)
long sys_mknodat(int dirfd, const char *path, unsigned mode, unsigned dev)
{
    unsigned type = mode & S_IFMT ? mode & S_IFMT : S_IFREG;
    if (type != S_IFREG && type != S_IFSOCK)
        return -EPERM;
    return make(dirfd, path, type | (mode & 07777), NULL);
}

SYSCALL(mknod, 3, "path, mode, dev", SYSCALL_PARTIAL)
long sys_mknod(const char *path, unsigned mode, unsigned dev)
{
    return sys_mknodat(AT_FDCWD, path, mode, dev);
}

SYSCALL(symlinkat, 3, "target, dirfd, path", SYSCALL_COMPLETE)
long sys_symlinkat(const char *target, int dirfd, const char *path)
{
    if (!user_range_ok(target, 1))
        return -EFAULT;
    size_t n = strnlen(target, PATH_MAX_BYTES);
    if (n == 0 || n == PATH_MAX_BYTES)
        return n ? -ENAMETOOLONG : -ENOENT;
    return make(dirfd, path, S_IFLNK | 0777, target);
}

SYSCALL(symlink, 2, "target, path", SYSCALL_COMPLETE)
long sys_symlink(const char *target, const char *path)
{
    return sys_symlinkat(target, AT_FDCWD, path);
}

SYSCALL(unlinkat, 3, "dirfd, path, flags", SYSCALL_COMPLETE)
long sys_unlinkat(int dirfd, const char *path, int flags)
{
    if (flags & ~AT_REMOVEDIR)
        return -EINVAL;
    return user_range_ok(path, 1) ? vfs_remove(dirfd, path, flags & AT_REMOVEDIR) : -EFAULT;
}

SYSCALL(unlink, 1, "path", SYSCALL_COMPLETE)
long sys_unlink(const char *path)
{
    return sys_unlinkat(AT_FDCWD, path, 0);
}

SYSCALL(rmdir, 1, "path", SYSCALL_COMPLETE)
long sys_rmdir(const char *path)
{
    return sys_unlinkat(AT_FDCWD, path, AT_REMOVEDIR);
}

static int link_found(struct path *from, struct path *to)
{
    if (to->vnode || !to->dir)
        return -EEXIST;
    if (to->trailing_slash)
        return -ENOENT;
    if (from->vnode->dev != to->dir->dev)
        return -EXDEV;
    if (vnode_is(from->vnode, S_IFDIR))
        return -EPERM;
    return to->dir->ops->link ? to->dir->ops->link(to->dir, to->name, to->name_len, from->vnode) : -EROFS;
}

SYSCALL(linkat, 5, "from_dirfd, from, to_dirfd, to, flags", SYSCALL_COMPLETE)
long sys_linkat(int from_dirfd, const char *from, int to_dirfd, const char *to, int flags)
{
    struct path p, q;
    if (!user_range_ok(from, 1) || !user_range_ok(to, 1))
        return -EFAULT;
    if (flags & ~(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH))
        return -EINVAL;
    int r = vfs_lookup(from_dirfd, from, flags, flags & AT_SYMLINK_FOLLOW ? 0 : PATH_NOFOLLOW, &p);
    if (r < 0)
        return r;
    struct vnode *base = vfs_base(to_dirfd, to);
    if (IS_ERR(base)) {
        path_put(&p);
        return PTR_ERR(base);
    }
    rwlock_write_lock(&vfs_lock);
    r = path_walk(base, to, PATH_LITERAL, &q);
    bool found = r == 0;
    if (found)
        r = link_found(&p, &q);
    rwlock_write_unlock(&vfs_lock);
    vnode_put(base);
    path_put(&p);
    if (found)
        path_put(&q);
    return r;
}

SYSCALL(link, 2, "from, to", SYSCALL_COMPLETE)
long sys_link(const char *from, const char *to)
{
    return sys_linkat(AT_FDCWD, from, AT_FDCWD, to, 0);
}

/* The checks in Linux's order. */
static int rename_found(struct path *p, struct path *q, unsigned flags)
{
    bool exchange = flags & RENAME_EXCHANGE;
    if (!p->dir)
        return -EBUSY; /* "/", "." or ".." */
    if (!q->dir)
        return flags & RENAME_NOREPLACE ? -EEXIST : -EBUSY;
    if (p->dir->dev != q->dir->dev)
        return -EXDEV;
    if (!p->vnode || (exchange && !q->vnode))
        return -ENOENT;
    if (flags & RENAME_NOREPLACE && q->vnode)
        return -EEXIST;
    if (exchange && q->trailing_slash && !vnode_is(q->vnode, S_IFDIR))
        return -ENOTDIR;
    if (!vnode_is(p->vnode, S_IFDIR) && (p->trailing_slash || (!exchange && q->trailing_slash)))
        return -ENOTDIR;
    struct vnode *covered = mount_covered(p->vnode);
    vnode_put(covered); /* the mount holds its own reference */
    if (covered)
        return -EBUSY;
    return p->dir->ops->rename
               ? p->dir->ops->rename(p->dir, p->name, p->name_len, q->dir, q->name, q->name_len, flags)
               : -EROFS;
}

/* With vfs_lock held for writing. */
static int rename_walk(struct vnode *from_base, const char *from, struct vnode *to_base, const char *to,
                       unsigned flags, struct path *p, struct path *q)
{
    int r = path_walk(from_base, from, PATH_LITERAL, p);
    if (r < 0)
        return r;
    r = path_walk(to_base, to, PATH_LITERAL, q);
    return r < 0 ? r : rename_found(p, q, flags);
}

SYSCALL(renameat2, 5, "from_dirfd, from, to_dirfd, to, flags", SYSCALL_PARTIAL)
long sys_renameat2(int from_dirfd, const char *from, int to_dirfd, const char *to, unsigned flags)
{
    struct path p = {0}, q = {0};
    if (!user_range_ok(from, 1) || !user_range_ok(to, 1))
        return -EFAULT;
    if (flags & ~(RENAME_NOREPLACE | RENAME_EXCHANGE) || flags == (RENAME_NOREPLACE | RENAME_EXCHANGE))
        return -EINVAL;
    struct vnode *from_base = vfs_base(from_dirfd, from);
    if (IS_ERR(from_base))
        return PTR_ERR(from_base);
    struct vnode *to_base = vfs_base(to_dirfd, to);
    if (IS_ERR(to_base)) {
        vnode_put(from_base);
        return PTR_ERR(to_base);
    }
    rwlock_write_lock(&vfs_lock);
    int r = rename_walk(from_base, from, to_base, to, flags, &p, &q);
    rwlock_write_unlock(&vfs_lock);
    path_put(&p);
    path_put(&q);
    vnode_put(from_base);
    vnode_put(to_base);
    return r;
}

SYSCALL(renameat, 4, "from_dirfd, from, to_dirfd, to", SYSCALL_COMPLETE)
long sys_renameat(int from_dirfd, const char *from, int to_dirfd, const char *to)
{
    return sys_renameat2(from_dirfd, from, to_dirfd, to, 0);
}

SYSCALL(rename, 2, "from, to", SYSCALL_COMPLETE)
long sys_rename(const char *from, const char *to)
{
    return sys_renameat2(AT_FDCWD, from, AT_FDCWD, to, 0);
}

SYSCALL(chdir, 1, "path", SYSCALL_COMPLETE)
long sys_chdir(const char *path)
{
    return user_range_ok(path, 1) ? vfs_chdir(path) : -EFAULT;
}

SYSCALL(fchdir, 1, "fd", SYSCALL_COMPLETE)
long sys_fchdir(int fd)
{
    struct file *f = fd_file(fd);
    if (!f)
        return -EBADF;
    int r = f->vnode ? vfs_chdir_vnode(f->vnode) : -ENOTDIR;
    file_put(f);
    return r;
}

SYSCALL(getcwd, 2, "buf, size", SYSCALL_COMPLETE)
long sys_getcwd(char *buf, size_t size)
{
    if (!user_range_ok(buf, size))
        return -EFAULT;
    if (size == 0)
        return -ERANGE;
    struct vnode *v = vfs_cwd();
    rwlock_read_lock(&vfs_lock);
    int r = path_of(v, buf, size);
    rwlock_read_unlock(&vfs_lock);
    vnode_put(v);
    return r < 0 ? r : r + 1; /* with the terminating zero */
}
