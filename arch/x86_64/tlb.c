/* TLB shootdown, without anybody spinning. Each flush has a number. The initiator flushes its own
   CPU, publishes range and number, interrupts the CPUs that run threads, all at once, and sleeps
   until each has `seen` the number; the interrupt handler of each flushes, stores what it has seen
   and wakes the initiator.

   A CPU that halts says so (tlb_idle) and is left alone; before it runs anything it takes tlb_idle
   back and flushes all if it is behind. Store tlb_idle, then load the number, against store the
   number, then load tlb_idle, all sequentially consistent: one of the two sees the other. Idle CPUs
   touch kernel memory only, whose translations do not change.

   A CPU that the host has taken away is left alone, too, where the host promises to flush before
   that CPU goes on (kvm.c): it is excused from this number. It is behind then, and catches up with
   the next one. Should it read a range that is being replaced meanwhile it flushes the wrong one
   for a number that the host has flushed for already.

   One flush at a time: tlb_lock. Intel SDM volume 3, 4.10.4 and 4.10.5. */
#include <arch/apic.h>
#include <arch/cpu.h>
#include <arch/tlb.h>
#include <mm/page.h>
#include <sched/mutex.h>
#include <sched/thread.h>
#include <stdatomic.h>

#define SINGLE_PAGES_MAX 64u

static struct mutex tlb_lock = MUTEX_INIT;
static _Atomic uint64_t generation;
static _Atomic uint64_t range_start, range_end; /* of `generation`; stable until all have seen it */
static struct thread *_Atomic initiator;

static void flush_here(uint64_t start, uint64_t end)
{
    if (end - start > SINGLE_PAGES_MAX * PAGE_SIZE) {
        cpu_flush_all();
        return;
    }
    for (uint64_t va = start; va < end; va += PAGE_SIZE)
        cpu_flush_page(va);
}

/* This CPU is behind: interrupts off. */
static void catch_up(struct percpu *p)
{
    uint64_t seen = atomic_load_explicit(&p->tlb_seen, memory_order_relaxed);
    uint64_t now = atomic_load_explicit(&generation, memory_order_seq_cst);

    if (seen == now)
        return;
    if (seen + 1 == now)
        flush_here(atomic_load_explicit(&range_start, memory_order_relaxed),
                   atomic_load_explicit(&range_end, memory_order_relaxed));
    else
        cpu_flush_all();
    atomic_store_explicit(&p->tlb_seen, now, memory_order_seq_cst);
}

static void wake_initiator(void)
{
    struct thread *t = atomic_load_explicit(&initiator, memory_order_seq_cst);
    if (t)
        thread_wake(t);
}

static void interrupt(void *arg)
{
    catch_up(percpu());
    wake_initiator();
}

void tlb_idle_enter(void)
{
    if (percpu_count > 1)
        atomic_store_explicit(&percpu()->tlb_idle, true, memory_order_seq_cst);
}

void tlb_idle_leave(void)
{
    if (percpu_count == 1)
        return;
    atomic_store_explicit(&percpu()->tlb_idle, false, memory_order_seq_cst);
    uint64_t now = atomic_load_explicit(&generation, memory_order_seq_cst);
    if (atomic_load_explicit(&percpu()->tlb_seen, memory_order_relaxed) == now)
        return;
    cpu_flush_all(); /* not only the last range: its number may be the only one missed, but it may have been replaced */
    atomic_store_explicit(&percpu()->tlb_seen, now, memory_order_seq_cst);
    wake_initiator(); /* it may have looked in between, and wait for us without having sent an interrupt */
}

static bool must_answer(struct percpu *p, uint64_t number)
{
    if (!atomic_load_explicit(&p->online, memory_order_acquire) ||
        atomic_load_explicit(&p->tlb_seen, memory_order_seq_cst) >= number || p->tlb_excused == number ||
        atomic_load_explicit(&p->tlb_idle, memory_order_seq_cst))
        return false;
    if (!kvm_flush_later(&p->kvm))
        return true;
    p->tlb_excused = number;
    return false;
}

static bool all_have_seen(uint64_t number)
{
    for (unsigned i = 0; i < percpu_count; i++)
        if (must_answer(percpu_table[i], number))
            return false;
    return true;
}

static void interrupt_others(uint64_t number)
{
    uint64_t cpus[PERCPU_MAX / 64] = {0};

    for (unsigned i = 0; i < percpu_count; i++)
        if (must_answer(percpu_table[i], number))
            cpus[i / 64] |= 1ull << (i % 64);
    apic_send_ipis(cpus, APIC_VECTOR_TLB);
}

static uint64_t announce(uint64_t start, uint64_t end)
{
    uint64_t flags = irq_save();
    struct percpu *p = percpu();
    catch_up(p);
    atomic_store_explicit(&range_start, start, memory_order_relaxed);
    atomic_store_explicit(&range_end, end, memory_order_relaxed);
    uint64_t number = atomic_fetch_add_explicit(&generation, 1, memory_order_seq_cst) + 1;
    flush_here(start, end);
    atomic_store_explicit(&p->tlb_seen, number, memory_order_seq_cst);
    interrupt_others(number);
    irq_restore(flags);
    return number;
}

void tlb_flush(uint64_t start, uint64_t end)
{
    if (percpu_count == 1) {
        flush_here(start, end);
        return;
    }
    mutex_lock(&tlb_lock);
    atomic_store_explicit(&initiator, thread_current(), memory_order_seq_cst);
    uint64_t number = announce(start, end);
    const char *outer = thread_wait_reason("TLB flush");
    for (;;) {
        thread_wait_prepare();
        if (all_have_seen(number))
            break;
        thread_wait();
    }
    thread_wait_cancel();
    thread_wait_reason(outer);
    atomic_store_explicit(&initiator, NULL, memory_order_relaxed);
    mutex_unlock(&tlb_lock);
}

void tlb_init(void) { irq_set_handler(APIC_VECTOR_TLB, interrupt, NULL); }
