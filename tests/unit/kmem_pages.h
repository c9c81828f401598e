/* Pages for tests of mm/kmem.c: from the host, aligned as the page allocator promises, counted, and scarce on demand. */
#ifndef TESTS_UNIT_KMEM_PAGES_H
#define TESTS_UNIT_KMEM_PAGES_H

#include <kernel/compiler.h>
#include <kernel/string.h>
#include <mm/page.h>
#include <stdatomic.h>

int posix_memalign(void **p, size_t alignment, size_t size);
void free(void *p);
void *calloc(size_t n, size_t size);
unsigned alarm(unsigned seconds);

static _Atomic long page_bytes; /* handed out now */
static _Atomic long page_limit = 1l << 40;

void *pages_alloc(unsigned order)
{
    void *p;
    long size = (long)(PAGE_SIZE << order);
    if (atomic_fetch_add(&page_bytes, size) + size > page_limit || posix_memalign(&p, (size_t)size, (size_t)size)) {
        atomic_fetch_sub(&page_bytes, size);
        return NULL;
    }
    return memset(p, 0xa5, (size_t)size);
}

void pages_free(void *p, unsigned order)
{
    atomic_fetch_sub(&page_bytes, (long)(PAGE_SIZE << order));
    free(p);
}

#endif
