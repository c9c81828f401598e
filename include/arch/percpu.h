/* The block of each CPU, at GS. The first fields are known to assembly and to the compiler (offset
   40: stack canary). */
#ifndef ARCH_PERCPU_H
#define ARCH_PERCPU_H

#include <arch/kvm.h>
#include <kernel/compiler.h>

struct thread;

#define PERCPU_MAX 256 /* CPUs; more stay unused */
#define PERCPU_COUNTERS 32 /* the linker script checks it */

struct percpu {
    struct percpu *self;       /* 0 */
    struct thread *current;    /* 8 */
    unsigned preempt_count;    /* 16: this CPU only */
    unsigned need_resched;     /* 20: set by this CPU's interrupt handlers and wake-ups */
    uint64_t kernel_stack_top; /* 24: of the current thread */
    uint64_t scratch;          /* 32 */
    uint64_t stack_canary;     /* 40 */
    unsigned id;               /* 48 */
    unsigned apic_id;          /* 52 */
    struct runq *runq;         /* 56 */
    struct timer_queue *timers; /* 64 */
    struct kmem_cpu *kmem;     /* 72 */
    unsigned interrupt_depth;  /* 80 */
    void *arch;                /* 88: GDT, TSS, interrupt stacks */
    struct page_cache *pages;  /* 96 */
    struct random_state *random;
    uint64_t armed_ns;         /* this CPU's next timer interrupt; interrupts off */
    _Atomic uint64_t tlb_seen; /* the last TLB generation this CPU has flushed for */
    _Atomic bool tlb_idle;     /* halted: flushes are made up for later */
    _Atomic uint64_t interrupts; /* taken; this CPU writes, anyone reads */
    _Atomic bool online;       /* it runs threads; set once, by itself */
    uint64_t tlb_excused;      /* the last TLB generation that the host has promised to flush for; tlb.c's lock */
    struct irq_cpu *irqs;      /* vector.c */
    struct kvm_shared kvm;
    struct clock_cpu *clock;   /* arch/clock_internal.h */
    _Atomic uint64_t counters[PERCPU_COUNTERS]; /* kernel/percpu_counter.h; this CPU writes, anyone reads */
};

/* All CPUs that the machine has, in order of their ids, the boot CPU first; complete before the
   second one starts, never changed after. One that did not start is there, but never online. */
extern struct percpu *percpu_table[PERCPU_MAX];
extern unsigned percpu_count;

#ifdef HOST_BUILD
extern _Thread_local struct percpu host_percpu;
static inline struct percpu *percpu(void) { return &host_percpu; }
static inline struct thread *percpu_current(void) { return host_percpu.current; }
static inline void percpu_preempt_inc(void) { host_percpu.preempt_count++; }
static inline bool percpu_preempt_dec(void) { return --host_percpu.preempt_count == 0; }
static inline bool percpu_need_resched(void) { return host_percpu.need_resched != 0; }
static inline void percpu_count_add(size_t counter, uint64_t n)
{
    _Atomic uint64_t *p = &host_percpu.counters[counter];
    __atomic_store_n(p, __atomic_load_n(p, __ATOMIC_RELAXED) + n, __ATOMIC_RELAXED);
}
#else
static inline struct percpu *percpu(void)
{
    struct percpu *p;
    __asm__ volatile("movq %%gs:0, %0" : "=r"(p));
    return p;
}
/* Not volatile: a thread is itself for as long as it runs, wherever it runs. */
static inline struct thread *percpu_current(void)
{
    struct thread *t;
    __asm__("movq %%gs:8, %0" : "=r"(t));
    return t;
}
static inline void percpu_preempt_inc(void) { __asm__ volatile("incl %%gs:16" ::: "memory", "cc"); }
/* True when the count is 0 now. */
static inline bool percpu_preempt_dec(void)
{
    bool zero;
    __asm__ volatile("decl %%gs:16" : "=@ccz"(zero)::"memory");
    return zero;
}
static inline bool percpu_need_resched(void)
{
    bool needed;
    __asm__ volatile("cmpl $0, %%gs:20" : "=@ccnz"(needed)::"memory");
    return needed;
}
/* One instruction, without a lock prefix: no interrupt and no move to another CPU comes into the middle of it, and no other CPU writes there. */
static inline void percpu_count_add(size_t counter, uint64_t n)
{
    __asm__ volatile("addq %1, %%gs:%c2(,%0,8)" ::"r"(counter), "er"(n), "i"(offsetof(struct percpu, counters)) : "cc");
}
#endif

#endif
