/* SOURCES: tests/unit/host/host.c */
/* SANITIZE: thread */
/* RCU with simulated CPUs, delays before every atomic operation, under ThreadSanitizer: CPUs that read, switch, compute and idle while objects are replaced. What is freed is poisoned
   first, so a reader that still has it sees that, and so does TSan. Then: who computes is interrupted, who reads is waited for, calls are bounded. A hang is a failure by alarm. */
#include <arch/apic.h>
#include <arch/irq.h>
#include <kernel/clock.h>
#include <kernel/init.h>
#include <kernel/log.h>
#include <sched/rcu.h>
#include <sched/runq.h>
#include <sched/waitq.h>
#include "delays.h"

/* Interrupts come where a CPU looks for them. */
#define irq_save() 0
#define irq_restore(flags) ((void)(flags))
#include "../../sched/rcu.c"

#include "host/host.h"
#include "tap.h"

unsigned alarm(unsigned seconds);

_Static_assert(sizeof(struct percpu) <= 8 * 128, "host.c has room for it");

#define CPUS 5
#define ROUNDS 12000
#define OBJECTS 8
#define ALIVE 0x600d600du
#define POISON 0xdeadbeefu

struct object {
    unsigned magic;
    unsigned long value, check; /* check: the complement */
    struct rcu_head rcu;
};
static struct object *_Atomic objects[OBJECTS];
static struct mutex writer_lock = MUTEX_INIT;
static _Atomic long replaced, freed;
static _Atomic bool poisoned;

struct percpu *percpu_table[PERCPU_MAX];
unsigned percpu_count;
static struct percpu cpus[CPUS];
static struct runq runqs[CPUS];
static _Atomic bool ipi[CPUS];
static _Atomic long ipis;

void apic_send(unsigned apic_id, uint32_t command)
{
    atomic_store(&ipi[apic_id], true);
    atomic_fetch_add(&ipis, 1);
}
void timer_arm(struct timer *t, uint64_t deadline_ns) { atomic_store(&t->want_ns, deadline_ns); }

/* The end of a read section in which an interrupt came. */
void preempt_enable_switch(void)
{
    host_percpu.need_resched = 0;
    rcu_quiescent(percpu()->runq);
}

static void interrupts(void)
{
    struct runq *q = percpu()->runq;
    struct timer *t = &q->rcu.timer;
    if (atomic_exchange(&ipi[q->id], false))
        rcu_interrupt(q);
    uint64_t due = atomic_load(&t->want_ns);
    if (due && clock_monotonic_ns() >= due && atomic_exchange(&t->want_ns, 0))
        t->fn(t);
}

static void become(unsigned cpu)
{
    struct thread *self = host_percpu.current;
    host_percpu = cpus[cpu];
    host_percpu.current = self;
}

static void free_object(struct rcu_head *head)
{
    struct object *o = CONTAINER_OF(head, struct object, rcu);
    if (o->magic != ALIVE)
        poisoned = true; /* twice */
    o->magic = POISON;
    o->value = o->check = 0;
    atomic_fetch_add(&freed, 1);
    host_free(o);
}

static struct object *object_new(unsigned long value)
{
    struct object *o = host_malloc(sizeof(*o));
    *o = (struct object){.magic = ALIVE, .value = value, .check = ~value};
    return o;
}

static struct object *replace(unsigned i)
{
    struct object *o = object_new(delay_random()), *old;
    mutex_lock(&writer_lock);
    old = atomic_load_explicit(&objects[i], memory_order_relaxed);
    atomic_store_explicit(&objects[i], o, memory_order_release);
    mutex_unlock(&writer_lock);
    atomic_fetch_add(&replaced, 1);
    return old;
}

static void look_at(const struct object *o)
{
    if (o->magic != ALIVE || o->value != ~o->check)
        poisoned = true;
}

static void read_some(void)
{
    rcu_read_lock();
    const struct object *a = atomic_load_explicit(&objects[delay_random() % OBJECTS], memory_order_acquire);
    look_at(a);
    interrupts();
    rcu_read_lock(); /* nests */
    const struct object *b = atomic_load_explicit(&objects[delay_random() % OBJECTS], memory_order_acquire);
    look_at(b);
    delay();
    rcu_read_unlock();
    delay();
    look_at(a);
    look_at(b);
    rcu_read_unlock();
}

static void sleep_a_while(struct runq *q)
{
    rcu_idle_enter(q);
    for (int i = 0; i < 3; i++) {
        usleep((unsigned)(delay_random() & 63));
        interrupts();
    }
    rcu_idle_leave(q);
}

/* The thread sleeps, and its CPU has nothing else. */
static void write_and_sleep(struct runq *q, struct object *old)
{
    rcu_idle_enter(q);
    rcu_synchronize();
    rcu_idle_leave(q);
    free_object(&old->rcu);
}

static void cpu_main(void *arg)
{
    unsigned self = (unsigned)(long)arg;
    become(self);
    struct runq *q = percpu()->runq;
    if (self == CPUS - 1) { /* it comes late */
        usleep(20000);
        rcu_idle_leave(q);
    }
    for (int i = 0; i < ROUNDS; i++) {
        uint64_t r = delay_random() % 64;
        if (r < 40)
            read_some();
        else if (r < 48)
            rcu_quiescent(q);
        else if (r < 54)
            rcu_call(&replace((unsigned)(delay_random() % OBJECTS))->rcu, free_object);
        else if (r < 56 && i % 16 == 0)
            write_and_sleep(q, replace((unsigned)(delay_random() % OBJECTS)));
        else if (r < 60)
            sleep_a_while(q);
        interrupts();
    }
    rcu_idle_enter(q); /* for good */
}

static void make_cpus(void)
{
    for (unsigned i = 0; i < CPUS; i++) {
        runqs[i] = (struct runq){.id = i};
        runqs[i].rcu.idle = i == CPUS - 1;
        cpus[i] = (struct percpu){.id = i, .apic_id = i, .runq = &runqs[i]};
        percpu_table[i] = &cpus[i];
    }
    percpu_count = CPUS;
    for (unsigned i = 0; i < OBJECTS; i++)
        objects[i] = object_new(i);
}

static bool none_waits(void)
{
    bool none = true;
    for (unsigned i = 0; i < CPUS; i++)
        none = none && runqs[i].rcu.waiting == 0 && !runqs[i].rcu.calls;
    return none;
}

static void test_mixed(void)
{
    struct host_thread *t[CPUS];
    for (long i = 0; i < CPUS; i++)
        t[i] = host_spawn(cpu_main, (void *)i);
    for (int i = 0; i < CPUS; i++)
        host_join(t[i]);
    rcu_barrier();
    printf("# %ld objects replaced, %llu grace periods, %ld interrupts\n", (long)replaced, (unsigned long long)passed, (long)ipis);
    ok(!poisoned, "no reader sees what was freed");
    ok(replaced == freed && replaced > CPUS * 100, "all that was replaced is freed");
    ok(none_waits(), "no call is left");
}

/* ---- one CPU that is not idle ---- */

static _Atomic bool stop, in_section, leave_section, synchronized;

static void computes(void *arg)
{
    become(0);
    rcu_idle_leave(percpu()->runq);
    while (!stop) { /* never switches */
        interrupts();
        usleep(100);
    }
    rcu_idle_enter(percpu()->runq);
}

static void reads(void *arg)
{
    become(0);
    rcu_idle_leave(percpu()->runq);
    rcu_read_lock();
    in_section = true;
    while (!leave_section) {
        interrupts();
        usleep(100);
    }
    in_section = false;
    rcu_read_unlock();
    while (!synchronized) { /* if it was not interrupted before */
        interrupts();
        usleep(100);
    }
    rcu_idle_enter(percpu()->runq);
}

static _Atomic bool too_early;
static void synchronizes(void *arg)
{
    rcu_synchronize();
    if (in_section)
        too_early = true;
    synchronized = true;
}

static void test_one_busy(void)
{
    long before = ipis;
    struct host_thread *a = host_spawn(computes, NULL);
    usleep(10000);
    rcu_synchronize();
    stop = true;
    host_join(a);
    ok(ipis > before, "a CPU that computes and never switches is interrupted, and does not block");

    a = host_spawn(reads, NULL);
    while (!in_section)
        usleep(100);
    struct host_thread *b = host_spawn(synchronizes, NULL);
    usleep(60000); /* it has been interrupted meanwhile */
    ok(!synchronized, "a reader is waited for");
    leave_section = true;
    host_join(b);
    host_join(a);
    ok(!too_early, "until its section is over");
}

/* ---- bounds ---- */

#define FLOODERS 3
static _Atomic unsigned most;

static void floods(void *arg)
{
    become(1);
    for (unsigned i = 0; i < RCU_LIMIT; i++) {
        rcu_call_or_wait(&replace(i % OBJECTS)->rcu, free_object);
        unsigned n = atomic_load(&runqs[1].rcu.waiting), seen = most;
        while (n > seen && !atomic_compare_exchange_weak(&most, &seen, n))
            ;
    }
}

/* While a reader keeps the grace period from passing. */
static void test_bounds(void)
{
    struct host_thread *t[FLOODERS];
    leave_section = false;
    struct host_thread *reader = host_spawn(reads, NULL);
    while (!in_section)
        usleep(100);
    for (int i = 0; i < FLOODERS; i++)
        t[i] = host_spawn(floods, NULL);
    while (runqs[1].rcu.waiting < RCU_LIMIT + FLOODERS)
        usleep(1000);
    leave_section = true;
    host_join(reader);
    for (int i = 0; i < FLOODERS; i++)
        host_join(t[i]);
    rcu_barrier();
    printf("# at most %u calls waited\n", most);
    ok(most <= RCU_LIMIT + FLOODERS, "calls of threads that may wait are bounded");
    ok(replaced == freed && none_waits() && !poisoned, "and all run");
}

static void test_alone(void)
{
    uint64_t before = passed;
    percpu_count = 1;
    rcu_synchronize();
    ok(passed == before, "with one CPU nobody is waited for");
    percpu_count = CPUS;
}

int main(void)
{
    alarm(900);
    make_cpus();
    start();
    test_mixed();
    test_one_busy();
    test_bounds();
    test_alone();
    return done();
}
