/* What drivers need of the kernel, for host tests: heap and pages from malloc, the log swallowed, no delays. Physical addresses are the host's
   addresses shifted by the direct map's base, so virt_to_phys and phys_to_virt are each other's inverse. */
#include <arch/irq.h>
#include <kernel/clock.h>
#include <kernel/log.h>
#include <kernel/string.h>
#include <mm/kmem.h>
#include <mm/page.h>

void *malloc(size_t size);
void *calloc(size_t n, size_t size);
void *aligned_alloc(size_t alignment, size_t size);
void free(void *p);

void *kmalloc(size_t size) { return malloc(size); }
void *kzalloc(size_t size) { return calloc(1, size); }
void kfree(void *p) { free(p); }

void *pages_alloc(unsigned order) { return aligned_alloc(PAGE_SIZE, PAGE_SIZE << order); }
void *pages_alloc_zeroed(unsigned order)
{
    void *p = pages_alloc(order);
    return p != NULL ? memset(p, 0, PAGE_SIZE << order) : NULL;
}
void pages_free(void *p, unsigned order) { free(p); }
uint64_t page_free_bytes(void) { return 64ull << 20; }

void log_printf(enum log_level level, const char *fmt, ...) {}
void clock_delay_us(unsigned us) {}

size_t strlcpy(char *dst, const char *src, size_t size)
{
    size_t n = strlen(src);
    if (size > 0) {
        size_t copy = n < size - 1 ? n : size - 1;
        memcpy(dst, src, copy);
        dst[copy] = 0;
    }
    return n;
}

__attribute__((weak)) uint64_t clock_monotonic_ns(void)
{
    return 0;
}

__attribute__((weak)) void thread_sleep_until(uint64_t deadline_ns)
{
}
