/* The kernel heap: size classes with a cache for each CPU in front of slabs. Alignment is 16 (64 from 64 bytes up where the size is a multiple
   of 64). Threads only, never sleeps. kmalloc returns NULL when there is no memory; kfree(NULL) is nothing. Over 128 KiB use pages_alloc. */
#ifndef MM_KMEM_H
#define MM_KMEM_H

#include <kernel/compiler.h>

void *kmalloc(size_t size) WARN_UNUSED;
void *kzalloc(size_t size) WARN_UNUSED;
void *krealloc(void *p, size_t size) WARN_UNUSED;
void kfree(void *p);
/* Bytes held by the heap from the page allocator. */
uint64_t kmem_held_bytes(void);

#endif
