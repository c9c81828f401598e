/* Times as programs pass them. */
#ifndef KERNEL_TIMESPEC_H
#define KERNEL_TIMESPEC_H

#include <asm/errno.h>
#include <kernel/clock.h>
#include <kernel/compiler.h>

struct timespec64 {
    int64_t sec, nsec;
};
struct itimerspec64 {
    struct timespec64 interval, value;
};
struct timeval64 {
    int64_t sec, usec;
};

static inline bool timespec_valid(const struct timespec64 *t)
{
    return t->sec >= 0 && (uint64_t)t->nsec < NS_PER_SEC;
}
/* Of a valid time; what does not fit is the end of time. */
static inline uint64_t timespec_ns(const struct timespec64 *t)
{
    return (uint64_t)t->sec >= UINT64_MAX / NS_PER_SEC
               ? UINT64_MAX
               : (uint64_t)t->sec * NS_PER_SEC + (uint64_t)t->nsec;
}
static inline struct timespec64 timespec_of_ns(uint64_t ns)
{
    return (struct timespec64){(int64_t)(ns / NS_PER_SEC), (int64_t)(ns % NS_PER_SEC)};
}
/* now + ns on the monotonic clock, saturating at UINT64_MAX (never). */
static inline uint64_t deadline_after(uint64_t ns)
{
    uint64_t now = clock_monotonic_ns();
    return ns > UINT64_MAX - now ? UINT64_MAX : now + ns;
}

#endif
