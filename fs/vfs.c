/* Files by path: lookup, open, create, remove. Permissions: everything runs as root, so the only one that matters is the execute bit
   of regular files (access(2)).

   A call takes vfs_lock, does everything to the tree under it, and drops it before files are opened or references go. What only looks takes it for reading. If that does
   not do, because a file is to be created or a directory over an image meets a name for the first time, it starts again with the lock for writing. */
#include <asm/stat.h>
#include <fs/file.h>
#include <fs/synthfs.h>
#include <fs/vfs.h>
#include <kernel/string.h>
#include <linux/fcntl.h>

static struct vnode *cwd;                /* reference; protected by vfs_lock; NULL: the root */
static _Atomic uint32_t umask_bits = 022;

struct vnode *vfs_cwd(void)
{
    rwlock_read_lock(&vfs_lock);
    struct vnode *v = vnode_get(cwd ? cwd : vfs_root);
    rwlock_read_unlock(&vfs_lock);
    return v;
}

int vfs_chdir_vnode(struct vnode *v)
{
    if (!vnode_is(v, S_IFDIR))
        return -ENOTDIR;
    rwlock_write_lock(&vfs_lock);
    struct vnode *old = cwd;
    cwd = vnode_get(v);
    rwlock_write_unlock(&vfs_lock);
    vnode_put(old);
    return 0;
}

int vfs_chdir(const char *path)
{
    struct path p;
    int r = vfs_lookup(AT_FDCWD, path, 0, 0, &p);
    if (r < 0)
        return r;
    r = vfs_chdir_vnode(p.vnode);
    path_put(&p);
    return r;
}

uint32_t vfs_umask(uint32_t mask)
{
    return atomic_exchange_explicit(&umask_bits, mask & 0777, memory_order_relaxed);
}

struct vnode *vfs_base(int dirfd, const char *path)
{
    if (*path == '/')
        return vnode_get(vfs_root);
    if (dirfd == AT_FDCWD)
        return vfs_cwd();
    struct file *f = fd_file(dirfd);
    if (!f)
        return ERR_PTR(-EBADF);
    struct vnode *v = f->vnode ? vnode_get(f->vnode) : ERR_PTR(-ENOTDIR);
    file_put(f);
    return v;
}

/* path_walk from base, which need not be a directory. With vfs_lock held. */
static int resolve(struct vnode *base, const char *path, unsigned flags, struct path *out)
{
    return vnode_is(base, S_IFDIR) || !*path ? path_walk(base, path, flags, out) : -ENOTDIR;
}

int vfs_lookup(int dirfd, const char *path, int at_flags, unsigned path_flags, struct path *out)
{
    struct vnode *base = vfs_base(dirfd, path);
    if (IS_ERR(base))
        return (int)PTR_ERR(base);
    if (!*path && at_flags & AT_EMPTY_PATH) {
        *out = (struct path){.vnode = base};
        return 0;
    }
    rwlock_read_lock(&vfs_lock);
    int r = resolve(base, path, path_flags, out);
    rwlock_read_unlock(&vfs_lock);
    if (r == VNODE_NEEDS_WRITER) {
        rwlock_write_lock(&vfs_lock);
        r = resolve(base, path, path_flags, out);
        rwlock_write_unlock(&vfs_lock);
    }
    vnode_put(base);
    return r;
}

/* Creates what path_walk found missing. With vfs_lock held for writing. */
static struct vnode *create_at(struct path *p, uint32_t mode, const char *target)
{
    if (!p->dir->ops->create)
        return ERR_PTR(-EROFS);
    uint32_t mask = S_ISLNK(mode) ? 0 : atomic_load_explicit(&umask_bits, memory_order_relaxed);
    return p->dir->ops->create(p->dir, p->name, p->name_len, mode & ~mask, target);
}

/* A file of /proc or /sys that is opened often, by its absolute path. Servers read one of them many times a second, and such a path means the same file for ever: what
   the table holds does not change, and the mounts cannot be moved. Protected by vfs_lock. To put another file in its place takes that lock for writing, so one that was
   used since the last attempt stays. */
static struct {
    char path[48];
    struct vnode *vnode;
    _Atomic bool used;
} remembered;

static bool may_remember(const char *path, int flags)
{
    return path[0] == '/' && !(flags & (O_CREAT | O_NOFOLLOW | O_DIRECTORY | O_PATH | O_TRUNC));
}

static void remember(const char *path, struct vnode *v)
{
    size_t len = strnlen(path, sizeof(remembered.path));
    if (len == sizeof(remembered.path) || !synthfs_is_text(v) ||
        atomic_exchange_explicit(&remembered.used, false, memory_order_relaxed))
        return;
    rwlock_write_lock(&vfs_lock);
    struct vnode *old = remembered.vnode;
    remembered.vnode = vnode_get(v);
    memcpy(remembered.path, path, len + 1);
    rwlock_write_unlock(&vfs_lock);
    vnode_put(old);
}

/* With vfs_lock held. A reference, or NULL. */
static struct vnode *recall(const char *path)
{
    if (!remembered.vnode || strcmp(path, remembered.path) != 0)
        return NULL;
    if (!atomic_load_explicit(&remembered.used, memory_order_relaxed))
        atomic_store_explicit(&remembered.used, true, memory_order_relaxed);
    return vnode_get(remembered.vnode);
}

static unsigned walk_flags(int flags)
{
    return (flags & O_CREAT ? PATH_CREATE : 0) |
           (flags & O_NOFOLLOW || (flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL) ? PATH_NOFOLLOW : 0);
}

/* What is there, where that takes no writer. NULL: it does. */
static struct vnode *open_existing(struct vnode *base, const char *path, int flags)
{
    struct path p;
    bool special = may_remember(path, flags);
    rwlock_read_lock(&vfs_lock);
    struct vnode *v = special ? recall(path) : NULL;
    int r = v ? 0 : resolve(base, path, walk_flags(flags), &p);
    rwlock_read_unlock(&vfs_lock);
    if (v || r < 0)
        return v ?: r == VNODE_NEEDS_WRITER ? NULL : ERR_PTR(r);
    v = p.vnode;
    vnode_put(p.dir);
    if (v && special)
        remember(path, v);
    return v;
}

static struct vnode *open_or_create(struct vnode *base, const char *path, int flags, uint32_t mode, bool *created)
{
    struct path p;
    rwlock_write_lock(&vfs_lock);
    int r = resolve(base, path, walk_flags(flags), &p);
    struct vnode *v = ERR_PTR(r);
    *created = r == 0 && !p.vnode;
    if (r == 0)
        v = *created ? create_at(&p, S_IFREG | (mode & 07777), NULL) : vnode_get(p.vnode);
    rwlock_write_unlock(&vfs_lock);
    if (r == 0)
        path_put(&p);
    return v;
}

/* The vnode to open, created if asked for. */
static struct vnode *open_lookup(struct vnode *base, const char *path, int flags, uint32_t mode)
{
    bool created = false, exclusive = (flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL);
    struct vnode *v = exclusive ? NULL : open_existing(base, path, flags);
    if (!v)
        v = open_or_create(base, path, flags, mode, &created);
    if (!IS_ERR(v) && exclusive && !created) {
        vnode_put(v);
        return ERR_PTR(-EEXIST);
    }
    return v;
}

/* O_PATH: a place in the tree, nothing else. */
static const struct file_ops path_file_ops = {0};

static struct file *open_file(struct vnode *v, int flags)
{
    if (flags & O_PATH) {
        struct file *f = file_new(&path_file_ops, flags, NULL);
        return f ? f : ERR_PTR(-ENOMEM);
    }
    if (vnode_is(v, S_IFDIR)) {
        struct file *f = file_new(&vfs_dir_file_ops, flags, NULL);
        return f ? f : ERR_PTR(-ENOMEM);
    }
    return v->ops->open ? v->ops->open(v, flags) : ERR_PTR(-ENXIO);
}

static int check_open(struct vnode *v, int flags)
{
    bool writes = (flags & O_ACCMODE) != O_RDONLY;
    if (flags & O_DIRECTORY && !vnode_is(v, S_IFDIR))
        return -ENOTDIR;
    if (vnode_is(v, S_IFLNK) && !(flags & O_PATH))
        return -ELOOP; /* O_NOFOLLOW */
    if (vnode_is(v, S_IFDIR) && !(flags & O_PATH) && (writes || flags & (O_CREAT | O_TRUNC)))
        return -EISDIR;
    return 0;
}

struct file *vfs_open_vnode(struct vnode *v, int flags)
{
    int r = check_open(v, flags);
    if (r < 0)
        return ERR_PTR(r);
    int kept = flags & ~(O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_CLOEXEC);
    if (flags & O_TRUNC && !(flags & O_PATH) && vnode_is(v, S_IFREG)) {
        r = v->ops->truncate ? v->ops->truncate(v, 0) : 0;
        if (r < 0)
            return ERR_PTR(r);
    }
    struct file *f = open_file(v, kept);
    if (!IS_ERR(f) && !f->vnode && f->ops) {
        /* An open of /proc/self/fd/N may give a file that is older than this call: that one keeps what it has. */
        if (atomic_load_explicit(&f->refs, memory_order_relaxed) == 1)
            f->vnode = vnode_get(v);
    }
    return f;
}

struct file *vfs_open(int dirfd, const char *path, int flags, uint32_t mode)
{
    if ((flags & __O_TMPFILE) == __O_TMPFILE)
        return ERR_PTR(-EOPNOTSUPP);
    if (flags & O_PATH)
        flags &= O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    if ((flags & (O_CREAT | O_DIRECTORY)) == (O_CREAT | O_DIRECTORY))
        return ERR_PTR(-EINVAL);
    struct vnode *base = vfs_base(dirfd, path);
    if (IS_ERR(base))
        return (struct file *)base;
    struct vnode *v = vnode_is(base, S_IFDIR) || !*path ? open_lookup(base, path, flags, mode)
                                                        : ERR_PTR(-ENOTDIR);
    vnode_put(base);
    if (IS_ERR(v))
        return (struct file *)v;
    struct file *f = vfs_open_vnode(v, flags);
    vnode_put(v);
    return f;
}

int vfs_create(int dirfd, const char *path, uint32_t mode, const char *target)
{
    struct path p;
    struct vnode *base = vfs_base(dirfd, path);
    if (IS_ERR(base))
        return (int)PTR_ERR(base);
    rwlock_write_lock(&vfs_lock);
    int r = resolve(base, path, PATH_LITERAL, &p);
    struct vnode *v = NULL;
    if (r == 0) {
        if (p.vnode)
            v = ERR_PTR(-EEXIST);
        else if (p.trailing_slash && !S_ISDIR(mode))
            v = ERR_PTR(-ENOENT);
        else
            v = create_at(&p, mode, target);
    }
    rwlock_write_unlock(&vfs_lock);
    vnode_put(base);
    if (r < 0)
        return r;
    path_put(&p);
    if (IS_ERR(v))
        return (int)PTR_ERR(v);
    vnode_put(v);
    return 0;
}

/* The last name of a path that unlink or rmdir can not take: "/", "." and "..". */
static int bad_last_name(const char *path, bool directory)
{
    size_t n = strlen(path);
    while (n > 0 && path[n - 1] == '/')
        n--;
    if (n == 0)
        return directory ? -EBUSY : -EISDIR;
    if (!directory)
        return -EISDIR;
    return n >= 2 && path[n - 1] == '.' && path[n - 2] == '.' ? -ENOTEMPTY : -EINVAL;
}

static int remove_found(struct path *p, const char *path, bool directory)
{
    if (!p->dir)
        return bad_last_name(path, directory);
    if (!p->vnode)
        return -ENOENT;
    if (p->trailing_slash && !directory)
        return vnode_is(p->vnode, S_IFDIR) ? -EISDIR : -ENOTDIR;
    struct vnode *covered = mount_covered(p->vnode);
    vnode_put(covered); /* the mount holds its own reference */
    if (covered)
        return -EBUSY;
    return p->dir->ops->remove ? p->dir->ops->remove(p->dir, p->name, p->name_len, directory) : -EROFS;
}

int vfs_remove(int dirfd, const char *path, bool directory)
{
    struct path p;
    struct vnode *base = vfs_base(dirfd, path);
    if (IS_ERR(base))
        return (int)PTR_ERR(base);
    rwlock_write_lock(&vfs_lock);
    int r = resolve(base, path, PATH_LITERAL, &p);
    bool found = r == 0;
    if (found)
        r = remove_found(&p, path, directory);
    rwlock_write_unlock(&vfs_lock);
    vnode_put(base);
    if (found)
        path_put(&p);
    return r;
}

int vfs_write_file(const char *path, const void *data, size_t len)
{
    struct file *f = vfs_open(AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    if (IS_ERR(f))
        return (int)PTR_ERR(f);
    struct iovec iov = {(void *)data, len};
    ssize_t n = f->ops->writev ? f->ops->writev(f, &iov, 1, FILE_POS_CURRENT) : -EINVAL;
    file_put(f);
    return n < 0 ? (int)n : (size_t)n < len ? -ENOSPC : 0;
}

ssize_t vfs_read_file(const char *path, void *buf, size_t size)
{
    struct file *f = vfs_open(AT_FDCWD, path, O_RDONLY, 0);
    if (IS_ERR(f))
        return PTR_ERR(f);
    struct iovec iov = {buf, size};
    ssize_t n = f->ops->readv ? f->ops->readv(f, &iov, 1, FILE_POS_CURRENT) : -EISDIR;
    file_put(f);
    return n;
}

void vfs_getattr(struct vnode *v, struct vnode_attr *attr)
{
    *attr = (struct vnode_attr){.mode = atomic_load_explicit(&v->mode, memory_order_relaxed),
                                .nlink = 1};
    if (v->ops->getattr)
        v->ops->getattr(v, attr);
}

void vfs_stat(struct vnode *v, struct stat *st)
{
    struct vnode_attr a;
    vfs_getattr(v, &a);
    *st = (struct stat){.st_dev = v->dev, .st_ino = v->ino, .st_mode = a.mode, .st_nlink = a.nlink,
                        .st_uid = a.uid, .st_gid = a.gid, .st_rdev = a.rdev,
                        .st_size = (long)a.size, .st_blksize = 4096, .st_blocks = (long)a.blocks};
    st->st_atime = (unsigned long)(a.atime / 1000000000);
    st->st_atime_nsec = (unsigned long)(a.atime % 1000000000);
    st->st_mtime = (unsigned long)(a.mtime / 1000000000);
    st->st_mtime_nsec = (unsigned long)(a.mtime % 1000000000);
    st->st_ctime = (unsigned long)(a.ctime / 1000000000);
    st->st_ctime_nsec = (unsigned long)(a.ctime % 1000000000);
}
