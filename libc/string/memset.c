#include <string.h>
#include "sse.h"

#define REP_MIN 1024

void *memset(void *dest, int c, size_t n)
{
    char *d = dest;

    if (n < 16) {
        uint64_t x = (unsigned char)c * 0x0101010101010101ull;
        if (n >= 8) {
            *(u64u *)d = x;
            *(u64u *)(d + n - 8) = x;
        } else if (n >= 4) {
            *(u32u *)d = x;
            *(u32u *)(d + n - 4) = x;
        } else if (n) {
            d[0] = c;
            d[n / 2] = c;
            d[n - 1] = c;
        }
        return dest;
    }

    v16 v = sse_fill(c);
    char *end = d + n - 16;
    sse_store(d, v);
    sse_store(end, v);
    if (n <= 32)
        return dest;
    d += 16 - ((uintptr_t)d & 15);
    if (n >= REP_MIN) {
        uint64_t x = (unsigned char)c * 0x0101010101010101ull;
        size_t count = (end + 15 - d) / 8;
        __asm__ volatile("rep stosq" : "+D"(d), "+c"(count) : "a"(x) : "memory");
        return dest;
    }
    while (d + 64 <= end) {
        *(v16 *)d = v;
        *(v16 *)(d + 16) = v;
        *(v16 *)(d + 32) = v;
        *(v16 *)(d + 48) = v;
        d += 64;
    }
    for (; d < end; d += 16)
        *(v16 *)d = v;
    return dest;
}
