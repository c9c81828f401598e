/* Configuration space: memory mapped (ECAM, PCIe 5.0 7.2.2) where the MCFG table or the host bridge's _CBA says so, else through ports 0xcf8 and 0xcfc (PCI 3.0,
   3.2.2.3.2). With ECAM a bus is mapped when it is first used. A port access is two operations, so it relies on running on one thread. */
#include "config.h"
#include <arch/io.h>
#include <asm/errno.h>
#include <drivers/acpi.h>
#include <kernel/string.h>
#include <mm/mapping.h>

#define PORT_ADDRESS 0xcf8
#define PORT_DATA 0xcfc
#define ENABLE 0x80000000u
#define BUS_BYTES (1u << 20) /* of ECAM for one bus */

struct mcfg_entry {
    uint64_t base;
    uint16_t segment;
    uint8_t first_bus, last_bus;
    uint32_t reserved;
} __attribute__((packed));

static struct mcfg_entry ecam; /* base 0: not there */
static volatile uint8_t *ecam_bus[256];
static unsigned accesses;

static bool ecam_usable(uint64_t base)
{
    return base != 0 && base < 1ull << 46 && base % BUS_BYTES == 0;
}

static bool ecam_from_mcfg(const struct acpi_header *mcfg)
{
    /* The header is followed by eight reserved bytes. */
    for (size_t at = sizeof *mcfg + 8; at + sizeof ecam <= mcfg->length; at += sizeof ecam) {
        const struct mcfg_entry *e = (const void *)((const uint8_t *)mcfg + at);
        if (ecam_usable(e->base) && e->segment == 0 && e->first_bus == 0) {
            memcpy(&ecam, e, sizeof ecam);
            return true;
        }
    }
    return false;
}

static void ecam_find(void)
{
    const struct acpi_header *mcfg = acpi_table("MCFG", 0);
    struct acpi_pci_host host;
    if (mcfg != NULL && ecam_from_mcfg(mcfg))
        return;
    if (acpi_pci_host(&host) == 0 && ecam_usable(host.ecam))
        ecam = (struct mcfg_entry){.base = host.ecam, .last_bus = 255};
}

int pci_config_init(void)
{
    ecam_find();
    if (ecam.base != 0)
        return 0;
    outl(PORT_ADDRESS, ENABLE);
    return inl(PORT_ADDRESS) == ENABLE ? 0 : -ENODEV;
}

unsigned pci_config_accesses(void)
{
    return accesses;
}

/* The register in ECAM; NULL: use the ports. */
static volatile uint8_t *ecam_at(uint16_t address, unsigned offset)
{
    unsigned bus = address >> 8;
    accesses++;
    if (ecam.base == 0 || bus > ecam.last_bus)
        return NULL;
    if (ecam_bus[bus] == NULL)
        ecam_bus[bus] = mapping_mmio(ecam.base + (uint64_t)bus * BUS_BYTES, BUS_BYTES);
    if (ecam_bus[bus] == NULL)
        return NULL;
    return ecam_bus[bus] + ((uint32_t)(address & 0xff) << 12) + offset;
}

static void port_select(uint16_t address, unsigned offset)
{
    outl(PORT_ADDRESS, ENABLE | (uint32_t)address << 8 | (offset & 0xfcu));
}

uint32_t pci_config_read32(uint16_t address, unsigned offset)
{
    volatile uint8_t *reg = ecam_at(address, offset);
    if (reg != NULL)
        return mmio_read32(reg);
    port_select(address, offset);
    return inl(PORT_DATA);
}

void pci_config_write32(uint16_t address, unsigned offset, uint32_t value)
{
    volatile uint8_t *reg = ecam_at(address, offset);
    if (reg != NULL) {
        mmio_write32(reg, value);
        return;
    }
    port_select(address, offset);
    outl(PORT_DATA, value);
}

void pci_config_write16(uint16_t address, unsigned offset, uint16_t value)
{
    volatile uint8_t *reg = ecam_at(address, offset);
    if (reg != NULL) {
        mmio_write16(reg, value);
        return;
    }
    port_select(address, offset);
    outw((uint16_t)(PORT_DATA + (offset & 2u)), value);
}
