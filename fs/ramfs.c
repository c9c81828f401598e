/* ramfs: the writable file system in memory, nodes and attributes. With a lower EROFS image it is also the writable layer over it:

   A node stands for an inode of the image from its first lookup on, and refers to it. A file's data shows through, page by page, until a page is
   written; a directory's names show through unless an entry replaces or hides them (see ramfs_dir.c). So the image's bytes are used
   in place, copying up costs what is written, and a rename of a lower directory moves nothing.

   Space: a write that would leave the machine less than a reserve of free memory answers ENOSPC. */
#include <fs/ramfs.h>
#include "ramfs_node.h"
#include <asm/statfs.h>
#include <kernel/clock.h>
#include <kernel/string.h>
#include <linux/magic.h>
#include <mm/kmem.h>
#include <mm/page.h>

#define RESERVE_MIN (512ull << 10)
#define RESERVE_MAX (64ull << 20)
#define LOWER_INO (1ull << 40) /* inode numbers of the image start here */
#define LINK_MAX_BYTES 4095u

static _Atomic uint32_t next_dev = 1;

bool ram_space(uint64_t bytes)
{
    uint64_t reserve = page_total_bytes() / 32;
    reserve = MIN(MAX(reserve, RESERVE_MIN), RESERVE_MAX);
    uint64_t free = page_free_bytes();
    return free > reserve && bytes <= free - reserve;
}

void ram_touch(struct ram_node *n, bool modified)
{
    int64_t now = (int64_t)clock_realtime_ns();
    n->ctime = now;
    if (modified)
        n->mtime = now;
}

static const struct vnode_ops *ops_for(uint32_t mode)
{
    switch (mode & S_IFMT) {
    case S_IFREG:
        return &ram_file_ops;
    case S_IFDIR:
        return &ram_dir_ops;
    case S_IFLNK:
        return &ram_link_ops;
    default:
        return &ram_special_ops;
    }
}

struct ram_node *ram_node_new(struct ram_super *super, uint32_t mode, uint64_t ino)
{
    struct ram_node *n = kzalloc(sizeof(*n));
    if (!n)
        return NULL;
    vnode_init(&n->v, ops_for(mode), mode, super->dev, ino);
    n->super = super;
    atomic_fetch_add_explicit(&super->nodes, 1, memory_order_relaxed);
    mutex_init(&n->lock);
    n->nlink = S_ISDIR(mode) ? 2 : 1;
    n->atime = n->mtime = n->ctime = (int64_t)clock_realtime_ns();
    if (S_ISDIR(mode)) {
        RB_INIT(&n->dir.names);
        TAILQ_INIT(&n->dir.order);
        n->dir.next_cookie = 1;
    }
    return n;
}

/* The target of a symbolic link in the image, as a copy. */
static int load_link(struct ram_node *n)
{
    const struct erofs_inode *lower = n->lower;
    const uint8_t *data;
    uint64_t len;
    if (lower->size == 0 || lower->size > LINK_MAX_BYTES)
        return -EIO;
    int r = erofs_data(n->super->lower, lower, 0, &data, &len);
    if (r < 0)
        return r;
    if (!data || len < lower->size)
        return -EIO;
    n->link.target = kmalloc(lower->size + 1);
    if (!n->link.target)
        return -ENOMEM;
    memcpy(n->link.target, data, lower->size);
    n->link.target[lower->size] = 0;
    n->link.len = strlen(n->link.target);
    return 0;
}

static int load_lower(struct ram_node *n, const struct erofs_inode *inode)
{
    n->lower = kmalloc(sizeof(*n->lower));
    if (!n->lower)
        return -ENOMEM;
    *n->lower = *inode;
    n->uid = inode->uid;
    n->gid = inode->gid;
    n->nlink = inode->nlink;
    n->atime = n->mtime = n->ctime = (int64_t)inode->mtime_ns;
    if (S_ISREG(inode->mode))
        n->file.size = n->file.lower_size = inode->size;
    return S_ISLNK(inode->mode) ? load_link(n) : 0;
}

static struct ram_node *shared_find(struct ram_super *super, uint64_t nid)
{
    struct ram_node *n = super->shared[nid % RAM_SHARED_BUCKETS];
    while (n && n->v.ino != LOWER_INO + nid)
        n = n->shared_next;
    return n;
}

static void shared_add(struct ram_super *super, uint64_t nid, struct ram_node *n)
{
    n->shared_next = super->shared[nid % RAM_SHARED_BUCKETS];
    super->shared[nid % RAM_SHARED_BUCKETS] = ram_node_of(vnode_get(&n->v));
}

static void shared_drop(struct ram_super *super)
{
    for (unsigned i = 0; i < RAM_SHARED_BUCKETS; i++) {
        struct ram_node *n;
        while ((n = super->shared[i])) {
            super->shared[i] = n->shared_next;
            vnode_put(&n->v);
        }
    }
}

struct ram_node *ram_node_of_lower(struct ram_super *super, uint64_t nid)
{
    struct erofs_inode inode;
    struct ram_node *known = shared_find(super, nid);
    if (known)
        return ram_node_of(vnode_get(&known->v));
    int r = erofs_inode_get(super->lower, nid, &inode);
    if (r < 0)
        return ERR_PTR(r);
    struct ram_node *n = ram_node_new(super, inode.mode, LOWER_INO + nid);
    if (!n)
        return ERR_PTR(-ENOMEM);
    r = load_lower(n, &inode);
    if (r < 0) {
        vnode_put(&n->v);
        return ERR_PTR(r);
    }
    if (inode.nlink > 1 && !S_ISDIR(inode.mode))
        shared_add(super, nid, n);
    return n;
}

void ram_node_release(struct vnode *v)
{
    struct ram_node *n = ram_node_of(v);
    if (vnode_is(v, S_IFDIR) && n->dir.parent == n)
        shared_drop(n->super);
    if (vnode_is(v, S_IFREG))
        ram_file_release(n);
    else if (vnode_is(v, S_IFDIR))
        ram_dir_release(n);
    else if (vnode_is(v, S_IFLNK))
        kfree(n->link.target);
    if (atomic_fetch_sub_explicit(&n->super->nodes, 1, memory_order_acq_rel) == 1)
        kfree(n->super);
    kfree(n->lower);
    kfree(n);
}

void ram_getattr(struct vnode *v, struct vnode_attr *attr)
{
    struct ram_node *n = ram_node_of(v);
    mutex_lock(&n->lock);
    *attr = (struct vnode_attr){.mode = atomic_load_explicit(&v->mode, memory_order_relaxed),
                                .uid = n->uid, .gid = n->gid, .nlink = n->nlink,
                                .atime = n->atime, .mtime = n->mtime, .ctime = n->ctime};
    if (vnode_is(v, S_IFREG)) {
        attr->size = n->file.size;
        attr->blocks = n->file.pages.count * (PAGE_SIZE / 512) + ALIGN_UP(n->file.lower_size, 512u) / 512;
    } else if (vnode_is(v, S_IFLNK)) {
        attr->size = n->link.len;
    } else if (vnode_is(v, S_IFDIR)) {
        attr->size = PAGE_SIZE;
    } else if (n->lower) {
        attr->rdev = n->lower->rdev;
    }
    mutex_unlock(&n->lock);
}

int ram_setattr(struct vnode *v, const struct vnode_attr *attr, unsigned which)
{
    struct ram_node *n = ram_node_of(v);
    mutex_lock(&n->lock);
    uint32_t mode = atomic_load_explicit(&v->mode, memory_order_relaxed);
    if (which & VNODE_SET_MODE)
        atomic_store_explicit(&v->mode, (mode & S_IFMT) | (attr->mode & 07777), memory_order_relaxed);
    if (which & VNODE_SET_UID)
        n->uid = attr->uid;
    if (which & VNODE_SET_GID)
        n->gid = attr->gid;
    ram_touch(n, false);
    if (which & VNODE_SET_ATIME)
        n->atime = attr->atime;
    if (which & VNODE_SET_MTIME)
        n->mtime = attr->mtime;
    mutex_unlock(&n->lock);
    return 0;
}

void ram_statfs(struct vnode *v, struct statfs *st)
{
    *st = (struct statfs){.f_type = TMPFS_MAGIC, .f_bsize = PAGE_SIZE, .f_frsize = PAGE_SIZE,
                          .f_namelen = 255};
    st->f_blocks = (long)(page_total_bytes() / PAGE_SIZE);
    st->f_bfree = st->f_bavail = ram_space(0) ? (long)(page_free_bytes() / PAGE_SIZE) : 0;
    st->f_files = st->f_blocks;
    st->f_ffree = st->f_bfree;
    st->f_fsid.val[0] = (int)v->dev;
}

/* From the node upwards, filled from the buffer's end. */
int ram_path(struct vnode *v, char *buf, size_t size)
{
    size_t start = size;
    struct ram_node *n = ram_node_of(v);
    while (!(vnode_is(&n->v, S_IFDIR) && n->dir.parent == n)) {
        const struct ram_entry *e = n->entry;
        if (!e)
            return -ENOENT;
        if (start < e->len + 1u)
            return -ENAMETOOLONG;
        start -= e->len;
        memcpy(buf + start, e->name, e->len);
        buf[--start] = '/';
        n = e->dir;
    }
    memmove(buf, buf + start, size - start);
    return (int)(size - start);
}

static ssize_t ram_readlink(struct vnode *v, char *buf, size_t size)
{
    struct ram_node *n = ram_node_of(v);
    size_t len = MIN(n->link.len, size);
    memcpy(buf, n->link.target, len);
    return (ssize_t)len;
}

const struct vnode_ops ram_link_ops = {.readlink = ram_readlink, .path = ram_path,
    .getattr = ram_getattr, .setattr = ram_setattr, .statfs = ram_statfs,
    .release = ram_node_release};
/* Sockets bound to a name, and devices of the image: they have a name, and opening them answers ENXIO. */
const struct vnode_ops ram_special_ops = {.path = ram_path, .getattr = ram_getattr,
    .setattr = ram_setattr, .statfs = ram_statfs, .release = ram_node_release};
const struct vnode_ops ram_file_ops = {.open = ram_file_open, .path = ram_path,
    .getattr = ram_getattr, .setattr = ram_setattr, .truncate = ram_file_truncate,
    .allocate = ram_file_allocate, .statfs = ram_statfs, .release = ram_node_release};

struct vnode *ramfs_new(const struct erofs *lower)
{
    struct ram_super *super = kzalloc(sizeof(*super));
    if (!super)
        return ERR_PTR(-ENOMEM);
    super->lower = lower;
    super->dev = atomic_fetch_add_explicit(&next_dev, 1, memory_order_relaxed);
    atomic_init(&super->next_ino, 2);
    atomic_init(&super->nodes, 1); /* this function's */
    struct ram_node *root = lower ? ram_node_of_lower(super, lower->root_nid)
                                  : ram_node_new(super, S_IFDIR | 0755, 1);
    if (root && !IS_ERR(root))
        root->dir.parent = root;
    if (atomic_fetch_sub_explicit(&super->nodes, 1, memory_order_acq_rel) == 1)
        kfree(super);
    return root ? (struct vnode *)root : ERR_PTR(-ENOMEM);
}
