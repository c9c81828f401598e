/* Threads and the run queue of a CPU.

   Only a CPU itself touches its run queue, with interrupts off. A wake-up for a thread of another CPU is pushed on that CPU's incoming list (a lock-free stack);
   the CPU takes the list over at its next scheduling point, and is sent an interrupt if it sleeps.

   Order: by virtual run time (CPU time scaled by weight, as in CFS), in a tree. A thread that slept is placed at most one slice behind the queue's minimum, so it runs soon but
   cannot save up. With more than one runnable thread the deadline timer ends the slice; with one there is no timer at all.

   State: WAITING is set by the thread itself (thread_wait_prepare), RUNNABLE by whoever wakes it (compare-and-swap), so one wake-up counts once. A thread that is woken before it
   left the CPU is still "current" there: it is not queued but simply goes on.

   Extended state: a voluntary switch happens in a function call, where the C ABI lets vector registers die. Where they live (page fault, preemption) live_xstate is
   not 0 and the switch saves them.

   Thread structures and their stacks are recycled through a list and never given back to the heap: a late wake-up of a dead thread is harmless. */
#include <arch/apic.h>
#include <arch/cpu.h>
#include <arch/paging.h>
#include <kernel/clock.h>
#include <kernel/log.h>
#include <kernel/signal_fault.h>
#include <kernel/string.h>
#include <mm/kmem.h>
#include <mm/kstack.h>
#include <mm/stack_probe.h>
#include <sched/internal.h>
#include <sched/timer.h>
#include <stdatomic.h>

#define SLICE_NS (4 * NS_PER_MS)
#define WEIGHT_DEFAULT 1024u

static int run_order(const struct thread *a, const struct thread *b)
{
    if (a->vruntime_ns != b->vruntime_ns)
        return a->vruntime_ns < b->vruntime_ns ? -1 : 1;
    return a < b ? -1 : a > b;
}
RB_HEAD(run_tree, thread);
RB_PROTOTYPE_STATIC(run_tree, thread, run_link, run_order);
RB_GENERATE_STATIC(run_tree, thread, run_link, run_order)

struct runq {
    struct run_tree tree;             /* own CPU, interrupts off */
    struct thread *first;             /* the tree's minimum */
    uint64_t min_vruntime_ns;
    struct thread *idle;
    uint64_t loaded_fs;
    struct thread *_Atomic incoming;  /* pushed by other CPUs */
    _Atomic bool sleeping;            /* halted: a remote waker must send an interrupt */
};

struct thread_list all_threads = TAILQ_HEAD_INITIALIZER(all_threads);
struct mutex threads_lock = MUTEX_INIT;

static struct runq boot_runq;
static struct thread boot_thread;
static struct thread *_Atomic free_threads; /* recycled; popped only under threads_lock */
static _Atomic int next_tid = 1;

struct thread *switch_stack(struct thread *prev, uint64_t *save_rsp, uint64_t load_rsp);
void thread_first(void);
void thread_switched(struct thread *prev);
void thread_preempt(struct trap_frame *f);

bool thread_is_idle(const struct thread *t) { return t == percpu()->runq->idle; }
int thread_id(const struct thread *t) { return t->tid; }
unsigned *thread_net_batch(void) { return &thread_current()->net_batch; }

static void enqueue(struct runq *q, struct thread *t)
{
    uint64_t floor = q->min_vruntime_ns > SLICE_NS ? q->min_vruntime_ns - SLICE_NS : 0;
    if (t->vruntime_ns < floor)
        t->vruntime_ns = floor;
    t->queued = true;
    RB_INSERT(run_tree, &q->tree, t);
    if (!q->first || run_order(t, q->first) < 0)
        q->first = t;
}

static void dequeue(struct runq *q, struct thread *t)
{
    if (q->first == t)
        q->first = RB_NEXT(run_tree, &q->tree, t);
    RB_REMOVE(run_tree, &q->tree, t);
    t->queued = false;
}

/* Charges the current thread for the time since it was last charged. */
static void account(struct thread *t, uint64_t now)
{
    uint64_t ran = now - t->slice_start_ns;
    t->slice_start_ns = now;
    t->cpu_time_ns += ran;
    t->vruntime_ns += t->weight == WEIGHT_DEFAULT ? ran : ran * WEIGHT_DEFAULT / t->weight;
}

/* A thread of this CPU became runnable. Interrupts off. */
static void make_runnable(struct runq *q, struct thread *t)
{
    struct percpu *p = percpu();
    if (t == p->current || t->queued)
        return;
    enqueue(q, t);
    if (p->current == q->idle || t->vruntime_ns + SLICE_NS / 4 < p->current->vruntime_ns)
        p->need_resched = 1;
    else
        clock_arm(p->current->slice_start_ns + SLICE_NS);
}

static void take_incoming(struct runq *q)
{
    if (!atomic_load_explicit(&q->incoming, memory_order_relaxed))
        return;
    struct thread *t = atomic_exchange_explicit(&q->incoming, NULL, memory_order_acquire);
    while (t) {
        struct thread *next = t->wake_next;
        make_runnable(q, t);
        t = next;
    }
}

void thread_wake(struct thread *t)
{
    int expected = THREAD_WAITING;
    /* release: what the waker did before is visible to the woken thread */
    if (!atomic_compare_exchange_strong_explicit(&t->state, &expected, THREAD_RUNNABLE, memory_order_acq_rel,
                                                 memory_order_acquire))
        return;
    uint64_t flags = irq_save();
    struct percpu *p = percpu();
    if (t->cpu == (int)p->id) {
        make_runnable(p->runq, t);
    } else {
        struct percpu *target = percpu_table[t->cpu];
        struct thread *head = atomic_load_explicit(&target->runq->incoming, memory_order_relaxed);
        do
            t->wake_next = head;
        while (!atomic_compare_exchange_weak_explicit(&target->runq->incoming, &head, t, memory_order_seq_cst,
                                                      memory_order_relaxed));
        /* seq_cst, with the idle loop: it sets sleeping, then looks at incoming */
        if (atomic_load_explicit(&target->runq->sleeping, memory_order_seq_cst))
            apic_send_ipi(target->apic_id, APIC_VECTOR_WAKE);
    }
    irq_restore(flags);
    if ((flags & 0x200) && p->need_resched && !p->preempt_count && !p->interrupt_depth)
        thread_yield();
}

/* stay: the current thread goes on the queue whatever its state, because it was preempted or yields. It may be between thread_wait_prepare and thread_wait:
   WAITING, but its wake-up may have come before, so only thread_wait may take it off. */
static void switch_away(bool stay)
{
    struct percpu *p = percpu();
    struct runq *q = p->runq;
    struct thread *prev = p->current;
    bool runnable = stay || atomic_load_explicit(&prev->state, memory_order_relaxed) == THREAD_RUNNABLE;

    p->need_resched = 0;
    take_incoming(q);
    struct thread *next = q->first;
    if (runnable && prev != q->idle && (!next || prev == next))
        return;
    uint64_t now = clock_monotonic_ns();
    account(prev, now);
    if (runnable && prev != q->idle) {
        enqueue(q, prev);
        next = q->first;
    }
    if (!next) {
        next = q->idle;
    } else {
        dequeue(q, next);
        if (next->vruntime_ns > q->min_vruntime_ns)
            q->min_vruntime_ns = next->vruntime_ns;
    }
    next->slice_start_ns = now;
    if (q->first)
        clock_arm(now + SLICE_NS);
    if (next == prev)
        return;
    if (prev->live_xstate && prev->xstate)
        cpu_xstate_save(prev->xstate);
    p->current = next;
    next->switches++;
    if (next->app && next->fs_base != q->loaded_fs) {
        q->loaded_fs = next->fs_base;
        cpu_set_fs_base(next->fs_base);
    }
    thread_switched(switch_stack(prev, &prev->saved_rsp, next->saved_rsp));
}

/* On the new thread's stack, interrupts off. */
void thread_switched(struct thread *prev)
{
    struct thread *self = thread_current();
    if (self->live_xstate && self->xstate)
        cpu_xstate_restore(self->xstate);
    if (atomic_load_explicit(&prev->state, memory_order_relaxed) == THREAD_DEAD) {
        struct thread *head = atomic_load_explicit(&free_threads, memory_order_relaxed);
        do
            prev->wake_next = head;
        while (!atomic_compare_exchange_weak_explicit(&free_threads, &head, prev, memory_order_release,
                                                      memory_order_relaxed));
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
    t->preemptions++;
    switch_away(true);
    if (unlikely(atomic_load_explicit(&t->interrupted, memory_order_relaxed))) {
        irq_enable();
        signal_preempted(f);
        irq_disable();
    }
    t->live_xstate--;
}

void thread_yield(void)
{
    stack_probe();
    uint64_t flags = irq_save();
    switch_away(true);
    irq_restore(flags);
}

void preempt_enable_switch(void)
{
    if (percpu()->interrupt_depth)
        return;
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
    if (atomic_load_explicit(&thread_current()->state, memory_order_relaxed) != THREAD_RUNNABLE)
        switch_away(false);
    irq_restore(flags);
}

struct sleep_timer {
    struct timer timer;
    struct thread *thread;
};

static void sleep_timer_fn(struct timer *t) { thread_wake(CONTAINER_OF(t, struct sleep_timer, timer)->thread); }

void thread_wait_until(uint64_t deadline_ns)
{
    if (deadline_ns == TIME_NEVER) {
        thread_wait();
        return;
    }
    struct sleep_timer s = {.timer.fn = sleep_timer_fn, .thread = thread_current()};
    timer_arm(&s.timer, deadline_ns);
    thread_wait();
    timer_cancel(&s.timer);
}

void thread_sleep_until(uint64_t deadline_ns)
{
    while (clock_monotonic_ns() < deadline_ns) {
        thread_wait_prepare();
        thread_wait_until(deadline_ns);
    }
}

static void deadline_interrupt(void *arg)
{
    struct percpu *p = percpu();
    uint64_t now = clock_monotonic_ns();
    timer_interrupt_run(now);
    if (p->runq->first && p->current != p->runq->idle) {
        uint64_t end = p->current->slice_start_ns + SLICE_NS;
        if (now >= end)
            p->need_resched = 1;
        else
            clock_arm(end);
    }
    clock_arm(timer_next());
}

static void wake_interrupt(void *arg)
{
    struct runq *q = percpu()->runq;
    take_incoming(q);
}

static struct thread *thread_recycle(void)
{
    mutex_lock(&threads_lock);
    struct thread *t = atomic_load_explicit(&free_threads, memory_order_acquire);
    /* only pushes race with us: the holder of the mutex is the one popper, so no ABA */
    while (t && !atomic_compare_exchange_weak_explicit(&free_threads, &t, t->wake_next, memory_order_acquire,
                                                       memory_order_acquire))
        ;
    mutex_unlock(&threads_lock);
    return t;
}

struct thread *thread_new(const char *name, void (*fn)(void *), void *arg)
{
    struct thread *t = thread_recycle();
    if (!t) {
        t = kzalloc(sizeof(*t));
        if (!t)
            return NULL;
        t->kernel_stack_base = kstack_alloc(KERNEL_STACK_SIZE);
        if (!t->kernel_stack_base) {
            kfree(t);
            return NULL;
        }
    } else {
        uint64_t base = t->kernel_stack_base;
        *t = (struct thread){.kernel_stack_base = base};
    }
    uint64_t top = t->kernel_stack_base + KERNEL_STACK_SIZE;
    top -= ALIGN_UP(cpu_features.xsave_size, 64);
    t->xstate = (void *)top; /* the head of the area must start out as zero: a valid initial state */
    memset(t->xstate, 0, cpu_features.xsave_size);
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
    t->state = THREAD_WAITING;
    t->weight = WEIGHT_DEFAULT;
    t->cpu = (int)percpu()->id;
    t->fn = fn;
    t->arg = arg;
    t->tid = atomic_fetch_add_explicit(&next_tid, 1, memory_order_relaxed);
    strlcpy(t->name, name, sizeof(t->name));
    mutex_lock(&threads_lock);
    TAILQ_INSERT_TAIL(&all_threads, t, all_link);
    mutex_unlock(&threads_lock);
    return t;
}

void thread_start(struct thread *t)
{
    t->vruntime_ns = percpu()->runq->min_vruntime_ns;
    thread_wake(t);
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
    mutex_lock(&threads_lock);
    TAILQ_REMOVE(&all_threads, t, all_link);
    mutex_unlock(&threads_lock);
    irq_disable();
    atomic_store_explicit(&t->state, THREAD_DEAD, memory_order_relaxed);
    switch_away(false);
    panic("thread: %d ran after its end", t->tid);
}

struct thread *thread_find(int tid)
{
    struct thread *t;
    TAILQ_FOREACH(t, &all_threads, all_link)
        if (t->tid == tid)
            return t;
    return NULL;
}

void sched_init(void)
{
    extern char boot_stack[], boot_stack_top[];
    struct percpu *p = percpu();

    boot_thread = (struct thread){.state = THREAD_RUNNABLE, .weight = WEIGHT_DEFAULT, .name = "idle0"};
    boot_thread.kernel_stack_base = (uint64_t)boot_stack;
    boot_thread.kernel_stack_top = (uint64_t)boot_stack_top;
    boot_runq.idle = &boot_thread;
    p->runq = &boot_runq;
    p->current = &boot_thread;
    timer_init();
    TAILQ_INSERT_TAIL(&all_threads, &boot_thread, all_link);
    irq_set_handler(APIC_VECTOR_WAKE, wake_interrupt, NULL);
    clock_init(deadline_interrupt);
}

void sched_idle(void)
{
    struct runq *q = percpu()->runq;
    for (;;) {
        irq_disable();
        switch_away(false);
        atomic_store_explicit(&q->sleeping, true, memory_order_seq_cst);
        if (!atomic_load_explicit(&q->incoming, memory_order_seq_cst) && !q->first) {
            clock_arm(timer_next());
            irq_enable_and_halt();
        }
        atomic_store_explicit(&q->sleeping, false, memory_order_relaxed);
    }
}
