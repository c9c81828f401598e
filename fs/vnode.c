/* Vnodes and mounts. There are few mounts and they stay, so the table is an array that is searched. */
#include <fs/vnode.h>

#define MOUNTS_MAX 16

struct mount {
    struct vnode *at, *root; /* references */
    const char *type, *path;
};

RWLOCK_DEFINE(vfs_lock);
struct vnode *vfs_root;
static struct mount mounts[MOUNTS_MAX]; /* protected by vfs_lock; entries never change */
static _Atomic unsigned mount_count;

void vnode_init(struct vnode *v, const struct vnode_ops *ops, uint32_t mode, uint32_t dev,
                uint64_t ino)
{
    v->ops = ops;
    atomic_init(&v->refs, 1);
    atomic_init(&v->mode, mode);
    v->dev = dev;
    v->ino = ino;
}

int mount_add(struct vnode *at, struct vnode *root, const char *type, const char *path)
{
    unsigned n = atomic_load_explicit(&mount_count, memory_order_relaxed);
    if (n == MOUNTS_MAX)
        return -ENOMEM;
    mounts[n] = (struct mount){vnode_get(at), vnode_get(root), type, path};
    atomic_store_explicit(&mount_count, n + 1, memory_order_release);
    return 0;
}

struct vnode *mount_cross(struct vnode *v)
{
    unsigned n = atomic_load_explicit(&mount_count, memory_order_relaxed);
    for (unsigned i = 0; i < n; i++) {
        if (vnode_same(v, mounts[i].at)) {
            vnode_put(v);
            return vnode_get(mounts[i].root);
        }
    }
    return v;
}

struct vnode *mount_covered(const struct vnode *v)
{
    unsigned n = atomic_load_explicit(&mount_count, memory_order_relaxed);
    for (unsigned i = 0; i < n; i++) {
        if (vnode_same(v, mounts[i].root))
            return vnode_get(mounts[i].at);
    }
    return NULL;
}

bool mount_describe(unsigned index, const char **path, const char **type)
{
    if (index >= atomic_load_explicit(&mount_count, memory_order_acquire))
        return false;
    *path = mounts[index].path;
    *type = mounts[index].type;
    return true;
}
