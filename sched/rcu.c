/* RCU with quiescent CPUs. A read section keeps its CPU (preemption is off), so a CPU that switches threads, or takes an interrupt outside of such a section, is in none: it is quiescent. A
   grace period is over when each CPU has been quiescent once since it began; what was taken out of a structure before can be freed then.

   The thread "rcu" makes all grace periods. It sets `asked` of each CPU, and sleeps. A CPU that finds `asked` set when it is quiescent takes it (exchange) and counts `missing` down; who makes that 0
   wakes the thread. That costs a switch one load of its own CPU's memory while nobody asks. The CPU on which the thread runs is quiescent as it runs.

   A CPU that halts, or has not started yet, says so (`idle`) and is left alone: the thread takes `asked` back in its name. Both may see it: the exchange says who counts.
     CPU:    store idle, load asked         (rcu_idle_enter; asked is taken if it is set)
     thread: store asked, load idle
   All four sequentially consistent, so one sees the other, and none is waited for that sleeps. A CPU that leaves idle stores idle = false (sequentially consistent) before it reads
   anything: if the thread saw it idle still, then what the thread's grace period is about was taken out of its structure before, and the CPU does not find it.

   Proof. (1) What a reader read before its CPU counted down, it read before the exchange (release); the thread finds missing 0 (acquire, through the chain of the countdown) before it frees.
   (2) A section that begins after the CPU took `asked` (acquire) begins after the thread set it (release), and so after the writer took the object out: the thread takes the list of
   calls (acquire) before it asks. `asked` is set once in a grace period and taken once, and the thread does not begin another before all are taken.
   (3) Nothing is lost: the thread says that it waits and then looks at `missing`, the last to count down makes it 0 and then looks at whether the thread waits (thread_wake).

   A CPU that computes for long without switching is interrupted after NUDGE_NS; it counts down in the interrupt, or, inside a section, at its end. Grace periods are begun CALL_NS after the
   first call that waits, so many share one; at once after each RCU_MANY calls on a CPU, and for those who sleep for one. So a machine without work has no wake-ups from this.

   Calls wait on their CPU's stack, pushed by compare-and-swap and taken as a whole. tests/models/rcu.pml has a model. */
#include <arch/apic.h>
#include <arch/irq.h>
#include <kernel/clock.h>
#include <kernel/init.h>
#include <kernel/log.h>
#include <sched/rcu.h>
#include <sched/runq.h>
#include <sched/waitq.h>
#include <stdatomic.h>

#define CALL_NS (5 * NS_PER_MS)
#define NUDGE_NS (2 * NS_PER_MS)
#define NUDGE_AGAIN_NS (10 * NS_PER_MS)
#define RCU_MANY 512u

static struct thread *_Atomic rcu_thread;
static _Atomic bool wanted;     /* a grace period */
static _Atomic bool hurry;      /* without waiting for CPUs that compute */
static _Atomic unsigned missing; /* CPUs that have not been quiescent in this grace period; one more while it begins */

static struct mutex lock = MUTEX_INIT; /* protects all below */
static struct waitq waiters = WAITQ_INIT(waiters);
static uint64_t begun;  /* grace periods; counted before the calls are taken */
static uint64_t passed; /* the last one that is over */
static uint64_t called; /* the last one whose calls have run */

static void want(void)
{
    /* seq_cst: against the thread, which says that it waits and then looks */
    atomic_store_explicit(&wanted, true, memory_order_seq_cst);
    struct thread *t = atomic_load_explicit(&rcu_thread, memory_order_seq_cst);
    if (t)
        thread_wake(t);
}

/* ---- a CPU's side; interrupts off ---- */

void rcu_report(struct runq *q)
{
    if (atomic_exchange_explicit(&q->rcu.asked, false, memory_order_acq_rel) &&
        atomic_fetch_sub_explicit(&missing, 1, memory_order_seq_cst) == 1)
        thread_wake(atomic_load_explicit(&rcu_thread, memory_order_relaxed));
}

void rcu_interrupt(struct runq *q)
{
    if (likely(!atomic_load_explicit(&q->rcu.asked, memory_order_relaxed)))
        return;
    if (percpu()->preempt_count)
        percpu()->need_resched = 1; /* the switch at the end of the section tells */
    else
        rcu_report(q);
}

void rcu_idle_enter(struct runq *q)
{
    atomic_store_explicit(&q->rcu.idle, true, memory_order_seq_cst);
    if (unlikely(atomic_load_explicit(&q->rcu.asked, memory_order_seq_cst)))
        rcu_report(q);
}

void rcu_idle_leave(struct runq *q) { atomic_store_explicit(&q->rcu.idle, false, memory_order_seq_cst); }

/* ---- calls ---- */

static void call_timer(struct timer *t) { want(); }

/* How many wait on this CPU now. */
static unsigned push(struct rcu_head *head, void (*fn)(struct rcu_head *))
{
    uint64_t flags = irq_save();
    struct rcu_cpu *c = &percpu()->runq->rcu;
    unsigned waiting = atomic_fetch_add_explicit(&c->waiting, 1, memory_order_relaxed) + 1;
    struct rcu_head *first = atomic_load_explicit(&c->calls, memory_order_relaxed);

    head->fn = fn;
    do
        head->next = first;
    while (!atomic_compare_exchange_weak_explicit(&c->calls, &first, head, memory_order_release, memory_order_relaxed));
    if (!first) {
        c->timer.fn = call_timer;
        timer_arm(&c->timer, clock_monotonic_ns() + CALL_NS);
    }
    irq_restore(flags);
    return waiting;
}

static unsigned call(struct rcu_head *head, void (*fn)(struct rcu_head *))
{
    stack_probe();
    unsigned waiting = push(head, fn);
    if (unlikely(waiting % RCU_MANY == 0)) {
        atomic_store_explicit(&hurry, true, memory_order_relaxed);
        want();
    }
    return waiting;
}

void rcu_call(struct rcu_head *head, void (*fn)(struct rcu_head *)) { (void)call(head, fn); }

void rcu_call_or_wait(struct rcu_head *head, void (*fn)(struct rcu_head *))
{
    if (unlikely(call(head, fn) > RCU_LIMIT))
        rcu_barrier();
}

/* Until *done has come to a grace period that begins after now. */
static void wait_for(const uint64_t *done, const char *reason)
{
    const char *outer = thread_wait_reason(reason);
    mutex_lock(&lock);
    uint64_t target = begun + 1;
    want();
    while (*done < target)
        (void)waitq_wait(&waiters, &lock, TIME_NEVER, false);
    mutex_unlock(&lock);
    thread_wait_reason(outer);
}

void rcu_synchronize(void)
{
    if (percpu_count > 1) /* else the caller has the only CPU, and is in no section */
        wait_for(&passed, "RCU grace period");
}

void rcu_barrier(void) { wait_for(&called, "RCU calls"); }

/* ---- the thread ---- */

static void ask(struct rcu_cpu *c)
{
    atomic_fetch_add_explicit(&missing, 1, memory_order_relaxed);
    atomic_store_explicit(&c->asked, true, memory_order_seq_cst);
    if (atomic_load_explicit(&c->idle, memory_order_seq_cst) && atomic_exchange_explicit(&c->asked, false, memory_order_acq_rel))
        atomic_fetch_sub_explicit(&missing, 1, memory_order_seq_cst);
}

static void nudge(void)
{
    uint64_t flags = irq_save();
    for (unsigned i = 0; i < percpu_count; i++)
        if (atomic_load_explicit(&runq_of(i)->rcu.asked, memory_order_relaxed))
            apic_send_ipi(percpu_table[i]->apic_id, APIC_VECTOR_WAKE);
    irq_restore(flags);
}

static void grace_period(void)
{
    uint64_t patience = atomic_exchange_explicit(&hurry, false, memory_order_relaxed) ? 0 : NUDGE_NS;

    atomic_store_explicit(&missing, 1, memory_order_relaxed);
    preempt_disable();
    for (unsigned i = 0; i < percpu_count; i++)
        if (runq_of(i) != percpu()->runq)
            ask(&runq_of(i)->rcu);
    preempt_enable();
    if (atomic_fetch_sub_explicit(&missing, 1, memory_order_seq_cst) == 1)
        return;
    uint64_t deadline = clock_monotonic_ns() + patience;
    for (;;) {
        thread_wait_prepare();
        if (!atomic_load_explicit(&missing, memory_order_seq_cst))
            break;
        if (clock_monotonic_ns() >= deadline) {
            nudge();
            deadline = clock_monotonic_ns() + NUDGE_AGAIN_NS;
        }
        thread_wait_until(deadline);
    }
    thread_wait_cancel();
}

static void take_calls(void)
{
    for (unsigned i = 0; i < percpu_count; i++) {
        struct rcu_cpu *c = &runq_of(i)->rcu;
        c->taken = atomic_load_explicit(&c->calls, memory_order_relaxed)
                       ? atomic_exchange_explicit(&c->calls, NULL, memory_order_acquire) : NULL;
    }
}

static void run_calls(void)
{
    for (unsigned i = 0; i < percpu_count; i++) {
        struct rcu_cpu *c = &runq_of(i)->rcu;
        struct rcu_head *head, *next;
        unsigned n = 0;
        for (head = c->taken; head; head = next, n++) {
            next = head->next;
            head->fn(head);
        }
        if (n)
            atomic_fetch_sub_explicit(&c->waiting, n, memory_order_relaxed);
    }
}

static void announce(uint64_t *done)
{
    mutex_lock(&lock);
    *done = begun;
    waitq_wake_all(&waiters);
    mutex_unlock(&lock);
}

static void main_loop(void *arg)
{
    /* before the look at wanted: who set it earlier found no thread to wake */
    atomic_store_explicit(&rcu_thread, thread_current(), memory_order_seq_cst);
    thread_wait_reason("RCU calls to come");
    for (;;) {
        thread_wait_prepare();
        if (!atomic_exchange_explicit(&wanted, false, memory_order_seq_cst)) {
            thread_wait();
            continue;
        }
        thread_wait_cancel();
        mutex_lock(&lock);
        begun++;
        mutex_unlock(&lock);
        take_calls();
        grace_period();
        announce(&passed);
        run_calls();
        announce(&called);
    }
}

static void start(void)
{
    if (!thread_create("rcu", main_loop, NULL))
        panic("rcu: no memory for its thread");
}
INIT(INIT_BUS, start);
