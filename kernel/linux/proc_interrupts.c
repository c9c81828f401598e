/* /proc/interrupts, in Linux's format: a row for each device's interrupt, and for each that the
   CPUs have for themselves; a column for each CPU with the interrupts that it took. Before a
   device's name stands the chip, and its name for the line: an MSI-X entry or an IOAPIC input. */
#include <arch/apic.h>
#include <arch/percpu.h>
#include <fs/synthfs.h>
#include <stdatomic.h>

static const struct {
    const char *name, *what;
    unsigned vector;
} fixed[] = {
    {"LOC", "Local timer interrupts", APIC_VECTOR_TIMER},
    {"RES", "Rescheduling interrupts", APIC_VECTOR_WAKE},
    {"TLB", "TLB shootdowns", APIC_VECTOR_TLB},
    {"SPU", "Spurious interrupts", APIC_VECTOR_SPURIOUS},
};

static bool is_online(unsigned cpu)
{
    return atomic_load_explicit(&percpu_table[cpu]->online, memory_order_acquire);
}

static void show_device(struct textbuf *t, unsigned number, const struct irq *irq)
{
    textbuf_printf(t, "%3u: ", number);
    for (unsigned i = 0; i < percpu_count; i++)
        if (is_online(i))
            textbuf_printf(
                t, "%10llu ",
                (unsigned long long)atomic_load_explicit(&irq->counts[i], memory_order_relaxed));
    textbuf_printf(t, " %8s %4u-%s  %s\n", irq->chip, irq->line, irq->level ? "fasteoi" : "edge   ",
                   irq->device);
}

static void show(struct textbuf *t)
{
    unsigned number = 0;

    textbuf_printf(t, "%11s", "");
    for (unsigned i = 0; i < percpu_count; i++)
        if (is_online(i))
            textbuf_printf(t, i < 10 ? "CPU%u       " : i < 100 ? "CPU%u      " : "CPU%u     ", i);
    textbuf_printf(t, "\n");
    for (const struct irq *irq = irq_next(NULL); irq; irq = irq_next(irq))
        show_device(t, number++, irq);
    for (unsigned f = 0; f < ARRAY_SIZE(fixed); f++) {
        textbuf_printf(t, "%s: ", fixed[f].name);
        for (unsigned i = 0; i < percpu_count; i++)
            if (is_online(i))
                textbuf_printf(t, "%10llu ",
                               (unsigned long long)irq_fixed_count(i, fixed[f].vector));
        textbuf_printf(t, "  %s\n", fixed[f].what);
    }
}

SYNTH_FILE(proc_interrupts, .path = "/proc/interrupts", .show = show);
