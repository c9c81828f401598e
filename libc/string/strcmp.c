#include <string.h>
#include "sse.h"

int strcmp(const char *l, const char *r)
{
    v16 zero = sse_fill(0);

    for (;;) {
        if (__builtin_expect(sse_in_page(l) && sse_in_page(r), 1)) {
            v16 a = sse_load(l), b = sse_load(r);
            unsigned mask = (sse_mask(a == b) ^ 0xffff) | sse_mask(a == zero);
            if (mask) {
                unsigned i = __builtin_ctz(mask);
                return (unsigned char)l[i] - (unsigned char)r[i];
            }
            l += 16;
            r += 16;
            continue;
        }
        /* Near the end of a page: byte by byte, up to the next sixteen. */
        for (int i = 0; i < 16; i++, l++, r++)
            if (*l != *r || !*l)
                return (unsigned char)*l - (unsigned char)*r;
    }
}
