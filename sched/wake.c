/* Threads from one CPU to another: wake-ups, placement, balance. Lock-free; no CPU waits for
   another.

   A CPU's queue is touched by that CPU only. Whoever has a thread for another CPU pushes it on that
   CPU's `incoming` stack; the CPU takes the whole stack at its next scheduling point, at the latest
   in the interrupt that the pusher sends, and puts a few of them on its queue; for the rest it
   interrupts itself, so that interrupts are not off for long. The interrupt is sent to a halted
   CPU, and to a busy one by who finds the stack empty; a polling one looks by itself. A CPU that is
   about to halt first says so (activity), then looks at the stack once more, and a pusher pushes
   first, then reads activity: both sequentially consistent.

   A thread's place, by its fields:
     state    WAITING is set by the thread itself; a waker makes it RUNNABLE by compare-and-swap, so
              of several wakers one wins.
     active   it is current on CPU t->cpu, or in that CPU's queue. Set and cleared by that CPU only;
              cleared (release) once the switch away from it is complete.
     placed   the token. Whoever holds it, and nobody else, may put the thread on a stack or, if it
              is not active, choose a CPU for it. On a stack the token belongs to the entry, and
              goes to the CPU that takes it.
   A queued thread is RUNNABLE (switch_away sees to that), and so is one that is moved. With the
   token in hand (wake_place): an active thread of another CPU is that CPU's business: onto its
   stack. An active thread of this CPU is current or queued here: nothing to do. One that is not
   active and RUNNABLE is put on a queue. Then the token is given back, and the state looked at once
   more: a waker that came meanwhile saw the token taken and left it to us. (Waker: state, then
   token. We: token, then state. Sequentially consistent, so one sees the other.)

   tests/models has a model of this, and of a variant without the second look, which loses
   wake-ups. */
#include <arch/apic.h>
#include <arch/cpu.h>
#include <kernel/clock.h>
#include <sched/runq.h>
#include <stdatomic.h>

#define SHARE_TRIES 4u /* interrupts are off */
#define TAKE_MAX 8u    /* for the same reason */
#define BALANCE_NS (20 * NS_PER_MS)

_Atomic uint64_t idle_cpus[PERCPU_MAX / 64];

bool affinity_has(const struct thread *t, unsigned cpu)
{
    return atomic_load_explicit(&t->affinity.bits[cpu / 64], memory_order_relaxed) >> (cpu % 64) & 1;
}

static bool is_online(unsigned cpu) { return atomic_load_explicit(&percpu_table[cpu]->online, memory_order_acquire); }

/* The host has taken this CPU away while it was at work: what is put there waits until it is back.
   (To the host a CPU that halts is taken away as well; that one is back at once.) */
static bool is_stolen(unsigned cpu)
{
    return unlikely(kvm_is_preempted(&percpu_table[cpu]->kvm)) &&
           atomic_load_explicit(&runq_of(cpu)->activity, memory_order_relaxed) != CPU_HALTED;
}

/* Takes an idle CPU's bit, if it is set and the thread may run there. */
static bool claim_idle(const struct thread *t, unsigned cpu)
{
    uint64_t bit = 1ull << (cpu % 64);
    return affinity_has(t, cpu) && (atomic_load_explicit(&idle_cpus[cpu / 64], memory_order_relaxed) & bit) &&
           !is_stolen(cpu) && (atomic_fetch_and_explicit(&idle_cpus[cpu / 64], ~bit, memory_order_seq_cst) & bit);
}

/* An idle CPU for t, the one it ran on last by preference; -1: there is none. */
static int find_idle(const struct thread *t, unsigned last)
{
    if (claim_idle(t, last))
        return (int)last;
    for (unsigned w = 0; w < (percpu_count + 63) / 64; w++) {
        uint64_t bits = atomic_load_explicit(&idle_cpus[w], memory_order_seq_cst) &
                        atomic_load_explicit(&t->affinity.bits[w], memory_order_relaxed);
        for (; bits; bits &= bits - 1) {
            unsigned cpu = w * 64 + (unsigned)__builtin_ctzll(bits);
            if (claim_idle(t, cpu))
                return (int)cpu;
        }
    }
    return -1;
}

/* The CPU with the least to do of those that t may run on. */
static unsigned least_loaded(const struct thread *t)
{
    unsigned best = percpu()->id, best_load = UINT32_MAX;

    for (unsigned i = 0; i < percpu_count; i++) {
        if (!affinity_has(t, i) || !is_online(i))
            continue;
        unsigned load = atomic_load_explicit(&runq_of(i)->load, memory_order_relaxed) + is_stolen(i);
        if (load < best_load) {
            best = i;
            best_load = load;
        }
    }
    return best;
}

static unsigned choose(const struct thread *t, unsigned last)
{
    int idle = find_idle(t, last);

    if (idle >= 0)
        return (unsigned)idle;
    return affinity_has(t, last) && is_online(last) && !is_stolen(last) ? last : least_loaded(t);
}

/* Takes t's virtual run time from one CPU's scale to another's. */
static void rebase(struct thread *t, unsigned from, unsigned to)
{
    if (from != to)
        t->vruntime_ns += atomic_load_explicit(&runq_of(to)->min_vruntime_ns, memory_order_relaxed) -
                          atomic_load_explicit(&runq_of(from)->min_vruntime_ns, memory_order_relaxed);
}

/* The token goes with the entry. */
static void push(struct thread *t, unsigned cpu)
{
    struct runq *q = runq_of(cpu);
    struct thread *head = atomic_load_explicit(&q->incoming, memory_order_relaxed);

    do
        t->wake_next = head;
    while (!atomic_compare_exchange_weak_explicit(&q->incoming, &head, t, memory_order_seq_cst, memory_order_relaxed));
    /* A halted CPU is told by everybody: who came first may have lost its own CPU before it
       could. */
    int activity = atomic_load_explicit(&q->activity, memory_order_seq_cst);
    if (activity == CPU_HALTED || (!head && activity == CPU_BUSY))
        apic_send_ipi(percpu_table[cpu]->apic_id, APIC_VECTOR_WAKE);
}

static void migrate(struct thread *t, unsigned to)
{
    unsigned from = (unsigned)atomic_load_explicit(&t->cpu, memory_order_relaxed);

    rebase(t, from, to);
    t->migrations++;
    /* not active there yet: whoever holds the token sees a runnable thread that is on no queue */
    atomic_store_explicit(&t->cpu, (int)to, memory_order_relaxed);
    atomic_store_explicit(&t->active, false, memory_order_release);
    push(t, to);
}

static void place(struct thread *t);

/* More to do here than one thread, and CPUs idle: gives each of a few one. The load is published before the look at idle_cpus (runq_publish_load). */
static void share_with_idle(struct runq *q)
{
    struct thread *t;
    unsigned tries = 0;

    for (unsigned w = 0; w < (percpu_count + 63) / 64; w++) {
        uint64_t bits = atomic_load_explicit(&idle_cpus[w], memory_order_seq_cst);
        for (; bits && q->queued && tries < SHARE_TRIES; bits &= bits - 1, tries++) {
            unsigned cpu = w * 64 + (unsigned)__builtin_ctzll(bits);
            t = runq_spare(q, cpu);
            if (!t)
                continue;
            if (atomic_exchange_explicit(&t->placed, true, memory_order_acquire))
                return; /* a waker is on its way to it, and looks here when it is through */
            if (claim_idle(t, cpu)) {
                runq_remove(q, t);
                runq_publish_load(q, percpu()->current != q->idle);
                migrate(t, cpu);
            } else {
                place(t); /* gives the token back */
            }
        }
    }
}

/* A runnable thread joins this CPU's queue. */
static void make_runnable(struct runq *q, struct thread *t)
{
    struct percpu *p = percpu();
    bool idle = p->current == q->idle;

    runq_insert(q, t);
    runq_publish_load(q, !idle);
    if (idle || runq_preempts(t, p->current))
        p->need_resched = 1;
    else
        clock_arm(q->slice_end_ns);
}

/* t is current or queued on this CPU: takes over a new policy. False: it may not stay, and is on no
   queue now. */
static bool apply_here(struct runq *q, struct thread *t)
{
    if (likely(!atomic_load_explicit(&t->policy_dirty, memory_order_relaxed)))
        return true;
    if (!t->queued) { /* current: it is looked at again when it is switched away from */
        policy_apply(t);
        percpu()->need_resched = 1;
        return true;
    }
    runq_remove(q, t);
    policy_apply(t);
    if (affinity_has(t, q->id)) {
        make_runnable(q, t);
        return true;
    }
    runq_publish_load(q, percpu()->current != q->idle);
    atomic_store_explicit(&t->active, false, memory_order_release);
    return false;
}

static void place(struct thread *t)
{
    struct runq *q = percpu()->runq;

    for (;;) {
        unsigned last = (unsigned)atomic_load_explicit(&t->cpu, memory_order_relaxed);
        if (atomic_load_explicit(&t->active, memory_order_acquire)) {
            if (last != q->id) {
                push(t, last);
                return;
            }
            if (!apply_here(q, t))
                continue;
        } else if (atomic_load_explicit(&t->state, memory_order_seq_cst) == THREAD_RUNNABLE) {
            policy_apply(t);
            unsigned cpu = choose(t, last);
            rebase(t, last, cpu);
            t->migrations += cpu != last;
            atomic_store_explicit(&t->cpu, (int)cpu, memory_order_relaxed);
            if (cpu != q->id) {
                push(t, cpu);
                return;
            }
            atomic_store_explicit(&t->active, true, memory_order_relaxed);
            make_runnable(q, t);
        } else {
            policy_apply(t);
        }
        atomic_exchange_explicit(&t->placed, false, memory_order_seq_cst);
        if (!atomic_load_explicit(&t->policy_dirty, memory_order_seq_cst) &&
            (atomic_load_explicit(&t->state, memory_order_seq_cst) != THREAD_RUNNABLE ||
             atomic_load_explicit(&t->active, memory_order_acquire)))
            return;
        if (atomic_exchange_explicit(&t->placed, true, memory_order_seq_cst))
            return;
    }
}

void wake_place(struct thread *t)
{
    struct percpu *p = percpu();
    struct runq *q = p->runq;

    place(t);
    /* Not before the token is back: t may be the one to give. */
    if (unlikely(percpu_count > 1) && q->queued > (p->current == q->idle ? 1u : 0u))
        share_with_idle(q);
}

/* A thread that was sent here stays here: it is not chosen for again, or it could wander for ever. */
static void receive(struct runq *q, struct thread *t)
{
    if (!atomic_load_explicit(&t->active, memory_order_acquire) &&
        (unsigned)atomic_load_explicit(&t->cpu, memory_order_relaxed) == q->id &&
        atomic_load_explicit(&t->state, memory_order_seq_cst) == THREAD_RUNNABLE && affinity_has(t, q->id)) {
        atomic_store_explicit(&t->active, true, memory_order_relaxed);
        make_runnable(q, t);
    }
    wake_place(t); /* gives the token back, or does what is left to do */
}

/* The newest comes first: reverse. A handful of instructions each, so all at once. */
static struct thread *oldest_first(struct thread *t)
{
    struct thread *list = NULL;
    while (t) {
        struct thread *next = t->wake_next;
        t->wake_next = list;
        list = t;
        t = next;
    }
    return list;
}

void wake_take_incoming(struct runq *q)
{
    if (likely(!q->taken && !atomic_load_explicit(&q->incoming, memory_order_relaxed)))
        return;
    for (unsigned n = 0; n < TAKE_MAX; n++) {
        if (!q->taken)
            q->taken = oldest_first(atomic_exchange_explicit(&q->incoming, NULL, memory_order_seq_cst));
        struct thread *t = q->taken;
        if (!t)
            return;
        q->taken = t->wake_next;
        receive(q, t);
    }
    if (q->taken)
        apic_send_ipi(percpu()->apic_id, APIC_VECTOR_WAKE);
}

static bool give(struct runq *q, unsigned cpu)
{
    struct thread *t = runq_spare(q, cpu);

    if (!t || atomic_exchange_explicit(&t->placed, true, memory_order_acquire))
        return false;
    runq_remove(q, t);
    runq_publish_load(q, percpu()->current != q->idle);
    migrate(t, cpu);
    return true;
}

void wake_answer_thief(struct runq *q)
{
    if (likely(!atomic_load_explicit(&q->thief, memory_order_relaxed)))
        return;
    unsigned thief = atomic_exchange_explicit(&q->thief, 0, memory_order_acquire);
    if (thief != 0 && thief - 1 != q->id && atomic_load_explicit(&runq_of(thief - 1)->load, memory_order_relaxed) == 0)
        (void)give(q, thief - 1);
}

void wake_ask_for_work(const struct runq *q)
{
    unsigned busiest = 0, most = 1;

    for (unsigned i = 0; i < percpu_count; i++) {
        unsigned load = atomic_load_explicit(&runq_of(i)->load, memory_order_seq_cst);
        if (i != q->id && load > most) {
            busiest = i;
            most = load;
        }
    }
    if (most == 1)
        return;
    unsigned none = 0;
    if (atomic_compare_exchange_strong_explicit(&runq_of(busiest)->thief, &none, q->id + 1, memory_order_release, memory_order_relaxed))
        apic_send_ipi(percpu_table[busiest]->apic_id, APIC_VECTOR_WAKE);
}

void wake_balance(struct runq *q, uint64_t now)
{
    if (likely(percpu_count == 1))
        return;
    if (q->queued)
        share_with_idle(q);
    if (now < q->balance_ns)
        return;
    q->balance_ns = now + BALANCE_NS;
    unsigned mine = atomic_load_explicit(&q->load, memory_order_relaxed), least = mine, to = q->id;
    for (unsigned i = 0; i < percpu_count; i++) {
        unsigned load = atomic_load_explicit(&runq_of(i)->load, memory_order_relaxed);
        if (load < least && is_online(i)) {
            least = load;
            to = i;
        }
    }
    if (mine >= least + 2)
        (void)give(q, to);
}

void wake_send_away(struct thread *t)
{
    atomic_store_explicit(&t->active, false, memory_order_release);
    if (!atomic_exchange_explicit(&t->placed, true, memory_order_seq_cst))
        wake_place(t);
}

void thread_wake(struct thread *t)
{
    int expected = THREAD_WAITING;
    uint64_t flags = irq_save(); /* first: who won the exchange must not be preempted before the thread is placed */
    /* release: what the waker did before is visible to the woken thread; seq_cst: see the head */
    if (!atomic_compare_exchange_strong_explicit(&t->state, &expected, THREAD_RUNNABLE, memory_order_seq_cst, memory_order_seq_cst)) {
        irq_restore(flags);
        return;
    }
    struct percpu *p = percpu();
    if (likely(percpu_count == 1)) { /* nobody else: the token is not needed */
        if (!t->active) {
            atomic_store_explicit(&t->active, true, memory_order_relaxed);
            make_runnable(p->runq, t);
        }
    } else if (!atomic_exchange_explicit(&t->placed, true, memory_order_seq_cst)) {
        wake_place(t);
    }
    bool yield = (flags & 0x200) && p->need_resched && !p->preempt_count && !p->interrupt_depth;
    irq_restore(flags);
    if (yield)
        thread_yield();
}
