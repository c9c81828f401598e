/* Physical memory for tests of mm/: an address range of the host that stands for physical address 0 and up (-DHOST_DIRECT_MAP), of which only what is touched
   costs memory; and the CPU's block. Included after the code under test. */
#ifndef TESTS_UNIT_PHYSICAL_H
#define TESTS_UNIT_PHYSICAL_H

#include <arch/percpu.h>
#include <kernel/boot.h>
#include <mm/page.h>

void *mmap(void *address, size_t length, int prot, int flags, int fd, off_t offset);
int munmap(void *address, size_t length);
_Noreturn void abort(void);
unsigned alarm(unsigned seconds);

uint64_t host_direct_map;
struct percpu *percpu_table[PERCPU_MAX];
unsigned percpu_count;

static void physical_map(uint64_t bytes)
{
    /* PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS|MAP_NORESERVE */
    void *p = mmap(NULL, bytes + (2ul << 20), 3, 0x4022, -1, 0);
    if (p == (void *)-1)
        abort();
    host_direct_map = ALIGN_UP((uint64_t)p, 2ul << 20);
}
static void physical_unmap(uint64_t bytes) { munmap((void *)ALIGN_DOWN(host_direct_map, 4096ul), bytes); }

static void cpu_zero(void)
{
    percpu_table[0] = percpu();
    percpu_count = 1;
}

static uint64_t rng = 1;
static inline uint64_t rnd(void)
{
    rng ^= rng << 13;
    rng ^= rng >> 7;
    rng ^= rng << 17;
    return rng >> 3;
}

#endif
