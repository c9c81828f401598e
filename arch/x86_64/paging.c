/* Four-level page tables (Intel SDM volume 3, 4.5).

   The image's pages are reached by two ways, the image's own addresses and the direct map. Both use the same page tables of 4 KiB entries, so text and
   read-only data are read-only in both; the direct map's directory entries add NX. The direct map uses 1 GiB pages where the CPU has them and the whole GiB is RAM,
   2 MiB pages elsewhere.

   Entries are installed by compare-and-swap from zero: of two CPUs that fault on the same page one wins, and the other gets -EEXIST. Tables of the kernel area
   and the direct map are never freed; those of the application's area by munmap. */
#include <arch/boot.h>
#include <arch/cpu.h>
#include <arch/paging.h>
#include <arch/tlb.h>
#include <asm/errno.h>
#include <kernel/boot.h>
#include <kernel/log.h>
#include <kernel/string.h>
#include <stdatomic.h>

#define P 1ull
#define W 2ull
#define PCD 0x10ull
#define ACCESSED 0x20ull
#define DIRTY 0x40ull
#define PS 0x80ull
#define GLOBAL 0x100ull
#define NX (1ull << 63)
#define BORROWED 0x400ull  /* software: the frame is not the mapper's */
#define NO_ACCESS 0x200ull /* software: a frame is kept here, but P is clear */
#define FRAME 0x000ffffffffff000ull
#define GIB (1ull << 30)

typedef _Atomic uint64_t pte_t;

static pte_t *root;

paddr_t paging_root(void) { return virt_to_phys((void *)root); }

static unsigned level_index(uint64_t va, int level) { return (unsigned)(va >> (12 + 9 * level)) & 511; }
static pte_t *table_of(uint64_t entry) { return phys_to_virt(entry & FRAME); }
static uint64_t get(pte_t *e) { return atomic_load_explicit(e, memory_order_acquire); }
static void set(pte_t *e, uint64_t v) { atomic_store_explicit(e, v, memory_order_release); }

/* The entry for va at a level (0: 4 KiB, 1: 2 MiB, 2: 1 GiB), making tables on the way if make is set. NULL: no table or no memory. If a large page is
   met on the way, its entry is returned and *level says where. */
static pte_t *walk(uint64_t va, int *level, bool make)
{
    pte_t *t = root;
    for (int l = 3; l > *level; l--) {
        pte_t *e = &t[level_index(va, l)];
        uint64_t v = get(e);
        if (!(v & (P | NO_ACCESS))) {
            if (!make)
                return NULL;
            paddr_t page = page_alloc(0);
            if (!page)
                return NULL;
            memset(phys_to_virt(page), 0, PAGE_SIZE);
            uint64_t expected = 0, entry = page | P | W;
            /* release: the zeroed table is visible before the entry */
            if (atomic_compare_exchange_strong_explicit(e, &expected, entry, memory_order_acq_rel, memory_order_acquire)) {
                v = entry;
            } else {
                page_free(page, 0);
                v = expected;
            }
        } else if (v & PS) {
            *level = l;
            return e;
        }
        t = table_of(v);
    }
    return &t[level_index(va, *level)];
}

static uint64_t entry_bits(unsigned flags)
{
    uint64_t v = flags & PAGING_NONE ? NO_ACCESS : P;
    v |= flags & PAGING_BORROWED ? BORROWED : 0;
    return v | (flags & PAGING_WRITE ? W : 0) | (flags & PAGING_EXEC ? 0 : NX) | (flags & PAGING_UNCACHED ? PCD | 8 : 0) |
           ACCESSED | DIRTY;
}

int paging_map(uint64_t va, paddr_t pa, unsigned order, unsigned flags)
{
    int want = order ? 1 : 0, level = want;
    pte_t *e = walk(va, &level, true);
    if (!e)
        return -ENOMEM;
    if (level != want)
        return -EEXIST;
    uint64_t expected = 0, v = pa | entry_bits(flags) | (order ? PS : 0) | (va >> 63 ? GLOBAL : 0);
    return atomic_compare_exchange_strong_explicit(e, &expected, v, memory_order_acq_rel, memory_order_relaxed) ? 0 : -EEXIST;
}

static bool is_leaf(uint64_t v, int level) { return (v & (P | NO_ACCESS)) && (level == 0 || (v & PS)); }

paddr_t paging_lookup(uint64_t va, unsigned *order, unsigned *flags)
{
    int level = 0;
    pte_t *e = walk(va, &level, false);
    uint64_t v = e ? get(e) : 0;
    if (!e || !is_leaf(v, level))
        return 0;
    if (order)
        *order = (unsigned)level * 9;
    if (flags)
        *flags = (v & W ? PAGING_WRITE : 0) | (v & NX ? 0 : PAGING_EXEC) | (v & P ? 0 : PAGING_NONE);
    return v & FRAME & ~((PAGE_SIZE << (level * 9)) - 1);
}

int paging_prepare(uint64_t va, unsigned order)
{
    int level = order ? 1 : 0;
    return walk(va, &level, true) ? 0 : -ENOMEM;
}

int paging_map_prepared(uint64_t va, paddr_t pa, unsigned order, unsigned flags) { return paging_map(va, pa, order, flags); }

bool paging_has_table(uint64_t va)
{
    int level = 1;
    pte_t *e = walk(va, &level, false);
    return e && get(e);
}

paddr_t paging_unmap_page(uint64_t va, unsigned *order, bool *borrowed)
{
    int level = 0;
    pte_t *e = walk(va, &level, false);
    if (!e || !is_leaf(get(e), level))
        return 0;
    uint64_t v = atomic_exchange_explicit(e, 0, memory_order_acq_rel);
    *borrowed = (v & BORROWED) != 0;
    *order = (unsigned)level * 9;
    return v & FRAME & ~((PAGE_SIZE << (level * 9)) - 1);
}

bool paging_protect(uint64_t start, uint64_t end, unsigned flags)
{
    bool remembered = false;
    for (uint64_t va = paging_next(start, end); va < end; va = paging_next(va, end)) {
        int level = 0;
        pte_t *e = walk(va, &level, false);
        uint64_t v = e ? get(e) : 0;
        if (e && is_leaf(v, level)) {
            uint64_t bits = entry_bits(flags);
            if ((v & BORROWED) && (flags & PAGING_KEEP_BORROWED_READONLY))
                bits &= ~W;
            uint64_t new = (v & (FRAME | PS | GLOBAL | BORROWED)) | bits;
            remembered = remembered || ((v & P) && new != v);
            set(e, new);
        }
        va = ALIGN_DOWN(va, PAGE_SIZE << (level * 9)) + (PAGE_SIZE << (level * 9));
    }
    return remembered;
}

int paging_split(uint64_t va)
{
    int level = 0;
    pte_t *e = walk(va, &level, false);
    if (!e || level != 1 || !is_leaf(get(e), 1))
        return 0;
    paddr_t table = page_alloc(0);
    if (!table)
        return -ENOMEM;
    uint64_t v = get(e);
    pte_t *t = phys_to_virt(table);
    for (unsigned i = 0; i < 512; i++)
        set(&t[i], (v & ~PS) + i * PAGE_SIZE);
    set(e, table | P | W);
    paging_flush(ALIGN_DOWN(va, HUGE_PAGE_SIZE), ALIGN_DOWN(va, HUGE_PAGE_SIZE) + PAGE_SIZE);
    return 0;
}

uint64_t paging_next(uint64_t va, uint64_t end)
{
    while (va < end) {
        pte_t *t = root;
        int l = 3;
        for (; l >= 0; l--) {
            uint64_t v = get(&t[level_index(va, l)]);
            if (!(v & (P | NO_ACCESS)))
                break;
            if (l == 0 || (v & PS))
                return va;
            t = table_of(v);
        }
        uint64_t span = PAGE_SIZE << (l * 9);
        uint64_t next = ALIGN_DOWN(va, span) + span;
        if (next < va)
            return end;
        va = next;
    }
    return end;
}

static bool table_empty(pte_t *t)
{
    for (unsigned i = 0; i < 512; i++)
        if (get(&t[i]))
            return false;
    return true;
}

/* The tables are freed after the flush: until then the CPU may walk them. Meanwhile they are linked by their first entry, which is not present. */
void paging_free_tables(uint64_t start, uint64_t end)
{
    paddr_t unused = 0;
    for (int level = 1; level <= 2; level++) { /* page tables, then directories */
        uint64_t span = PAGE_SIZE << (level * 9);
        for (uint64_t va = ALIGN_DOWN(start, span); va < end; va += span) {
            int l = level;
            pte_t *e = walk(va, &l, false);
            if (!e) { /* skip the whole absent part */
                uint64_t next = paging_next(va, end);
                if (next >= end)
                    break;
                va = ALIGN_DOWN(next, span) - span;
                continue;
            }
            uint64_t v = get(e);
            if (l != level || !(v & P) || (v & PS) || !table_empty(table_of(v)))
                continue;
            set(e, 0);
            set(&table_of(v)[0], unused);
            unused = v & FRAME;
        }
    }
    if (!unused)
        return;
    tlb_flush(0, TLB_ALL); /* paging-structure caches, too */
    while (unused) {
        paddr_t table = unused;
        unused = get(&table_of(table)[0]);
        page_free(table, 0);
    }
}

void paging_flush(uint64_t start, uint64_t end) { tlb_flush(start, end); }

static bool has_gib_pages(void)
{
    uint32_t a = 0x80000001, b, c = 0, d;
    __asm__("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    return d >> 26 & 1;
}

int paging_direct_map(paddr_t start, paddr_t end)
{
    static int gib_pages = -1;
    const uint64_t bits = P | W | NX | PS | GLOBAL | ACCESSED | DIRTY;

    if (gib_pages < 0)
        gib_pages = has_gib_pages();
    start = ALIGN_DOWN(start, HUGE_PAGE_SIZE);
    end = MIN(ALIGN_UP(end, HUGE_PAGE_SIZE), PHYS_MAX);
    while (start < end) {
        int want = gib_pages && IS_ALIGNED(start, GIB) && end - start >= GIB ? 2 : 1, level = want;
        pte_t *e = walk(DIRECT_MAP_BASE + start, &level, true);
        if (e && level == 2 && (get(e) & (P | PS)) == P) { /* there are smaller pages in this GiB already */
            want = level = 1;
            e = walk(DIRECT_MAP_BASE + start, &level, true);
        }
        if (!e)
            return -ENOMEM;
        uint64_t size = level == 2 ? GIB : HUGE_PAGE_SIZE;
        if (level == want && !(get(e) & P))
            set(e, start | bits);
        start = ALIGN_DOWN(start, size) + size;
    }
    return 0;
}

static int map_image(const struct boot_info *info)
{
    extern char __text_end[], __rodata_start[], __data_start[];
    paddr_t text_end = virt_to_phys(__text_end), rodata = virt_to_phys(__rodata_start), data = virt_to_phys(__data_start);

    for (paddr_t block = ALIGN_DOWN(info->image_start, HUGE_PAGE_SIZE); block < info->image_end; block += HUGE_PAGE_SIZE) {
        paddr_t page = page_alloc(0);
        if (!page)
            return -ENOMEM;
        pte_t *t = phys_to_virt(page);
        for (unsigned i = 0; i < 512; i++) {
            paddr_t pa = block + i * PAGE_SIZE;
            uint64_t v = pa | P | GLOBAL | ACCESSED | DIRTY;
            if (pa < info->image_start || pa >= data)
                v |= W | NX;
            else if (pa >= ALIGN_UP(text_end, PAGE_SIZE) || pa >= rodata)
                v |= NX;
            set(&t[i], v);
        }
        int level = 1;
        pte_t *image = walk(IMAGE_BASE + block, &level, true);
        pte_t *alias = walk(DIRECT_MAP_BASE + block, &level, true);
        if (!image || !alias)
            return -ENOMEM;
        set(image, page | P | W);
        set(alias, page | P | W | NX);
    }
    return 0;
}

int paging_init(const struct boot_info *info)
{
    paddr_t top = page_alloc(0);
    if (!top)
        return -ENOMEM;
    root = phys_to_virt(top);
    memset((void *)root, 0, PAGE_SIZE);
    int err = map_image(info); /* first: the direct map goes around it */
    if (!err)
        err = paging_direct_map(0, 1 << 20); /* firmware's data below 1 MiB */
    for (unsigned i = 0; !err && i < info->range_count; i++)
        err = paging_direct_map(info->ranges[i].start, info->ranges[i].end);
    if (err)
        return err;
    __asm__ volatile("movq %0, %%cr3" ::"r"(top) : "memory");
    return 0;
}
