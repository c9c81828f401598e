/* SOURCES: tests/unit/host/host.c */
/* CFLAGS: -DHOST_DIRECT_MAP */
/* The page allocator on many memory maps, against a model of one byte for each page: what it hands out is RAM, free, aligned and not twice; all of it
   comes back; the counters are exact; blocks may be freed in parts. */
#include <kernel/boot.h>
#include <kernel/clock.h>
#include <kernel/log.h>
#include <kernel/print.h>
#include <mm/page_init.h>

#include "../../mm/page.c"

#include "host/host.h"
#include "physical.h"
#include "tap.h"

void *calloc(size_t n, size_t size);
void free(void *p);

static struct boot_info info;
static uint8_t *model; /* a byte for each page: 0 not ours, 1 free, 2 allocated */
static uint64_t model_pages;
static uint64_t mapped;

/* Start-up on a fresh memory. ranges: start, end pairs. */
static int start(const struct boot_range *ranges, unsigned n, paddr_t image_start, paddr_t image_end)
{
    blocks = NULL;
    whole = NULL;
    block_count = whole_hint = 0;
    total_pages = free_pages = 0;
    boot_cache.count = 0;
    for (unsigned i = 0; i < HUGE_PAGE_ORDER; i++)
        partial[i] = NULL;
    info = (struct boot_info){.range_count = n, .image_start = image_start, .image_end = image_end};
    for (unsigned i = 0; i < n; i++)
        info.ranges[i] = ranges[i];
    mapped = n ? ranges[n - 1].end + HUGE_PAGE_SIZE : HUGE_PAGE_SIZE;
    physical_map(mapped);
    /* The memory of a machine is not zero where the allocator keeps its tables. */
    for (unsigned i = 0; i < n; i++) {
        paddr_t at = MAX(ranges[i].start, image_end);
        if (at + (256 << 10) < ranges[i].end)
            memset(phys_to_virt(at), 0xa5, 256 << 10);
    }
    cpu_zero();
    int err = page_init(&info);
    if (!err)
        page_init_rest(&info);
    return err;
}

static void stop(void)
{
    physical_unmap(mapped);
    free(model);
    model = NULL;
}

/* The pages that must be free: RAM less the first 64 KiB, the image, and the allocator's tables. Returns how many. */
static uint64_t build_model(void)
{
    uint64_t count = 0, tables_start = virt_to_phys(whole), n = 0;
    uint64_t tables = ALIGN_UP(ALIGN_UP(block_count, 64) / 8 + block_count * sizeof(struct block), PAGE_SIZE);
    model_pages = info.ranges[info.range_count - 1].end >> PAGE_SHIFT;
    model = calloc(model_pages + 1024, 1);
    for (unsigned i = 0; i < info.range_count; i++)
        for (paddr_t p = info.ranges[i].start; p < info.ranges[i].end; p += PAGE_SIZE, n++)
            if (p >= LOW_RESERVED && !(p >= ALIGN_DOWN(info.image_start, PAGE_SIZE) && p < ALIGN_UP(info.image_end, PAGE_SIZE)) &&
                !(p >= tables_start && p < tables_start + tables))
                model[p >> PAGE_SHIFT] = 1, count++;
    return count;
}

static bool model_take(paddr_t p, unsigned order)
{
    bool right = p && !(p & ((PAGE_SIZE << order) - 1)) && (p >> PAGE_SHIFT) + (1ul << order) <= model_pages;
    for (uint64_t i = 0; right && i < 1ul << order; i++) {
        right = model[(p >> PAGE_SHIFT) + i] == 1;
        model[(p >> PAGE_SHIFT) + i] = 2;
    }
    return right;
}

static void model_give(paddr_t p, unsigned order)
{
    for (uint64_t i = 0; i < 1ul << order; i++)
        model[(p >> PAGE_SHIFT) + i] = 1;
}

struct held {
    paddr_t page;
    unsigned order;
};

static unsigned random_order(void)
{
    unsigned r = (unsigned)(rnd() % 100);
    return r < 60 ? 0 : r < 90 ? (unsigned)(rnd() % 6) : r < 98 ? (unsigned)(rnd() % 10) : 10;
}

/* The bitmaps, counters and lists agree with each other. */
static bool consistent(void)
{
    uint64_t sum = 0;
    bool right = true;
    for (unsigned o = 0; o < HUGE_PAGE_ORDER; o++) {
        struct block **back = &partial[o];
        for (struct block *b = partial[o]; b; back = &b->next, b = b->next) {
            unsigned bits = 0;
            for (unsigned w = 0; w < WORDS; w++)
                bits += (unsigned)__builtin_popcountll(b->free[w]);
            right &= b->prev == back && b->order == (int)o && bits == b->free_count && bits < BLOCK_PAGES && find_run(b, o) >= 0 &&
                     (o + 1 == HUGE_PAGE_ORDER || find_run(b, o + 1) < 0) && !whole_test(block_index(b));
            sum += bits;
        }
    }
    for (size_t i = 0; i < block_count; i++)
        sum += whole_test(i) ? BLOCK_PAGES : 0;
    return right && sum == free_pages;
}

static bool history(unsigned steps, unsigned live_max)
{
    struct held *held = calloc(live_max, sizeof(*held));
    unsigned live = 0;
    uint64_t out = 0, all = page_free_bytes() >> PAGE_SHIFT;
    bool right = true;
    for (unsigned i = 0; i < steps && right; i++) {
        bool filling = (i / (live_max + 1)) % 2 == 0;
        if (live < live_max && (!live || rnd() % 10 < (filling ? 8 : 3))) {
            unsigned order = random_order();
            paddr_t p = page_alloc(order);
            if (!p)
                continue;
            right &= model_take(p, order);
            out += 1ul << order;
            held[live++] = (struct held){p, order};
        } else if (live) {
            unsigned k = (unsigned)(rnd() % live);
            struct held h = held[k];
            held[k] = held[--live];
            model_give(h.page, h.order);
            out -= 1ul << h.order;
            if (h.order && rnd() % 4 == 0) { /* in parts */
                unsigned part = (unsigned)(rnd() % h.order);
                for (uint64_t j = 0; j < 1ul << (h.order - part); j++)
                    page_free(h.page + (j << (PAGE_SHIFT + part)), part);
            } else {
                page_free(h.page, h.order);
            }
        }
        right &= page_free_bytes() >> PAGE_SHIFT == all - out;
        if (i % 512 == 0)
            right &= consistent();
    }
    while (live) {
        live--;
        model_give(held[live].page, held[live].order);
        page_free(held[live].page, held[live].order);
    }
    free(held);
    return right && consistent() && page_free_bytes() >> PAGE_SHIFT == all;
}

/* Empties the allocator by single pages: exactly the model's pages come out, and go back. */
static bool drain(uint64_t expected)
{
    paddr_t *all = calloc(expected + 1, sizeof(*all));
    uint64_t n = 0;
    bool right = true;
    paddr_t p;
    while ((p = page_alloc(0)) && n < expected && right) {
        right &= model_take(p, 0);
        all[n++] = p;
    }
    right &= n == expected && !p && page_free_bytes() == 0 && page_alloc(0) == 0 && page_alloc(3) == 0 && page_alloc(12) == 0;
    for (uint64_t i = n; i > 1; i--) { /* shuffle */
        uint64_t k = rnd() % i;
        paddr_t t = all[k];
        all[k] = all[i - 1];
        all[i - 1] = t;
    }
    for (uint64_t i = 0; i < n; i++) {
        model_give(all[i], 0);
        page_free(all[i], 0);
    }
    free(all);
    return right && page_free_bytes() >> PAGE_SHIFT == expected && consistent();
}

/* Whatever can be whole is whole again, once the cache is empty. */
static bool whole_again(void)
{
    uint64_t expected = 0, have = 0;
    while (boot_cache.count)
        free_locked(boot_cache.pages[--boot_cache.count], 0);
    for (size_t i = 0; i < block_count; i++) {
        bool all = true;
        for (unsigned k = 0; k < BLOCK_PAGES; k++)
            all &= i * BLOCK_PAGES + k < model_pages && model[i * BLOCK_PAGES + k] == 1;
        expected += all;
        have += whole_test(i);
    }
    return expected == have && consistent();
}

#define MIB (1ul << 20)
#define KIB (1ul << 10)

static void test_map(const char *name, const struct boot_range *ranges, unsigned n, paddr_t image_start, paddr_t image_end, unsigned steps, bool draining)
{
    char text[128];
    int err = start(ranges, n, image_start, image_end);
    uint64_t expected = err ? 0 : build_model();
    bool right = !err && page_total_bytes() >> PAGE_SHIFT == expected && page_free_bytes() >> PAGE_SHIFT == expected && consistent();
    if (!right)
        printf("# start: %d, total %lu, model %lu\n", err, page_total_bytes() >> PAGE_SHIFT, expected);
    if (right && draining) {
        right = drain(expected);
        if (!right)
            printf("# drain\n");
    }
    for (int i = 0; i < 3 && right; i++)
        right = history(steps, (unsigned)(expected / (4u << i)) + 20 < 4000 ? (unsigned)(expected / (4u << i)) + 20 : 4000);
    if (right && !whole_again()) {
        printf("# not whole again\n");
        right = false;
    }
    snprintf(text, sizeof(text), "%s: %lu pages", name, expected);
    ok(right, text);
    stop();
}

#define RANGES(...) (const struct boot_range[]){__VA_ARGS__}, sizeof((struct boot_range[]){__VA_ARGS__}) / sizeof(struct boot_range)

static void test_maps(void)
{
    test_map("8 MiB", RANGES({0, 640 * KIB}, {1 * MIB, 8 * MIB}), 2 * MIB, 4 * MIB, 20000, true);
    test_map("16 MiB", RANGES({0, 636 * KIB}, {1 * MIB, 16 * MIB}), 2 * MIB, 5 * MIB + 300 * KIB, 20000, true);
    test_map("one range, an odd end", RANGES({0, 9 * MIB + 12 * KIB}), 2 * MIB, 3 * MIB, 20000, true);
    test_map("holes in a block", RANGES({64 * KIB, 100 * KIB}, {200 * KIB, 220 * KIB}, {300 * KIB, 640 * KIB}, {1 * MIB, 7 * MIB},
                                        {7 * MIB + 4 * KIB, 7 * MIB + 8 * KIB}, {7 * MIB + 16 * KIB, 12 * MIB - 4 * KIB}, {12 * MIB, 20 * MIB}),
             2 * MIB, 4 * MIB, 20000, true);
    test_map("an image that is not page aligned, at the end of a range", RANGES({1 * MIB, 16 * MIB}, {17 * MIB, 18 * MIB}), 13 * MIB + 123, 16 * MIB - 77,
             20000, true);
    test_map("the tables do not fit behind the image", RANGES({1 * MIB, 4 * MIB}, {8 * MIB, 32 * MIB}), 2 * MIB, 4 * MIB - 5 * KIB, 20000, true);
    test_map("256 MiB with a hole", RANGES({0, 640 * KIB}, {1 * MIB, 200 * MIB - 8 * KIB}, {210 * MIB, 256 * MIB}), 2 * MIB, 8 * MIB, 60000, true);
    test_map("4 GiB, with RAM behind the hole for devices", RANGES({0, 640 * KIB}, {1 * MIB, 3072 * MIB}, {4096 * MIB, 5120 * MIB}), 2 * MIB, 8 * MIB, 60000, false);
    test_map("64 GiB", RANGES({0, 640 * KIB}, {1 * MIB, 3072 * MIB}, {4096 * MIB, 65536 * MIB + 1024 * MIB}), 2 * MIB, 8 * MIB, 60000, false);
}

static void test_random_maps(void)
{
    bool right = true;
    for (int round = 0; round < 300 && right; round++) {
        struct boot_range r[20];
        unsigned n = 0;
        paddr_t at = (rnd() % 3) * 64 * KIB;
        for (unsigned i = 0; i < 1 + rnd() % 15; i++) {
            paddr_t length = PAGE_SIZE * (1 + rnd() % (rnd() % 2 ? 20 : 2000));
            r[n++] = (struct boot_range){at, at + length};
            at += length + PAGE_SIZE * (1 + rnd() % (rnd() % 2 ? 10 : 1500));
        }
        r[n++] = (struct boot_range){at, at + 6 * MIB}; /* somewhere the tables fit */
        paddr_t image = at + PAGE_SIZE * (rnd() % 300);
        if (start(r, n, image, image + PAGE_SIZE * (rnd() % 500) + rnd() % 4096)) {
            right = false;
        } else {
            uint64_t expected = build_model();
            right = page_total_bytes() >> PAGE_SHIFT == expected && consistent() && drain(expected) && history(3000, 200) && whole_again();
        }
        if (!right)
            for (unsigned i = 0; i < n; i++)
                printf("# round %d: %#lx..%#lx\n", round, r[i].start, r[i].end);
        stop();
    }
    ok(right, "random maps: every page of RAM comes out once and goes back");
}

static void test_edges(void)
{
    ok(start(NULL, 0, 2 * MIB, 3 * MIB) == -ENOMEM, "no memory at all is an error");
    stop();
    ok(start(RANGES({0, 2 * MIB}), 1 * MIB, 2 * MIB) == -ENOMEM, "no room for the tables is an error");
    stop();
    /* The cost of start-up does not depend on the size: only metadata is touched, and little of it. */
    (void)start(RANGES({0, 640 * KIB}, {1 * MIB, 65536 * MIB}), 2 * MIB, 8 * MIB);
    ok(page_total_bytes() == 65536 * MIB - 384 * KIB - 6 * MIB - 64 * KIB - ALIGN_UP(block_count / 8 + block_count * sizeof(struct block), PAGE_SIZE),
       "64 GiB in one piece");
    paddr_t big = page_alloc(18); /* 1 GiB */
    ok(big && !(big & ((1ul << 30) - 1)), "1 GiB, aligned to itself");
    for (unsigned i = 0; i < 512; i++)
        page_free(big + i * HUGE_PAGE_SIZE, 9);
    paddr_t again = page_alloc(18);
    ok(again == big && consistent(), "freed by halves of halves, it can be had again");
    page_free(again, 18);
    paddr_t two = page_alloc(9);
    for (unsigned i = 0; i < 512; i++)
        page_free(two + i * PAGE_SIZE, 0);
    ok(consistent(), "a 2 MiB page freed by 4 KiB pages");
    stop();
}

/* The worst fragmentation, and back from it. The time is told, not tested. */
static void test_cost(void)
{
    (void)start(RANGES({0, 640 * KIB}, {1 * MIB, 2048 * MIB}), 2 * MIB, 8 * MIB);
    uint64_t n = 0, begin = clock_monotonic_ns();
    paddr_t p, *keep = calloc(600000, sizeof(*keep));
    while ((p = page_alloc(0)))
        keep[n++] = p;
    for (uint64_t i = 0; i < n; i++)
        if (i % 2)
            page_free(keep[i], 0); /* every other page: the worst fragmentation */
    bool none = page_alloc(1) == 0;
    for (uint64_t i = 0; i < n; i += 2)
        page_free(keep[i], 0);
    uint64_t took = clock_monotonic_ns() - begin;
    printf("# %lu pages: %lu ns each\n", n, took / n);
    ok(none && consistent(), "the worst fragmentation and back");
    ok(page_alloc(9) != 0, "and there are whole blocks again");
    free(keep);
    stop();
}


int main(void)
{
    alarm(900);
    rng = host_seed();
    test_maps();
    test_random_maps();
    test_edges();
    test_cost();
    return done();
}
