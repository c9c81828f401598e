/* The one page table. Virtual ranges, in 4 KiB pages or 2 MiB ones; tables are filled with compare-and-swap, so faults on several CPUs need no lock. */
#ifndef ARCH_PAGING_H
#define ARCH_PAGING_H

#include <mm/page.h>

#define PAGING_WRITE 1u
#define PAGING_EXEC 2u
#define PAGING_UNCACHED 4u
#define PAGING_NONE 8u      /* present for the kernel's bookkeeping only: no access */
#define PAGING_BORROWED 16u /* the frame belongs to somebody else: never freed by who unmaps */
#define PAGING_KEEP_BORROWED_READONLY 32u /* paging_protect: borrowed pages do not become writable */

#define KERNEL_AREA_BASE 0xffffc00000000000ul /* stacks and device memory */
#define KERNEL_AREA_END 0xffffd00000000000ul

/* Replaces the boot tables: direct map of all RAM in info, image with rights. 0 or -ENOMEM. */
struct boot_info;
int paging_init(const struct boot_info *info);
/* Extends the direct map by [start, end). */
int paging_direct_map(paddr_t start, paddr_t end);
paddr_t paging_root(void);

/* Maps one page of 2^order pages (order 0 or 9). 0, -ENOMEM, or -EEXIST when something is mapped there. */
int paging_map(uint64_t va, paddr_t pa, unsigned order, unsigned flags) WARN_UNUSED;
/* What is mapped at va: its page frame (with *order and *flags if not NULL), 0 when nothing. */
paddr_t paging_lookup(uint64_t va, unsigned *order, unsigned *flags);
/* Removes the page at va and returns its frame, *order, and whether it was borrowed; 0 when nothing is mapped. The caller flushes. */
paddr_t paging_unmap_page(uint64_t va, unsigned *order, bool *borrowed);
/* Makes the tables that a page at va needs, so that paging_map_prepared cannot fail. 0 or -ENOMEM. */
int paging_prepare(uint64_t va, unsigned order);
int paging_map_prepared(uint64_t va, paddr_t pa, unsigned order, unsigned flags);
/* There is a table of 4 KiB entries (or a page) for the 2 MiB around va. */
bool paging_has_table(uint64_t va);
/* Changes the rights of what is mapped in [start, end); a 2 MiB page that the range cuts must have been split. True if a CPU may
   remember something else: the caller flushes then. */
bool paging_protect(uint64_t start, uint64_t end, unsigned flags);
/* Splits the 2 MiB page at va, if there is one, into 4 KiB pages. 0 or -ENOMEM. */
int paging_split(uint64_t va) WARN_UNUSED;
/* Next address >= va, below end, where something may be mapped: skips absent tables. end when there is none. */
uint64_t paging_next(uint64_t va, uint64_t end);
/* Frees the page tables that are only used by [start, end), which must be empty. */
void paging_free_tables(uint64_t start, uint64_t end);
void paging_flush(uint64_t start, uint64_t end);

#endif
