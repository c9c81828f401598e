/* Threads: their making and end, waiting, and the switch from one to the next.

   Only a CPU itself touches its run queue (runq.c), with interrupts off. What other CPUs have for it comes over a lock-free list (wake.c).

   State: WAITING is set by the thread itself (thread_wait_prepare), RUNNABLE by whoever wakes it (compare-and-swap), so one wake-up counts once. A thread that is woken before it
   left the CPU is still "current" there: it is not queued but simply goes on. With more than one runnable thread the deadline timer ends the slice; with one there is no timer at all.

   Extended state: a voluntary switch happens in a function call, where the C ABI lets vector registers die. Where they live (page fault, preemption) live_xstate is
   not 0 and the switch saves them.

   Thread structures and their stacks are recycled (thread_table.c) and never given back to the heap: a late wake-up of a dead thread is harmless. One that is still on some
   CPU's list (its token is taken) is not recycled yet. */
#include <arch/apic.h>
#include <arch/cpu.h>
#include <arch/paging.h>
#include <arch/tlb.h>
#include <asm/errno.h>
#include <kernel/clock.h>
#include <kernel/log.h>
#include <kernel/print.h>
#include <kernel/string.h>
#include <mm/kmem.h>
#include <mm/kstack.h>
#include <mm/stack_probe.h>
#include <sched/report.h>
#include <sched/runq.h>
#include <sched/timer.h>
#include <stdatomic.h>

#define POLL_TURNS_MAX 100u /* some microseconds */
#define POLL_TURNS_MIN 2u

static struct runq boot_runq;
static struct thread boot_thread;
struct cpu_set all_cpus;
static const struct signal_hooks *signals; /* NULL until there is an application */
_Static_assert(offsetof(struct thread, interrupted) == 0, "syscall_stubs.S");

struct thread *switch_stack(struct thread *prev, uint64_t *save_rsp, uint64_t load_rsp);
void thread_first(void);
void thread_switched(struct thread *prev);
void thread_preempt(struct trap_frame *f);

bool thread_is_idle(const struct thread *t) { return t == percpu()->runq->idle; }
int thread_id(const struct thread *t) { return t->tid; }
void sched_set_signal_hooks(const struct signal_hooks *hooks) { signals = hooks; }
unsigned *thread_net_batch(void) { return &thread_current()->net_batch; }

/* The next thread to run, off the queue; the idle thread if there is none. What may not run here is sent on. */
static struct thread *pick(struct runq *q, const struct thread *prev)
{
    struct thread *t;

    while ((t = runq_best(q))) {
        runq_remove(q, t);
        if (likely(affinity_has(t, q->id)) || t == prev) /* prev is still on its stack: it cannot go yet */
            return t;
        wake_send_away(t);
    }
    return q->idle;
}

static void start_slice(struct runq *q, const struct thread *t, uint64_t now)
{
    q->slice_end_ns = now + (t->policy == SCHED_RR ? RR_SLICE_NS : SLICE_NS);
    if (q->queued)
        clock_arm(q->slice_end_ns);
}

/* stay: the current thread was preempted or yields, and goes on the queue. It may be between thread_wait_prepare and thread_wait: then it is made RUNNABLE, so that it
   may be moved like any other, and thread_wait returns at once; who waits looks at the condition again. Interrupts off. */
static void switch_away(bool stay)
{
    struct percpu *p = percpu();
    struct runq *q = p->runq;
    struct thread *prev = p->current;

    runq_count(&q->passes);
    rcu_quiescent(q);
    wake_take_incoming(q);
    wake_answer_thief(q);
    p->need_resched = 0;
    if (stay)
        atomic_store_explicit(&prev->state, THREAD_RUNNABLE, memory_order_relaxed);
    bool runnable = prev != q->idle && atomic_load_explicit(&prev->state, memory_order_relaxed) == THREAD_RUNNABLE;
    bool here = affinity_has(prev, q->id);
    if (runnable && !q->queued && here)
        return;
    uint64_t now = clock_monotonic_ns();
    runq_charge(q, prev, now);
    policy_apply(prev);
    if (runnable && here) {
        if (runq_stays(q, prev, now))
            return;
        wake_balance(q, now); /* before prev is in the queue: it cannot be moved while it runs */
        prev->rt_head = stay && !prev->yielding && (prev->policy == SCHED_FIFO || now < q->slice_end_ns);
        runq_insert(q, prev);
    }
    struct thread *next = pick(q, prev);
    next->charged_ns = now;
    runq_publish_load(q, next != q->idle);
    start_slice(q, next, now);
    if (next == prev)
        return;
    prev->moving = runnable && !here;
    prev->preemptions += runnable && !prev->yielding;
    if (prev->live_xstate && prev->xstate)
        cpu_xstate_save(prev->xstate);
    atomic_store_explicit(&prev->cpu_clock, prev->cpu_time_ns, memory_order_release);
    atomic_store_explicit(&next->cpu_clock, CPU_CLOCK_RUNNING | (now - next->cpu_time_ns), memory_order_release);
    p->current = next;
    next->switches++;
    runq_count(&q->switches);
    if (next->app && next->fs_base != q->loaded_fs) {
        q->loaded_fs = next->fs_base;
        cpu_set_fs_base(next->fs_base);
    }
    thread_switched(switch_stack(prev, &prev->saved_rsp, next->saved_rsp));
}

/* t, which runs here, may go on in the application without having looked at a signal that came while it was away. */
static inline void look_at_signals(const struct thread *t)
{
    if (unlikely(atomic_load_explicit(&t->interrupted, memory_order_relaxed)) && t->app)
        signals->nudge();
}

/* On the new thread's stack, interrupts off. prev is not ours any more once it is sent away or not active. */
void thread_switched(struct thread *prev)
{
    struct thread *self = thread_current();
    if (self->live_xstate && self->xstate)
        cpu_xstate_restore(self->xstate);
    look_at_signals(self);
    if (atomic_load_explicit(&prev->state, memory_order_relaxed) == THREAD_DEAD) {
        atomic_store_explicit(&prev->active, false, memory_order_relaxed);
        thread_stack_push(&percpu()->runq->ended, prev);
    } else if (unlikely(prev->moving)) {
        prev->moving = false;
        wake_send_away(prev);
    } else if (!prev->queued) {
        /* release: its saved registers, for the CPU that a waker chooses */
        atomic_store_explicit(&prev->active, false, memory_order_release);
    }
}

void sched_set_fs(uint64_t base)
{
    uint64_t flags = irq_save();
    thread_current()->fs_base = base;
    percpu()->runq->loaded_fs = base;
    cpu_set_fs_base(base);
    irq_restore(flags);
}

/* From vectors.S, on the thread's kernel stack, interrupts off; f is what it will return to. */
void thread_preempt(struct trap_frame *f)
{
    struct thread *t = thread_current();
    t->live_xstate++;
    switch_away(true);
    if (unlikely(atomic_load_explicit(&t->interrupted, memory_order_relaxed)) && t->app) {
        irq_enable();
        signals->preempted(f);
        irq_disable();
    }
    t->live_xstate--;
}

void thread_yield(void)
{
    stack_probe();
    uint64_t flags = irq_save();
    struct thread *t = thread_current();
    percpu()->runq->slice_end_ns = 0; /* SCHED_RR: to the end of its list */
    t->yielding = true;
    switch_away(true);
    t->yielding = false;
    irq_restore(flags);
}

void preempt_enable_switch(void)
{
    if (percpu()->interrupt_depth)
        return;
    stack_probe();
    uint64_t flags = irq_save();
    if (flags & 0x200)
        switch_away(true);
    irq_restore(flags);
}

void thread_wait_prepare(void)
{
    /* seq_cst: the store of WAITING comes before the caller's look at the condition */
    atomic_store_explicit(&thread_current()->state, THREAD_WAITING, memory_order_seq_cst);
}

void thread_wait_cancel(void)
{
    atomic_store_explicit(&thread_current()->state, THREAD_RUNNABLE, memory_order_relaxed);
}

void thread_wait(void)
{
    stack_probe();
    uint64_t flags = irq_save();
    if (unlikely(percpu()->preempt_count))
        panic("thread: %d sleeps with preemption off, or in an RCU read section", thread_current()->tid);
    if (atomic_load_explicit(&thread_current()->state, memory_order_relaxed) != THREAD_RUNNABLE)
        switch_away(false);
    irq_restore(flags);
}

static void sleep_timer_fn(struct timer *t) { thread_wake(CONTAINER_OF(t, struct thread, sleep_timer)); }

void thread_wait_until(uint64_t deadline_ns)
{
    struct thread *t = thread_current();
    if (deadline_ns == TIME_NEVER) {
        thread_wait();
        return;
    }
    timer_arm(&t->sleep_timer, deadline_ns);
    thread_wait();
    timer_cancel(&t->sleep_timer);
}

void thread_sleep_until(uint64_t deadline_ns)
{
    const char *outer = thread_wait_reason("sleep");
    while (clock_monotonic_ns() < deadline_ns) {
        thread_wait_prepare();
        thread_wait_until(deadline_ns);
    }
    thread_wait_reason(outer);
}

const char *thread_wait_reason(const char *reason)
{
    struct thread *t = thread_current();
    const char *outer = atomic_load_explicit(&t->wait_reason, memory_order_relaxed);
    atomic_store_explicit(&t->wait_reason, reason, memory_order_relaxed);
    return outer;
}

static void deadline_interrupt(void *arg)
{
    struct percpu *p = percpu();
    struct runq *q = p->runq;
    uint64_t now = clock_monotonic_ns();

    timer_interrupt_run(now);
    if (q->queued && p->current != q->idle) {
        if (now >= q->slice_end_ns)
            p->need_resched = 1;
        else
            clock_arm(q->slice_end_ns);
    }
    clock_arm(timer_next());
}

/* Another CPU has pushed a thread, asks for one, or has set a signal or an affinity for what runs here. */
static void wake_interrupt(void *arg)
{
    struct percpu *p = percpu();
    struct runq *q = p->runq;

    wake_take_incoming(q);
    wake_answer_thief(q);
    timer_take_requests();
    rcu_interrupt(q);
    if (unlikely(atomic_load_explicit(&q->watch.wanted, memory_order_relaxed))) {
        atomic_store_explicit(&q->watch.wanted, false, memory_order_relaxed);
        watchdog_busy(q);
    }
    if (!affinity_has(p->current, q->id))
        p->need_resched = 1;
    look_at_signals(p->current);
}

void thread_kick(struct thread *t)
{
    unsigned cpu = (unsigned)atomic_load_explicit(&t->cpu, memory_order_relaxed);
    uint64_t flags = irq_save();
    if (cpu != percpu()->id && atomic_load_explicit(&t->active, memory_order_relaxed))
        apic_send_ipi(percpu_table[cpu]->apic_id, APIC_VECTOR_WAKE);
    irq_restore(flags);
}

static struct thread *thread_recycle(void)
{
    unsigned self = percpu()->id; /* the warmest; others will do */
    struct thread *t = thread_stack_pop(&runq_of(self)->ended);
    for (unsigned n = 1; !t && n < percpu_count; n++)
        t = thread_stack_pop(&runq_of((self + n) % percpu_count)->ended);
    if (t && atomic_exchange_explicit(&t->placed, true, memory_order_acquire)) {
        thread_stack_push(&runq_of(self)->ended, t); /* a late wake-up has it on some CPU's list: later */
        return NULL;
    }
    return t;
}

static struct thread *structure_new(void)
{
    struct thread *t = kzalloc(sizeof(*t));
    if (!t)
        return NULL;
    t->sleep_timer.fn = sleep_timer_fn;
    t->placed = true;
    if (thread_table_add(t)) {
        kfree(t);
        return NULL;
    }
    return t;
}

static struct thread *thread_blank(void)
{
    struct thread *t = thread_recycle();
    if (!t)
        t = structure_new();
    if (t && !t->kernel_stack_base)
        t->kernel_stack_base = kstack_alloc(KERNEL_STACK_SIZE);
    if (t && !t->kernel_stack_base) { /* it has its place for good: kept for better times */
        atomic_store_explicit(&t->placed, false, memory_order_relaxed);
        thread_stack_push(&percpu()->runq->ended, t);
        return NULL;
    }
    if (!t)
        return NULL;
    memset((char *)t + THREAD_KEPT_BYTES, 0, sizeof(*t) - THREAD_KEPT_BYTES);
    atomic_store_explicit(&t->interrupted, false, memory_order_relaxed);
    atomic_store_explicit(&t->state, THREAD_NEW, memory_order_relaxed);
    return t;
}

static void prepare_stack(struct thread *t, void (*fn)(void *), void *arg)
{
    uint64_t top = t->kernel_stack_base + KERNEL_STACK_SIZE;
    top -= ALIGN_UP(cpu_features.xsave_size, 64);
    t->xstate = (void *)top;
    cpu_xstate_init(t->xstate);
    t->kernel_stack_top = top;
    uint64_t *sp = (uint64_t *)top;
    *--sp = 0;
    *--sp = (uint64_t)thread_first;
    *--sp = 0;                      /* rbp: ends the back trace */
    *--sp = (uint64_t)fn;           /* rbx */
    *--sp = (uint64_t)arg;          /* r12 */
    *--sp = 0;
    *--sp = 0;
    *--sp = 0;
    *--sp = 0x37f00001f80ull;       /* x87 control word, MXCSR: the ABI's initial values */
    t->saved_rsp = (uint64_t)sp;
}

/* A new thread has its maker's policy, nice value and affinity, as on Linux; the kernel's own are made with the defaults. */
static void policy_inherit(struct thread *t)
{
    const struct thread *maker = thread_current();
    bool app = maker->app != NULL;
    t->want_policy = app ? maker->want_policy : SCHED_NORMAL;
    t->want_nice = app ? maker->want_nice : 0;
    t->want_rt = app ? maker->want_rt : 0;
    t->policy_dirty = true;
    policy_apply(t);
    for (unsigned i = 0; i < ARRAY_SIZE(t->affinity.bits); i++)
        t->affinity.bits[i] = app ? maker->affinity.bits[i] : UINT64_MAX; /* those that start later, too */
}

/* The thread is in state NEW, and its token is held by its maker until thread_start. */
struct thread *thread_new(const char *name, void (*fn)(void *), void *arg)
{
    struct thread *t = thread_blank();
    if (!t)
        return NULL;
    prepare_stack(t, fn, arg);
    policy_inherit(t);
    t->cpu = (int)percpu()->id;
    t->fn = fn;
    t->arg = arg;
    strlcpy(t->name, name, sizeof(t->name));
    thread_list(t);
    return t;
}

void thread_start(struct thread *t)
{
    uint64_t flags = irq_save();
    struct percpu *p = percpu();
    t->cpu = (int)p->id;
    t->vruntime_ns = atomic_load_explicit(&p->runq->min_vruntime_ns, memory_order_relaxed);
    atomic_store_explicit(&t->state, THREAD_RUNNABLE, memory_order_seq_cst);
    wake_place(t);
    bool yield = (flags & 0x200) && p->need_resched && !p->preempt_count && !p->interrupt_depth;
    irq_restore(flags);
    if (yield)
        thread_yield();
}

void thread_discard(struct thread *t)
{
    thread_unlist(t);
    atomic_store_explicit(&t->placed, false, memory_order_relaxed);
    thread_stack_push(&percpu()->runq->ended, t);
}

struct thread *thread_create(const char *name, void (*fn)(void *), void *arg)
{
    struct thread *t = thread_new(name, fn, arg);
    if (t)
        thread_start(t);
    return t;
}

void thread_exit(void)
{
    struct thread *t = thread_current();
    if (atomic_load_explicit(&t->listed, memory_order_relaxed) != THREAD_NOT_LISTED)
        thread_unlist(t);
    irq_disable();
    atomic_store_explicit(&t->state, THREAD_DEAD, memory_order_relaxed);
    switch_away(false);
    panic("thread: %d ran after its end", t->tid);
}

static void cpu_set_add(unsigned cpu) { atomic_fetch_or_explicit(&all_cpus.bits[cpu / 64], 1ull << (cpu % 64), memory_order_relaxed); }

void sched_init(void)
{
    extern char boot_stack[], boot_stack_top[];
    struct percpu *p = percpu();

    boot_thread = (struct thread){.state = THREAD_RUNNABLE, .active = true, .cpu_clock = CPU_CLOCK_RUNNING,
                                   .weight = policy_weight(SCHED_NORMAL, 0), .name = "idle0"};
    boot_thread.kernel_stack_base = (uint64_t)boot_stack;
    boot_thread.kernel_stack_top = (uint64_t)boot_stack_top;
    boot_thread.affinity.bits[0] = 1;
    cpu_set_add(0);
    runq_init(&boot_runq, 0, &boot_thread);
    p->runq = &boot_runq;
    p->current = &boot_thread;
    timer_init();
    if (thread_table_add(&boot_thread))
        panic("thread: no memory for the table");
    thread_list(&boot_thread); /* id 0 */
    irq_set_handler(APIC_VECTOR_WAKE, wake_interrupt, NULL);
    clock_init(deadline_interrupt);
    atomic_store_explicit(&p->online, true, memory_order_release);
}

int sched_cpu_init(struct percpu *p)
{
    char name[16];
    snprintf(name, sizeof(name), "idle%u", p->id);
    struct thread *idle = thread_new(name, NULL, NULL);
    if (!idle)
        return -ENOMEM;
    p->runq = kzalloc(sizeof(*p->runq));
    if (!p->runq)
        return -ENOMEM;
    idle->state = THREAD_RUNNABLE;
    idle->active = true;
    idle->cpu = (int)p->id;
    memset(&idle->affinity, 0, sizeof(idle->affinity));
    idle->affinity.bits[p->id / 64] = 1ull << (p->id % 64);
    runq_init(p->runq, p->id, idle);
    p->runq->rcu.idle = true;
    p->current = idle;
    return timer_cpu_init(p);
}

uint64_t sched_idle_stack(const struct percpu *p) { return p->runq->idle->kernel_stack_top; }

void sched_online(void)
{
    struct percpu *p = percpu();
    rcu_idle_leave(p->runq);
    cpu_set_add(p->id);
    uint64_t now = clock_monotonic_ns();
    p->current->charged_ns = now;
    atomic_store_explicit(&p->current->cpu_clock, CPU_CLOCK_RUNNING | now, memory_order_relaxed);
    atomic_store_explicit(&p->runq->online_ns, now, memory_order_relaxed);
    atomic_store_explicit(&p->online, true, memory_order_release);
}

static bool has_work(const struct runq *q)
{
    return q->queued || atomic_load_explicit(&q->incoming, memory_order_seq_cst) || percpu()->need_resched;
}

/* Looks for work a little while before halting, since a wake-up by interrupt costs more. The while adapts: it grows when looking paid. */
static void poll_briefly(struct runq *q)
{
    for (unsigned i = 0; i < q->poll_limit; i++) {
        irq_enable();
        cpu_relax();
        irq_disable();
        if (has_work(q)) {
            q->poll_limit = MIN(q->poll_limit * 2, POLL_TURNS_MAX);
            return;
        }
    }
    q->poll_limit = MAX(q->poll_limit / 2, POLL_TURNS_MIN);
}

static void set_idle(const struct runq *q, bool idle)
{
    uint64_t bit = 1ull << (q->id % 64);
    if (idle)
        atomic_fetch_or_explicit(&idle_cpus[q->id / 64], bit, memory_order_seq_cst);
    else
        atomic_fetch_and_explicit(&idle_cpus[q->id / 64], ~bit, memory_order_relaxed);
}

static void halt(struct runq *q)
{
    atomic_store_explicit(&q->activity, CPU_HALTED, memory_order_seq_cst);
    rcu_idle_enter(q); /* may find work for this CPU */
    if (!has_work(q)) {
        tlb_idle_enter();
        clock_arm(timer_next());
        irq_enable_and_halt();
        irq_disable();
        atomic_fetch_add_explicit(&q->wakeups, 1, memory_order_relaxed);
        tlb_idle_leave();
    }
    rcu_idle_leave(q);
}

void sched_idle(void)
{
    struct runq *q = percpu()->runq;
    for (;;) {
        irq_disable();
        switch_away(false);
        bool many = percpu_count > 1;
        if (many) {
            atomic_store_explicit(&q->activity, CPU_POLLING, memory_order_seq_cst);
            set_idle(q, true);
            wake_ask_for_work(q);
            poll_briefly(q);
        }
        if (!has_work(q))
            halt(q);
        atomic_store_explicit(&q->activity, CPU_BUSY, memory_order_relaxed);
        if (many) {
            set_idle(q, false);
            watchdog_busy(q);
        }
    }
}
