#include <string.h>
#include "sse.h"

void *memchr(const void *src, int c, size_t n)
{
    if (!n)
        return 0;

    const char *s = src;
    v16 v = sse_fill(c);
    unsigned skip = (uintptr_t)s & 15;
    const char *p = s - skip;
    unsigned mask = sse_mask(*(const v16 *)p == v) >> skip << skip;
    /* s + n may wrap: a caller may say "no limit". */
    const char *end = n > (size_t)-(uintptr_t)s - 1 ? (const char *)-1 : s + n;

    while (!mask) {
        p += 16;
        if (p >= end)
            return 0;
        mask = sse_mask(*(const v16 *)p == v);
    }
    p += __builtin_ctz(mask);
    return p < end ? (void *)p : 0;
}
