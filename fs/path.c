/* Path resolution, one name after another, without recursion. A symbolic link's target replaces the link in what is left of the path,
   in a buffer that is allocated when the first link is met. The whole walk runs with vfs_lock held, for reading at least, so what it sees is one state of the tree.

   POSIX.1-2017 4.13 (pathname resolution), path_resolution(7). */
#include <fs/path.h>
#include <kernel/string.h>
#include <mm/kmem.h>

#define LINKS_MAX 40 /* as on Linux */

struct walk {
    struct vnode *at;  /* reference */
    const char *rest;  /* what is left */
    char *buffer;      /* for the rest of the path behind a link; NULL until needed */
    char *target;      /* and for the link's target */
    unsigned links;
};

void path_put(struct path *p)
{
    vnode_put(p->dir);
    vnode_put(p->vnode);
    p->dir = p->vnode = NULL;
}

/* The directory above; the root is its own parent. */
static struct vnode *step_up(struct vnode *dir)
{
    struct vnode *covered = NULL;
    if (dir == vfs_root)
        return vnode_get(dir);
    covered = mount_covered(dir);
    struct vnode *base = covered ? covered : dir;
    struct vnode *up = base->ops->parent ? base->ops->parent(base) : vnode_get(vfs_root);
    vnode_put(covered);
    return up;
}

static const char *skip_slashes(const char *s)
{
    while (*s == '/')
        s++;
    return s;
}

/* Puts the target of link before the rest (which starts with a slash or is empty). 0 or a negative errno. */
static int expand_link(struct walk *w, struct vnode *link)
{
    if (++w->links > LINKS_MAX)
        return -ELOOP;
    if (!w->buffer && !(w->buffer = kmalloc(PATH_MAX_BYTES)))
        return -ENOMEM;
    if (!w->target && !(w->target = kmalloc(PATH_MAX_BYTES)))
        return -ENOMEM;
    char *target = w->target;
    ssize_t n = link->ops->readlink ? link->ops->readlink(link, target, PATH_MAX_BYTES) : -EINVAL;
    if (n < 0)
        return (int)n;
    size_t rest = strlen(w->rest);
    if (n == 0)
        return -ENOENT;
    if ((size_t)n + rest + 1 > PATH_MAX_BYTES)
        return -ENAMETOOLONG;
    memmove(w->buffer + n, w->rest, rest + 1);
    memcpy(w->buffer, target, (size_t)n);
    w->rest = w->buffer;
    if (*w->rest == '/') {
        vnode_put(w->at);
        w->at = vnode_get(vfs_root);
    }
    return 0;
}

static void walk_to(struct walk *w, struct vnode *v)
{
    vnode_put(w->at);
    w->at = v;
}

/* Follows a link found in w->at: by text, or where the file system says. 1: w->at is the result of the link, 0: go on, < 0: error. */
static int follow_link(struct walk *w, struct vnode *link)
{
    if (!link->ops->follow)
        return expand_link(w, link);
    if (++w->links > LINKS_MAX)
        return -ELOOP;
    struct vnode *v = link->ops->follow(link);
    if (IS_ERR(v))
        return (int)PTR_ERR(v);
    walk_to(w, v);
    return 1;
}

static bool is_dots(const char *name, size_t len)
{
    return (len == 1 || (len == 2 && name[1] == '.')) && name[0] == '.';
}

/* The path ended at w->at, which was not reached by a name of its own. */
static int end_at(struct walk *w, struct path *out, bool directory)
{
    if (directory && !vnode_is(w->at, S_IFDIR))
        return -ENOTDIR;
    out->vnode = vnode_get(w->at);
    return 0;
}

/* Fills out for the last name, found (v, its reference goes over) or not (NULL). */
static int end_with(struct walk *w, struct path *out, const char *name, size_t len, struct vnode *v,
                    bool slash)
{
    memcpy(out->name, name, len);
    out->name[len] = 0;
    out->name_len = (unsigned)len;
    out->trailing_slash = slash;
    out->dir = vnode_get(w->at);
    out->vnode = v;
    return 0;
}

/* Takes one name off the rest. 1: done, out is filled; 0: go on. */
static int walk_step(struct walk *w, unsigned flags, struct path *out)
{
    const char *name = skip_slashes(w->rest);
    if (!*name)
        return end_at(w, out, true) ?: 1;
    size_t len = 0;
    while (name[len] && name[len] != '/')
        len++;
    w->rest = name + len;
    bool slash = *w->rest == '/', last = !*skip_slashes(w->rest);
    if (!vnode_is(w->at, S_IFDIR))
        return -ENOTDIR;
    if (len > NAME_MAX_BYTES)
        return -ENAMETOOLONG;
    if (is_dots(name, len)) {
        struct vnode *up = len == 2 ? step_up(w->at) : vnode_get(w->at);
        if (IS_ERR(up))
            return (int)PTR_ERR(up);
        walk_to(w, up);
        return last ? end_at(w, out, true) ?: 1 : 0;
    }
    if (last && slash && (flags & (PATH_CREATE | PATH_LITERAL)) == PATH_CREATE)
        return -EISDIR; /* as Linux: a name to create can not end in a slash, whether it exists or not */

    struct vnode *v = w->at->ops->lookup ? w->at->ops->lookup(w->at, name, len)
                                         : ERR_PTR(-ENOENT);
    if (IS_ERR(v)) {
        if (PTR_ERR(v) == -ENOENT && last && flags & PATH_CREATE)
            return end_with(w, out, name, len, NULL, slash) ?: 1;
        return (int)PTR_ERR(v);
    }
    if (vnode_is(v, S_IFLNK) && (!last || (slash && !(flags & PATH_LITERAL)) || !(flags & PATH_NOFOLLOW))) {
        int r = follow_link(w, v);
        vnode_put(v);
        return r == 1 ? (last ? end_at(w, out, slash) ?: 1 : 0) : r;
    }
    if (vnode_is(v, S_IFDIR))
        v = mount_cross(v);
    if (last) {
        if (slash && !vnode_is(v, S_IFDIR) && !(flags & PATH_LITERAL)) {
            vnode_put(v);
            return -ENOTDIR;
        }
        return end_with(w, out, name, len, v, slash) ?: 1;
    }
    walk_to(w, v);
    return 0;
}

int path_walk(struct vnode *start, const char *path, unsigned flags, struct path *out)
{
    if (flags & PATH_LITERAL)
        flags |= PATH_NOFOLLOW | PATH_CREATE;
    struct walk w = {.at = vnode_get(*path == '/' ? vfs_root : start), .rest = path};
    out->dir = out->vnode = NULL;
    out->name_len = 0;
    out->trailing_slash = false;
    int r = *path ? 0 : -ENOENT;
    if (strnlen(path, PATH_MAX_BYTES) == PATH_MAX_BYTES)
        r = -ENAMETOOLONG;
    while (r == 0)
        r = walk_step(&w, flags, out);
    vnode_put(w.at);
    kfree(w.buffer);
    kfree(w.target);
    return MIN(r, 0);
}

/* Puts the path of v within its file system before what buf has at *start. */
static int prepend(struct vnode *v, char *buf, size_t *start, char *scratch)
{
    int n = v->ops->path ? v->ops->path(v, scratch, PATH_MAX_BYTES) : -ENOENT;
    if (n < 0)
        return n;
    if ((size_t)n > *start)
        return -ERANGE;
    *start -= (size_t)n;
    memcpy(buf + *start, scratch, (size_t)n);
    return 0;
}

int path_of(struct vnode *v, char *buf, size_t size)
{
    size_t start = size - 1;
    char *scratch = kmalloc(PATH_MAX_BYTES);
    if (!scratch)
        return -ENOMEM;
    struct vnode *at = vnode_get(v);
    int r = size ? prepend(at, buf, &start, scratch) : -ERANGE;
    for (struct vnode *covered; r == 0 && (covered = mount_covered(at));) {
        vnode_put(at);
        at = covered;
        r = prepend(at, buf, &start, scratch);
    }
    vnode_put(at);
    kfree(scratch);
    if (r < 0)
        return r;
    size_t len = size - 1 - start;
    memmove(buf, buf + start, len);
    if (len == 0) {
        if (size < 2)
            return -ERANGE;
        buf[len++] = '/';
    }
    buf[len] = 0;
    return (int)len;
}
