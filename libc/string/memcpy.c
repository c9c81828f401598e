/*
 * Up to 128 bytes: all is loaded before anything is stored, from both ends to the middle, so there
 * is no loop and overlap does no harm. Longer: 64 bytes a turn; very long: the processor's own
 * copy.
 */
#include <string.h>
#include "sse.h"

#define REP_MIN 1024

void *memcpy(void *restrict dest, const void *restrict src, size_t n)
{
    char *d = dest;
    const char *s = src;

    if (n <= 16) {
        if (n >= 8) {
            uint64_t a = *(const u64u *)s, b = *(const u64u *)(s + n - 8);
            *(u64u *)d = a;
            *(u64u *)(d + n - 8) = b;
        } else if (n >= 4) {
            uint32_t a = *(const u32u *)s, b = *(const u32u *)(s + n - 4);
            *(u32u *)d = a;
            *(u32u *)(d + n - 4) = b;
        } else if (n >= 2) {
            uint16_t a = *(const u16u *)s, b = *(const u16u *)(s + n - 2);
            *(u16u *)d = a;
            *(u16u *)(d + n - 2) = b;
        } else if (n) {
            *d = *s;
        }
        return dest;
    }

    v16 first = sse_load(s), last = sse_load(s + n - 16);
    if (n > 32) {
        v16 b = sse_load(s + 16), y = sse_load(s + n - 32);
        if (n > 64) {
            if (n > 128)
                goto long_copy;
            v16 c = sse_load(s + 32), e = sse_load(s + 48);
            v16 w = sse_load(s + n - 64), x = sse_load(s + n - 48);
            sse_store(d + 32, c);
            sse_store(d + 48, e);
            sse_store(d + n - 64, w);
            sse_store(d + n - 48, x);
        }
        sse_store(d + 16, b);
        sse_store(d + n - 32, y);
    }
    sse_store(d, first);
    sse_store(d + n - 16, last);
    return dest;

long_copy:;
    /*
     * Stores are aligned. The first and the last 16 bytes were loaded above and are stored at the
     * end, so that memmove may come here if dest is below src.
     */
    char *end = d + n - 16;
    size_t skip = 16 - ((uintptr_t)d & 15);
    d += skip;
    s += skip;
    if (n >= REP_MIN) {
        size_t count = (end + 15 - d) / 8;
        __asm__ volatile("rep movsq" : "+D"(d), "+S"(s), "+c"(count) : : "memory");
    } else {
        while (d + 64 <= end) {
            v16 a = sse_load(s), b = sse_load(s + 16), c = sse_load(s + 32), e = sse_load(s + 48);
            *(v16 *)d = a;
            *(v16 *)(d + 16) = b;
            *(v16 *)(d + 32) = c;
            *(v16 *)(d + 48) = e;
            s += 64;
            d += 64;
        }
        for (; d < end; d += 16, s += 16)
            *(v16 *)d = sse_load(s);
    }
    sse_store(dest, first);
    sse_store(end, last);
    return dest;
}
