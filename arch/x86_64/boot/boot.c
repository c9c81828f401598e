/* From the boot protocol's information to boot_info: command line, memory map, ACPI root. Everything is copied at once, because the
   loader's structures lie in memory that the page allocator will hand out. The loader is trusted no further than its structures' sizes.

   PVH: struct hvm_start_info (xen/arch-x86/hvm/start_info.h, version 1). Multiboot2: section 3.6. */
#include <arch/boot.h>
#include <kernel/boot.h>
#include <kernel/main.h>
#include <kernel/string.h>

#define PVH_MAGIC 0x336ec578u
#define MB2_MAGIC 0x36d76289u
#define MEMORY_RAM 1u

struct boot_info boot_info;

struct pvh_start_info {
    uint32_t magic, version, flags, nr_modules;
    uint64_t modlist, cmdline, rsdp, memmap;
    uint32_t memmap_entries, reserved;
};
struct pvh_memmap_entry {
    uint64_t addr, size;
    uint32_t type, reserved;
};
struct mb2_tag {
    uint32_t type, size;
};
struct mb2_mmap_entry { /* packed: the loader says how long entries are, so their alignment is not sure */
    uint64_t addr, size;
    uint32_t type, reserved;
} __attribute__((packed));

/* The boot page tables map the first GiB at its physical addresses. */
static const void *low(uint64_t phys) { return (const void *)phys; }

static void copy_cmdline(const char *s, size_t max)
{
    size_t n = strnlen(s, max);
    if (n >= BOOT_CMDLINE_MAX) {
        n = BOOT_CMDLINE_MAX - 1;
        boot_info.cmdline_truncated = true;
    }
    memcpy(boot_info.cmdline, s, n);
    boot_info.cmdline[n] = 0;
}

/* Inserts a RAM range in order; overlapping or touching ranges grow together. Whole pages only. */
static void add_range(uint64_t start, uint64_t size)
{
    uint64_t end = start + size < start ? ~0ull : start + size;
    if (start >= PHYS_MAX)
        return;
    start = ALIGN_UP(start, PAGE_SIZE);
    end = ALIGN_DOWN(end, PAGE_SIZE);
    if (start >= end || start >= PHYS_MAX)
        return;
    end = MIN(end, PHYS_MAX);
    unsigned i = 0;
    while (i < boot_info.range_count && boot_info.ranges[i].end < start)
        i++;
    while (i < boot_info.range_count && boot_info.ranges[i].start <= end) { /* absorb */
        start = MIN(start, boot_info.ranges[i].start);
        end = MAX(end, boot_info.ranges[i].end);
        boot_info.range_count--;
        memmove(&boot_info.ranges[i], &boot_info.ranges[i + 1],
                (boot_info.range_count - i) * sizeof(struct boot_range));
    }
    if (boot_info.range_count == BOOT_RANGES_MAX)
        return; /* memory beyond 64 separate ranges stays unused */
    memmove(&boot_info.ranges[i + 1], &boot_info.ranges[i], (boot_info.range_count - i) * sizeof(struct boot_range));
    boot_info.ranges[i] = (struct boot_range){start, end};
    boot_info.range_count++;
}

static void read_pvh(const struct pvh_start_info *info)
{
    boot_info.protocol = "PVH";
    boot_info.rsdp = info->rsdp;
    if (info->cmdline)
        copy_cmdline(low(info->cmdline), BOOT_CMDLINE_MAX);
    const struct pvh_memmap_entry *map = low(info->memmap);
    if (info->version >= 1 && info->memmap)
        for (uint32_t i = 0; i < info->memmap_entries; i++)
            if (map[i].type == MEMORY_RAM)
                add_range(map[i].addr, map[i].size);
}

static void read_multiboot2(const uint8_t *info)
{
    boot_info.protocol = "Multiboot2";
    uint32_t total = *(const uint32_t *)info;
    for (uint64_t at = 8; at + sizeof(struct mb2_tag) <= total;) { /* 64 bits: sizes near 2^32 must not wrap */
        const struct mb2_tag *tag = (const void *)(info + at);
        const uint8_t *body = (const uint8_t *)(tag + 1);
        if (tag->type == 0 || tag->size < sizeof(*tag) || tag->size > total - at)
            break;
        uint32_t len = tag->size - (uint32_t)sizeof(*tag);
        if (tag->type == 1) {
            copy_cmdline((const char *)body, len);
        } else if (tag->type == 6 && len >= 8) {
            uint32_t entry_size = *(const uint32_t *)body;
            for (uint64_t o = 8; entry_size >= sizeof(struct mb2_mmap_entry) && o + entry_size <= len; o += entry_size) {
                const struct mb2_mmap_entry *e = (const void *)(body + o);
                if (e->type == MEMORY_RAM)
                    add_range(e->addr, e->size);
            }
        } else if ((tag->type == 14 && !boot_info.rsdp) || tag->type == 15) { /* 15 is of ACPI 2.0 and preferred */
            /* A copy of the RSDP lies in the tag: keep it where it is not overwritten. */
            static uint8_t rsdp[64];
            memcpy(rsdp, body, MIN(len, sizeof(rsdp)));
            boot_info.rsdp = virt_to_phys(rsdp);
        }
        at += ALIGN_UP((uint64_t)tag->size, 8u);
    }
}

_Noreturn void boot_main(uint64_t info, uint64_t magic, uint64_t tsc)
{
    extern char __image_start[], __image_end[];

    boot_info.entry_tsc = tsc;
    boot_info.image_start = virt_to_phys(__image_start);
    boot_info.image_end = virt_to_phys(__image_end);
    if (magic == MB2_MAGIC)
        read_multiboot2(low(info));
    else if (magic == 0 && *(const uint32_t *)low(info) == PVH_MAGIC)
        read_pvh(low(info));
    kernel_main();
}
