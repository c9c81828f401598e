/* Open files: creation and release. The counting of references is described in fs/file.h. */
#include <fs/file.h>
#include <fs/vnode.h>
#include <mm/kmem.h>

struct file *file_new(const struct file_ops *ops, int flags, void *priv)
{
    struct file *f = kmalloc(sizeof(*f));
    if (!f)
        return NULL;
    f->ops = ops;
    atomic_init(&f->refs, 1);
    atomic_init(&f->flags, flags);
    mutex_init(&f->pos_lock);
    f->pos = 0;
    f->vnode = NULL;
    f->priv = priv;
    poll_source_init(&f->poll_source);
    return f;
}

void file_release(struct file *f)
{
    poll_source_release(&f->poll_source); /* before the operations stop working: watches call poll */
    if (f->ops->release)
        f->ops->release(f);
    if (f->vnode)
        vnode_put(f->vnode);
    kfree(f);
}
