/* Reading of per-CPU counters. */
#include <kernel/percpu_counter.h>
#include <stdatomic.h>

uint64_t percpu_counter_read(const struct percpu_counter *c)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < percpu_count; i++) /* relaxed: each place's own order is all that is promised */
        sum += atomic_load_explicit(&percpu_table[i]->counters[percpu_counter_number(c)], memory_order_relaxed);
    return sum;
}

uint64_t percpu_gauge_read(const struct percpu_counter *c)
{
    uint64_t sum = percpu_counter_read(c);
    return (int64_t)sum < 0 ? 0 : sum;
}
