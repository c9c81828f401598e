/* The file system of files that are code. Its only data is the table that the linker collects, so it costs nothing at start.

   A vnode stands for an entry, or for a directory: the first `len` characters of the path of an entry below it. It is made at each
   lookup; its inode number is a hash of its path. */
#include <stdatomic.h>
#include <fs/synthfs.h>
#include <asm/fcntl.h>
#include <asm/statfs.h>
#include <fs/file.h>
#include <fs/iov.h>
#include <fs/path.h>
#include <kernel/clock.h>
#include <kernel/print.h>
#include <kernel/string.h>
#include <linux/magic.h>
#include <mm/kmem.h>

#define COOKIE_INDEX_BITS 16
#define COOKIE_INDEX_MASK ((1ull << COOKIE_INDEX_BITS) - 1)

struct synth_vnode {
    struct vnode v;
    const struct synth_entry *entry; /* the file; or any entry below the directory */
    size_t len;                      /* directory: characters of entry->path; file: all of it */
    size_t root_len;                 /* of the path of this file system's root */
    long number;                     /* what the '#' in the path stands for, if there is one */
};

static const struct vnode_ops dir_ops, file_ops_vnode, link_ops;

static struct synth_vnode *synth(struct vnode *v) { return CONTAINER_OF(v, struct synth_vnode, v); }

static uint64_t path_hash(const char *path, size_t len)
{
    uint64_t h = 0xcbf29ce484222325; /* FNV-1a */
    for (size_t i = 0; i < len; i++)
        h = (h ^ (uint8_t)path[i]) * 0x100000001b3;
    return h;
}

static uint32_t entry_mode(const struct synth_entry *e)
{
    return e->mode ? e->mode : S_IFREG | (e->store ? 0644 : 0444);
}

static struct vnode *synth_vnode_new(const struct synth_entry *e, size_t len, size_t root_len, long number)
{
    struct synth_vnode *s = kmalloc(sizeof(*s));
    if (!s)
        return ERR_PTR(-ENOMEM);
    uint32_t mode = e->path[len] ? S_IFDIR | 0555 : entry_mode(e);
    const struct vnode_ops *ops = S_ISLNK(mode) ? &link_ops
                                  : !S_ISDIR(mode) ? &file_ops_vnode
                                  : !e->path[len] ? e->dir
                                                  : &dir_ops;
    uint32_t dev = 0x10000u | (uint32_t)(unsigned char)e->path[1] << 8 | (uint32_t)root_len; /* roots differ in their first letter or length */
    vnode_init(&s->v, ops, mode, dev, (path_hash(e->path, len) >> 1) + (uint64_t)number);
    s->number = number;
    s->entry = e;
    s->len = len;
    s->root_len = root_len;
    return &s->v;
}

void synthfs_release(struct vnode *v)
{
    kfree(synth(v));
}

/* The length of prefix + "/" + name when path starts so and a name ends there; else 0. */
static size_t match(const char *path, const char *prefix, size_t prefix_len, const char *name, size_t len)
{
    if (strncmp(path, prefix, prefix_len) != 0 || path[prefix_len] != '/' ||
        strncmp(path + prefix_len + 1, name, len) != 0)
        return 0;
    char end = path[prefix_len + 1 + len];
    return end == 0 || end == '/' ? prefix_len + 1 + len : 0;
}

/* As match, where the path has prefix + "/" + some text + "#": the name is that text and a number that exists. */
static size_t match_number(const struct synth_entry *e, const char *prefix, size_t prefix_len, const char *name, size_t len,
                           long *number)
{
    if (!e->next || strncmp(e->path, prefix, prefix_len) != 0 || e->path[prefix_len] != '/')
        return 0;
    const char *part = e->path + prefix_len + 1, *mark = strchr(part, '#'), *slash = strchr(part, '/');
    size_t text = mark ? (size_t)(mark - part) : len;
    if (text >= len || (slash && slash < mark) || strncmp(part, name, text) != 0 || len - text > 9 ||
        (name[text] == '0' && len - text > 1))
        return 0;
    long n = 0;
    for (size_t i = text; i < len; i++) {
        if (name[i] < '0' || name[i] > '9')
            return 0;
        n = n * 10 + (name[i] - '0');
    }
    *number = n;
    return e->next(n - 1) == n ? prefix_len + 1 + text + 1 : 0;
}

/* Names that were found, so that a program that reads the same file again and again does not pay for the whole table. A slot is checked before it is
   believed, so it needs no lock. */
static const struct synth_entry *_Atomic found[32];

static struct vnode *dir_lookup(struct vnode *v, const char *name, size_t len)
{
    struct synth_vnode *dir = synth(v);
    unsigned key = (unsigned)(dir->len << 24 | (len & 255) << 16) | (unsigned char)name[0] << 8 | (unsigned char)name[len - 1];
    unsigned slot = (key * 0x9e3779b1u) >> 27;
    const struct synth_entry *hit = atomic_load_explicit(&found[slot], memory_order_relaxed);
    size_t at = hit ? match(hit->path, dir->entry->path, dir->len, name, len) : 0;
    if (at)
        return synth_vnode_new(hit, at, dir->root_len, dir->number);
    if (memchr(name, '#', len))
        return ERR_PTR(-ENOENT);
    LINKER_TABLE_FOREACH(synth, struct synth_entry, e) {
        size_t n = match(e->path, dir->entry->path, dir->len, name, len);
        if (n) {
            atomic_store_explicit(&found[slot], e, memory_order_relaxed);
            return synth_vnode_new(e, n, dir->root_len, dir->number);
        }
        long number;
        n = match_number(e, dir->entry->path, dir->len, name, len, &number);
        if (n)
            return synth_vnode_new(e, n, dir->root_len, number);
    }
    return ERR_PTR(-ENOENT);
}

struct vnode *synthfs_parent(struct vnode *v)
{
    struct synth_vnode *dir = synth(v);
    size_t len = dir->len;
    while (len > dir->root_len && dir->entry->path[--len] != '/')
        ;
    return synth_vnode_new(dir->entry, len, dir->root_len, memchr(dir->entry->path, '#', len) ? dir->number : 0);
}

int synthfs_path(struct vnode *v, char *buf, size_t size)
{
    struct synth_vnode *s = synth(v);
    const char *path = s->entry->path + s->root_len, *mark = memchr(path, '#', s->len - s->root_len);
    size_t n = mark ? (size_t)(mark - path) : s->len - s->root_len, rest = s->len - s->root_len - n;
    char number[12] = "";
    size_t digits = mark ? (size_t)snprintf(number, sizeof(number), "%ld", s->number) : 0;
    if (n + digits + rest > size)
        return -ENAMETOOLONG;
    memcpy(buf, path, n);
    memcpy(buf + n, number, digits);
    if (mark)
        memcpy(buf + n + digits, mark + 1, --rest);
    return (int)(n + digits + rest);
}

/* Is e the first entry that shows this name in the directory? Each name is listed once. */
static bool first_of_name(const struct synth_vnode *dir, const struct synth_entry *e, const char *name,
                          size_t len)
{
    LINKER_TABLE_FOREACH(synth, struct synth_entry, other) {
        if (match(other->path, dir->entry->path, dir->len, name, len))
            return other == e;
    }
    return false;
}

/* Lists the numbers after the one in the cookie. False: no room. */
static bool list_numbers(const struct synth_entry *e, const char *part, uint64_t index, uint64_t *cookie,
                         struct vnode_dir_sink *sink)
{
    const char *mark = strchr(part, '#');
    uint32_t mode = mark[1] ? S_IFDIR : entry_mode(e);
    char name[32];
    for (long n = (long)(*cookie >> COOKIE_INDEX_BITS) - 1; (n = e->next(n)) >= 0;) {
        uint64_t next = index | (uint64_t)(n + 1) << COOKIE_INDEX_BITS;
        int len = snprintf(name, sizeof(name), "%.*s%ld", (int)(mark - part), part, n);
        uint64_t ino = (path_hash(e->path, (size_t)(mark + 1 - e->path)) >> 1) + (uint64_t)n;
        if (!sink->entry(sink, name, (size_t)len, ino, vnode_dirent_type(mode), next))
            return false;
        *cookie = next;
    }
    return true;
}

/* The cookie: how many entries of the table are done, and above that 1 + the last number listed of the one that is not. */
static int dir_readdir(struct vnode *v, uint64_t *cookie, struct vnode_dir_sink *sink)
{
    struct synth_vnode *dir = synth(v);
    uint64_t index = 0;
    LINKER_TABLE_FOREACH(synth, struct synth_entry, e) {
        if (index++ < (*cookie & COOKIE_INDEX_MASK))
            continue;
        if (strncmp(e->path, dir->entry->path, dir->len) == 0 && e->path[dir->len] == '/') {
            const char *name = e->path + dir->len + 1, *slash = strchr(name, '/');
            size_t len = slash ? (size_t)(slash - name) : strlen(name);
            uint32_t mode = slash ? S_IFDIR : entry_mode(e);
            uint64_t ino = path_hash(e->path, dir->len + 1 + len) >> 1;
            bool first = first_of_name(dir, e, name, len);
            if (first && memchr(name, '#', len)) {
                if (!list_numbers(e, name, index - 1, cookie, sink))
                    return 0;
            } else if (first && !sink->entry(sink, name, len, ino + (uint64_t)dir->number, vnode_dirent_type(mode), index)) {
                return 0;
            }
        }
        *cookie = index;
    }
    return 0;
}

void synthfs_getattr(struct vnode *v, struct vnode_attr *attr)
{
    int64_t now = (int64_t)clock_realtime_ns();
    *attr = (struct vnode_attr){.mode = v->mode, .nlink = vnode_is(v, S_IFDIR) ? 2 : 1,
                                .atime = now, .mtime = now, .ctime = now};
    if (vnode_is(v, S_IFCHR))
        attr->rdev = synth(v)->entry->rdev;
}

void synthfs_statfs(struct vnode *v, struct statfs *st)
{
    *st = (struct statfs){.f_type = PROC_SUPER_MAGIC, .f_bsize = 4096, .f_namelen = 255};
    st->f_fsid.val[0] = (int)v->dev;
}

static ssize_t synth_readlink(struct vnode *v, char *buf, size_t size)
{
    const struct synth_entry *e = synth(v)->entry;
    if (e->link)
        return e->link(buf, size);
    size_t len = MIN(strlen(e->target), size);
    memcpy(buf, e->target, len);
    return (ssize_t)len;
}

/* Text files: the content made at the last read from the start, kept for the reads that follow. */
struct text {
    const struct synth_entry *entry;
    long number;
    struct textbuf buf; /* protected by the file's pos_lock */
};

static ssize_t text_readv(struct file *f, const struct iovec *iov, int count, off_t pos)
{
    struct text *t = f->priv;
    ssize_t r = 0;
    mutex_lock(&f->pos_lock);
    off_t at = pos == FILE_POS_CURRENT ? f->pos : pos;
    if (at == 0 && (t->entry->show || t->entry->show_of)) {
        t->buf.len = 0;
        t->buf.failed = false;
        if (t->entry->show)
            t->entry->show(&t->buf);
        else
            t->entry->show_of(&t->buf, t->number);
    }
    if (t->buf.failed) {
        r = -ENOMEM;
    } else if ((uint64_t)at < t->buf.len) {
        struct iov_iter it = iov_iter_of(iov, count);
        r = (ssize_t)iov_iter_put(&it, t->buf.data + at, t->buf.len - (size_t)at);
    }
    if (pos == FILE_POS_CURRENT && r > 0)
        f->pos += r;
    mutex_unlock(&f->pos_lock);
    return r;
}

static ssize_t text_writev(struct file *f, const struct iovec *iov, int count, off_t pos)
{
    const struct text *t = f->priv;
    char text[128];
    size_t len = iov_total(iov, count);
    if (!t->entry->store || len > sizeof(text))
        return t->entry->store ? -EINVAL : -EACCES;
    struct iov_iter it = iov_iter_of(iov, count);
    int r = t->entry->store(text, iov_iter_take(&it, text, len));
    return r < 0 ? r : (ssize_t)len;
}

static off_t text_seek(struct file *f, off_t offset, int whence)
{
    mutex_lock(&f->pos_lock);
    off_t r = whence == 0 ? offset : whence == 1 ? f->pos + offset : -EINVAL;
    if (r >= 0)
        f->pos = r;
    mutex_unlock(&f->pos_lock);
    return r < 0 ? -EINVAL : r;
}

static void text_release(struct file *f)
{
    struct text *t = f->priv;
    kfree(t->buf.data);
    kfree(t);
}

static const struct file_ops text_ops = {.readv = text_readv, .writev = text_writev,
                                         .seek = text_seek, .release = text_release};

static struct file *synth_open(struct vnode *v, int flags)
{
    const struct synth_entry *e = synth(v)->entry;
    if (e->open)
        return e->open(v, flags);
    if (e->ops) {
        struct file *device = file_new(e->ops, flags, NULL);
        return device ? device : ERR_PTR(-ENOMEM);
    }
    if ((flags & O_ACCMODE) != O_RDONLY && !e->store)
        return ERR_PTR(-EACCES);
    struct text *t = kzalloc(sizeof(*t));
    struct file *f = t ? file_new(&text_ops, flags, t) : NULL;
    if (!f) {
        kfree(t);
        return ERR_PTR(-ENOMEM);
    }
    t->entry = e;
    t->number = synth(v)->number;
    return f;
}

static const struct vnode_ops dir_ops = {.lookup = dir_lookup, .parent = synthfs_parent, .path = synthfs_path,
    .readdir = dir_readdir, .getattr = synthfs_getattr, .statfs = synthfs_statfs, .release = synthfs_release};
static const struct vnode_ops file_ops_vnode = {.open = synth_open, .path = synthfs_path,
    .getattr = synthfs_getattr, .statfs = synthfs_statfs, .release = synthfs_release};
static const struct vnode_ops link_ops = {.readlink = synth_readlink, .path = synthfs_path,
    .getattr = synthfs_getattr, .statfs = synthfs_statfs, .release = synthfs_release};

bool synthfs_is_text(const struct vnode *v)
{
    return v->ops == &file_ops_vnode && synth((struct vnode *)v)->entry->show;
}

struct vnode *synthfs_new(const char *prefix)
{
    size_t len = strlen(prefix);
    LINKER_TABLE_FOREACH(synth, struct synth_entry, e) {
        if (strncmp(e->path, prefix, len) == 0 && e->path[len] == '/')
            return synth_vnode_new(e, len, len, 0);
    }
    return ERR_PTR(-ENOENT);
}
