/* SOURCES: sched/mutex.c sched/waitq.c tests/unit/host/host.c */
/* SANITIZE: thread */
/* Timers: the tree of a CPU against a plain list (what fires, when, in which order, what is armed next), with functions that arm again; soft timers
   with threads that arm and cancel while they fire. */
#include <arch/apic.h>
#include <arch/irq.h>
#include <kernel/clock.h>
#include <kernel/init.h>
#include <kernel/log.h>
#include <sched/internal.h>
#include <sched/timer.h>
#include <stdatomic.h>

/* There are no interrupts here. */
#define irq_save() 0
#define irq_restore(flags) ((void)(flags))
#include "../../sched/timer.c"

#include "host/host.h"
#include "tap.h"

unsigned alarm(unsigned seconds);
int sched_yield(void);

static uint64_t armed_for = UINT64_MAX;
void clock_arm(uint64_t deadline_ns) { armed_for = MIN(armed_for, deadline_ns); }

static uint64_t rng;
static uint64_t rnd(void)
{
    rng ^= rng << 13;
    rng ^= rng >> 7;
    rng ^= rng << 17;
    return rng >> 3;
}

#define TIMERS 200
static struct model {
    struct timer timer;
    bool armed;
    uint64_t deadline;
    uint64_t period; /* 0: once */
} timers[TIMERS];
static uint64_t now, last_fired;
static bool right = true;

static void fired(struct timer *t)
{
    struct model *m = CONTAINER_OF(t, struct model, timer);
    right &= m->armed && m->deadline <= now && m->deadline >= last_fired && !t->armed;
    last_fired = m->deadline;
    m->armed = false;
    if (m->period) {
        m->deadline = now + m->period;
        m->armed = true;
        timer_arm(t, m->deadline);
    } else if (rnd() % 8 == 0) { /* cancels another from within */
        struct model *o = &timers[rnd() % TIMERS];
        right &= timer_cancel(&o->timer) == o->armed;
        o->armed = false;
    }
}

static uint64_t earliest(void)
{
    uint64_t min = TIME_NEVER;
    for (int i = 0; i < TIMERS; i++)
        if (timers[i].armed)
            min = MIN(min, timers[i].deadline);
    return min;
}

static void test_tree(void)
{
    bool next = true, arming = true, none_late = true;
    timer_init();
    ok(timer_next() == TIME_NEVER, "no timer, no deadline");
    for (int i = 0; i < 100000; i++) {
        struct model *m = &timers[rnd() % TIMERS];
        m->timer.fn = fired;
        switch (rnd() % 6) {
        case 0:
        case 1:
        case 2:
            m->deadline = now + rnd() % 100; /* many are alike */
            m->period = rnd() % 5 ? 0 : 1 + rnd() % 50;
            m->armed = true;
            armed_for = UINT64_MAX;
            timer_arm(&m->timer, m->deadline);
            arming &= armed_for <= m->deadline;
            break;
        case 3:
            right &= timer_cancel(&m->timer) == m->armed;
            m->armed = false;
            break;
        default:
            now += rnd() % 12;
            last_fired = 0;
            timer_interrupt_run(now);
            none_late &= earliest() > now;
        }
        next &= timer_next() == earliest();
    }
    ok(right, "a timer fires once, not before its time, in order, unless it was cancelled");
    ok(none_late, "none that is due is left");
    ok(next, "the next deadline is the earliest");
    ok(arming, "arming arms the clock");
    for (int i = 0; i < TIMERS; i++)
        (void)timer_cancel(&timers[i].timer);
    ok(timer_next() == TIME_NEVER, "all cancelled");
    timer_arm(&timers[0].timer, TIME_NEVER);
    timer_interrupt_run(UINT64_MAX - 1);
    ok(timer_cancel(&timers[0].timer) && !timer_cancel(&timers[0].timer), "at the end of time, and cancelled once");
}

/* ---- soft timers ---- */

#define SOFT 16
static struct soft {
    struct soft_timer timer;
    _Atomic bool running, dead;
    _Atomic long fired;
} soft[SOFT];
static _Atomic bool early, after_sync, twice;
static struct mutex own = MUTEX_INIT;
static long under_mutex;

static void soft_fired(struct soft_timer *t)
{
    struct soft *s = CONTAINER_OF(t, struct soft, timer);
    if (atomic_exchange(&s->running, true))
        twice = true;
    if (s->dead)
        after_sync = true;
    s->fired++;
    mutex_lock(&own);
    under_mutex++;
    mutex_unlock(&own);
    atomic_store(&s->running, false);
}

static void user(void *arg)
{
    uint64_t r = (uint64_t)(long)arg * 0x9e3779b97f4a7c15u + 1;
    for (int i = 0; i < 1500; i++) {
        r = r * 6364136223846793005u + 1442695040888963407u;
        struct soft *s = &soft[(long)arg * 4 + (long)(r >> 60) % 4]; /* each thread has its own timers */
        soft_timer_arm(&s->timer, clock_monotonic_ns() + (r >> 40) % 100000);
        if ((r >> 35) % 4 == 0)
            sched_yield();
        if ((r >> 33) % 4 == 0) {
            (void)soft_timer_cancel(&s->timer);
            soft_timer_sync(&s->timer);
            s->dead = true; /* from here on it must not run */
            sched_yield();
            s->dead = false;
        }
    }
}

static _Atomic uint64_t one_deadline;
static _Atomic int one_count;
static void one_fired(struct soft_timer *t)
{
    if (clock_monotonic_ns() < one_deadline)
        early = true;
    one_count++;
}

static void test_soft(void)
{
    struct host_thread *t[SOFT / 4];
    struct soft_timer one = {.fn = one_fired};
    start();
    for (int i = 0; i < SOFT; i++)
        soft[i].timer.fn = soft_fired;
    for (long i = 0; i < SOFT / 4; i++)
        t[i] = host_spawn(user, (void *)i);
    for (int i = 0; i < 50; i++) { /* not early, and never lost */
        one_deadline = clock_monotonic_ns() + rnd() % 300000;
        int before = one_count;
        soft_timer_arm(&one, one_deadline);
        while (one_count == before)
            sched_yield();
    }
    for (int i = 0; i < SOFT / 4; i++)
        host_join(t[i]);
    long total = 0;
    for (int i = 0; i < SOFT; i++) {
        (void)soft_timer_cancel(&soft[i].timer);
        soft_timer_sync(&soft[i].timer);
        total += soft[i].fired;
    }
    printf("# fired %ld times\n", total);
    ok(!early && one_count == 50, "soft timers fire, and not before their time");
    ok(!after_sync && !twice, "none runs after cancel and sync, none twice at a time");
    mutex_lock(&own);
    ok(under_mutex == total && total > 0, "their functions may take mutexes");
    mutex_unlock(&own);
}

int main(void)
{
    alarm(100);
    rng = host_seed();
    test_tree();
    test_soft();
    return done();
}
