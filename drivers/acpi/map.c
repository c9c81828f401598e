/* Firmware tables may lie in memory that the boot protocol did not report as RAM, so the direct map is extended over them first. */
#include "internal.h"
#include <mm/mapping.h>

#define PHYSICAL_LIMIT (1ull << 46) /* the direct map's part of the address space is larger than this */

const uint8_t *acpi_map(paddr_t phys, size_t size)
{
    if (phys == 0 || phys >= PHYSICAL_LIMIT || size > ACPI_TABLE_MAX)
        return NULL;
    if (mapping_cover(phys, size) != 0)
        return NULL;
    return phys_to_virt(phys);
}
