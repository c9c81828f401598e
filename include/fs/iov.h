/* Walking over an iovec. */
#ifndef FS_IOV_H
#define FS_IOV_H

#include <fs/file.h>
#include <kernel/string.h>

struct iov_iter {
    const struct iovec *iov;
    int count;   /* elements left */
    size_t done; /* bytes of the first one that are done */
};

static inline struct iov_iter iov_iter_of(const struct iovec *iov, int count)
{
    return (struct iov_iter){iov, count, 0};
}
static inline size_t iov_total(const struct iovec *iov, int count)
{
    size_t n = 0;
    for (int i = 0; i < count; i++)
        n += iov[i].iov_len;
    return n;
}
/* The next contiguous piece, at most max bytes; 0 at the end. Advances over it. */
static inline size_t iov_iter_piece(struct iov_iter *it, void **p, size_t max)
{
    while (it->count > 0 && it->done == it->iov->iov_len) {
        it->iov++;
        it->count--;
        it->done = 0;
    }
    if (it->count <= 0)
        return 0;
    size_t left = it->iov->iov_len - it->done, n = left < max ? left : max;
    *p = (char *)it->iov->iov_base + it->done;
    it->done += n;
    return n;
}
/* Fills up to n bytes of the iovec from src, or with zeroes when src is NULL; returns how many. */
static inline size_t iov_iter_put(struct iov_iter *it, const void *src, size_t n)
{
    size_t all = 0, k;
    void *p;
    while (all < n && (k = iov_iter_piece(it, &p, n - all)) > 0) {
        if (src)
            memcpy(p, (const char *)src + all, k);
        else
            memset(p, 0, k);
        all += k;
    }
    return all;
}
/* Takes up to n bytes of the iovec into dst; returns how many. */
static inline size_t iov_iter_take(struct iov_iter *it, void *dst, size_t n)
{
    size_t all = 0, k;
    void *p;
    while (all < n && (k = iov_iter_piece(it, &p, n - all)) > 0) {
        memcpy((char *)dst + all, p, k);
        all += k;
    }
    return all;
}

#endif
