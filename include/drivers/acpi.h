/* ACPI tables, read without an interpreter. Valid from INIT_BUS on; the tables stay mapped. */
#ifndef DRIVERS_ACPI_H
#define DRIVERS_ACPI_H

#include <kernel/compiler.h>

struct acpi_header {
    char signature[4];
    uint32_t length;
    uint8_t revision, checksum;
    char oem_id[6], oem_table_id[8];
    uint32_t oem_revision, creator_id, creator_revision;
} __attribute__((packed));

/* Finds and checks (length, checksum) the tables. Called once by the boot code before interrupts are set up; 0 or -ENODEV. */
int acpi_init(void);
/* The index-th table with this signature ("APIC", "FACP", "MCFG", "DSDT", ...), NULL when there is none. */
const struct acpi_header *acpi_table(const char *signature, unsigned index);
/* Enters S5, or resets, as the FADT says (PM1 control with the DSDT's \_S5 values, sleep control register of hardware-reduced
   ACPI, reset register). Return when that is not possible. Any context. */
void acpi_power_off(void);
void acpi_reset(void);

/* A device with one memory range and one interrupt, as its _CRS declares it. */
struct acpi_mmio_device {
    uint64_t base, size;
    unsigned gsi;
    bool level, active_low;
};
/* Calls fn for each virtio-mmio device (_HID LNRO0005) that the DSDT or an SSDT declares with fixed resources. */
void acpi_virtio_mmio_foreach(void (*fn)(const struct acpi_mmio_device *dev, void *arg), void *arg);
/* A PCI Express host bridge that the firmware did not set up (QEMU's microvm), from its _CBA and _CRS. */
struct acpi_pci_host {
    uint64_t ecam;                     /* configuration space of bus 0 */
    uint64_t window_base, window_size; /* largest memory window below 4 GiB, size 0: none */
};
/* 0, or -ENODEV when no table declares one. */
int acpi_pci_host(struct acpi_pci_host *host);

#endif
