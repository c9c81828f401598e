/* An interval timer on any of the program's clocks: what timerfd, timer_create and setitimer have
   in common. It counts from the clock when it is asked; the soft timer behind it only says when to
   look. All functions but clock_timer_end are called under the owner's mutex. */
#ifndef KERNEL_CLOCK_TIMER_H
#define KERNEL_CLOCK_TIMER_H

#include <kernel/clocks.h>
#include <sched/timer.h>

struct clock_timer {
    struct clock_ref clock;
    uint64_t next_ns;        /* on that clock; 0: not armed */
    uint64_t period_ns;      /* 0: once */
    struct soft_timer timer; /* its function: look by clock_timer_expired, then clock_timer_arm */
    struct wall_watch watch;
    struct clock_patience patience;
};

/* fired runs in the thread of the soft timers. The rest of *t is zero. */
void clock_timer_init(struct clock_timer *t, void (*fired)(struct soft_timer *));
/* Sets it on a clock; value_ns 0 stops it. Does not arm. 0, -ESRCH: the clock's thread has ended.
 */
int clock_timer_set(struct clock_timer *t, const struct clock_ref *clock, uint64_t value_ns,
                    uint64_t period_ns, bool absolute) WARN_UNUSED;
/* Has the soft timer fire when the next expiration is due, but not before not_before_ns (monotonic;
 * 0: no bound). */
void clock_timer_arm(struct clock_timer *t, uint64_t not_before_ns);
/* True when the next expiration has come. */
bool clock_timer_due(struct clock_timer *t);
/* Expirations since the last call. A timer without a period, or one whose thread has ended, is off
 * after its expiration. */
uint64_t clock_timer_expired(struct clock_timer *t);
/* Nanoseconds to the next expiration; 0 only if it is off. */
uint64_t clock_timer_left(const struct clock_timer *t);
/* Stops it for good: fired does not run any more. Without the mutexes that fired takes; nobody else
 * uses the timer any more. */
void clock_timer_end(struct clock_timer *t);

/* The arithmetic: how many expirations of next, next + period, ... are not after now. Moves
 * *next_ns behind now; 0 if there is no period. */
uint64_t interval_advance(uint64_t *next_ns, uint64_t period_ns, uint64_t now_ns);

#endif
