/* One-shot timers in a tree for each CPU; no periodic tick. */
#ifndef SCHED_TIMER_H
#define SCHED_TIMER_H

#include <kernel/compiler.h>
#include <sys/tree.h>

/* A timer whose function runs in interrupt context (only to record and wake). Zero-initialise it. It must stay in memory for ever, since a CPU's tree may hold it
   for a while after it was cancelled: a static, or part of a struct thread. */
struct timer {
    void (*fn)(struct timer *t);
    /* private */
    _Atomic uint64_t want_ns;   /* 0: not armed */
    _Atomic uint64_t linked_ns; /* the deadline under which it is in a tree */
    _Atomic unsigned home;      /* 1 + the CPU in whose tree it is; 0: none */
    _Atomic bool requested;     /* it is on its home's list of requests */
    struct timer *request_next;
    uint64_t key_ns;            /* home only */
    RB_ENTRY(timer) link;       /* home only */
};
/* Arms or re-arms at deadline_ns (monotonic), from any CPU. Never fails, never waits. One thread at a time for each timer. */
void timer_arm(struct timer *t, uint64_t deadline_ns);
/* True if it was armed. fn may run once more at the same time on another CPU. Never waits. */
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
