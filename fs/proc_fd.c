/* /proc/self/fd: a link for each open descriptor. It reads as the file's path (or as "pipe:[...]" for files without one); following it leads
   to the file itself: opening opens the same vnode anew, or, for a file without a name, gives the same open file again. */
#include <fs/file.h>
#include <fs/path.h>
#include <fs/synthfs.h>
#include <kernel/print.h>
#include <kernel/string.h>
#include <asm/stat.h>
#include <mm/kmem.h>

struct fd_link {
    struct vnode v;
    struct file *file; /* reference */
};

static const struct vnode_ops fd_link_ops, fd_target_ops;

static struct vnode *fd_vnode_new(const struct vnode_ops *ops, uint32_t mode, struct file *f)
{
    struct fd_link *l = kmalloc(sizeof(*l));
    if (!l)
        return ERR_PTR(-ENOMEM);
    vnode_init(&l->v, ops, mode, 0xfd, (uintptr_t)f >> 4 & 0xffffffffffff);
    l->file = file_get(f);
    return &l->v;
}

static struct file *file_of(struct vnode *v)
{
    return CONTAINER_OF(v, struct fd_link, v)->file;
}

static void fd_vnode_release(struct vnode *v)
{
    file_put(file_of(v));
    kfree(CONTAINER_OF(v, struct fd_link, v));
}

static int number_of(const char *name, size_t len)
{
    int n = 0;
    if (len == 0 || len > 7 || (len > 1 && name[0] == '0'))
        return -1;
    for (size_t i = 0; i < len; i++) {
        if (name[i] < '0' || name[i] > '9')
            return -1;
        n = n * 10 + (name[i] - '0');
    }
    return n;
}

static struct vnode *fd_lookup(struct vnode *dir, const char *name, size_t len)
{
    struct file *f = fd_file(number_of(name, len));
    if (!f)
        return ERR_PTR(-ENOENT);
    struct vnode *v = fd_vnode_new(&fd_link_ops, S_IFLNK | 0700, f);
    file_put(f);
    return v;
}

static int fd_readdir(struct vnode *dir, uint64_t *cookie, struct vnode_dir_sink *sink)
{
    for (int fd; *cookie < FD_MAX && (fd = fd_next_open((int)*cookie)) >= 0; *cookie = (uint64_t)fd + 1) {
        char name[12];
        int len = snprintf(name, sizeof(name), "%d", fd);
        if (!sink->entry(sink, name, (size_t)len, (uint64_t)fd + 1, vnode_dirent_type(S_IFLNK), (uint64_t)fd + 1))
            break;
    }
    return 0;
}

/* What kind of nameless file this is, as Linux calls it. */
static const char *kind_of(struct file *f)
{
    struct stat st = {0};
    if (f->ops->stat)
        f->ops->stat(f, &st);
    return (st.st_mode & S_IFMT) == S_IFSOCK ? "socket" : (st.st_mode & S_IFMT) == S_IFIFO ? "pipe" : "anon_inode";
}

static ssize_t fd_readlink(struct vnode *v, char *buf, size_t size)
{
    struct file *f = file_of(v);
    char *text = kmalloc(PATH_MAX_BYTES);
    if (!text)
        return -ENOMEM;
    int len = -ENOENT;
    if (f->vnode) {
        rwlock_read_lock(&vfs_lock); /* not nested: a walk goes by fd_follow */
        len = path_of(f->vnode, text, PATH_MAX_BYTES);
        rwlock_read_unlock(&vfs_lock);
    }
    if (len < 0)
        len = snprintf(text, PATH_MAX_BYTES, f->vnode ? "(deleted)" : "%s:[%llu]", kind_of(f),
                       (unsigned long long)v->ino);
    size_t n = MIN((size_t)len, size);
    memcpy(buf, text, n);
    kfree(text);
    return (ssize_t)n;
}

static struct vnode *fd_follow(struct vnode *v)
{
    struct file *f = file_of(v);
    return f->vnode ? vnode_get(f->vnode) : fd_vnode_new(&fd_target_ops, S_IFIFO | 0600, f);
}

static struct file *fd_open(struct vnode *v, int flags)
{
    return file_get(file_of(v));
}

static const struct vnode_ops fd_link_ops = {.readlink = fd_readlink, .follow = fd_follow,
                                             .release = fd_vnode_release};
static const struct vnode_ops fd_target_ops = {.open = fd_open, .release = fd_vnode_release};
static const struct vnode_ops fd_dir_ops = {.lookup = fd_lookup, .parent = synthfs_parent,
    .path = synthfs_path, .readdir = fd_readdir, .getattr = synthfs_getattr, .statfs = synthfs_statfs,
    .release = synthfs_release};

SYNTH_FILE(proc_self_fd, .path = "/proc/1/fd", .mode = S_IFDIR | 0500, .dir = &fd_dir_ops);
