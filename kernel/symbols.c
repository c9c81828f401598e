/* Names for reports, of functions and of locks that are data, from a table that scripts/link-image appends to the image: sorted addresses (32-bit offsets from the image's base), and names that share
   their prefix with their predecessor (one byte: length shared, then the rest, zero-terminated). An empty name ends what came before it. The table may be absent: then there are no names. */
#include <kernel/compiler.h>
#include <kernel/string.h>
#include <kernel/symbols.h>
#include <mm/page.h>

extern const uint32_t __symbols_start[], __symbols_end[];
extern char __kernel_text_start[], __kernel_text_end[];

#define NAME_MAX_LEN 64

/* Layout: count, count offsets, then the names. */
const char *symbol_name(uint64_t address, uint64_t *offset)
{
    static char name[NAME_MAX_LEN]; /* reports come from one place at a time */
    if (__symbols_end - __symbols_start < 1 || address < IMAGE_BASE)
        return NULL;
    uint32_t n = __symbols_start[0], at = (uint32_t)(address - IMAGE_BASE), i = 0;
    const uint32_t *offsets = __symbols_start + 1;
    const uint8_t *p = (const uint8_t *)(offsets + n);
    if (!n || at < offsets[0] || at >= offsets[n - 1])
        return NULL;
    for (;; i++) {
        unsigned shared = *p++;
        size_t len = strlen((const char *)p);
        if (shared < NAME_MAX_LEN)
            strlcpy(name + shared, (const char *)p, NAME_MAX_LEN - shared);
        p += len + 1;
        if (i + 1 >= n || offsets[i + 1] > at)
            break;
    }
    *offset = at - offsets[i];
    return *name ? name : NULL;
}

bool symbol_is_kernel(uint64_t address)
{
    return address >= (uint64_t)__kernel_text_start && address < (uint64_t)__kernel_text_end;
}
