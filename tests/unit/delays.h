/* Random delays before every atomic operation of the code included after this, so that a few seconds of running meet the interleavings that
   preemption or a stolen CPU would cause. Include after all headers. */
#ifndef TESTS_UNIT_DELAYS_H
#define TESTS_UNIT_DELAYS_H

#include <stdatomic.h>
#include <stdint.h>

int sched_yield(void);
int usleep(unsigned us);

static _Thread_local uint64_t delay_state;

static inline uint64_t delay_random(void)
{
    if (!delay_state)
        delay_state = (uint64_t)&delay_state * 0x9e3779b97f4a7c15u | 1;
    delay_state ^= delay_state << 13;
    delay_state ^= delay_state >> 7;
    delay_state ^= delay_state << 17;
    return delay_state >> 8;
}

static inline void delay(void)
{
    uint64_t r = delay_random() & 1023;
    if (r < 2)
        usleep((unsigned)(delay_random() & 63));
    else if (r < 24)
        sched_yield();
}

#undef atomic_load_explicit
#undef atomic_store_explicit
#undef atomic_exchange_explicit
#undef atomic_compare_exchange_strong_explicit
#undef atomic_compare_exchange_weak_explicit
#undef atomic_fetch_add_explicit
#undef atomic_fetch_sub_explicit
#define atomic_load_explicit(p, o) (delay(), __atomic_load_n(p, o))
#define atomic_store_explicit(p, v, o) (delay(), __atomic_store_n(p, v, o))
#define atomic_exchange_explicit(p, v, o) (delay(), __atomic_exchange_n(p, v, o))
#define atomic_compare_exchange_strong_explicit(p, e, v, s, f) (delay(), __atomic_compare_exchange_n(p, e, v, 0, s, f))
#define atomic_compare_exchange_weak_explicit(p, e, v, s, f) (delay(), __atomic_compare_exchange_n(p, e, v, 1, s, f))
#define atomic_fetch_add_explicit(p, v, o) (delay(), __atomic_fetch_add(p, v, o))
#define atomic_fetch_sub_explicit(p, v, o) (delay(), __atomic_fetch_sub(p, v, o))

#endif
