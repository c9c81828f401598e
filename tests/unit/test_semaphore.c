/* SOURCES: tests/unit/host/host.c */
/* SANITIZE: thread */
/* The semaphore with many threads, delays before every atomic operation, under ThreadSanitizer: never more units out than there are, none lost, no lost wake-up, time-outs and
   interruption that race with units, order. A hang is a failure by alarm. */
#include <asm/errno.h>
#include <kernel/clock.h>
#include <mm/stack_probe.h>
#include <sched/semaphore.h>
#include <sched/thread.h>
#include "delays.h"

#include "../../sched/semaphore.c"

#include "host/host.h"
#include "tap.h"

unsigned alarm(unsigned seconds);

#define THREADS 8
#define ROUNDS 4000
#define UNITS 3

static struct semaphore sem = SEMAPHORE_INIT(UNITS);
static _Atomic int out;
static _Atomic bool broken;
static _Atomic long timeouts, tries;

static bool at_rest(int units)
{
    return sem.count == units && sem.grants == 0 && sem.leavers == 0 && !sem.serving && !sem.incoming && !sem.queue;
}

static void use_unit(void)
{
    if (atomic_fetch_add(&out, 1) >= UNITS)
        broken = true;
    if (delay_random() % 4 == 0)
        sched_yield();
    atomic_fetch_sub(&out, 1);
    semaphore_up(&sem);
}

/* Every third waits with short time-outs, another one only tries. */
static void worker(void *arg)
{
    long kind = (long)arg;
    for (int i = 0; i < ROUNDS; i++) {
        if (kind == 0) {
            if (semaphore_try(&sem)) {
                tries++;
                use_unit();
            }
            sched_yield();
        } else if (kind % 3 == 0) {
            int r = semaphore_down(&sem, clock_monotonic_ns() + delay_random() % 20000, false);
            if (r == 0)
                use_unit();
            else if (r == -ETIMEDOUT)
                timeouts++;
            else
                broken = true;
        } else {
            if (semaphore_down(&sem, TIME_NEVER, false) != 0)
                broken = true;
            use_unit();
        }
    }
}

static void test_resource(void)
{
    struct host_thread *t[THREADS];
    for (long i = 0; i < THREADS; i++)
        t[i] = host_spawn(worker, (void *)i);
    for (int i = 0; i < THREADS; i++)
        host_join(t[i]);
    printf("# %ld time-outs, %ld tries that won\n", (long)timeouts, (long)tries);
    ok(!broken, "no more units are out than there are");
    ok(at_rest(UNITS), "all units are back, nobody and nothing is left in the queue");
}

/* ---- units from nowhere, as an interrupt handler gives them ---- */

#define ITEMS 6000
static struct semaphore items = SEMAPHORE_INIT(0);
static _Atomic int taken;
static _Atomic long got;

static void giver(void *arg)
{
    for (int i = 0; i < ITEMS; i++) {
        semaphore_up(&items);
        if (delay_random() % 64 == 0)
            usleep(30);
    }
}

static void taker(void *arg)
{
    while (taken < 2 * ITEMS) {
        uint64_t deadline = clock_monotonic_ns() + (arg ? delay_random() % 50000 : 20000000);
        if (semaphore_down(&items, deadline, false) == 0) {
            got++;
            taken++;
        }
    }
}

static void test_events(void)
{
    struct host_thread *t[THREADS];
    for (long i = 0; i < THREADS; i++)
        t[i] = host_spawn(i < 2 ? giver : taker, (void *)(i < 2 ? i : i & 1));
    for (int i = 0; i < THREADS; i++)
        host_join(t[i]);
    ok(got == 2 * ITEMS && items.count == 0 && items.grants == 0 && !items.queue && !items.incoming, "each unit is taken once");
}

static struct semaphore ping = SEMAPHORE_INIT(0), pong = SEMAPHORE_INIT(0);
static long plain;

static void partner(void *arg)
{
    for (int i = 0; i < ROUNDS; i++) {
        if (semaphore_down(&ping, TIME_NEVER, false) != 0)
            broken = true;
        plain++;
        semaphore_up(&pong);
    }
}

static void test_ping_pong(void)
{
    struct host_thread *t = host_spawn(partner, NULL);
    for (int i = 0; i < ROUNDS; i++) {
        plain++;
        semaphore_up(&ping);
        if (semaphore_down(&pong, TIME_NEVER, false) != 0)
            broken = true;
    }
    host_join(t);
    ok(plain == 2 * ROUNDS && !broken, "what came before an up is seen after the down");
}

/* ---- edges ---- */

static _Atomic bool interrupted_flag;
bool thread_interrupted(void) { return interrupted_flag; }
static struct thread *_Atomic waiter;
static _Atomic int result = 1, arrived;
static _Atomic int order[THREADS];
static struct semaphore one = SEMAPHORE_INIT(0);

static void interruptible(void *arg)
{
    waiter = thread_current();
    result = semaphore_down(&one, TIME_NEVER, true);
}

static void in_order(void *arg)
{
    if (semaphore_down(&one, TIME_NEVER, false) == 0)
        order[arrived] = (int)(long)arg;
    arrived++;
}

static void test_edges(void)
{
    uint64_t start = clock_monotonic_ns();
    ok(!semaphore_try(&one) && semaphore_down(&one, start + 3000000, false) == -ETIMEDOUT, "a time-out");
    ok(clock_monotonic_ns() - start >= 3000000 && one.count == 0 && !one.queue && !one.incoming, "not before its time, and nothing is left");
    ok(semaphore_down(&one, 1, false) == -ETIMEDOUT, "a deadline in the past");
    semaphore_up(&one);
    ok(semaphore_down(&one, 1, true) == 0 && one.count == 0, "a unit that is there is taken, whatever the deadline");
    struct host_thread *t = host_spawn(interruptible, NULL), *w[THREADS];
    while (one.count == 0 || !one.incoming)
        sched_yield();
    interrupted_flag = true;
    thread_wake(waiter);
    while (result == 1) { /* it may have looked at the flag before it slept */
        thread_wake(waiter);
        sched_yield();
    }
    host_join(t);
    interrupted_flag = false;
    ok(result == -EINTR && one.count == 0, "a signal");
    for (long i = 0; i < THREADS; i++) {
        struct semaphore_waiter *before = one.incoming;
        w[i] = host_spawn(in_order, (void *)i);
        while (one.incoming == before)
            sched_yield();
    }
    bool fair = true;
    for (int i = 0; i < THREADS; i++) {
        semaphore_up(&one);
        while (arrived == i)
            sched_yield();
        fair &= order[i] == i;
    }
    for (int i = 0; i < THREADS; i++)
        host_join(w[i]);
    ok(fair && one.count == 0, "first come, first served");
}

int main(void)
{
    alarm(900);
    test_resource();
    test_events();
    test_ping_pong();
    test_edges();
    return done();
}
