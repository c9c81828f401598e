/* PCI functions. The bus is walked once at INIT_DRIVER; each function is offered to the drivers
   with bus "pci". Configuration accesses leave the guest (about 2 us each under KVM), so nothing is
   read that nobody asked for. Used at probe time, by one thread. */
#ifndef DRIVERS_PCI_H
#define DRIVERS_PCI_H

#include <arch/irq.h>
#include <drivers/driver.h>
#include <mm/page.h>

struct pci_device {
    struct device dev;
    uint16_t address; /* bus << 8 | slot << 3 | function */
    uint16_t vendor, device;
    uint8_t header_type; /* without the multifunction bit */
    uint8_t bars_known;  /* bit n: bars[n] was read */
    uint64_t bars[6];    /* address of memory BARs */
    volatile uint32_t *msix_table;
    uint16_t msix_count; /* entries that may be used */
    uint8_t msix_cap;
    struct pci_device *next; /* all functions, in bus order */
};
#define PCI_DEVICE(d) CONTAINER_OF(d, struct pci_device, dev)

#define PCI_CAP_VENDOR 0x09
#define PCI_CAP_MSIX 0x11

/* Configuration space; offset < 256, aligned to the size of the access. */
uint32_t pci_read32(const struct pci_device *pci, unsigned offset);
void pci_write32(const struct pci_device *pci, unsigned offset, uint32_t value);
void pci_write16(const struct pci_device *pci, unsigned offset, uint16_t value);

/* Offset of the next capability with this id after the one at `after` (0: the first); 0 when there
   is none. */
unsigned pci_capability(const struct pci_device *pci, uint8_t id, unsigned after);

/* Address of memory BAR n, assigned from the host bridge's window if the firmware left it empty.
   0, -ENODEV (not a memory BAR), -ENOSPC (no window, or it is full). */
int pci_bar(struct pci_device *pci, unsigned n, uint64_t *address) WARN_UNUSED;
/* Maps [offset, offset + length) of memory BAR n, uncached; NULL when that cannot be. */
volatile void *pci_bar_map(struct pci_device *pci, unsigned n, uint32_t offset, uint32_t length);
/* Lets the function decode memory and master the bus, or stops both. */
void pci_enable(struct pci_device *pci);
void pci_disable(struct pci_device *pci);

/* Turns MSI-X on with at most `wanted` entries, all masked: how many there are (>= 1), or
   -ENODEV. */
int pci_msix_enable(struct pci_device *pci, unsigned wanted);
/* Entry calls fn(arg), on the CPU at that place (struct irq). 0, -ENOSPC (no such entry, or vectors
   are out), -ENOMEM. */
int pci_msix_route(struct pci_device *pci, unsigned entry, int place, irq_handler fn, void *arg) WARN_UNUSED;
/* The function's interrupt pin calls fn(arg); the line may be shared, so fn asks its device. 0,
   -ENODEV, -ENOSPC, -ENOMEM. */
int pci_intx_route(struct pci_device *pci, irq_handler fn, void *arg) WARN_UNUSED;

#endif
