/* SOURCES: sched/mutex.c sched/lockstat.c sched/waitq.c tests/unit/host/host.c */
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

static _Thread_local uint64_t armed_for = UINT64_MAX;
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
static uint64_t now;
static bool right = true;

static void fired(struct timer *t)
{
    struct model *m = CONTAINER_OF(t, struct model, timer);
    right &= m->armed && m->deadline <= now && t->want_ns == 0;
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
            arming &= armed_for <= m->deadline || timer_next() <= m->deadline;
            break;
        case 3:
            right &= timer_cancel(&m->timer) == m->armed;
            m->armed = false;
            break;
        default:
            now += rnd() % 12;
            timer_interrupt_run(now);
            none_late &= earliest() > now;
        }
        next &= timer_next() <= earliest();
    }
    ok(right, "a timer fires once, not before its time, unless it was cancelled");
    ok(none_late, "none that is due is left");
    ok(next, "no deadline is earlier than the next one");
    ok(arming, "arming arms the clock");
    for (int i = 0; i < TIMERS; i++)
        (void)timer_cancel(&timers[i].timer);
    timer_interrupt_run(now + 1000); /* a cancelled one stays in the tree until its time */
    ok(timer_next() == TIME_NEVER && right, "all cancelled");
    timer_arm(&timers[0].timer, TIME_NEVER);
    timer_interrupt_run(UINT64_MAX - 1);
    ok(timer_cancel(&timers[0].timer) && !timer_cancel(&timers[0].timer), "at the end of time, and cancelled once");
}

/* ---- many CPUs: timers are armed by whoever has them, wherever they are linked ---- */

#define CPUS 4
#define SHARED 24
static struct shared {
    struct timer timer;
    _Atomic bool taken;   /* one owner at a time */
    _Atomic long fired;
} shared[SHARED];
static _Atomic uint64_t shared_now;
static _Atomic unsigned still_arming;
struct percpu *percpu_table[PERCPU_MAX];
unsigned percpu_count = 1;
static struct percpu cpus[CPUS];
static struct timer_queue queues[CPUS];

void apic_send(unsigned apic_id, uint32_t command) {}

static void shared_fired(struct timer *t) { CONTAINER_OF(t, struct shared, timer)->fired++; }

static void cpu_interrupts(void)
{
    timer_take_requests();
    timer_interrupt_run(atomic_load(&shared_now));
}

static void become(const struct percpu *cpu)
{
    struct thread *self = host_percpu.current;
    host_percpu = *cpu;
    host_percpu.current = self;
}

static void cpu_main(void *arg)
{
    uint64_t r = (uint64_t)(long)arg * 0x9e3779b97f4a7c15u + 1;
    become(&cpus[(long)arg]);
    for (int i = 0; i < 60000; i++) {
        r = r * 6364136223846793005u + 1442695040888963407u;
        struct shared *s = &shared[(r >> 50) % SHARED];
        if (!atomic_exchange(&s->taken, true)) {
            if ((r >> 33) % 4)
                timer_arm(&s->timer, atomic_load(&shared_now) + (r >> 40) % 60);
            else
                (void)timer_cancel(&s->timer);
            atomic_store(&s->taken, false);
        }
        if ((r >> 30) % 3 == 0)
            atomic_fetch_add(&shared_now, 1);
        cpu_interrupts();
    }
    atomic_fetch_sub(&still_arming, 1);
    while (atomic_load(&still_arming) != 0) { /* the others may ask something of this CPU still */
        cpu_interrupts();
        sched_yield();
    }
}

static void all_cpus_run(void)
{
    for (int i = 0; i < 3 * CPUS; i++) {
        become(&cpus[i % CPUS]);
        cpu_interrupts();
    }
    become(&cpus[0]);
}

static void test_cpus(void)
{
    struct percpu mine = host_percpu;
    struct host_thread *t[CPUS];
    bool one = true, none = true;
    long before[SHARED];

    shared_now = 1000;
    still_arming = CPUS;
    percpu_count = CPUS;
    for (int i = 0; i < SHARED; i++)
        shared[i].timer.fn = shared_fired;
    for (int i = 0; i < CPUS; i++) {
        cpus[i] = (struct percpu){.id = (unsigned)i, .timers = &queues[i]};
        percpu_table[i] = &cpus[i];
    }
    for (long i = 0; i < CPUS; i++)
        t[i] = host_spawn(cpu_main, (void *)i);
    for (int i = 0; i < CPUS; i++)
        host_join(t[i]);
    for (int i = 0; i < SHARED; i++)
        (void)timer_cancel(&shared[i].timer);
    all_cpus_run();
    for (int i = 0; i < SHARED; i++) {
        before[i] = shared[i].fired;
        timer_arm(&shared[i].timer, atomic_load(&shared_now) + 10);
    }
    atomic_fetch_add(&shared_now, 100);
    all_cpus_run();
    for (int i = 0; i < SHARED; i++) {
        one = one && shared[i].fired == before[i] + 1;
        none = none && atomic_load(&shared[i].timer.home) == 0;
    }
    ok(one, "timers armed and cancelled on four CPUs: the last arming fires, once");
    ok(none, "and then they are in no tree");
    percpu_count = 1;
    host_percpu = mine;
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
    alarm(900);
    rng = host_seed();
    test_tree();
    test_cpus();
    test_soft();
    return done();
}
