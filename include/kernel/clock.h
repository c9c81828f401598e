/* Clocks, in nanoseconds. Any context; a few instructions (TSC times a factor). */
#ifndef KERNEL_CLOCK_H
#define KERNEL_CLOCK_H

#include <stdint.h>

#define NS_PER_SEC 1000000000ull
#define NS_PER_MS 1000000ull
#define NS_PER_US 1000ull

/* Since boot; never goes back. */
uint64_t clock_monotonic_ns(void);
/* Since 1970, UTC. */
uint64_t clock_realtime_ns(void);
void clock_set_realtime_ns(uint64_t ns);
/* Busy wait for device set-up only: at most 1000 us. */
void clock_delay_us(unsigned us);

#endif
