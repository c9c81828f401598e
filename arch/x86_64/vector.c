/* Vectors: who is called for which interrupt. From APIC_VECTOR_TIMER on they are fixed, the same on
   all CPUs; below each CPU has its own for devices.

   A device's interrupt starts on the boot CPU, as the others may not have come yet. Once they have,
   irq_spread() gives it the CPU that it asked for, or the next in turn. Its number stays the same,
   so that one register decides where it goes; and the boot CPU's entry stays, too, for what is on
   its way there. So nothing is lost, and nobody has to be waited for.

   An entry is complete before it is published (release), and never taken back. */
#include <arch/apic.h>
#include <arch/percpu.h>
#include <arch/trap_internal.h>
#include <asm/errno.h>
#include <mm/kmem.h>
#include <sched/mutex.h>
#include <stdatomic.h>

#define DEVICE_VECTORS (APIC_VECTOR_TIMER - IRQ_FIRST_DEVICE)
#define FIXED_VECTORS (256 - APIC_VECTOR_TIMER)

struct irq_cpu {
    struct irq *_Atomic devices[DEVICE_VECTORS];
    _Atomic uint64_t fixed_counts[FIXED_VECTORS]; /* that CPU writes */
};

struct handler {
    irq_handler fn;
    void *arg;
};

static struct irq_cpu boot_cpu;
static struct handler fixed[FIXED_VECTORS];
static struct mutex lock = MUTEX_INIT; /* protects what follows, and where interrupts go */
static struct irq *_Atomic first;      /* read by anyone */
static struct irq *last;
static unsigned turn = 1; /* of IRQ_ANY_CPU */
static bool spread;       /* all CPUs are here that will come */

void irq_cpu_init_boot(void) { percpu()->irqs = &boot_cpu; }
struct irq_cpu *irq_cpu_new(void) { return kzalloc(sizeof(struct irq_cpu)); }

void irq_set_handler(unsigned vector, irq_handler fn, void *arg)
{
    fixed[vector - APIC_VECTOR_TIMER] = (struct handler){fn, arg};
}

static inline void count(_Atomic uint64_t *n)
{
    atomic_store_explicit(n, atomic_load_explicit(n, memory_order_relaxed) + 1,
                          memory_order_relaxed);
}

void irq_call(unsigned vector)
{
    struct percpu *p = percpu();

    if (vector >= APIC_VECTOR_TIMER) {
        const struct handler *h = &fixed[vector - APIC_VECTOR_TIMER];
        count(&p->irqs->fixed_counts[vector - APIC_VECTOR_TIMER]);
        if (h->fn)
            h->fn(h->arg);
        return;
    }
    struct irq *irq = NULL;
    if (vector >= IRQ_FIRST_DEVICE)
        irq = atomic_load_explicit(&p->irqs->devices[vector - IRQ_FIRST_DEVICE],
                                   memory_order_acquire);
    if (!irq)
        return;
    count(&irq->counts[p->id]);
    irq->fn(irq->arg);
}

static bool usable(unsigned cpu)
{
    const struct percpu *p = percpu_table[cpu];
    return atomic_load_explicit(&p->online, memory_order_acquire) && irq_reachable(p->apic_id);
}

/* The CPU at this place among those that can be used; they are not 0, for the boot CPU is one. */
static unsigned nth_usable(unsigned place)
{
    unsigned usable_count = 0;

    for (unsigned i = 0; i < percpu_count; i++)
        usable_count += usable(i);
    place = usable_count ? place % usable_count : 0;
    for (unsigned i = 0; i < percpu_count; i++)
        if (usable(i) && place-- == 0)
            return i;
    return 0;
}

static unsigned choose(const struct irq *irq)
{
    if (!spread)
        return 0;
    return nth_usable(irq->place == IRQ_ANY_CPU ? turn++ : (unsigned)irq->place);
}

static struct irq *_Atomic *entry(unsigned cpu, unsigned vector)
{
    return &percpu_table[cpu]->irqs->devices[vector - IRQ_FIRST_DEVICE];
}

static bool is_free(unsigned cpu, unsigned vector)
{
    return !atomic_load_explicit(entry(cpu, vector), memory_order_relaxed);
}

/* A free vector of the CPU, or of the next one that has any; 0: there is none. */
static unsigned take_vector(struct irq *irq, unsigned cpu)
{
    for (unsigned n = 0; n < percpu_count; n++, cpu = (cpu + 1) % percpu_count) {
        if (n && !usable(cpu))
            continue;
        for (unsigned v = IRQ_FIRST_DEVICE; v < APIC_VECTOR_TIMER; v++) {
            if (!is_free(cpu, v))
                continue;
            irq->vector = v;
            atomic_store_explicit(&irq->cpu, cpu, memory_order_relaxed);
            atomic_store_explicit(entry(cpu, v), irq, memory_order_release);
            return v;
        }
    }
    return 0;
}

static int add_locked(struct irq *irq)
{
    if (take_vector(irq, choose(irq)) == 0)
        return -ENOSPC;
    int err = irq->aim(irq);
    if (err) {
        atomic_store_explicit(entry(irq->cpu, irq->vector), NULL, memory_order_relaxed);
        return err;
    }
    atomic_store_explicit(last ? &last->next : &first, irq, memory_order_release);
    last = irq;
    return 0;
}

int irq_add(struct irq *irq)
{
    irq->counts = kzalloc(percpu_count * sizeof(*irq->counts));
    if (!irq->counts)
        return -ENOMEM;
    mutex_lock(&lock);
    int err = add_locked(irq);
    mutex_unlock(&lock);
    if (err)
        kfree(irq->counts);
    return err;
}

void irq_spread(void)
{
    mutex_lock(&lock);
    spread = true;
    for (struct irq *irq = first; irq; irq = irq->next) {
        unsigned cpu = choose(irq);
        if (cpu == irq->cpu || !is_free(cpu, irq->vector))
            continue;
        atomic_store_explicit(entry(cpu, irq->vector), irq, memory_order_release);
        atomic_store_explicit(&irq->cpu, cpu, memory_order_relaxed);
        (void)irq->aim(irq); /* it has worked before */
    }
    mutex_unlock(&lock);
}

const struct irq *irq_next(const struct irq *after)
{
    return atomic_load_explicit(after ? &after->next : &first, memory_order_acquire);
}

uint64_t irq_fixed_count(unsigned cpu, unsigned vector)
{
    return atomic_load_explicit(&percpu_table[cpu]->irqs->fixed_counts[vector - APIC_VECTOR_TIMER],
                                memory_order_relaxed);
}
