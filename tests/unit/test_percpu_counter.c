/* SOURCES: tests/unit/host/host.c */
/* SANITIZE: thread */
/* Per-CPU counters under ThreadSanitizer (each thread is a CPU): no count is lost, and what readers see never decreases, for one reader and from one to the next. */
#include <kernel/percpu_counter.h>
#include "delays.h"
#include "../../kernel/percpu_counter.c"

#include "host/host.h"
#include "tap.h"

unsigned alarm(unsigned seconds);

#define CPUS 6
#define READERS 3
#define ROUNDS 200000

struct percpu *percpu_table[PERCPU_MAX];
unsigned percpu_count;
static struct percpu other_cpus[CPUS];

PERCPU_COUNTER(first);
PERCPU_COUNTER(events);
PERCPU_COUNTER(held);

static _Atomic int registered, counting = CPUS;
static _Atomic uint64_t shown;
static _Atomic bool decreased, below_zero, leave;

static void cpu(void *arg)
{
    percpu_table[(long)arg] = percpu();
    registered++;
    while (registered < CPUS)
        sched_yield();
    for (int i = 0; i < ROUNDS; i++) {
        percpu_counter_add(PERCPU_COUNTER_OF(events), 1);
        percpu_counter_add(PERCPU_COUNTER_OF(held), i & 1 ? -4096 : 4096);
        if (i % 4096 == 0)
            sched_yield();
    }
    percpu_counter_add(PERCPU_COUNTER_OF(held), (long)arg & 1 ? -100 : 101);
    counting--;
    while (!leave)
        sched_yield();
}

static void reader(void *arg)
{
    while (counting) {
        uint64_t before = atomic_load(&shown), n = percpu_counter_read(PERCPU_COUNTER_OF(events));
        if (n < before)
            decreased = true;
        while (before < n && !atomic_compare_exchange_weak(&shown, &before, n))
            ;
        if ((int64_t)percpu_gauge_read(PERCPU_COUNTER_OF(held)) < 0)
            below_zero = true;
    }
}

int main(void)
{
    struct host_thread *t[CPUS + READERS];
    alarm(900);
    percpu_count = CPUS;
    for (int i = 0; i < CPUS; i++)
        percpu_table[i] = &other_cpus[i];
    for (long i = 0; i < CPUS; i++)
        t[i] = host_spawn(cpu, (void *)i);
    while (registered < CPUS)
        sched_yield();
    for (int i = CPUS; i < CPUS + READERS; i++)
        t[i] = host_spawn(reader, NULL);
    while (counting)
        sched_yield();
    ok(percpu_counter_read(PERCPU_COUNTER_OF(events)) == (uint64_t)CPUS * ROUNDS, "no count is lost");
    ok(percpu_gauge_read(PERCPU_COUNTER_OF(held)) == CPUS / 2, "a gauge comes to what is left");
    ok(percpu_counter_read(PERCPU_COUNTER_OF(first)) == 0, "each counter is its own");
    leave = true;
    for (int i = 0; i < CPUS + READERS; i++)
        host_join(t[i]);
    ok(!decreased && shown > 0, "readings never decrease");
    ok(!below_zero, "a gauge is never shown below zero");
    return done();
}
