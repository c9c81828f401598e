/* Directories of ramfs: a tree of entries by name, and the same in order of creation for listing. All with vfs_lock held, and changed only with it held for writing.

   Over a lower directory an entry exists for each name that was looked up, created, or removed; an entry without a node hides
   the lower name (a whiteout). Listing shows first the entries whose name the lower directory does not have, by cookie, then the
   lower names that are not hidden, by the image's cookies from LOWER_COOKIE on. As `in_lower` never changes while an entry
   exists, each name keeps its place while it is listed. */
#include <fs/file.h>
#include "ramfs_node.h"
#include <kernel/string.h>
#include <linux/fs.h>
#include <mm/kmem.h>

#define LOWER_COOKIE (1ull << 62)

static int names_compare(const char *a, size_t a_len, const char *b, size_t b_len)
{
    int c = memcmp(a, b, MIN(a_len, b_len));
    return c ? c : (a_len > b_len) - (a_len < b_len);
}

static int entry_compare(const struct ram_entry *a, const struct ram_entry *b)
{
    return names_compare(a->name, a->len, b->name, b->len);
}
RB_GENERATE_INTERNAL(ram_tree, ram_entry, tree, entry_compare, static __attribute__((unused)))

static struct ram_entry *entry_find(struct ram_node *dir, const char *name, size_t len)
{
    struct ram_entry *e = RB_ROOT(&dir->dir.names);
    while (e) {
        int c = names_compare(name, len, e->name, e->len);
        if (c == 0)
            return e;
        e = c < 0 ? RB_LEFT(e, tree) : RB_RIGHT(e, tree);
    }
    return NULL;
}

/* An entry without a node that is in no directory yet. */
static struct ram_entry *entry_new(struct ram_node *dir, const char *name, size_t len)
{
    struct ram_entry *e = kmalloc(sizeof(*e) + len + 1);
    if (!e)
        return NULL;
    *e = (struct ram_entry){.dir = dir, .len = (uint8_t)len};
    memcpy(e->name, name, len);
    e->name[len] = 0;
    return e;
}

static void entry_insert(struct ram_entry *e)
{
    struct ram_node *dir = e->dir;
    e->cookie = dir->dir.next_cookie++;
    RB_INSERT(ram_tree, &dir->dir.names, e);
    TAILQ_INSERT_TAIL(&dir->dir.order, e, order);
}

/* Makes e name node, taking over the reference. */
static void entry_attach(struct ram_entry *e, struct ram_node *node)
{
    e->node = node;
    node->entry = e;
    if (vnode_is(&node->v, S_IFDIR))
        node->dir.parent = e->dir;
}

/* Takes the node out of e, and e out of its directory unless it hides a lower name. Returns the node with e's reference. */
static struct ram_node *entry_detach(struct ram_entry *e)
{
    struct ram_node *node = e->node;
    e->node = NULL;
    if (node->entry == e)
        node->entry = NULL;
    if (!e->in_lower) {
        RB_REMOVE(ram_tree, &e->dir->dir.names, e);
        TAILQ_REMOVE(&e->dir->dir.order, e, order);
        kfree(e);
    }
    return node;
}

/* The entry for name, made from the lower directory if need be: NULL when there is none, ERR_PTR on error, VNODE_NEEDS_WRITER among them. May be a whiteout. */
static struct ram_entry *entry_get(struct ram_node *dir, const char *name, size_t len)
{
    struct ram_entry *e = entry_find(dir, name, len);
    if (e || !dir->lower)
        return e;
    uint64_t nid;
    int r = erofs_lookup(dir->super->lower, dir->lower, name, len, &nid);
    if (r < 0)
        return r == -ENOENT ? NULL : ERR_PTR(r);
    if (!rwlock_write_held(&vfs_lock))
        return ERR_PTR(VNODE_NEEDS_WRITER);
    e = entry_new(dir, name, len);
    if (!e)
        return ERR_PTR(-ENOMEM);
    struct ram_node *node = ram_node_of_lower(dir->super, nid);
    if (IS_ERR(node)) {
        kfree(e);
        return (struct ram_entry *)node;
    }
    e->in_lower = true;
    entry_insert(e);
    entry_attach(e, node);
    return e;
}

/* An entry that shows something: ERR_PTR(-ENOENT) when there is none. */
static struct ram_entry *entry_visible(struct ram_node *dir, const char *name, size_t len)
{
    struct ram_entry *e = entry_get(dir, name, len);
    return !e || (!IS_ERR(e) && !e->node) ? ERR_PTR(-ENOENT) : e;
}

/* A place for a new name: a new entry or a whiteout, in the directory but without a node. ERR_PTR(-EEXIST), ... */
static struct ram_entry *entry_vacant(struct ram_node *dir, const char *name, size_t len)
{
    if (!dir->dir.parent)
        return ERR_PTR(-ENOENT); /* the directory was removed */
    struct ram_entry *e = entry_get(dir, name, len);
    if (e)
        return IS_ERR(e) || !e->node ? e : ERR_PTR(-EEXIST);
    if (!ram_space(sizeof(struct ram_node)))
        return ERR_PTR(-ENOSPC);
    e = entry_new(dir, name, len);
    if (!e)
        return ERR_PTR(-ENOSPC);
    entry_insert(e);
    return e;
}

/* Gives back a place that was not used after all. */
static void entry_abandon(struct ram_entry *e)
{
    if (e->in_lower)
        return;
    RB_REMOVE(ram_tree, &e->dir->dir.names, e);
    TAILQ_REMOVE(&e->dir->dir.order, e, order);
    kfree(e);
}

static void change_links(struct ram_node *n, int delta)
{
    mutex_lock(&n->lock);
    n->nlink += (uint32_t)delta;
    ram_touch(n, false);
    mutex_unlock(&n->lock);
}

static void touch_dir(struct ram_node *dir)
{
    mutex_lock(&dir->lock);
    ram_touch(dir, true);
    mutex_unlock(&dir->lock);
}

static struct vnode *dir_lookup(struct vnode *v, const char *name, size_t len)
{
    struct ram_entry *e = entry_visible(ram_node_of(v), name, len);
    return IS_ERR(e) ? (struct vnode *)e : vnode_get(&e->node->v);
}

static struct vnode *dir_parent(struct vnode *v)
{
    struct ram_node *parent = ram_node_of(v)->dir.parent;
    return parent ? vnode_get(&parent->v) : ERR_PTR(-ENOENT);
}

static struct vnode *dir_create(struct vnode *v, const char *name, size_t len, uint32_t mode,
                                const char *target)
{
    struct ram_node *dir = ram_node_of(v);
    struct ram_entry *e = entry_vacant(dir, name, len);
    if (IS_ERR(e))
        return (struct vnode *)e;
    uint64_t ino = atomic_fetch_add_explicit(&dir->super->next_ino, 1, memory_order_relaxed);
    struct ram_node *n = ram_node_new(dir->super, mode, ino);
    if (n && S_ISLNK(mode)) {
        n->link.target = kstrdup(target);
        n->link.len = strlen(target);
    }
    if (!n || (S_ISLNK(mode) && !n->link.target)) {
        if (n)
            vnode_put(&n->v);
        entry_abandon(e);
        return ERR_PTR(-ENOSPC);
    }
    entry_attach(e, n);
    if (S_ISDIR(mode))
        change_links(dir, 1);
    touch_dir(dir);
    return vnode_get(&n->v);
}

struct empty_sink {
    struct vnode_dir_sink sink;
    bool any;
};

static bool sink_any(struct vnode_dir_sink *s, const char *name, size_t len, uint64_t ino,
                     unsigned type, uint64_t next)
{
    CONTAINER_OF(s, struct empty_sink, sink)->any = true;
    return false;
}

static int dir_readdir(struct vnode *v, uint64_t *cookie, struct vnode_dir_sink *sink);

/* 0, -ENOTEMPTY or another error. */
static int check_empty(struct ram_node *dir)
{
    struct empty_sink s = {.sink.entry = sink_any};
    uint64_t cookie = 0;
    int r = dir_readdir(&dir->v, &cookie, &s.sink);
    return r < 0 ? r : s.any ? -ENOTEMPTY : 0;
}

/* May the node that e names go, as a directory or not? */
static int check_removable(struct ram_node *n, bool directory)
{
    bool is_dir = vnode_is(&n->v, S_IFDIR);
    if (directory && !is_dir)
        return -ENOTDIR;
    if (!directory && is_dir)
        return -EISDIR;
    struct vnode *covering = is_dir ? mount_cross(vnode_get(&n->v)) : NULL;
    bool busy = covering && covering != &n->v;
    vnode_put(covering);
    if (busy)
        return -EBUSY;
    return is_dir ? check_empty(n) : 0;
}

/* Unlinks what e names. The last reference may go: then the node is freed. */
static void entry_unlink(struct ram_entry *e)
{
    struct ram_node *dir = e->dir, *n = entry_detach(e);
    if (vnode_is(&n->v, S_IFDIR)) {
        n->dir.parent = NULL;
        change_links(n, -2);
        change_links(dir, -1);
    } else {
        change_links(n, -1);
    }
    touch_dir(dir);
    vnode_put(&n->v);
}

static int dir_remove(struct vnode *v, const char *name, size_t len, bool directory)
{
    struct ram_entry *e = entry_visible(ram_node_of(v), name, len);
    if (IS_ERR(e))
        return (int)PTR_ERR(e);
    int r = check_removable(e->node, directory);
    if (r == 0)
        entry_unlink(e);
    return r;
}

static int dir_link(struct vnode *v, const char *name, size_t len, struct vnode *target)
{
    struct ram_node *dir = ram_node_of(v);
    struct ram_entry *e = entry_vacant(dir, name, len);
    if (IS_ERR(e))
        return (int)PTR_ERR(e);
    struct ram_node *n = ram_node_of(vnode_get(target));
    entry_attach(e, n);
    change_links(n, 1);
    touch_dir(dir);
    return 0;
}

static bool is_below(struct ram_node *n, struct ram_node *ancestor)
{
    for (; n; n = n->dir.parent == n ? NULL : n->dir.parent)
        if (n == ancestor)
            return true;
    return false;
}

/* Two visible entries swap what they name. */
static void entry_swap(struct ram_entry *a, struct ram_entry *b)
{
    struct ram_node *x = a->node, *y = b->node;
    int delta = vnode_is(&x->v, S_IFDIR) - vnode_is(&y->v, S_IFDIR);
    entry_attach(a, y);
    entry_attach(b, x);
    if (a->dir != b->dir && delta) {
        change_links(a->dir, -delta);
        change_links(b->dir, delta);
    }
}

static void entry_move(struct ram_entry *from, struct ram_entry *to)
{
    struct ram_node *from_dir = from->dir, *n = entry_detach(from);
    entry_attach(to, n);
    if (vnode_is(&n->v, S_IFDIR) && from_dir != to->dir) {
        change_links(from_dir, -1);
        change_links(to->dir, 1);
    }
    change_links(n, 0);
    touch_dir(from_dir);
    touch_dir(to->dir);
}

static int dir_rename(struct vnode *from_v, const char *name, size_t len, struct vnode *to_v,
                      const char *to_name, size_t to_len, unsigned flags)
{
    struct ram_node *to_dir = ram_node_of(to_v);
    struct ram_entry *from = entry_visible(ram_node_of(from_v), name, len);
    if (IS_ERR(from))
        return (int)PTR_ERR(from);
    if (vnode_is(&from->node->v, S_IFDIR) && is_below(to_dir, from->node))
        return -EINVAL;
    struct ram_entry *to = entry_visible(to_dir, to_name, to_len);
    if (IS_ERR(to) && PTR_ERR(to) != -ENOENT)
        return (int)PTR_ERR(to);
    if (!IS_ERR(to)) {
        if (flags & RENAME_NOREPLACE)
            return -EEXIST;
        if (from->node == to->node)
            return 0;
        if (vnode_is(&to->node->v, S_IFDIR) && is_below(from->dir, to->node))
            return flags & RENAME_EXCHANGE ? -EINVAL : -ENOTEMPTY;
        if (flags & RENAME_EXCHANGE) {
            entry_swap(from, to);
            return 0;
        }
        int r = check_removable(to->node, vnode_is(&from->node->v, S_IFDIR));
        if (r < 0)
            return r;
        /* The place first, so that nothing can fail after the old node went. */
        bool keeps_place = to->in_lower;
        struct ram_entry *place = keeps_place ? to : entry_new(to_dir, to_name, to_len);
        if (!place)
            return -ENOMEM;
        entry_unlink(to);
        if (!keeps_place)
            entry_insert(place);
        entry_move(from, place);
        return 0;
    }
    if (flags & RENAME_EXCHANGE)
        return -ENOENT;
    to = entry_vacant(to_dir, to_name, to_len);
    if (IS_ERR(to))
        return (int)PTR_ERR(to);
    entry_move(from, to);
    return 0;
}

static int list_lower(struct ram_node *dir, uint64_t *cookie, struct vnode_dir_sink *sink)
{
    struct erofs_entry le;
    uint64_t at = *cookie - LOWER_COOKIE;
    int r;
    while ((r = erofs_readdir(dir->super->lower, dir->lower, &at, &le)) > 0) {
        bool dots = le.name[0] == '.' && (le.len == 1 || (le.len == 2 && le.name[1] == '.'));
        struct ram_entry *e = dots ? NULL : entry_find(dir, le.name, le.len);
        uint64_t ino = e && e->node ? e->node->v.ino : (1ull << 40) + le.nid;
        unsigned type = e && e->node ? vnode_dirent_type(e->node->v.mode) : le.type;
        bool shown = !dots && !(e && !e->node);
        if (shown && !sink->entry(sink, le.name, le.len, ino, type, LOWER_COOKIE + at))
            return 0;
        *cookie = LOWER_COOKIE + at;
    }
    return r;
}

static int dir_readdir(struct vnode *v, uint64_t *cookie, struct vnode_dir_sink *sink)
{
    struct ram_node *dir = ram_node_of(v);
    struct ram_entry *e;
    if (!dir->dir.parent)
        return 0;
    if (*cookie < LOWER_COOKIE) {
        TAILQ_FOREACH(e, &dir->dir.order, order) {
            if (e->cookie <= *cookie || e->in_lower || !e->node)
                continue;
            if (!sink->entry(sink, e->name, e->len, e->node->v.ino,
                             vnode_dirent_type(e->node->v.mode), e->cookie))
                return 0;
            *cookie = e->cookie;
        }
        if (!dir->lower)
            return 0;
        *cookie = LOWER_COOKIE;
    }
    return dir->lower ? list_lower(dir, cookie, sink) : 0;
}

void ram_dir_release(struct ram_node *n)
{
    struct ram_entry *e;
    /* A removed directory holds whiteouts at most; a file system that is taken down may hold more. */
    while ((e = TAILQ_FIRST(&n->dir.order))) {
        TAILQ_REMOVE(&n->dir.order, e, order);
        if (e->node) {
            if (e->node->entry == e)
                e->node->entry = NULL;
            vnode_put(&e->node->v);
        }
        kfree(e);
    }
}

const struct vnode_ops ram_dir_ops = {.lookup = dir_lookup, .parent = dir_parent, .path = ram_path,
    .create = dir_create, .remove = dir_remove, .link = dir_link, .rename = dir_rename,
    .readdir = dir_readdir, .getattr = ram_getattr, .setattr = ram_setattr, .statfs = ram_statfs,
    .release = ram_node_release};
