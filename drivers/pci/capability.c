/* The function's own accessors, its command register, and its capability list (PCI 3.0, 6.7): a linked list in the
   upper 192 bytes. Its links are the device's word, so the walk ends after as many steps as there is room for capabilities. */
#include "config.h"

#define STEPS_MAX 48u /* (256 - 64) / 4 */

uint32_t pci_read32(const struct pci_device *pci, unsigned offset)
{
    return pci_config_read32(pci->address, offset);
}

void pci_write32(const struct pci_device *pci, unsigned offset, uint32_t value)
{
    pci_config_write32(pci->address, offset, value);
}

void pci_write16(const struct pci_device *pci, unsigned offset, uint16_t value)
{
    pci_config_write16(pci->address, offset, value);
}

unsigned pci_capability(const struct pci_device *pci, uint8_t id, unsigned after)
{
    unsigned at;
    if (after != 0)
        at = pci_read32(pci, after) >> 8 & 0xfc;
    else if (pci_read32(pci, PCI_COMMAND) & PCI_STATUS_CAPABILITIES)
        at = pci_read32(pci, PCI_CAPABILITIES) & 0xfc;
    else
        return 0;
    for (unsigned step = 0; step < STEPS_MAX && at >= 0x40; step++) {
        uint32_t head = pci_read32(pci, at);
        if ((uint8_t)head == id)
            return at;
        at = head >> 8 & 0xfc;
    }
    return 0;
}

void pci_enable(struct pci_device *pci)
{
    uint16_t command = (uint16_t)pci_read32(pci, PCI_COMMAND);
    pci_write16(pci, PCI_COMMAND, (uint16_t)(command | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER));
}

void pci_disable(struct pci_device *pci)
{
    uint16_t command = (uint16_t)pci_read32(pci, PCI_COMMAND);
    pci_write16(pci, PCI_COMMAND, (uint16_t)(command & ~(PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER)));
}
