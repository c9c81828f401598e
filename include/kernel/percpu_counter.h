/* Counters that every CPU adds to and few read: each CPU has a place of its own for each counter in
   its block, so adding shares no cache line and locks no bus, and reading adds the places up.

   Adding is one instruction on the place of the CPU that executes it (percpu_count_add). Whatever
   comes before or after it, an interrupt, an NMI, a move to another CPU, it is whole; and only
   that CPU writes the place. So no count is lost, from any context.

   A reader loads one place after the other while the CPUs go on. Of a counter that only grows it
   finds something between the value when it began and the value when it ended; hence readings, of
   one thread or of several one after another, never decrease, and once all is quiet the sum is
   exact. A gauge, which is also taken from, can be seen in between what was true at no time, as far
   off as was added and taken back on different CPUs during the reading: percpu_gauge_read shows no
   less than 0.

   PERCPU_COUNTER(name) in any file makes one; its number is its place in the linker's table. */
#ifndef KERNEL_PERCPU_COUNTER_H
#define KERNEL_PERCPU_COUNTER_H

#include <arch/percpu.h>

struct percpu_counter {
    const char *name;
};
#define PERCPU_COUNTER(name) LINKER_TABLE(percpu_counter, struct percpu_counter, name) = {#name}

/* What the functions below take. */
#define PERCPU_COUNTER_OF(name) (&percpu_counter_entry_##name)

static inline size_t percpu_counter_number(const struct percpu_counter *c)
{
    extern const struct percpu_counter __table_percpu_counter_start[];
    return (size_t)(c - __table_percpu_counter_start);
}

/* Any context. */
static inline void percpu_counter_add(const struct percpu_counter *c, int64_t n)
{
    percpu_count_add(percpu_counter_number(c), (uint64_t)n);
}

/* Any context; a load for each CPU. */
uint64_t percpu_counter_read(const struct percpu_counter *c);
uint64_t percpu_gauge_read(const struct percpu_counter *c);

#endif
