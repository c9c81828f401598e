#include <string.h>
#include "sse.h"

SSE_INLINE int differ64(uint64_t a, uint64_t b)
{
    a = __builtin_bswap64(a);
    b = __builtin_bswap64(b);
    return a < b ? -1 : a > b;
}

SSE_INLINE int differ_at(const unsigned char *a, const unsigned char *b, unsigned mask)
{
    unsigned i = __builtin_ctz(mask);

    return a[i] - b[i];
}

int memcmp(const void *vl, const void *vr, size_t n)
{
    const unsigned char *l = vl, *r = vr;
    unsigned mask;

    if (n < 16) {
        if (n >= 8) {
            uint64_t a = *(const u64u *)l, b = *(const u64u *)r;
            if (a != b)
                return differ64(a, b);
            return differ64(*(const u64u *)(l + n - 8), *(const u64u *)(r + n - 8));
        }
        if (n >= 4) {
            uint64_t a = *(const u32u *)l, b = *(const u32u *)r;
            if (a == b) {
                a = *(const u32u *)(l + n - 4);
                b = *(const u32u *)(r + n - 4);
            }
            return differ64(a, b);
        }
        for (; n; n--, l++, r++)
            if (*l != *r)
                return *l - *r;
        return 0;
    }
    for (; n > 16; n -= 16, l += 16, r += 16) {
        mask = sse_mask(sse_load(l) == sse_load(r)) ^ 0xffff;
        if (mask)
            return differ_at(l, r, mask);
    }
    /* The last 16 bytes; some may have been compared already. */
    l += n - 16;
    r += n - 16;
    mask = sse_mask(sse_load(l) == sse_load(r)) ^ 0xffff;
    return mask ? differ_at(l, r, mask) : 0;
}
