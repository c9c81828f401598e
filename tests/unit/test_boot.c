/* SOURCES: tests/unit/host/host.c */
/* What boot loaders say: the memory map's insertion against a bitmap, PVH and Multiboot2 information, whole and broken: nothing outside of it is read. */
#include <arch/boot.h>

#include "../../arch/x86_64/boot/boot.c"

#include "host/host.h"
#include "tap.h"

char __image_start[1], __image_end[1];
_Noreturn void abort(void);
void kernel_main(void) { abort(); }
unsigned alarm(unsigned seconds);

static uint64_t rng;
static uint64_t rnd(void)
{
    rng ^= rng << 13;
    rng ^= rng >> 7;
    rng ^= rng << 17;
    return rng >> 3;
}

static void reset(void) { memset(&boot_info, 0, sizeof(boot_info)); }

static bool sane(void)
{
    bool right = boot_info.range_count <= BOOT_RANGES_MAX && memchr(boot_info.cmdline, 0, BOOT_CMDLINE_MAX);
    for (unsigned i = 0; right && i < boot_info.range_count; i++) {
        const struct boot_range *r = &boot_info.ranges[i];
        right &= r->start < r->end && r->end <= PHYS_MAX && IS_ALIGNED(r->start | r->end, PAGE_SIZE);
        right &= i == 0 || boot_info.ranges[i - 1].end < r->start; /* sorted, apart */
    }
    return right;
}

#define PAGES 600

static void test_insertion(void)
{
    bool right = true, subset = true;
    for (int round = 0; round < 3000; round++) {
        bool ram[PAGES] = {false}, full = false;
        reset();
        unsigned longest = 1u << (rnd() % 6);
        for (unsigned n = 1 + rnd() % 90; n; n--) {
            uint64_t start = rnd() % (PAGES - 70), length = rnd() % (longest + 1);
            full |= boot_info.range_count == BOOT_RANGES_MAX;
            /* ragged edges are cut */
            uint64_t before = rnd() % 2 ? rnd() % PAGE_SIZE : 0, after = length && rnd() % 2 ? rnd() % PAGE_SIZE : 0;
            uint64_t from = (start << PAGE_SHIFT) - (start ? before : 0);
            add_range(from, ((start + length) << PAGE_SHIFT) + after - from);
            for (uint64_t k = 0; k < length; k++)
                ram[start + k] = true;
            right &= sane();
        }
        for (uint64_t k = 0; k < PAGES; k++) {
            bool in = false;
            for (unsigned i = 0; i < boot_info.range_count; i++)
                in |= boot_info.ranges[i].start >> PAGE_SHIFT <= k && k < boot_info.ranges[i].end >> PAGE_SHIFT;
            subset &= !in || ram[k];
            right &= full || in == ram[k];
        }
    }
    ok(right, "ranges in any order, overlapping and touching: exactly what was said, sorted and joined");
    ok(subset, "with more than 64 ranges some memory stays unused, none is invented");
}

static void test_extremes(void)
{
    static const uint64_t edges[] = {0, 1, 4095, 4096, 0xfffff, 1ull << 32, PHYS_MAX - 4096, PHYS_MAX - 1, PHYS_MAX, PHYS_MAX + 1,
                                     1ull << 63, ~0ull - 4096, ~0ull - 4095, ~0ull - 1, ~0ull};
    bool right = true;
    for (unsigned i = 0; i < ARRAY_SIZE(edges); i++)
        for (unsigned j = 0; j < ARRAY_SIZE(edges); j++) {
            reset();
            add_range(edges[i], edges[j]);
            right &= sane();
            if (boot_info.range_count)
                right &= boot_info.ranges[0].start >= edges[i];
        }
    ok(right, "ranges at the ends of the address space");
    reset();
    add_range(~0ull - 100, 50);
    ok(boot_info.range_count == 0, "a range at the very end is not one from 0");
}

/* ---- PVH ---- */

static void test_pvh(void)
{
    struct pvh_memmap_entry map[] = {{0x100000, 0x700000, 1, 0}, {0, 0x9fc00, 1, 0}, {0x9fc00, 0x400, 2, 0}, {0xfee00000, 0x1000, 2, 0}};
    struct pvh_start_info info = {.magic = PVH_MAGIC, .version = 1, .rsdp = 0xf5b00, .cmdline = (uint64_t)"redis --port 1", .memmap = (uint64_t)map, .memmap_entries = 4};
    reset();
    read_pvh(&info);
    ok(boot_info.range_count == 2 && boot_info.ranges[0].end == 0x9f000 && boot_info.ranges[1].start == 0x100000 && boot_info.ranges[1].end == 0x800000,
       "PVH: RAM, in order");
    ok(!strcmp(boot_info.cmdline, "redis --port 1") && boot_info.rsdp == 0xf5b00 && !strcmp(boot_info.protocol, "PVH"), "PVH: command line and ACPI");
    static char line[BOOT_CMDLINE_MAX + 100];
    memset(line, 'x', sizeof(line) - 1);
    info.cmdline = (uint64_t)line;
    info.version = 0;
    reset();
    read_pvh(&info);
    ok(boot_info.cmdline_truncated && strlen(boot_info.cmdline) == BOOT_CMDLINE_MAX - 1 && boot_info.range_count == 0,
       "PVH: a long command line is cut and marked; version 0 has no map");
    line[BOOT_CMDLINE_MAX - 1] = 0;
    reset();
    read_pvh(&info);
    ok(!boot_info.cmdline_truncated && strlen(boot_info.cmdline) == BOOT_CMDLINE_MAX - 1, "PVH: the longest that fits");
    info = (struct pvh_start_info){.magic = PVH_MAGIC, .version = 1, .memmap_entries = 7};
    reset();
    read_pvh(&info);
    ok(boot_info.range_count == 0 && !boot_info.cmdline[0], "PVH: neither command line nor map");
}

/* ---- Multiboot2 ---- */

static void *tag(uint8_t *to, uint32_t *at, uint32_t type, uint32_t len)
{
    struct mb2_tag *t = (void *)(to + *at);
    *t = (struct mb2_tag){type, len + 8};
    *at += ALIGN_UP(len + 8, 8u);
    return t + 1;
}

static uint32_t build(uint8_t *to)
{
    static const struct mb2_mmap_entry map[] = {{0, 0x9fc00, 1, 0}, {0xf0000, 0x10000, 2, 0}, {0x100000, 0x7f00000, 1, 0}};
    uint32_t at = 8;
    memcpy(tag(to, &at, 1, 12), "hello --x=1", 12);
    uint32_t *m = tag(to, &at, 6, 8 + sizeof(map));
    m[0] = 24;
    m[1] = 0;
    memcpy(m + 2, map, sizeof(map));
    memset(tag(to, &at, 15, 36), 0x15, 36);
    memset(tag(to, &at, 14, 20), 0x14, 20);
    tag(to, &at, 21, 4);
    tag(to, &at, 0, 0);
    ((uint32_t *)to)[0] = at;
    ((uint32_t *)to)[1] = 0;
    return at;
}

static void parse(const uint8_t *from, uint32_t size)
{
    uint8_t *blob = host_malloc(size); /* so that ASan sees a read outside */
    memcpy(blob, from, size);
    reset();
    read_multiboot2(blob);
    host_free(blob);
}

static void test_multiboot2(void)
{
    static uint8_t good[512], bad[512] __attribute__((aligned(8)));
    uint32_t blob_size = build(good);
    parse(good, blob_size);
    ok(!strcmp(boot_info.cmdline, "hello --x=1") && boot_info.range_count == 2 && boot_info.ranges[1].end == 0x8000000, "Multiboot2: command line and map");
    ok(*(uint8_t *)phys_to_virt(boot_info.rsdp) == 0x15, "Multiboot2: the newer ACPI root wins");
    bool right = true;
    for (uint32_t size = 8; size < blob_size; size++) { /* cut off anywhere */
        memcpy(bad, good, sizeof(bad));
        *(uint32_t *)bad = size;
        parse(bad, size);
        right &= sane();
    }
    ok(right, "Multiboot2: cut off anywhere");
    static const uint32_t values[] = {0, 1, 7, 8, 9, 16, 23, 24, 25, 0x7fffffff, 0x80000000, 0xfffffff0, 0xfffffff7, 0xfffffff8, 0xffffffff};
    for (int i = 0; i < 200000; i++) {
        memcpy(bad, good, sizeof(bad));
        for (unsigned n = 1 + rnd() % 4; n; n--) {
            uint32_t at = 8 + (uint32_t)(rnd() % (blob_size - 8));
            if (rnd() % 2)
                *(uint32_t *)(bad + (at & ~3u)) = values[rnd() % ARRAY_SIZE(values)];
            else
                bad[at] = (uint8_t)rnd();
        }
        parse(bad, blob_size);
        right &= sane();
    }
    ok(right, "Multiboot2: broken in 200000 ways: nothing outside is read, what is believed is sane");
    *(uint32_t *)bad = 8;
    parse(bad, 8);
    *(uint32_t *)bad = 0;
    parse(bad, 8);
    ok(boot_info.range_count == 0, "Multiboot2: empty");
}

int main(void)
{
    alarm(900);
    rng = host_seed();
    test_insertion();
    test_extremes();
    test_pvh();
    test_multiboot2();
    return done();
}
