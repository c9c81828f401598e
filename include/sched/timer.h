/* One-shot timers in a tree for each CPU; no periodic tick. */
#ifndef SCHED_TIMER_H
#define SCHED_TIMER_H

#include <kernel/compiler.h>
#include <sys/tree.h>

/* A timer whose function runs in interrupt context (only to record and wake) on the CPU that armed it. Zero-initialise it. */
struct timer {
    uint64_t deadline_ns; /* private */
    bool armed;           /* private */
    RB_ENTRY(timer) link; /* private */
    void (*fn)(struct timer *t);
};
/* Arms or re-arms at deadline_ns (monotonic). Never fails; the timer must stay in memory until it fired or was cancelled. */
void timer_arm(struct timer *t, uint64_t deadline_ns);
/* After this returns fn does not run any more. True if it was armed. */
bool timer_cancel(struct timer *t);

/* A timer whose function runs in the kernel thread "timers" and may take mutexes and sleep briefly. Zero-initialise it. */
struct soft_timer {
    uint64_t deadline_ns;
    bool armed;
    RB_ENTRY(soft_timer) link; /* private */
    void (*fn)(struct soft_timer *t);
};
void soft_timer_arm(struct soft_timer *t, uint64_t deadline_ns);
/* True if it was armed. fn may be running on the timer thread while this returns false; soft_timer_sync waits for it. */
bool soft_timer_cancel(struct soft_timer *t);
void soft_timer_sync(struct soft_timer *t);

#endif
