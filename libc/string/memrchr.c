#include <string.h>
#include "sse.h"

/* strrchr is built on it. Aligned loads from the end downwards. */
void *__memrchr(const void *src, int c, size_t n)
{
    if (!n)
        return 0;

    const char *s = src, *last = s + n - 1;
    v16 v = sse_fill(c);
    const char *p = (const char *)((uintptr_t)last & ~(uintptr_t)15);
    unsigned mask = sse_mask(*(const v16 *)p == v) & (0xffffu >> (15 - ((uintptr_t)last & 15)));

    while (!mask) {
        if (p <= s)
            return 0;
        p -= 16;
        mask = sse_mask(*(const v16 *)p == v);
    }
    p += 31 - __builtin_clz(mask);
    return p >= s ? (void *)p : 0;
}

void *memrchr(const void *, int, size_t) __attribute__((weak, alias("__memrchr")));
