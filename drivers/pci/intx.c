/* The interrupt pin, for devices without MSI-X. Its routing would take the interpretation of AML;
   instead the legacy line is used, to which the firmware connected the pin and which it noted in
   the header (PCI 3.0, 6.2.4). Lines are level triggered and shared: a line has one vector, and its
   handler calls all functions on it, each of which asks its own device. A function's entry is
   complete before it is published (release), so the handler may run while another is added. Entries
   are never removed. */
#include "config.h"
#include <asm/errno.h>
#include <mm/kmem.h>
#include <stdatomic.h>

struct pin {
    irq_handler fn;
    void *arg;
    struct pin *next;
};

struct line {
    unsigned gsi;
    struct pin *_Atomic pins;
    struct line *next;
};
static struct line *lines; /* probe time only */

static void line_event(void *arg)
{
    struct line *line = arg;
    for (struct pin *p = atomic_load_explicit(&line->pins, memory_order_acquire); p != NULL; p = p->next)
        p->fn(p->arg);
}

/* A new line whose first entry is pin; named after its device. PCI lines are level triggered; the
   MADT may know a polarity, the usual one is low. */
static int line_open(unsigned isa, const char *device, struct pin *pin)
{
    bool level, active_low;
    unsigned gsi = irq_isa_gsi(isa, &level, &active_low);
    struct line *line = kzalloc(sizeof *line);
    if (line == NULL)
        return -ENOMEM;
    line->gsi = gsi;
    atomic_store_explicit(&line->pins, pin, memory_order_release);
    int err = irq_gsi_route(gsi, true, level ? active_low : true, device, line_event, line);
    if (err != 0) {
        kfree(line);
        return err;
    }
    line->next = lines;
    lines = line;
    return 0;
}

static struct line *line_find(unsigned isa)
{
    bool level, active_low;
    unsigned gsi = irq_isa_gsi(isa, &level, &active_low);
    struct line *line = lines;
    while (line != NULL && line->gsi != gsi)
        line = line->next;
    return line;
}

int pci_intx_route(struct pci_device *pci, irq_handler fn, void *arg)
{
    uint32_t interrupt = pci_read32(pci, PCI_INTERRUPT); /* line, pin */
    unsigned isa = interrupt & 0xff;
    if ((interrupt >> 8 & 0xff) == 0 || isa == 0 || isa >= 16)
        return -ENODEV;
    struct pin *pin = kzalloc(sizeof *pin);
    if (pin == NULL)
        return -ENOMEM;
    pin->fn = fn;
    pin->arg = arg;
    struct line *line = line_find(isa);
    if (line != NULL) {
        pin->next = atomic_load_explicit(&line->pins, memory_order_relaxed);
        atomic_store_explicit(&line->pins, pin, memory_order_release);
        return 0;
    }
    int err = line_open(isa, pci->dev.name, pin);
    if (err != 0)
        kfree(pin);
    return err;
}
