/* Interrupts. A handler runs on an interrupt stack with interrupts off: it records and wakes, nothing else. */
#ifndef ARCH_IRQ_H
#define ARCH_IRQ_H

#include <kernel/compiler.h>

typedef void (*irq_handler)(void *arg);

/* Gives a free vector of this CPU to a handler: the vector (>= 32), or -ENOSPC. */
int irq_vector_alloc(irq_handler fn, void *arg);
void irq_vector_free(int vector);

/* Address and data which a device must write for MSI or MSI-X to raise vector on the boot CPU. */
void irq_msi_message(int vector, uint64_t *address, uint32_t *data);

/* Routes a global system interrupt (IOAPIC input) to a vector and unmasks it. 0, -ENODEV when no IOAPIC has that input. */
int irq_gsi_route(unsigned gsi, int vector, bool level, bool active_low);
void irq_gsi_mask(unsigned gsi, bool masked);
/* Global system interrupt of an ISA interrupt line, with the MADT's overrides. */
unsigned irq_isa_gsi(unsigned isa, bool *level, bool *active_low);

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
