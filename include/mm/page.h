/* Physical pages. Addresses are physical (paddr_t); every page is reachable at phys_to_virt(p). Order k is 2^k pages, aligned to itself.
   Up to order 9 (2 MiB) is the normal case; larger is a search. May be called from threads only, not from interrupt handlers; never sleeps. */
#ifndef MM_PAGE_H
#define MM_PAGE_H

#include <kernel/compiler.h>

typedef uint64_t paddr_t;

#define PAGE_SHIFT 12
#define PAGE_SIZE 4096ul
#define HUGE_PAGE_SIZE (2ul << 20)
#define HUGE_PAGE_ORDER 9
#ifdef HOST_DIRECT_MAP /* unit tests with physical memory of their own */
extern uint64_t host_direct_map;
#define DIRECT_MAP_BASE host_direct_map
#else
#define DIRECT_MAP_BASE 0xffff800000000000ul
#endif
#define IMAGE_BASE 0xffffffff80000000ul /* image virtual = physical + IMAGE_BASE */

static inline void *phys_to_virt(paddr_t p) { return (void *)(p + DIRECT_MAP_BASE); }
/* v: an address in the direct map or in the image (static data). Not for stacks or the kernel virtual area. */
static inline paddr_t virt_to_phys(const void *v)
{
    uint64_t a = (uint64_t)v;
    return a >= IMAGE_BASE ? a - IMAGE_BASE : a - DIRECT_MAP_BASE;
}

/* 0 when there is no memory. The content is undefined. */
paddr_t page_alloc(unsigned order) WARN_UNUSED;
void page_free(paddr_t page, unsigned order);
/* The same with the direct-map address; pages_alloc returns NULL when there is no memory. */
void *pages_alloc(unsigned order) WARN_UNUSED;
void *pages_alloc_zeroed(unsigned order) WARN_UNUSED;
void pages_free(void *p, unsigned order);

/* Bytes managed and bytes free now. */
uint64_t page_total_bytes(void);
uint64_t page_free_bytes(void);

#endif
