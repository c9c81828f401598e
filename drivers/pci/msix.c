/* MSI-X (PCI 3.0, 6.8.2): a table in one of the function's BARs, 16 bytes for each entry: address, data, mask. Only the entries asked
   for are mapped. Each table write leaves the guest, so an entry is written once: address, data, unmasked. */
#include "config.h"
#include <arch/io.h>
#include <asm/errno.h>

#define CONTROL_ENABLE (1u << 15)
#define CONTROL_SIZE 0x7ffu
#define TABLE_BAR 7u
#define ENTRY_WORDS 4u

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

int pci_msix_route(struct pci_device *pci, unsigned entry, irq_handler fn, void *arg)
{
    if (entry >= pci->msix_count)
        return -ENOSPC;
    int vector = irq_vector_alloc(fn, arg);
    if (vector < 0)
        return vector;
    uint64_t address;
    uint32_t data;
    irq_msi_message(vector, &address, &data);
    volatile uint32_t *e = pci->msix_table + entry * ENTRY_WORDS;
    mmio_write32(e, (uint32_t)address);
    mmio_write32(e + 1, (uint32_t)(address >> 32));
    mmio_write32(e + 2, data);
    mmio_write32(e + 3, 0); /* unmasked */
    return 0;
}
