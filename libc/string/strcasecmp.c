/* In the C and C.UTF-8 locales, which are all that musl has, only A to Z have another case here. */
#define _GNU_SOURCE
#include <strings.h>
#include "sse.h"

SSE_INLINE v16 lower16(v16 v)
{
    /* Signed comparison: bytes from 128 on are negative, and so never letters. */
    v16 upper = (v > sse_fill('A' - 1)) & (v < sse_fill('Z' + 1));

    return v | (upper & sse_fill(0x20));
}

SSE_INLINE int lower(char c)
{
    unsigned u = (unsigned char)c;

    return u - 'A' < 26 ? u | 0x20 : u;
}

int strcasecmp(const char *l, const char *r)
{
    v16 zero = sse_fill(0);
    int first = lower(*l) - lower(*r);

    /* Most pairs that are asked about differ at once: names in one chain of a hash table. */
    if (first)
        return first;
    for (;;) {
        if (__builtin_expect(sse_in_page(l) && sse_in_page(r), 1)) {
            v16 a = sse_load(l), b = sse_load(r);
            unsigned mask = (sse_mask(lower16(a) == lower16(b)) ^ 0xffff) | sse_mask(a == zero);
            if (mask) {
                unsigned i = __builtin_ctz(mask);
                return lower(l[i]) - lower(r[i]);
            }
            l += 16;
            r += 16;
            continue;
        }
        for (int i = 0; i < 16; i++, l++, r++) {
            int d = lower(*l) - lower(*r);
            if (d || !*l)
                return d;
        }
    }
}

int __strcasecmp_l(const char *l, const char *r, locale_t loc)
{
    (void)loc;
    return strcasecmp(l, r);
}

extern __typeof(__strcasecmp_l) strcasecmp_l __attribute__((__weak__, __alias__("__strcasecmp_l")));
