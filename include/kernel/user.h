/* Checks of pointers that a program passes to a system call. Everything runs in one address space, so this is no protection: it
   turns the common mistakes (null, garbage, an address that no program can own) into EFAULT. */
#ifndef KERNEL_USER_H
#define KERNEL_USER_H

#include <kernel/compiler.h>

#define USER_LOW_START 0x10000ul           /* the first 64 KiB are never mapped */
#define USER_LOW_END 0x7ffffffff000ul      /* as on Linux */
#define USER_IMAGE_START 0xffffffff80000000ul /* a linked application has its data in the image */

/* True when [p, p+n) can be a program's memory. An empty range is always right, as on Linux. */
static inline bool user_range_ok(const void *p, size_t n)
{
    uint64_t start = (uint64_t)p;
    if (likely(start - USER_LOW_START < USER_LOW_END - USER_LOW_START))
        return n <= USER_LOW_END - start;
    return n == 0 || (start >= USER_IMAGE_START && n <= -start);
}

#endif
