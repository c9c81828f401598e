/* Vnodes: what a path names. The tree (names, mounts) is protected by one lock, vfs_lock: for reading where paths are looked up or directories
   listed, for writing where the tree changes. A vnode's data is protected by its file system.

   A vnode is referenced by who holds it; a directory entry of a file system in memory counts as a holder. Identity is (dev, ino). */
#ifndef FS_VNODE_H
#define FS_VNODE_H

#include <kernel/compiler.h>
#include <kernel/errptr.h>
#include <linux/stat.h>
#include <sched/rwlock.h>
#include <stdatomic.h>

struct file;
struct statfs;

struct vnode {
    const struct vnode_ops *ops;
    _Atomic unsigned refs;
    _Atomic uint32_t mode; /* S_IFMT part constant; permissions as stored */
    uint32_t dev;          /* of the file system; constant */
    uint64_t ino;          /* constant */
};

struct vnode_attr {
    uint64_t size, blocks; /* blocks of 512 bytes */
    uint32_t mode, uid, gid, nlink, rdev;
    int64_t atime, mtime, ctime; /* ns since 1970 */
};
/* Which fields setattr sets. */
#define VNODE_SET_MODE 1u
#define VNODE_SET_UID 2u
#define VNODE_SET_GID 4u
#define VNODE_SET_ATIME 8u
#define VNODE_SET_MTIME 16u

/* Receives one entry; type is DT_*; next is the cookie of what follows. False: no room, stop before this entry. */
struct vnode_dir_sink {
    bool (*entry)(struct vnode_dir_sink *sink, const char *name, size_t len, uint64_t ino,
                  unsigned type, uint64_t next);
};

#define VNODE_NEEDS_WRITER (-ERESTART) /* never leaves fs/ */

/* NULL operations answer EROFS (changes), EINVAL (readlink), ENXIO (open). Names come as (name, len), 1 to 255 bytes, no slash, never "."
   or "..". Pointers returned carry a reference or an ERR_PTR. */
struct vnode_ops {
    /* With vfs_lock held. Held for reading, by several at a time, lookup may answer VNODE_NEEDS_WRITER where the file system has to make something first. */
    struct vnode *(*lookup)(struct vnode *dir, const char *name, size_t len);
    struct vnode *(*parent)(struct vnode *dir); /* ENOENT when dir was removed */
    /* The path of v within its file system, "/..." or "" for its root; the length or a negative errno. */
    int (*path)(struct vnode *v, char *buf, size_t size);
    /* From *cookie on (0: start, without "." and ".."); advances it. */
    int (*readdir)(struct vnode *dir, uint64_t *cookie, struct vnode_dir_sink *sink);
    /* For links that lead where no path leads (/proc/self/fd). NULL: by readlink. */
    struct vnode *(*follow)(struct vnode *link);
    /* With vfs_lock held for writing. Create: regular file, directory, symlink (to target), socket. */
    struct vnode *(*create)(struct vnode *dir, const char *name, size_t len, uint32_t mode,
                            const char *target);
    int (*remove)(struct vnode *dir, const char *name, size_t len, bool directory);
    int (*link)(struct vnode *dir, const char *name, size_t len, struct vnode *v);
    int (*rename)(struct vnode *from, const char *name, size_t len, struct vnode *to,
                  const char *to_name, size_t to_len, unsigned flags);
    /* Any time: */
    ssize_t (*readlink)(struct vnode *link, char *buf, size_t size); /* not terminated */
    struct file *(*open)(struct vnode *v, int flags);                /* a file without vnode set */
    void (*getattr)(struct vnode *v, struct vnode_attr *attr);
    int (*setattr)(struct vnode *v, const struct vnode_attr *attr, unsigned which);
    int (*truncate)(struct vnode *v, uint64_t size);
    int (*allocate)(struct vnode *v, int mode, uint64_t offset, uint64_t len);
    void (*statfs)(struct vnode *v, struct statfs *st);
    void (*release)(struct vnode *v); /* last reference gone */
};

void vnode_init(struct vnode *v, const struct vnode_ops *ops, uint32_t mode, uint32_t dev,
                uint64_t ino);

static inline struct vnode *vnode_get(struct vnode *v)
{
    atomic_fetch_add_explicit(&v->refs, 1, memory_order_relaxed);
    return v;
}
static inline void vnode_put(struct vnode *v)
{
    if (v && atomic_fetch_sub_explicit(&v->refs, 1, memory_order_acq_rel) == 1)
        v->ops->release(v);
}
static inline bool vnode_is(const struct vnode *v, uint32_t type)
{
    return (atomic_load_explicit(&v->mode, memory_order_relaxed) & S_IFMT) == type;
}
static inline bool vnode_same(const struct vnode *a, const struct vnode *b)
{
    return a->ino == b->ino && a->dev == b->dev;
}
/* DT_* of a mode. */
static inline unsigned vnode_dirent_type(uint32_t mode) { return (mode & S_IFMT) >> 12; }

/* Nobody takes it for reading who has it. */
extern struct rwlock vfs_lock;

/* Mounts root over the directory at, from now on, for good. 0, -ENOMEM. With vfs_lock held for writing. */
int mount_add(struct vnode *at, struct vnode *root, const char *type, const char *path);
/* The root of what is mounted on v, or v itself; takes over the reference. With vfs_lock held. */
struct vnode *mount_cross(struct vnode *v);
/* The directory that a mount's root covers, with a reference, NULL when v is no such root. With vfs_lock held. */
struct vnode *mount_covered(const struct vnode *v);
/* The index-th mount: false when there is none. */
bool mount_describe(unsigned index, const char **path, const char **type);
/* The root directory; set once at start. */
extern struct vnode *vfs_root;

#endif
