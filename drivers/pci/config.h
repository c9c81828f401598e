/* Configuration space by address (bus << 8 | slot << 3 | function), for the files of this folder; drivers use <drivers/pci.h>.
   offset < 256 and aligned. What is not there reads as all ones. */
#ifndef DRIVERS_PCI_CONFIG_H
#define DRIVERS_PCI_CONFIG_H

#include <drivers/pci.h>

/* 0, or -ENODEV when the machine has no PCI. */
int pci_config_init(void);
uint32_t pci_config_read32(uint16_t address, unsigned offset);
void pci_config_write32(uint16_t address, unsigned offset, uint32_t value);
void pci_config_write16(uint16_t address, unsigned offset, uint16_t value);
/* Accesses made so far. */
unsigned pci_config_accesses(void);

/* All functions found, in bus order. */
extern struct pci_device *pci_devices;
/* Walks the buses and fills pci_devices. */
void pci_enumerate(void);

/* Registers of the header (PCI 3.0, 6.1 and 6.2). */
#define PCI_VENDOR 0x00
#define PCI_COMMAND 0x04
#define PCI_COMMAND_MEMORY 2u
#define PCI_COMMAND_MASTER 4u
#define PCI_COMMAND_NO_INTX 0x400u
#define PCI_STATUS_CAPABILITIES (0x10u << 16) /* in the 32 bits at PCI_COMMAND */
#define PCI_HEADER 0x0c
#define PCI_BAR0 0x10
#define PCI_BUSES 0x18 /* of a bridge: primary, secondary, subordinate */
#define PCI_CAPABILITIES 0x34
#define PCI_INTERRUPT 0x3c

#endif
