/* Allocation storms: random sizes, verified by patterns, by several threads, and given back. */
#include "check.h"
#include <malloc.h>
#include <sys/mman.h>
#include <sys/sysinfo.h>

#define SLOTS 200

static void *storm(void *seed_arg)
{
    unsigned long seed = (unsigned long)seed_arg * 7919 + 1;
    unsigned char *p[SLOTS] = {0};
    size_t size[SLOTS] = {0};
    long bad = 0;
    for (int i = 0; i < 6000; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        size_t k = (seed >> 40) % SLOTS, n = (seed >> 20 & 15) == 0 ? (seed >> 44) % 200000 : (seed >> 44) % 2000;
        if (p[k]) {
            size_t edge = size[k] < 64 ? size[k] : 64;
            if (!pattern_good(p[k], edge, 0, (unsigned)k) || !pattern_good(p[k] + size[k] - edge, edge, size[k] - edge, (unsigned)k))
                bad++;
        }
        if (seed >> 63) {
            free(p[k]);
            p[k] = malloc(n);
        } else {
            unsigned char *q = realloc(p[k], n);
            if (q && n && p[k] && !pattern_good(q, n < size[k] ? (n < 64 ? n : 64) : (size[k] < 64 ? size[k] : 64), 0, (unsigned)k))
                bad++;
            p[k] = n || q ? q : NULL;
        }
        size[k] = p[k] ? n : 0;
        if (n && !p[k]) {
            bad += 1000;
            continue;
        }
        if (p[k]) {
            size_t edge = n < 64 ? n : 64;
            if (n && malloc_usable_size(p[k]) < n)
                bad++;
            pattern_fill(p[k], edge, 0, (unsigned)k);
            pattern_fill(p[k] + n - edge, edge, n - edge, (unsigned)k);
        }
    }
    for (int i = 0; i < SLOTS; i++)
        free(p[i]);
    return (void *)bad;
}

static void one_thread(void) { equal((long)storm((void *)1), 0, "6,000 operations"); }

static void threads(void)
{
    pthread_t t[4];
    long bad = 0;
    for (long i = 0; i < 4; i++)
        t[i] = start(storm, (void *)(i + 2));
    for (int i = 0; i < 4; i++) {
        void *r;
        pthread_join(t[i], &r);
        bad += (long)r;
    }
    equal(bad, 0, "4 threads");
}

static void alignment(void)
{
    int bad = 0;
    for (size_t a = 8; a <= 65536; a *= 2) {
        void *p = NULL;
        if (posix_memalign(&p, a, 100) || (uintptr_t)p % a)
            bad++;
        free(p);
        p = aligned_alloc(a, a * 3);
        bad += !p || (uintptr_t)p % a;
        free(p);
    }
    for (size_t n = 1; n < 3000; n += 7) {
        void *p = malloc(n);
        bad += (uintptr_t)p % (n >= 16 ? 16 : 8) != 0;
        free(p);
    }
    char *z = calloc(1000, 100);
    for (size_t i = 0; z && i < 100000; i++)
        bad += z[i] != 0;
    free(z);
    equal(bad, 0, "alignments and calloc");
    volatile size_t half = SIZE_MAX / 2;
    check(calloc(half, 4) == NULL, "calloc does not overflow");
}

static unsigned long free_memory(void)
{
    struct sysinfo s;
    sysinfo(&s);
    return (s.freeram + s.bufferram) * s.mem_unit;
}

/* What was mapped and unmapped comes back to the system. A Linux host has other users, so it is asked on Singlet only. */
static void given_back(void)
{
    unsigned long before = 0;
    for (int round = 0; round < 6; round++) {
        char *p[20];
        for (int i = 0; i < 20; i++) {
            p[i] = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
            if (p[i] == MAP_FAILED) {
                check(false, "mmap of 1 MB");
                return;
            }
            pattern_fill(p[i], 1 << 20, 0, (unsigned)i);
        }
        bool good = true;
        for (int i = 0; i < 20; i++) {
            good = good && pattern_good(p[i], 1 << 20, 0, (unsigned)i);
            munmap(p[i], 1 << 20);
        }
        check(good, "20 areas of 1 MB, round %d", round);
        if (round == 1)
            before = free_memory();
    }
    long lost = (long)(before - free_memory());
    if (on_singlet())
        check(lost < 1 << 20, "all of it given back (%ld bytes less after 4 more rounds)", lost);
    before = free_memory();
    for (int i = 0; i < 200; i++)
        pthread_join(start(storm, (void *)1000) /* a thread's heap */, NULL);
    lost = (long)(before - free_memory());
    if (on_singlet())
        check(lost < 4 << 20, "200 threads with their heaps come and go (%ld bytes less)", lost);
}

/* More than there is: malloc says NULL at some time, and all is well after it was given back. */
static void exhaustion(void)
{
    if (!on_singlet()) {
        skip("not on somebody's Linux machine");
        return;
    }
    enum { CHUNK = 1 << 20 };
    struct chunk {
        struct chunk *next;
    } *list = NULL;
    struct sysinfo s;
    long n = 0;
    sysinfo(&s);
    unsigned long keep = s.totalram / 5, start = free_memory();
    while (free_memory() > keep) {
        struct chunk *c = mmap(NULL, CHUNK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (c == MAP_FAILED)
            break;
        memset(c, 1, CHUNK);
        c->next = list;
        list = c;
        n++;
    }
    check(n >= (long)((start - keep) >> 20) * 9 / 10, "%ld MB filled", n);
    while (list) {
        struct chunk *next = list->next;
        munmap(list, CHUNK);
        list = next;
    }
    /* page tables of areas below 2 MB may stay for the next ones */
    check(free_memory() + (1 << 20) + (start - keep) / 256 > start, "and given back (%ld bytes less)", (long)(start - free_memory()));
}

int main(void)
{
    run(one_thread);
    run(threads);
    run(alignment);
    run(given_back);
    run(exhaustion);
    return 0;
}
