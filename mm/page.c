/* Physical pages in two levels. The upper one is a bitmap with a bit for each whole free 2 MiB block; that is all that start-up fills, so its cost
   does not depend on the memory's size in any way that can be felt (4 KiB of bits for 64 GiB). A block that is broken up for smaller allocations gets its
   descriptor initialised then: a bitmap of its 512 pages; and it is in the list of its largest free order. An allocation takes the best fitting
   block, which keeps large runs whole; a block that is entirely free again returns to the upper level.

   In front is a cache of single pages for each CPU (preemption off, no atomic). Behind it everything is under page_lock, which is held for a bounded number
   of instructions: at most 8 words are searched, and the upper bitmap from a hint.

   Allocations of more than one block (order > 9) search the upper bitmap for a run: rare, at start-up mostly. */
#include <arch/percpu.h>
#include <asm/errno.h>
#include <kernel/log.h>
#include <kernel/string.h>
#include <mm/kmem.h>
#include <mm/page.h>
#include <mm/page_init.h>
#include <mm/stack_probe.h>
#include <sched/mutex.h>
#include <sched/thread.h>
#include <stdatomic.h>

#define BLOCK_SHIFT 21
#define BLOCK_PAGES 512u
#define WORDS (BLOCK_PAGES / 64)
#define CACHE_MAX 32u
#define CACHE_BATCH 16u
#define BOOT_MAPPED (1ull << 30) /* what the boot tables map */
#define LOW_RESERVED 0x10000ul /* page 0 means "none"; the rest is for starting other CPUs */

struct block {
    uint64_t free[WORDS]; /* a bit for each free page */
    uint16_t free_count;
    int8_t order;         /* largest free order, the list it is in; -1: nothing free, in no list */
    struct block *next, **prev;
};

struct page_cache {
    unsigned count;
    paddr_t pages[CACHE_MAX];
};

/* All but the caches is protected by page_lock. */
static struct mutex page_lock = MUTEX_INIT;
static struct block *blocks;
static uint64_t *whole; /* a bit for each block that is free as a whole */
static size_t block_count, whole_hint;
static struct block *partial[HUGE_PAGE_ORDER];
static uint64_t total_pages;
static _Atomic uint64_t free_pages; /* without the caches; relaxed: a statistic */
static struct page_cache boot_cache;

static size_t block_index(const struct block *b) { return (size_t)(b - blocks); }
static bool whole_test(size_t i) { return whole[i / 64] >> (i % 64) & 1; }
static void whole_set(size_t i) { whole[i / 64] |= 1ull << (i % 64); }
static void whole_clear(size_t i) { whole[i / 64] &= ~(1ull << (i % 64)); }

static void list_remove(struct block *b)
{
    if (b->order < 0)
        return;
    *b->prev = b->next;
    if (b->next)
        b->next->prev = b->prev;
    b->order = -1;
}

static void list_insert(struct block *b, int order)
{
    b->order = (int8_t)order;
    b->next = partial[order];
    b->prev = &partial[order];
    if (b->next)
        b->next->prev = &b->next;
    partial[order] = b;
}

/* Bits at which an aligned run of 2^order (at most 64) set bits starts. */
static uint64_t run_starts(uint64_t w, unsigned order)
{
    static const uint64_t aligned[] = {~0ull, 0x5555555555555555ull, 0x1111111111111111ull, 0x0101010101010101ull,
                                       0x0001000100010001ull, 0x0000000100000001ull, 1ull};
    for (unsigned i = 0; i < order; i++)
        w &= w >> (1u << i);
    return w & aligned[order];
}

/* First page of an aligned free run of 2^order pages, or -1. */
static int find_run(const struct block *b, unsigned order)
{
    if (order <= 6) {
        for (unsigned i = 0; i < WORDS; i++) {
            uint64_t s = b->free[i] ? run_starts(b->free[i], order) : 0;
            if (s)
                return (int)(i * 64 + (unsigned)__builtin_ctzll(s));
        }
        return -1;
    }
    unsigned step = 1u << (order - 6);
    for (unsigned i = 0; i < WORDS; i += step) {
        uint64_t all = ~0ull;
        for (unsigned j = 0; j < step; j++)
            all &= b->free[i + j];
        if (all == ~0ull)
            return (int)(i * 64);
    }
    return -1;
}

static void mark(struct block *b, unsigned first, unsigned order, bool is_free)
{
    unsigned n = 1u << order;
    for (unsigned done = 0; done < n;) {
        unsigned bit = (first + done) % 64, k = MIN(64 - bit, n - done);
        uint64_t mask = (k == 64 ? ~0ull : ((1ull << k) - 1)) << bit;
        if (is_free)
            b->free[(first + done) / 64] |= mask;
        else
            b->free[(first + done) / 64] &= ~mask;
        done += k;
    }
    b->free_count = (uint16_t)(is_free ? b->free_count + n : b->free_count - n);
}

/* After pages were taken: the largest free order may be smaller. */
static void relist_down(struct block *b)
{
    int order = b->order;
    while (order >= 0 && (b->free_count >> order == 0 || find_run(b, (unsigned)order) < 0))
        order--;
    if (order == b->order)
        return;
    list_remove(b);
    if (order >= 0)
        list_insert(b, order);
}

/* After pages were given back. */
static void relist_up(struct block *b)
{
    if (b->free_count == BLOCK_PAGES) {
        list_remove(b);
        whole_set(block_index(b));
        whole_hint = MIN(whole_hint, block_index(b) / 64);
        return;
    }
    int order = b->order;
    while (order + 1 < HUGE_PAGE_ORDER && find_run(b, (unsigned)order + 1) >= 0)
        order++;
    if (order != b->order) {
        list_remove(b);
        list_insert(b, order);
    }
}

/* n whole blocks in a row; the first's index, or -1. From the top for one (the low memory is left for devices), upwards for runs. */
static long take_whole(size_t n)
{
    if (n == 1) {
        for (size_t i = whole_hint; i < (block_count + 63) / 64; i++) {
            if (whole[i]) {
                whole_hint = i;
                size_t k = i * 64 + (size_t)__builtin_ctzll(whole[i]);
                whole_clear(k);
                return (long)k;
            }
        }
        return -1;
    }
    size_t run = 0;
    for (size_t i = 0; i < block_count; i++) {
        run = whole_test(i) ? run + 1 : 0;
        if (run >= n && (i + 1 - n) % n == 0) {
            for (size_t k = i + 1 - n; k <= i; k++)
                whole_clear(k);
            return (long)(i + 1 - n);
        }
        if (run >= n)
            run = n - 1; /* long enough but not aligned: slide on */
    }
    return -1;
}

static paddr_t alloc_locked(unsigned order)
{
    struct block *b = NULL;
    if (order >= HUGE_PAGE_ORDER) {
        long i = take_whole(1ul << (order - HUGE_PAGE_ORDER));
        if (i < 0)
            return 0;
        for (size_t k = 0; k < 1ul << (order - HUGE_PAGE_ORDER); k++)
            blocks[(size_t)i + k] = (struct block){.order = -1}; /* may come back in parts, after a split */
        atomic_fetch_sub_explicit(&free_pages, 1ull << order, memory_order_relaxed);
        return (paddr_t)i << BLOCK_SHIFT;
    }
    for (unsigned k = order; k < HUGE_PAGE_ORDER && !b; k++)
        b = partial[k];
    if (!b) {
        long i = take_whole(1);
        if (i < 0)
            return 0;
        b = &blocks[i];
        memset(b->free, 0xff, sizeof(b->free));
        b->free_count = BLOCK_PAGES;
        list_insert(b, HUGE_PAGE_ORDER - 1);
    }
    unsigned first = (unsigned)find_run(b, order);
    mark(b, first, order, false);
    relist_down(b);
    atomic_fetch_sub_explicit(&free_pages, 1ull << order, memory_order_relaxed);
    return ((paddr_t)block_index(b) << BLOCK_SHIFT) + ((paddr_t)first << PAGE_SHIFT);
}

static void free_locked(paddr_t page, unsigned order)
{
    size_t i = page >> BLOCK_SHIFT;
    if (i >= block_count || (page & ((PAGE_SIZE << order) - 1)))
        panic("page: free of %#lx order %u: not an allocation", page, order);
    atomic_fetch_add_explicit(&free_pages, 1ull << order, memory_order_relaxed);
    if (order >= HUGE_PAGE_ORDER) {
        for (size_t n = 1ul << (order - HUGE_PAGE_ORDER); n; n--, i++)
            whole_set(i);
        whole_hint = MIN(whole_hint, (page >> BLOCK_SHIFT) / 64);
        return;
    }
    unsigned first = page >> PAGE_SHIFT & (BLOCK_PAGES - 1);
    if (whole_test(i) || (blocks[i].free[first / 64] >> (first % 64) & 1))
        panic("page: double free of %#lx", page);
    mark(&blocks[i], first, order, true);
    relist_up(&blocks[i]);
}

static paddr_t refill_and_take(void)
{
    paddr_t got[CACHE_BATCH];
    unsigned n = 0, want = free_pages < 4096 ? 1 : CACHE_BATCH; /* no hoard when memory is short */

    stack_probe();
    mutex_lock(&page_lock);
    while (n < want && (got[n] = alloc_locked(0)))
        n++;
    mutex_unlock(&page_lock);
    if (!n)
        return 0;
    preempt_disable();
    struct page_cache *c = percpu()->pages;
    while (n > 1 && c->count < CACHE_MAX)
        c->pages[c->count++] = got[--n];
    preempt_enable();
    for (; n > 1; n--)
        page_free(got[n - 1], 0);
    return got[0];
}

paddr_t page_alloc(unsigned order)
{
    if (order == 0) {
        preempt_disable();
        struct page_cache *c = percpu()->pages;
        paddr_t p = c->count ? c->pages[--c->count] : 0;
        preempt_enable();
        return p ? p : refill_and_take();
    }
    stack_probe();
    mutex_lock(&page_lock);
    paddr_t p = alloc_locked(order);
    mutex_unlock(&page_lock);
    return p;
}

void page_free(paddr_t page, unsigned order)
{
    paddr_t spill[CACHE_BATCH];
    unsigned n = 0;
    if (order == 0) {
        unsigned max = free_pages < 4096 ? 2 : CACHE_MAX;
        preempt_disable();
        struct page_cache *c = percpu()->pages;
        while (c->count >= max && n < CACHE_BATCH)
            spill[n++] = c->pages[--c->count];
        c->pages[c->count++] = page;
        preempt_enable();
        if (!n)
            return;
    }
    stack_probe();
    mutex_lock(&page_lock);
    if (order)
        free_locked(page, order);
    while (n)
        free_locked(spill[--n], 0);
    mutex_unlock(&page_lock);
}

void *pages_alloc(unsigned order)
{
    paddr_t p = page_alloc(order);
    return p ? phys_to_virt(p) : NULL;
}

void *pages_alloc_zeroed(unsigned order)
{
    void *p = pages_alloc(order);
    return p ? memset(p, 0, PAGE_SIZE << order) : NULL;
}

void pages_free(void *p, unsigned order) { page_free(virt_to_phys(p), order); }

uint64_t page_total_bytes(void) { return total_pages << PAGE_SHIFT; }

uint64_t page_free_bytes(void)
{
    uint64_t n = atomic_load_explicit(&free_pages, memory_order_relaxed);
    for (unsigned i = 0; i < percpu_count; i++)
        n += percpu_table[i]->pages->count; /* racy read of a statistic */
    return n << PAGE_SHIFT;
}

/* Makes [start, end) free. Only at start-up, with ranges in ascending order. */
static void add_free(paddr_t start, paddr_t end)
{
    while (start < end) {
        size_t i = start >> BLOCK_SHIFT;
        paddr_t block_end = MIN(((paddr_t)i + 1) << BLOCK_SHIFT, end);
        unsigned pages = (unsigned)((block_end - start) >> PAGE_SHIFT);
        total_pages += pages;
        free_pages += pages;
        if (pages == BLOCK_PAGES) {
            whole_set(i);
        } else {
            struct block *b = &blocks[i];
            if (!whole_test(i) && b->prev == NULL) {
                *b = (struct block){.order = -1};
                b->prev = &b->next; /* initialised */
            }
            for (unsigned p = start >> PAGE_SHIFT & (BLOCK_PAGES - 1); pages; pages--, p++)
                mark(b, p, 0, true);
            relist_up(b);
        }
        start = block_end;
    }
}

static void add_range_without(paddr_t start, paddr_t end, const struct boot_range *reserved, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        if (reserved[i].end <= start || reserved[i].start >= end)
            continue;
        if (reserved[i].start > start)
            add_free(start, reserved[i].start);
        start = MIN(end, reserved[i].end);
    }
    if (start < end)
        add_free(start, end);
}

int page_init(const struct boot_info *info)
{
    if (!info->range_count)
        return -ENOMEM;
    percpu()->pages = &boot_cache;
    block_count = (info->ranges[info->range_count - 1].end + HUGE_PAGE_SIZE - 1) >> BLOCK_SHIFT;
    size_t bitmap = ALIGN_UP(block_count, 64) / 8;
    size_t size = ALIGN_UP(bitmap + block_count * sizeof(struct block), PAGE_SIZE);

    paddr_t tables = 0; /* behind the image if they fit there */
    for (unsigned i = 0; i < info->range_count && !tables; i++) {
        paddr_t start = MAX(info->ranges[i].start, ALIGN_UP(info->image_end, PAGE_SIZE));
        if (start + size <= MIN(info->ranges[i].end, BOOT_MAPPED))
            tables = start;
    }
    if (!tables)
        return -ENOMEM;
    whole = phys_to_virt(tables);
    blocks = (void *)((char *)whole + bitmap);
    memset(whole, 0, bitmap);
    for (unsigned i = 0; i < info->range_count; i++) { /* only blocks at the ends of ranges are looked at in add_free */
        blocks[info->ranges[i].start >> BLOCK_SHIFT].prev = NULL;
        blocks[(info->ranges[i].end - 1) >> BLOCK_SHIFT].prev = NULL;
    }
    paddr_t image = ALIGN_DOWN(info->image_start, PAGE_SIZE), image_end = ALIGN_UP(info->image_end, PAGE_SIZE);
    struct boot_range reserved[] = {{0, LOW_RESERVED}, {image, tables + size}};
    unsigned n = 2;
    struct boot_range far[] = {{0, LOW_RESERVED}, {image, image_end}, {tables, tables + size}};
    bool near = tables == image_end;
    const struct boot_range *r = near ? reserved : far;
    if (!near)
        n = 3;
    for (unsigned i = 0; i < n; i++) {
        blocks[r[i].start >> BLOCK_SHIFT].prev = NULL;
        blocks[MIN((r[i].end - 1) >> BLOCK_SHIFT, block_count - 1)].prev = NULL;
        blocks[MIN(r[i].end >> BLOCK_SHIFT, block_count - 1)].prev = NULL;
    }
    for (unsigned i = 0; i < info->range_count; i++)
        add_range_without(info->ranges[i].start, MIN(info->ranges[i].end, BOOT_MAPPED), r, n);
    return 0;
}

int page_cpu_init(struct percpu *p)
{
    p->pages = kzalloc(sizeof(*p->pages));
    return p->pages ? 0 : -ENOMEM;
}

void page_init_rest(const struct boot_info *info)
{
    for (unsigned i = 0; i < info->range_count; i++)
        if (info->ranges[i].end > BOOT_MAPPED)
            add_free(MAX(info->ranges[i].start, BOOT_MAPPED), info->ranges[i].end);
}
