/* SOURCES: tests/unit/host/host.c */
/* SANITIZE: thread */
/* Run queues and wake-ups (sched/wake.c, sched/runq.c) on simulated CPUs, with delays before every atomic operation, under ThreadSanitizer. Threads are structures that the CPUs
   "run": each serves requests, waits when it has none, is preempted, moved, shared out. A thread on two CPUs at once is a race on what it counts; a lost wake-up or a lost
   interrupt leaves requests unserved, which is a failure by alarm. The switch and the idle loop are those of sched/thread.c without stacks. */
#include <arch/apic.h>
#include <arch/cpu.h>
#include <kernel/clock.h>
#include <kernel/log.h>
#include <sched/runq.h>
#include "delays.h"

#define irq_save() 0x200ul
#define irq_restore(flags) ((void)(flags))
#define thread_wake kernel_thread_wake /* host.c has one of its own */
void kernel_thread_wake(struct thread *t);
#include "../../sched/runq.c"
#undef WEIGHT_NICE_0
#include "../../sched/wake.c"

#include "host/host.h"
#include "tap.h"

unsigned alarm(unsigned seconds);

#define CPUS 4
#define THREADS 10
#define REQUESTS 300000

struct worker {
    struct thread thread;
    _Atomic long requests;
    long served; /* by whoever runs it: TSan sees it if that are two */
};

struct percpu *percpu_table[PERCPU_MAX];
static struct percpu cpus[CPUS];
static struct runq runqs[CPUS];
static struct thread idles[CPUS];
static struct worker workers[THREADS];
static _Atomic bool ipi[CPUS];
static _Atomic long budget = REQUESTS, served, moved, preempted;
static _Atomic bool finished;

void apic_send(unsigned apic_id, uint32_t command) { atomic_store(&ipi[apic_id], true); }
void clock_arm(uint64_t deadline_ns) {}
void policy_apply(struct thread *t) {}

static void interrupts(struct runq *q)
{
    if (!atomic_exchange(&ipi[q->id], false))
        return;
    wake_take_incoming(q);
    wake_answer_thief(q);
}

static void wake_some(void)
{
    if (atomic_fetch_sub(&budget, 1) <= 0)
        return;
    struct worker *w = &workers[delay_random() % THREADS];
    atomic_fetch_add_explicit(&w->requests, 1, memory_order_seq_cst);
    thread_wake(&w->thread);
}

static void switch_away(struct runq *q, bool stay)
{
    struct thread *prev = host_percpu.current;
    wake_take_incoming(q);
    wake_answer_thief(q);
    host_percpu.need_resched = 0;
    if (stay)
        atomic_store_explicit(&prev->state, THREAD_RUNNABLE, memory_order_relaxed);
    bool runnable = prev != q->idle && atomic_load_explicit(&prev->state, memory_order_relaxed) == THREAD_RUNNABLE;
    if (runnable && !q->queued)
        return;
    runq_charge(q, prev, clock_monotonic_ns());
    if (runnable) {
        wake_balance(q, clock_monotonic_ns());
        runq_insert(q, prev);
        atomic_fetch_add(&preempted, 1);
    }
    struct thread *next = runq_best(q);
    if (next)
        runq_remove(q, next);
    else
        next = q->idle;
    next->charged_ns = clock_monotonic_ns();
    runq_publish_load(q, next != q->idle);
    if (next == prev)
        return;
    host_percpu.current = next;
    if (prev != q->idle && !prev->queued)
        atomic_store_explicit(&prev->active, false, memory_order_release);
}

static void run(struct runq *q, struct worker *w)
{
    if (delay_random() % 4 == 0) {
        switch_away(q, true);
        return;
    }
    atomic_store_explicit(&w->thread.state, THREAD_WAITING, memory_order_seq_cst);
    if (atomic_load_explicit(&w->requests, memory_order_seq_cst) > 0) {
        atomic_store_explicit(&w->thread.state, THREAD_RUNNABLE, memory_order_relaxed);
        atomic_fetch_sub(&w->requests, 1);
        w->served++;
        if (atomic_fetch_add(&served, 1) + 1 == REQUESTS) {
            atomic_store(&finished, true);
            for (unsigned i = 0; i < CPUS; i++)
                atomic_store(&ipi[i], true);
        }
        return;
    }
    if (atomic_load_explicit(&w->thread.state, memory_order_relaxed) != THREAD_RUNNABLE)
        switch_away(q, false);
}

static bool has_work(const struct runq *q)
{
    return q->queued || q->taken || atomic_load_explicit(&q->incoming, memory_order_seq_cst) || host_percpu.need_resched;
}

static void idle(struct runq *q)
{
    uint64_t bit = 1ull << q->id;
    switch_away(q, false);
    if (host_percpu.current != q->idle)
        return;
    atomic_store_explicit(&q->activity, CPU_POLLING, memory_order_seq_cst);
    atomic_fetch_or_explicit(&idle_cpus[0], bit, memory_order_seq_cst);
    wake_ask_for_work(q);
    for (unsigned i = 0; i < 3 && !has_work(q); i++)
        interrupts(q);
    if (!has_work(q) && (q->id != 0 || atomic_load(&budget) <= 0)) { /* somebody must go on asking */
        atomic_store_explicit(&q->activity, CPU_HALTED, memory_order_seq_cst);
        if (!has_work(q))
            while (!atomic_load(&ipi[q->id]) && !atomic_load(&finished))
                host_yield();
    }
    atomic_store_explicit(&q->activity, CPU_BUSY, memory_order_relaxed);
    atomic_fetch_and_explicit(&idle_cpus[0], ~bit, memory_order_relaxed);
    interrupts(q);
}

static void cpu_main(void *arg)
{
    unsigned id = (unsigned)(long)arg;
    struct thread *self = host_percpu.current;
    struct runq *q = &runqs[id];
    host_percpu = cpus[id];
    host_percpu.current = q->idle;
    while (!atomic_load(&finished)) {
        interrupts(q);
        if (delay_random() % 3 == 0)
            wake_some();
        if (host_percpu.current == q->idle)
            idle(q);
        else
            run(q, (struct worker *)host_percpu.current);
    }
    host_percpu.current = self;
}

int main(void)
{
    struct host_thread *t[CPUS];
    long sum = 0, left = 0;

    alarm(900);
    percpu_count = CPUS;
    for (unsigned i = 0; i < CPUS; i++) {
        idles[i] = (struct thread){.state = THREAD_RUNNABLE, .active = true, .cpu = (int)i, .weight = 1024};
        cpus[i] = (struct percpu){.self = &cpus[i], .id = i, .apic_id = i, .runq = &runqs[i], .online = true};
        percpu_table[i] = &cpus[i];
        runq_init(&runqs[i], i, &idles[i]);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        struct thread *w = &workers[i].thread;
        *w = (struct thread){.state = THREAD_WAITING, .cpu = (int)(i % CPUS), .weight = 1024, .policy = i < 2 ? SCHED_FIFO : SCHED_NORMAL};
        w->rt_priority = i < 2 ? 10 : 0;
        w->vruntime_ns = NS_PER_SEC;
        w->affinity.bits[0] = i == 3 ? 2 : i == 4 ? 5 : UINT64_MAX; /* one that must stay, one that may be on two */
    }
    for (unsigned i = 0; i < CPUS; i++)
        t[i] = host_spawn(cpu_main, (void *)(long)i);
    for (unsigned i = 0; i < CPUS; i++)
        host_join(t[i]);
    for (unsigned i = 0; i < THREADS; i++) {
        sum += workers[i].served;
        left += workers[i].requests;
        atomic_fetch_add(&moved, (long)workers[i].thread.migrations);
    }
    ok(sum == REQUESTS && left == 0, "each request is served once");
    ok(moved > 0 && preempted > 0, "by threads that move and are preempted");
    printf("# %ld moves, %ld preemptions\n", moved, preempted);
    return done();
}
