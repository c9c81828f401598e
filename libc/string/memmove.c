/* Where copying forwards does no harm it is memcpy; else the same from the end. */
#include <string.h>
#include "sse.h"

void *memmove(void *dest, const void *src, size_t n)
{
    char *d = dest;
    const char *s = src;

    /*
     * Our memcpy is right with any overlap up to 128 bytes, and if dest does not begin within src.
     */
    if (n <= 128 || (uintptr_t)d - (uintptr_t)s >= n)
        return memcpy(dest, src, n);

    v16 first = sse_load(s);
    char *end = d + n;
    const char *s_end = s + n;
    while (end - d > 64) {
        v16 a = sse_load(s_end - 16), b = sse_load(s_end - 32);
        v16 c = sse_load(s_end - 48), e = sse_load(s_end - 64);
        sse_store(end - 16, a);
        sse_store(end - 32, b);
        sse_store(end - 48, c);
        sse_store(end - 64, e);
        end -= 64;
        s_end -= 64;
    }
    while (end - d > 16) {
        v16 a = sse_load(s_end - 16);
        sse_store(end - 16, a);
        end -= 16;
        s_end -= 16;
    }
    sse_store(d, first);
    return dest;
}
