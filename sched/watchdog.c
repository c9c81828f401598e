/* Looks for CPUs that are stuck: one that does not idle, has work waiting, and for 10 s has neither
   come to a scheduling point nor taken an interrupt. Another CPU names it in the log, once for each
   time, and sends it an NMI, in which it prints its registers and back trace and goes on.

   No tick: each CPU has a timer of its own, armed when the CPU leaves idle and again for as long as
   itself or another is busy when it fires. So an idle machine has no wake-ups from this, and one
   that wakes now and then at most one every 5 s. A busy CPU whose timer fires while nobody watches
   asks its neighbour to, since it cannot see that it is stuck itself. What is not seen: a CPU that
   sticks within 5 s of leaving idle while all others idle for good, so that nobody misses it.

   What was seen of a CPU is kept in its run queue, written by all that watch it: they see the same
   counters, and who sets `reported` reports. A virtual CPU that the host takes away for 10 s looks
   stuck, and is; where KVM tells which it is, the report does, and else the back trace. */
#include <arch/apic.h>
#include <arch/trap.h>
#include <kernel/clock.h>
#include <kernel/log.h>
#include <kernel/panic.h>
#include <sched/runq.h>
#include <sched/watchdog.h>

#define LOOK_NS (5 * NS_PER_SEC)
#define STUCK_NS (10 * NS_PER_SEC)

static bool is_busy(const struct runq *q) { return atomic_load_explicit(&q->activity, memory_order_relaxed) == CPU_BUSY; }

static bool has_work_waiting(const struct runq *q)
{
    return atomic_load_explicit(&q->load, memory_order_relaxed) >= 2 || atomic_load_explicit(&q->incoming, memory_order_relaxed);
}

static void report(struct runq *q, uint64_t since_ns)
{
    log_warn("watchdog: CPU %u is stuck: no interrupt and no switch for %llu s, and threads wait for it%s", q->id,
             (unsigned long long)(since_ns / NS_PER_SEC),
             kvm_is_preempted(&percpu_table[q->id]->kvm) ? "; the host does not run it" : "");
    /* release: whoever takes the NMI finds that it was asked for */
    atomic_store_explicit(&q->watch.asked, true, memory_order_release);
    apic_send(percpu_table[q->id]->apic_id, APIC_ICR_NMI);
}

static void look_at(struct runq *q, uint64_t now)
{
    struct watch *w = &q->watch;
    uint64_t progress = atomic_load_explicit(&q->passes, memory_order_relaxed) +
                        atomic_load_explicit(&percpu_table[q->id]->interrupts, memory_order_relaxed);
    uint64_t since = atomic_load_explicit(&w->since_ns, memory_order_relaxed);

    if (progress != atomic_load_explicit(&w->seen, memory_order_relaxed) || !is_busy(q) || !has_work_waiting(q)) {
        atomic_store_explicit(&w->since_ns, now, memory_order_relaxed);
        atomic_store_explicit(&w->seen, progress, memory_order_relaxed);
        atomic_store_explicit(&w->reported, false, memory_order_relaxed);
    } else if (now > since && now - since >= STUCK_NS && !atomic_exchange_explicit(&w->reported, true, memory_order_relaxed)) {
        report(q, now - since);
    }
}

/* The next CPU after this one, if nobody else watches. */
static void ask_neighbour(const struct runq *self)
{
    struct runq *next = NULL;

    for (unsigned n = 1; n < percpu_count; n++) {
        unsigned cpu = (self->id + n) % percpu_count;
        if (!atomic_load_explicit(&percpu_table[cpu]->online, memory_order_acquire))
            continue;
        if (atomic_load_explicit(&runq_of(cpu)->watch.watching, memory_order_relaxed))
            return;
        next = next ? next : runq_of(cpu);
    }
    if (next && !atomic_exchange_explicit(&next->watch.wanted, true, memory_order_relaxed))
        apic_send_ipi(percpu_table[next->id]->apic_id, APIC_VECTOR_WAKE);
}

static void look_around(struct timer *t)
{
    struct runq *self = percpu()->runq;
    uint64_t now = clock_monotonic_ns();
    bool busy = percpu()->current != self->idle;

    if (busy)
        ask_neighbour(self);
    for (unsigned i = 0; i < percpu_count; i++) {
        struct runq *q = runq_of(i);
        if (q == self || !atomic_load_explicit(&percpu_table[i]->online, memory_order_acquire))
            continue;
        look_at(q, now);
        busy = busy || is_busy(q);
    }
    atomic_store_explicit(&self->watch.watching, busy, memory_order_relaxed);
    if (busy)
        timer_arm(t, now + LOOK_NS);
}

void watchdog_start(struct runq *q)
{
    atomic_store_explicit(&q->watch.watching, true, memory_order_relaxed);
    q->watch.timer.fn = look_around;
    timer_arm(&q->watch.timer, clock_monotonic_ns() + LOOK_NS);
}

bool watchdog_nmi(const struct trap_frame *f)
{
    const struct percpu *p = percpu();

    if (!p->runq || !atomic_exchange_explicit(&p->runq->watch.asked, false, memory_order_acquire))
        return false;
    report_printf("watchdog: CPU %u, thread %d (%s):\n", p->id, p->current->tid, p->current->name);
    trap_report(f);
    return true;
}
