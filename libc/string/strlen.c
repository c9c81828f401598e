#include <string.h>
#include "sse.h"

size_t strlen(const char *s)
{
    unsigned skip = (uintptr_t)s & 15;
    const char *p = s - skip;
    v16 zero = sse_fill(0);
    unsigned mask = sse_mask(*(const v16 *)p == zero) >> skip;

    if (mask)
        return __builtin_ctz(mask);
    do {
        p += 16;
        mask = sse_mask(*(const v16 *)p == zero);
    } while (!mask);
    return p + __builtin_ctz(mask) - s;
}
