/* Kernel virtual area: device memory and guarded stacks. May sleep. */
#ifndef MM_MAPPING_H
#define MM_MAPPING_H

#include <mm/page.h>

/* Maps device registers, uncached. Returns the virtual address for phys (any alignment), NULL when there is no memory.
   Mappings stay for good. Physical RAM and ACPI tables: use phys_to_virt after mapping_cover(). */
void *mapping_mmio(paddr_t phys, size_t size);
/* Makes sure that [phys, phys+size) can be read through phys_to_virt (firmware tables outside RAM). 0 or -ENOMEM. */
int mapping_cover(paddr_t phys, size_t size);

#endif
