/*
 * Sixteen bytes at a time, with what every x86-64 has. GCC's vector types and builtins, because
 * musl is built without the compiler's own headers.
 *
 * Two ways to read a string whose end is not known: an aligned load never crosses a page, so it may
 * read beyond the end; an unaligned load may do so only if it stays in its page (sse_in_page).
 */
#ifndef SINGLET_SSE_H
#define SINGLET_SSE_H

#include <stddef.h>
#include <stdint.h>

typedef char v16 __attribute__((vector_size(16), may_alias));
typedef char v16u __attribute__((vector_size(16), may_alias, aligned(1)));
typedef uint64_t u64u __attribute__((may_alias, aligned(1)));
typedef uint32_t u32u __attribute__((may_alias, aligned(1)));
typedef uint16_t u16u __attribute__((may_alias, aligned(1)));

#define SSE_INLINE static inline __attribute__((always_inline, unused))

SSE_INLINE v16 sse_load(const void *p)
{
    return *(const v16u *)p;
}

SSE_INLINE void sse_store(void *p, v16 v)
{
    *(v16u *)p = v;
}

SSE_INLINE v16 sse_fill(int c)
{
    char b = c;

    return (v16){b, b, b, b, b, b, b, b, b, b, b, b, b, b, b, b};
}

/* One bit for each byte of a comparison's result. */
SSE_INLINE unsigned sse_mask(v16 v)
{
    return __builtin_ia32_pmovmskb128(v);
}

SSE_INLINE int sse_in_page(const void *p)
{
    return ((uintptr_t)p & 4095) <= 4096 - 16;
}

/* The first c, or the end of the string. */
SSE_INLINE char *sse_find(const char *s, int c)
{
    unsigned skip = (uintptr_t)s & 15;
    const char *p = s - skip;
    v16 zero = sse_fill(0), v = sse_fill(c);
    v16 x = *(const v16 *)p;
    unsigned mask = sse_mask((x == zero) | (x == v)) >> skip << skip;

    while (!mask) {
        p += 16;
        x = *(const v16 *)p;
        mask = sse_mask((x == zero) | (x == v));
    }
    return (char *)p + __builtin_ctz(mask);
}

#endif
