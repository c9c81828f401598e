/* Data of regular files in ramfs: pages in a sparse tree. Where there is no page, the lower file shows up to lower_size, and zeroes beyond.

   The node's lock is held while data is copied from or to a program's buffer. That buffer may be a mapping of the same file: then the
   page fault asks for a page while the faulting thread holds the lock, which page_at allows (between two pages nothing is half done).

   Pages that were given to a mapping may be in page tables. After that the node keeps every page that is cut off until it goes itself,
   in the list `orphans`, so that no mapping can see memory that belongs to somebody else. */
#include "ramfs_node.h"
#include <asm/fcntl.h>
#include <fs/file.h>
#include <fs/iov.h>
#include <linux/falloc.h>
#include <mm/page.h>

#define FILE_SIZE_MAX ((PAGETREE_INDEX_MAX + 1) * PAGE_SIZE)
#define SEEK_SET 0
#define SEEK_CUR 1
#define SEEK_END 2
#define SEEK_DATA 3
#define SEEK_HOLE 4

static void page_drop(void *page, void *arg)
{
    struct ram_node *n = arg;
    if (n->file.mapped) {
        memset(page, 0, PAGE_SIZE);
        *(void **)page = n->file.orphans;
        n->file.orphans = page;
    } else {
        pages_free(page, 0);
    }
}

void ram_file_release(struct ram_node *n)
{
    n->file.mapped = false; /* a mapping holds a reference: there is none */
    pagetree_remove(&n->file.pages, 0, PAGETREE_INDEX_MAX, page_drop, n);
    while (n->file.orphans) {
        void *page = n->file.orphans;
        n->file.orphans = *(void **)page;
        pages_free(page, 0);
    }
}

/* The image's bytes at offset that show, contiguous for *len (at least 1; at most max); *data is NULL for zeroes. */
static int below(struct ram_node *n, uint64_t offset, uint64_t max, const uint8_t **data,
                 uint64_t *len)
{
    *data = NULL;
    *len = max;
    if (offset >= n->file.lower_size)
        return 0;
    int r = erofs_data(n->super->lower, n->lower, offset, data, len);
    if (r < 0)
        return r;
    *len = MIN(MIN(*len, max), n->file.lower_size - offset);
    return *len ? 0 : -EIO;
}

/* Fills a fresh page with what shows at index. */
static int page_fill(struct ram_node *n, uint64_t index, char *page)
{
    for (uint64_t done = 0, len; done < PAGE_SIZE; done += len) {
        const uint8_t *data;
        int r = below(n, index * PAGE_SIZE + done, PAGE_SIZE - done, &data, &len);
        if (r < 0)
            return r;
        if (data)
            memcpy(page + done, data, len);
        else
            memset(page + done, 0, len);
    }
    return 0;
}

/* The node's own page at index, made if need be; overwritten: the caller fills all of it at once. ERR_PTR on error. */
static char *page_own(struct ram_node *n, uint64_t index, bool overwritten)
{
    char *page = pagetree_get(&n->file.pages, index);
    if (page)
        return page;
    page = ram_space(PAGE_SIZE) ? pages_alloc(0) : NULL;
    if (!page)
        return ERR_PTR(-ENOSPC);
    int r = overwritten ? 0 : page_fill(n, index, page);
    if (r == 0 && pagetree_set(&n->file.pages, index, page) < 0)
        r = -ENOSPC;
    if (r < 0) {
        pages_free(page, 0);
        return ERR_PTR(r);
    }
    return page;
}

static ssize_t read_locked(struct ram_node *n, const struct iovec *iov, int count, uint64_t pos)
{
    struct iov_iter it = iov_iter_of(iov, count);
    size_t want = iov_total(iov, count), done = 0;
    if (pos >= n->file.size)
        return 0;
    want = MIN(want, n->file.size - pos);
    while (done < want) {
        uint64_t at = pos + done, len = MIN(PAGE_SIZE - at % PAGE_SIZE, want - done);
        const uint8_t *data = pagetree_get(&n->file.pages, at / PAGE_SIZE);
        if (data) {
            data += at % PAGE_SIZE;
        } else {
            int r = below(n, at, len, &data, &len);
            if (r < 0)
                return done ? (ssize_t)done : r;
        }
        done += iov_iter_put(&it, data, len);
    }
    return (ssize_t)done;
}

static ssize_t write_locked(struct ram_node *n, const struct iovec *iov, int count, uint64_t pos)
{
    struct iov_iter it = iov_iter_of(iov, count);
    size_t want = iov_total(iov, count), done = 0;
    if (want == 0)
        return 0;
    if (pos >= FILE_SIZE_MAX)
        return -EFBIG;
    want = MIN(want, FILE_SIZE_MAX - pos);
    while (done < want) {
        uint64_t at = pos + done, len = MIN(PAGE_SIZE - at % PAGE_SIZE, want - done);
        char *page = page_own(n, at / PAGE_SIZE, len == PAGE_SIZE);
        if (IS_ERR(page)) {
            if (done == 0)
                return PTR_ERR(page);
            break;
        }
        iov_iter_take(&it, page + at % PAGE_SIZE, len);
        done += len;
        n->file.size = MAX(n->file.size, at + len);
    }
    ram_touch(n, true);
    return (ssize_t)done;
}

static ssize_t file_readv(struct file *f, const struct iovec *iov, int count, off_t pos)
{
    struct ram_node *n = f->priv;
    bool own = pos == FILE_POS_CURRENT;
    if (own)
        mutex_lock(&f->pos_lock);
    mutex_lock(&n->lock);
    ssize_t r = read_locked(n, iov, count, (uint64_t)(own ? f->pos : pos));
    mutex_unlock(&n->lock);
    if (own) {
        f->pos += MAX(r, 0);
        mutex_unlock(&f->pos_lock);
    }
    return r;
}

static ssize_t file_writev(struct file *f, const struct iovec *iov, int count, off_t pos)
{
    struct ram_node *n = f->priv;
    bool own = pos == FILE_POS_CURRENT;
    if (own)
        mutex_lock(&f->pos_lock);
    mutex_lock(&n->lock);
    uint64_t at = (uint64_t)(own ? f->pos : pos);
    if (atomic_load_explicit(&f->flags, memory_order_relaxed) & O_APPEND)
        at = n->file.size; /* also for pwrite, as on Linux */
    ssize_t r = write_locked(n, iov, count, at);
    mutex_unlock(&n->lock);
    if (own) {
        if (r > 0)
            f->pos = (off_t)at + r;
        mutex_unlock(&f->pos_lock);
    }
    return r;
}

static bool has_data(struct ram_node *n, uint64_t offset)
{
    return offset < n->file.lower_size || pagetree_get(&n->file.pages, offset / PAGE_SIZE);
}

/* SEEK_DATA, SEEK_HOLE: page by page, at most one million, then the rest counts as data. */
static off_t seek_extent(struct ram_node *n, uint64_t offset, bool data)
{
    if (offset >= n->file.size)
        return -ENXIO;
    for (unsigned steps = 0; offset < n->file.size && has_data(n, offset) != data; steps++) {
        if (n->file.pages.count == 0 && offset >= n->file.lower_size)
            return -ENXIO; /* nothing but a hole: data is sought */
        if (steps == 1u << 20)
            return data ? (off_t)offset : (off_t)n->file.size;
        offset = (offset / PAGE_SIZE + 1) * PAGE_SIZE;
    }
    if (offset >= n->file.size)
        return data ? -ENXIO : (off_t)n->file.size;
    return (off_t)offset;
}

static off_t file_seek(struct file *f, off_t offset, int whence)
{
    struct ram_node *n = f->priv;
    off_t r = -EINVAL;
    mutex_lock(&f->pos_lock);
    mutex_lock(&n->lock);
    off_t base = whence == SEEK_CUR ? f->pos : whence == SEEK_END ? (off_t)n->file.size : 0;
    if (whence == SEEK_DATA || whence == SEEK_HOLE)
        r = offset < 0 ? -ENXIO : seek_extent(n, (uint64_t)offset, whence == SEEK_DATA);
    else if ((unsigned)whence > SEEK_HOLE || __builtin_add_overflow(base, offset, &r) || r < 0)
        r = -EINVAL;
    if (r >= 0)
        f->pos = r;
    mutex_unlock(&n->lock);
    mutex_unlock(&f->pos_lock);
    return r;
}

/* For mappings. In place from the image where that is a whole aligned page and nobody may write it. */
static paddr_t page_locked(struct ram_node *n, uint64_t index, bool writable)
{
    const uint8_t *data = NULL;
    uint64_t len;
    if (index * PAGE_SIZE >= n->file.size)
        return 0;
    char *page = pagetree_get(&n->file.pages, index);
    if (page)
        return virt_to_phys(page);
    if (!writable && below(n, index * PAGE_SIZE, PAGE_SIZE, &data, &len) == 0 && data &&
        len == PAGE_SIZE && IS_ALIGNED((uintptr_t)data, PAGE_SIZE))
        return virt_to_phys(data);
    page = page_own(n, index, false);
    return IS_ERR(page) ? 0 : virt_to_phys(page);
}

static paddr_t page_at(struct mapped_file *m, uint64_t offset)
{
    struct ram_node *n = m->file->priv;
    bool nested = mutex_held(&n->lock);
    if (!nested)
        mutex_lock(&n->lock);
    paddr_t p = page_locked(n, offset / PAGE_SIZE, m->shared_writable);
    if (!nested)
        mutex_unlock(&n->lock);
    return p;
}

static int file_mmap(struct file *f, off_t offset, size_t length, int prot, int flags,
                     struct mapped_file *out)
{
    struct ram_node *n = f->priv;
    mutex_lock(&n->lock);
    n->file.mapped = true;
    mutex_unlock(&n->lock);
    int access = atomic_load_explicit(&f->flags, memory_order_relaxed) & O_ACCMODE;
    *out = (struct mapped_file){.file = file_get(f), .page = page_at,
                                .shared_writable = access == O_RDWR};
    return 0;
}

static const struct file_ops ram_file_file_ops = {.readv = file_readv, .writev = file_writev,
                                                  .seek = file_seek, .mmap = file_mmap};

struct file *ram_file_open(struct vnode *v, int flags)
{
    struct file *f = file_new(&ram_file_file_ops, flags, ram_node_of(v));
    return f ? f : ERR_PTR(-ENOMEM);
}

/* Zeroes [from, to) within one page that the node has or that shows something. */
static int zero_part(struct ram_node *n, uint64_t from, uint64_t to)
{
    if (from == to || !has_data(n, from / PAGE_SIZE * PAGE_SIZE))
        return 0;
    char *page = page_own(n, from / PAGE_SIZE, false);
    if (IS_ERR(page))
        return (int)PTR_ERR(page);
    memset(page + from % PAGE_SIZE, 0, to - from);
    return 0;
}

int ram_file_truncate(struct vnode *v, uint64_t size)
{
    struct ram_node *n = ram_node_of(v);
    int r = size > FILE_SIZE_MAX ? -EFBIG : 0;
    mutex_lock(&n->lock);
    if (r == 0 && size < n->file.size) {
        uint64_t end = ALIGN_UP(size, PAGE_SIZE);
        n->file.lower_size = MIN(n->file.lower_size, size);
        char *last = pagetree_get(&n->file.pages, size / PAGE_SIZE);
        if (last && size % PAGE_SIZE)
            memset(last + size % PAGE_SIZE, 0, PAGE_SIZE - size % PAGE_SIZE);
        pagetree_remove(&n->file.pages, end / PAGE_SIZE, PAGETREE_INDEX_MAX, page_drop, n);
    }
    if (r == 0) {
        n->file.size = size;
        ram_touch(n, true);
    }
    mutex_unlock(&n->lock);
    return r;
}

/* Makes [offset, end) zero and gives its whole pages back, those that show the image excepted: they become pages of zeroes. */
static int punch(struct ram_node *n, uint64_t offset, uint64_t end)
{
    uint64_t first = ALIGN_UP(offset, PAGE_SIZE), last = ALIGN_DOWN(end, PAGE_SIZE);
    if (first > last)
        return zero_part(n, offset, end);
    int r = zero_part(n, offset, first) ?: zero_part(n, last, end);
    if (r < 0 || first == last)
        return r;
    pagetree_remove(&n->file.pages, first / PAGE_SIZE, last / PAGE_SIZE - 1, page_drop, n);
    if (last >= n->file.lower_size && first <= n->file.lower_size) {
        n->file.lower_size = first;
        return 0;
    }
    for (uint64_t at = first; r == 0 && at < MIN(last, n->file.lower_size); at += PAGE_SIZE)
        r = zero_part(n, at, at + PAGE_SIZE);
    return r;
}

int ram_file_allocate(struct vnode *v, int mode, uint64_t offset, uint64_t len)
{
    struct ram_node *n = ram_node_of(v);
    uint64_t end = offset + len; /* both below 2^63 */
    int r = 0;
    if (mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE) || mode == FALLOC_FL_PUNCH_HOLE)
        return -EOPNOTSUPP;
    if (end > FILE_SIZE_MAX)
        return -EFBIG;
    mutex_lock(&n->lock);
    if (mode & FALLOC_FL_PUNCH_HOLE) {
        r = punch(n, offset, end);
    } else {
        if (!ram_space(len))
            r = -ENOSPC;
        for (uint64_t i = offset / PAGE_SIZE; r == 0 && i < ALIGN_UP(end, PAGE_SIZE) / PAGE_SIZE; i++) {
            char *page = i * PAGE_SIZE < n->file.lower_size ? NULL : page_own(n, i, false);
            r = IS_ERR(page) ? (int)PTR_ERR(page) : 0;
        }
        if (r == 0 && !(mode & FALLOC_FL_KEEP_SIZE))
            n->file.size = MAX(n->file.size, end);
    }
    ram_touch(n, true);
    mutex_unlock(&n->lock);
    return r;
}
