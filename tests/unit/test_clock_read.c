/* SOURCES: tests/unit/host/host.c */
/* SANITIZE: thread */
/* Reading the time while it is changed, under ThreadSanitizer with delays before every atomic operation, over a simulated TSC: faster and slower, forth and back, each
   CPU with a TSC of its own. Nobody sees time go back, by itself or by what others told it; and nobody waits for a changer that stops half way. */
#include <arch/apic.h>
#include <arch/clock_internal.h>
#include <arch/irq.h>
#include "delays.h"
#define irq_save() 0
#define irq_restore(flags) ((void)(flags))
#include "../../arch/x86_64/clock_read.c"

#include "host/host.h"
#include "tap.h"

unsigned alarm(unsigned seconds);

#define READERS 6
#define READS 30000
#define CHANGES 2000
#define MULT (1ull << 31) /* 2 GHz */

/* One step a reading, so that there is an order of all; large beside CHANGE_MARGIN_NS with what others read meanwhile. */
static _Atomic uint64_t tsc = 1000000;
static _Thread_local uint64_t skew;
static _Thread_local int stop_at; /* the reading at which this thread stops */
static _Atomic bool stopped, go_on;

/* Before and after the reading, for long beside CHANGE_MARGIN_NS. */
static void lose_cpu(void)
{
    if (delay_random() % 128 == 0)
        usleep(200);
}

uint64_t clock_tsc(void)
{
    if (stop_at && --stop_at == 0) {
        stopped = true;
        while (!go_on)
            sched_yield();
    }
    lose_cpu();
    uint64_t now = atomic_fetch_add(&tsc, 1 + (delay_random() & 1023)) + skew;
    lose_cpu();
    return now;
}

void kvmclock_refresh(struct clock_cpu *c) {}

static _Atomic uint64_t shown;
static _Atomic bool back;
static _Atomic int changers;
static _Thread_local struct clock_cpu own_clock;

/* As two threads do of which one tells the other what it saw. */
static uint64_t look(void)
{
    uint64_t before = atomic_load(&shown), ns = clock_monotonic_ns();
    if (ns < before)
        back = true;
    while (before < ns && !atomic_compare_exchange_weak(&shown, &before, ns))
        ;
    return ns;
}

static bool is_fast(void) { return fast.after == fast.before; }
static _Atomic long looks, slow_looks;

static void reader(void *arg)
{
    percpu()->clock = &own_clock;
    while (changers) {
        looks++;
        slow_looks += !is_fast();
        look();
        if (delay_random() % 64 == 0)
            clock_settle();
    }
}

static void changer(void *arg)
{
    uint64_t offset;
    for (int i = 0; i < CHANGES; i++) {
        struct clock_line to = clock_current_line();
        to.mult = MULT / 4 + delay_random() % (4 * MULT);
        to = clock_line_through(clock_tsc(), look() + delay_random() % 400 - 200, to.mult);
        (void)clock_change(to, &offset);
        if (delay_random() % 4 == 0)
            clock_settle();
        for (unsigned n = delay_random() % 32; n; n--)
            look();
    }
    changers--;
}

/* The time that passes until a change is complete. */
static void let_settle(void)
{
    for (int i = 0; i < 1000000 && settling; i++) {
        look();
        clock_settle();
    }
}

static void run(int writers)
{
    struct host_thread *t[READERS + 4];
    changers = writers;
    for (int i = 0; i < READERS + writers; i++)
        t[i] = host_spawn(i < READERS ? reader : changer, NULL);
    for (int i = 0; i < READERS + writers; i++)
        host_join(t[i]);
    let_settle();
    printf("# %ld readings, %ld of them while a change was under way\n", (long)looks, (long)slow_looks);
}

static void stopping_changer(void *arg)
{
    uint64_t offset;
    stop_at = (int)(long)arg;
    (void)clock_change(clock_line_through(clock_tsc(), clock_monotonic_ns() + 500, MULT / 3), &offset);
}

static void test_stopped_changer(void)
{
    bool advances = true, refused = true;
    uint64_t offset;
    for (long at = 3; at <= 6; at++) {
        stopped = go_on = false;
        struct host_thread *t = host_spawn(stopping_changer, (void *)at);
        while (!stopped)
            sched_yield();
        uint64_t from = look();
        for (int i = 0; i < 2000; i++)
            look();
        advances = advances && look() > from;
        refused = refused && !clock_change(clock_current_line(), &offset);
        go_on = true;
        host_join(t);
        let_settle();
    }
    ok(advances && !back, "while a changer stands still anywhere, time goes on for all others");
    ok(refused, "another change is refused meanwhile, and does not wait");
    ok(is_fast(), "when it goes on, reading is fast again");
}

static void skewed_reader(void *arg)
{
    skew = (uint64_t)(long)arg * 100000;
    own_clock.line = (struct clock_line){MULT, -clock_scale(skew, MULT) + delay_random() % 50};
    percpu()->clock = &own_clock;
    for (int i = 0; i < READS; i++)
        look();
    changers--;
}

static void test_each(void)
{
    struct host_thread *t[READERS];
    uint64_t from = look();
    own_clock.line = (struct clock_line){MULT, 0};
    percpu()->clock = &own_clock;
    ok(clock_change_to_each(from - clock_scale(tsc, MULT) - 5000) && look() >= from && clock_current_line().mult == 0, "each CPU by its own TSC from now on");
    changers = READERS;
    for (long i = 0; i < READERS; i++)
        t[i] = host_spawn(skewed_reader, (void *)i);
    for (int i = 0; i < READERS; i++)
        host_join(t[i]);
    ok(!back, "TSCs apart: nobody sees time go back");
    ok(look() - from < clock_scale(tsc, MULT) + 100000, "nor jump");
    clock_settle();
    ok(!is_fast(), "for good");
}

int main(void)
{
    alarm(900);
    ok(clock_monotonic_ns() == 0, "before it is started, time stands at zero");
    struct clock_line line = clock_line_through(tsc, 0, MULT);
    clock_start(&line);
    uint64_t a = look(), b = look();
    ok(a < 5000 && b >= a && b < a + 5000 && is_fast(), "and begins there");
    run(1);
    ok(!back, "one changer: nobody sees time go back");
    ok(is_fast(), "and reading is fast at the end");
    run(3);
    ok(!back && is_fast(), "three changers that get into each other's way");
    uint64_t before = look(), offset;
    line = clock_line_through(tsc, before + 1000000000, MULT);
    ok(clock_change(line, &offset) && offset == line.offset && look() >= before + 1000000000, "a step forward is followed");
    let_settle();
    before = look();
    line = clock_line_through(tsc, before - 500000000, MULT);
    ok(clock_change(line, &offset) && offset > line.offset && look() >= before && look() < before + 1000000, "a step back is not");
    let_settle();
    uint64_t was = tsc;
    before = look();
    tsc = 5000; /* the host has lost it */
    line = clock_line_through(5000, before + 7000, MULT);
    ok(clock_change(line, &offset) && look() >= before && look() < before + 1000000, "a TSC that was set back: the host's clock is followed");
    tsc = was;
    line = clock_line_through(tsc, look() % (1ull << 40), MULT);
    clock_start(&line);
    shown = 0;
    last = 0;
    test_stopped_changer();
    test_each();
    return done();
}
