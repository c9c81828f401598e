/* SOURCES: kernel/percpu_counter.c tests/unit/host/host.c */
/* The kernel heap: random histories with a pattern in every object, alignment, large sizes, lack of memory at every point, and memory given back. */
#include "kmem_pages.h"
#include "../../mm/kmem.c"
#include "host/host.h"
#include "host_cpus.h"
#include "tap.h"

static uint64_t rng;
static uint64_t rnd(void)
{
    rng ^= rng << 13;
    rng ^= rng >> 7;
    rng ^= rng << 17;
    return rng >> 3;
}

#define LIVE 6000
static struct held {
    uint8_t *p;
    size_t size;
    uint8_t pattern;
} objects[LIVE];
static unsigned live;

static size_t random_size(void)
{
    switch (rnd() % 8) {
    case 0: return rnd() % 17;
    case 1: return class_sizes[rnd() % CLASSES] + (size_t)(rnd() % 3) - 1;
    case 2: return 64 * (1 + rnd() % 32);
    case 3: return rnd() % 3000;
    case 4: return rnd() % 8 ? rnd() % 300 : rnd() % (200 << 10);
    default: return rnd() % 300;
    }
}

static bool aligned(const void *p, size_t size)
{
    return IS_ALIGNED((uint64_t)p, size >= 64 && size % 64 == 0 ? 64 : 16);
}

/* The first and the last 64 bytes carry the pattern (all of a small one). */
static void paint(const struct held *h)
{
    size_t n = MIN(h->size, 64ul);
    memset(h->p, h->pattern, n);
    memset(h->p + h->size - n, h->pattern, n);
}

static bool painted(const struct held *h, size_t size)
{
    size_t n = MIN(size, 64ul);
    for (size_t i = 0; i < n; i++)
        if (h->p[i] != h->pattern || (size == h->size && h->p[h->size - 1 - i] != h->pattern))
            return false;
    return true;
}

static bool step(unsigned fill)
{
    bool right = true;
    unsigned what = (unsigned)(rnd() % 100);
    if (live < LIVE && what < fill) {
        struct held h = {.size = random_size(), .pattern = (uint8_t)rnd()};
        bool zero = rnd() % 4 == 0;
        h.p = zero ? kzalloc(h.size) : kmalloc(h.size);
        if (!h.p)
            return true;
        right &= aligned(h.p, h.size);
        for (size_t i = 0; zero && i < h.size; i++)
            right &= !h.p[i];
        paint(&h);
        objects[live++] = h;
    } else if (live) {
        unsigned k = (unsigned)(rnd() % live);
        right &= painted(&objects[k], objects[k].size);
        if (rnd() % 8 == 0) {
            size_t size = random_size();
            uint8_t *q = krealloc(objects[k].p, size);
            if (!q)
                return right && painted(&objects[k], objects[k].size);
            objects[k].p = q;
            right &= painted(&objects[k], MIN(objects[k].size, size));
            objects[k].size = size;
            paint(&objects[k]);
        } else {
            kfree(objects[k].p);
            objects[k] = objects[--live];
        }
    }
    return right;
}

static bool free_all(void)
{
    bool right = true;
    while (live) {
        live--;
        right &= painted(&objects[live], objects[live].size);
        kfree(objects[live].p);
    }
    return right;
}

/* What magazines and the one empty slab of each class may keep at most. */
static uint64_t keep_most(void) { return CLASSES * (MAGAZINE + 1) * SLAB_SIZE; }

static void test_histories(void)
{
    bool right = true, counted = true;
    for (unsigned i = 0; i < 400000; i++) {
        right &= step(i / 20000 % 2 ? 40 : 65);
        if (i % 1024 == 0)
            counted &= kmem_held_bytes() == (uint64_t)page_bytes;
    }
    right &= free_all();
    ok(right, "random histories: contents, alignment, zeros");
    ok(counted && kmem_held_bytes() == (uint64_t)page_bytes, "the held bytes are what was taken from the page allocator");
    printf("# held at the end: %lu KiB\n", kmem_held_bytes() >> 10);
    ok(kmem_held_bytes() <= keep_most(), "freed memory goes back, but for magazines and an empty slab of each class");
}

static void test_sizes(void)
{
    bool right = true, apart = true;
    for (size_t size = 0; size <= 4200; size++) {
        uint8_t *p = kmalloc(size), *q = kmalloc(size);
        right &= p && q && aligned(p, size) && aligned(q, size);
        if (!p || !q)
            break;
        memset(p, 1, size);
        memset(q, 2, size);
        for (size_t i = 0; i < size; i++)
            apart &= p[i] == 1 && q[i] == 2;
        apart &= p != q;
        kfree(q);
        kfree(p);
    }
    ok(right && apart, "all sizes to 4200: memory of one's own, aligned");
    for (size_t size = 8 << 10; size <= LARGE_MAX; size += 37 << 10) {
        uint8_t *p = kmalloc(size);
        right &= p != NULL && aligned(p, size);
        if (p)
            memset(p, 3, size);
        kfree(p);
    }
    ok(right, "large ones");
    ok(!kmalloc(LARGE_MAX + 1) && !kmalloc(SIZE_MAX) && !kzalloc(SIZE_MAX - 63) && !kzalloc(1ul << 40), "impossible sizes are refused");
    kfree(NULL);
    uint8_t *p = krealloc(NULL, 10);
    ok(p != NULL, "realloc of nothing");
    memset(p, 7, 10);
    ok(krealloc(p, SIZE_MAX / 2) == NULL && p[9] == 7, "a failed realloc leaves the old");
    kfree(p);
}

static void test_shortage(void)
{
    bool right = true, counted = true;
    for (int round = 0; round < 200; round++) {
        page_limit = page_bytes + (long)(rnd() % 60) * 4096;
        for (int i = 0; i < 2000; i++)
            right &= step(70);
        counted &= kmem_held_bytes() == (uint64_t)page_bytes && page_bytes <= page_limit;
        right &= free_all();
    }
    page_limit = 1l << 40;
    ok(right && counted, "short of memory: NULL, nothing broken, nothing lost");
    ok(kmem_held_bytes() <= keep_most(), "and it all comes back");
}

/* Many objects of one class, freed in different orders: slabs go back whole. */
static void test_slabs(void)
{
    bool right = true;
    static void *p[20000];
    for (unsigned c = 0; c < CLASSES; c++) {
        uint64_t before = kmem_held_bytes();
        unsigned n = 4 << 20 >> 10 << 10 > 20000u * class_sizes[c] ? 20000 : (4u << 20) / class_sizes[c];
        for (unsigned i = 0; i < n; i++)
            p[i] = kmalloc(class_sizes[c]);
        uint64_t full = kmem_held_bytes() - before, need = (uint64_t)n * class_sizes[c];
        uint64_t waste = class_sizes[c] == 4096 ? need / 3 : need / 8; /* three of the largest fit a slab */
        if (full > need + waste + 2 * SLAB_SIZE) {
            printf("# class %u: %lu bytes for %lu\n", class_sizes[c], full, need);
            right = false;
        }
        for (unsigned i = 0; i < n; i++) {
            unsigned k = i * 7919u % n; /* some order */
            if (p[k])
                kfree(p[k]);
            p[k] = NULL;
        }
        for (unsigned i = 0; i < n; i++)
            kfree(p[i]);
        if (kmem_held_bytes() > before + (MAGAZINE + 1) * SLAB_SIZE) {
            printf("# class %u: %lu bytes kept\n", class_sizes[c], kmem_held_bytes() - before);
            right = false;
        }
    }
    ok(right, "slabs are filled well, and go back when they are empty");
}

int main(void)
{
    alarm(900);
    rng = host_seed();
    host_cpus_start();
    kmem_init();
    test_sizes();
    test_histories();
    test_slabs();
    test_shortage();
    /* So that the leak checker finds what is kept. */
    for (unsigned c = 0; c < CLASSES; c++)
        while (boot_magazines.magazines[c].count)
            give_locked(boot_magazines.magazines[c].objects[--boot_magazines.magazines[c].count]);
    ok(kmem_held_bytes() <= CLASSES * SLAB_SIZE, "with empty magazines, at most one slab of each class is kept");
    return done();
}
