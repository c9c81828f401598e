/* The kernel's virtual area: addresses are handed out upwards and never come back (16 TiB last longer than a machine). Stacks of dead threads are recycled by sched. */
#include <arch/paging.h>
#include <asm/errno.h>
#include <mm/kstack.h>
#include <mm/mapping.h>
#include <stdatomic.h>

static _Atomic uint64_t next_address = KERNEL_AREA_BASE;

static uint64_t reserve(uint64_t size)
{
    uint64_t va = atomic_fetch_add_explicit(&next_address, size, memory_order_relaxed);
    return va + size <= KERNEL_AREA_END ? va : 0;
}

uint64_t kstack_alloc(unsigned size)
{
    uint64_t va = reserve(size + PAGE_SIZE);
    if (!va)
        return 0;
    va += PAGE_SIZE; /* the guard */
    for (unsigned done = 0; done < size; done += PAGE_SIZE) {
        paddr_t p = page_alloc(0);
        if (!p || paging_map(va + done, p, 0, PAGING_WRITE)) {
            if (p)
                page_free(p, 0);
            while (done) {
                unsigned order;
                bool borrowed;
                done -= PAGE_SIZE;
                page_free(paging_unmap_page(va + done, &order, &borrowed), 0);
            }
            return 0;
        }
    }
    return va;
}

void *mapping_mmio(paddr_t phys, size_t size)
{
    paddr_t start = ALIGN_DOWN(phys, PAGE_SIZE);
    size_t whole = ALIGN_UP(phys + size, PAGE_SIZE) - start;
    uint64_t va = reserve(whole);
    if (!va)
        return NULL;
    for (size_t done = 0; done < whole; done += PAGE_SIZE)
        if (paging_map(va + done, start + done, 0, PAGING_WRITE | PAGING_UNCACHED))
            return NULL;
    return (void *)(va + (phys - start));
}

int mapping_cover(paddr_t phys, size_t size)
{
    if (phys + size < phys)
        return -EINVAL;
    return paging_direct_map(phys, phys + size);
}
