/* A page of KVM's clock into a line over the TSC. */
#include <arch/pvclock.h>
#include <stdatomic.h>

#define NS_PER_TSC_MIN ((1ull << 32) / 100)   /* 100 GHz */
#define NS_PER_TSC_MAX ((1ull << 32) * 10000) /* 100 kHz */

/* The host's formula is ((delta << shift) * mul) >> 32, or delta >> -shift: one factor of 32.32 takes the place of both. */
static bool line_of(uint64_t timestamp, uint64_t system_time, uint32_t mul, int shift, struct clock_line *line)
{
    if (shift < -31 || shift > 31)
        return false;
    uint64_t factor = shift >= 0 ? (uint64_t)mul << shift : (uint64_t)mul >> -shift;
    if (factor < NS_PER_TSC_MIN || factor > NS_PER_TSC_MAX)
        return false;
    *line = clock_line_through(timestamp, system_time, factor);
    return true;
}

/* acquire, all of them: the version is looked at before the rest, and again after it */
bool pvclock_read(const struct pvclock_time *page, struct pvclock_values *out)
{
    for (unsigned i = 0; i < PVCLOCK_TRIES; i++) {
        out->version = atomic_load_explicit(&page->version, memory_order_acquire);
        uint64_t timestamp = atomic_load_explicit(&page->tsc_timestamp, memory_order_acquire);
        uint64_t system_time = atomic_load_explicit(&page->system_time, memory_order_acquire);
        uint32_t mul = atomic_load_explicit(&page->tsc_to_system_mul, memory_order_acquire);
        int shift = atomic_load_explicit(&page->tsc_shift, memory_order_acquire);
        out->flags = atomic_load_explicit(&page->flags, memory_order_acquire);
        if (!(out->version & 1) && atomic_load_explicit(&page->version, memory_order_relaxed) == out->version)
            return line_of(timestamp, system_time, mul, shift, &out->line);
    }
    return false;
}
