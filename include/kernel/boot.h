/* What the boot protocol (PVH or Multiboot2) told us, in one form. Filled before anything else runs, constant afterwards. */
#ifndef KERNEL_BOOT_H
#define KERNEL_BOOT_H

#include <mm/page.h>

#define BOOT_CMDLINE_MAX 4096
#define BOOT_RANGES_MAX 64

struct boot_range {
    paddr_t start, end; /* usable RAM, [start, end), sorted, not overlapping; still contains the image itself */
};

struct boot_info {
    const char *protocol; /* "PVH", "Multiboot2" */
    char cmdline[BOOT_CMDLINE_MAX];
    bool cmdline_truncated;
    paddr_t rsdp;         /* ACPI root pointer, 0: unknown (search the BIOS area) */
    unsigned range_count;
    struct boot_range ranges[BOOT_RANGES_MAX];
    paddr_t image_start, image_end; /* physical, with bss */
    uint64_t entry_tsc;   /* TSC at the first instruction */
};
extern struct boot_info boot_info;

#endif
