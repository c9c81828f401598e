/* Inside ramfs: nodes. Names and directories are protected by vfs_lock, file data and attributes by the node's lock. */
#ifndef FS_RAMFS_NODE_H
#define FS_RAMFS_NODE_H

#include <fs/erofs.h>
#include <fs/pagetree.h>
#include <fs/vnode.h>
#include <sys/queue.h>
#include <sys/tree.h>

struct ram_node;

/* A name in a directory. Protected by vfs_lock. */
struct ram_entry {
    RB_ENTRY(ram_entry) tree;
    TAILQ_ENTRY(ram_entry) order;
    struct ram_node *dir;  /* the directory it is in */
    struct ram_node *node; /* reference; NULL: the lower directory's name is hidden */
    uint64_t cookie;       /* grows in a directory; never 0 */
    bool in_lower;         /* the lower directory has this name: it is listed there */
    uint8_t len;
    char name[];           /* terminated */
};
RB_HEAD(ram_tree, ram_entry);

#define RAM_SHARED_BUCKETS 64u

struct ram_super {
    const struct erofs *lower; /* NULL: none */
    uint32_t dev;
    _Atomic uint64_t next_ino;
    _Atomic uint64_t nodes;    /* the last one frees this */
    /* Nodes of the image's files with several names, by hash of the number; references, until the root goes: a name that was not
       looked up yet must lead to the same node. Protected by vfs_lock. */
    struct ram_node *shared[RAM_SHARED_BUCKETS];
};

struct ram_node {
    struct vnode v;
    struct ram_super *super;
    struct ram_entry *entry; /* one of its names, NULL: none known; protected by vfs_lock */
    struct mutex lock;
    uint32_t uid, gid, nlink; /* protected by lock */
    int64_t atime, mtime, ctime;
    struct ram_node *shared_next; /* in super->shared */
    struct erofs_inode *lower; /* what the image has; NULL: nothing. Constant */
    union {
        struct { /* regular file; protected by lock */
            struct pagetree pages;
            uint64_t size;
            uint64_t lower_size; /* so much of the lower file still shows where there is no page */
            bool mapped;         /* pages may be in page tables: they are not freed before the node */
            void *orphans;       /* list of pages that were cut off while mapped */
        } file;
        struct { /* directory; protected by vfs_lock */
            struct ram_tree names;
            TAILQ_HEAD(, ram_entry) order;
            uint64_t next_cookie;
            struct ram_node *parent; /* itself: root; NULL: removed */
        } dir;
        struct { /* symbolic link; constant */
            char *target;
            size_t len;
        } link;
    };
};

static inline struct ram_node *ram_node_of(struct vnode *v) { return CONTAINER_OF(v, struct ram_node, v); }

extern const struct vnode_ops ram_dir_ops, ram_file_ops, ram_link_ops, ram_special_ops;

struct ram_node *ram_node_new(struct ram_super *super, uint32_t mode, uint64_t ino);
/* The node of an inode of the image, with a reference. ERR_PTR on error. With vfs_lock held for writing. */
struct ram_node *ram_node_of_lower(struct ram_super *super, uint64_t nid);
void ram_node_release(struct vnode *v);
void ram_touch(struct ram_node *n, bool modified); /* with lock held */
void ram_getattr(struct vnode *v, struct vnode_attr *attr);
int ram_setattr(struct vnode *v, const struct vnode_attr *attr, unsigned which);
void ram_statfs(struct vnode *v, struct statfs *st);
int ram_path(struct vnode *v, char *buf, size_t size);
/* True when so many bytes may be taken without touching the reserve that keeps the machine alive. */
bool ram_space(uint64_t bytes);

void ram_file_release(struct ram_node *n);
void ram_dir_release(struct ram_node *n);
struct file *ram_file_open(struct vnode *v, int flags);
int ram_file_truncate(struct vnode *v, uint64_t size);
int ram_file_allocate(struct vnode *v, int mode, uint64_t offset, uint64_t len);

#endif
