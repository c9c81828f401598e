/* Interrupts. A handler runs on an interrupt stack with interrupts off: it records and wakes,
   nothing else.

   A device's interrupt belongs to one CPU at a time. While the machine starts that is the boot CPU;
   when all CPUs have come, irq_spread() moves it to its own. At that moment a handler may run on
   both. */
#ifndef ARCH_IRQ_H
#define ARCH_IRQ_H

#include <kernel/compiler.h>

typedef void (*irq_handler)(void *arg);

#define IRQ_ANY_CPU (-1) /* CPUs in turn */

struct irq {
    /* For irq_add. */
    irq_handler fn;
    void *arg;
    const char *chip;      /* "PCI-MSI", "IO-APIC"; constants */
    const char *device;    /* who interrupts; lasts as long as this */
    unsigned line;         /* the chip's name for it: MSI-X entry, IOAPIC input */
    bool level;            /* triggered by level, else by edge */
    int place;             /* CPU number, modulo how many there are; IRQ_ANY_CPU */
    /* Has the hardware raise irq->vector on CPU irq->cpu from now on, without losing an interrupt.
       0 or a negative errno, which is possible only the first time. May sleep. */
    int (*aim)(struct irq *irq);

    /* Set by irq_add, and the CPU by irq_spread, under their lock. */
    _Atomic unsigned cpu;
    unsigned vector;
    _Atomic uint64_t *counts; /* taken, by CPU; that CPU writes */
    struct irq *_Atomic next; /* all of them, oldest first */
};

/* Gives the interrupt a vector and aims it: 0, -ENOSPC (no vector), -ENOMEM, or what aim says. It
   stays for good. May sleep. */
int irq_add(struct irq *irq) WARN_UNUSED;
/* Once, when the other CPUs have come: each interrupt goes to its own CPU. May sleep. */
void irq_spread(void);

/* Address and data which a device must write for MSI or MSI-X to raise the interrupt. */
void irq_msi_message(const struct irq *irq, uint64_t *address, uint32_t *data);

/* Global system interrupt (IOAPIC input) gsi calls fn(arg) from now on. 0, -ENODEV when no IOAPIC
   has that input, or as irq_add. */
int irq_gsi_route(unsigned gsi, bool level, bool active_low, const char *device, irq_handler fn, void *arg) WARN_UNUSED;
/* Global system interrupt of an ISA interrupt line, with the MADT's overrides. */
unsigned irq_isa_gsi(unsigned isa, bool *level, bool *active_low);

/* For reports: all interrupts in order, NULL after the last; and how often a CPU took an interrupt
   of its own (timer, wake-up, TLB, spurious). */
const struct irq *irq_next(const struct irq *after);
uint64_t irq_fixed_count(unsigned cpu, unsigned vector);

static inline uint64_t irq_save(void)
{
    uint64_t flags;
    __asm__ volatile("pushfq; popq %0; cli" : "=r"(flags)::"memory");
    return flags;
}
static inline void irq_restore(uint64_t flags)
{
    if (flags & 0x200)
        __asm__ volatile("sti" ::: "memory");
}

#endif
