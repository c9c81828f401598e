/* MSI-X (PCI 3.0, 6.8.2): a table in one of the function's BARs, 16 bytes for each entry: address,
   data, mask. Only the entries asked for are mapped. Each table write leaves the guest, so an entry
   is written once: address, data, unmasked; moving it to another CPU changes the address only. */
#include "config.h"
#include <arch/io.h>
#include <asm/errno.h>
#include <mm/kmem.h>

#define CONTROL_ENABLE (1u << 15)
#define CONTROL_SIZE 0x7ffu
#define TABLE_BAR 7u
#define ENTRY_WORDS 4u
#define ENTRY_MASKED 1u

struct msix_irq {
    struct irq irq;
    volatile uint32_t *entry;
    bool aimed;
};

int pci_msix_enable(struct pci_device *pci, unsigned wanted)
{
    unsigned cap = pci_capability(pci, PCI_CAP_MSIX, 0);
    if (cap == 0 || wanted == 0)
        return -ENODEV;
    uint32_t control = pci_read32(pci, cap) >> 16;
    uint32_t table = pci_read32(pci, cap + 4);
    unsigned count = MIN((control & CONTROL_SIZE) + 1, wanted);
    pci->msix_table = pci_bar_map(pci, table & TABLE_BAR, table & ~TABLE_BAR, count * ENTRY_WORDS * 4);
    if (pci->msix_table == NULL)
        return -ENODEV;
    pci->msix_cap = (uint8_t)cap;
    pci->msix_count = (uint16_t)count;
    pci_write16(pci, cap + 2, CONTROL_ENABLE);
    return (int)count;
}

/* PCI 3.0, 6.8.3.5 and 6.8.2.6: an entry may change only while it is masked; what comes then is
   pending in the function, and sent when the mask goes. */
static int aim(struct irq *irq)
{
    struct msix_irq *m = CONTAINER_OF(irq, struct msix_irq, irq);
    uint64_t address;
    uint32_t data;
    irq_msi_message(irq, &address, &data);
    if (m->aimed)
        mmio_write32(m->entry + 3, ENTRY_MASKED);
    mmio_write32(m->entry, (uint32_t)address);
    if (!m->aimed) {
        mmio_write32(m->entry + 1, (uint32_t)(address >> 32));
        mmio_write32(m->entry + 2, data);
    }
    mmio_write32(m->entry + 3, 0);
    m->aimed = true;
    return 0;
}

int pci_msix_route(struct pci_device *pci, unsigned entry, int place, irq_handler fn, void *arg)
{
    if (entry >= pci->msix_count)
        return -ENOSPC;
    struct msix_irq *m = kzalloc(sizeof *m);
    if (m == NULL)
        return -ENOMEM;
    m->irq = (struct irq){.fn = fn, .arg = arg, .chip = "PCI-MSI", .device = pci->dev.name, .line = entry,
                          .place = place, .aim = aim};
    m->entry = pci->msix_table + entry * ENTRY_WORDS;
    int err = irq_add(&m->irq);
    if (err != 0)
        kfree(m);
    return err;
}
