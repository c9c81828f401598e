/* Devices that only the DSDT knows: virtio-mmio (QEMU's microvm declares one device for each slot in use) and a PCI Express host bridge
   without MCFG table. A virtio device is found by its _HID, and its _CRS, a static buffer, must follow before the next one; the host bridge is
   found by its _CBA. */
#include "internal.h"
#include <asm/errno.h>
#include <kernel/string.h>

#define RESOURCE_MEMORY32_FIXED 0x86
#define RESOURCE_DWORD_ADDRESS 0x87
#define RESOURCE_INTERRUPT 0x89
#define CRS_DISTANCE 1024 /* bytes from a _HID to its _CRS */
#define HOST_CRS_DISTANCE 8 /* bytes from the end of _CBA to the name of _CRS and its end */
#define AML_RETURN 0xa4
#define MATCHES_MAX 4096u /* candidates looked at in one block: bounds the time that a hostile table can take */

/* The buffer that the first _CRS in where names: Name(_CRS, buffer). */
static bool crs_find(struct aml where, struct aml *bytes)
{
    const uint8_t *name = aml_find(where, "_CRS");
    if (name == NULL)
        return false;
    return aml_buffer((struct aml){name + 4, where.end}, bytes);
}

/* What follows a _HID at p, up to where its _CRS may be. */
static struct aml device_rest(const uint8_t *p, const uint8_t *end)
{
    struct aml rest = {p, end - p > CRS_DISTANCE ? p + CRS_DISTANCE : end};
    return rest;
}

static bool mmio_device_read(struct aml crs, struct acpi_mmio_device *dev)
{
    bool memory = false, interrupt = false;
    uint8_t type;
    struct aml body;
    while (aml_resource(&crs, &type, &body)) {
        size_t length = (size_t)(body.end - body.p);
        if (type == RESOURCE_MEMORY32_FIXED && length >= 9 && !memory) {
            dev->base = get32(body.p + 1);
            dev->size = get32(body.p + 5);
            memory = dev->base != 0 && dev->size != 0;
        }
        if (type == RESOURCE_INTERRUPT && length >= 6 && body.p[1] >= 1 && !interrupt) {
            dev->level = !(body.p[0] & 2);
            dev->active_low = body.p[0] & 4;
            dev->gsi = get32(body.p + 2);
            interrupt = true;
        }
    }
    return memory && interrupt;
}

static void mmio_devices_in(struct aml block, void (*fn)(const struct acpi_mmio_device *, void *), void *arg)
{
    const uint8_t *hid;
    for (unsigned n = 0; n < MATCHES_MAX && (hid = aml_find(block, "LNRO")) != NULL; n++) {
        block.p = hid + 4;
        if (block.end - block.p < 4 || memcmp(block.p, "0005", 4) != 0)
            continue;
        struct aml rest = device_rest(block.p, block.end), crs;
        const uint8_t *next = aml_find(rest, "LNRO");
        if (next != NULL)
            rest.end = next;
        struct acpi_mmio_device dev;
        if (crs_find(rest, &crs) && mmio_device_read(crs, &dev))
            fn(&dev, arg);
    }
}

void acpi_virtio_mmio_foreach(void (*fn)(const struct acpi_mmio_device *dev, void *arg), void *arg)
{
    struct aml block;
    for (unsigned i = 0; aml_block(i, &block); i++)
        mmio_devices_in(block, fn, arg);
}

/* ACPI 6.4, 6.4.3.5.2: memory (type 0), produced by the bridge; granularity, minimum, maximum, translation, length. */
static void window_read(struct aml crs, uint64_t *base, uint64_t *size)
{
    uint8_t type;
    struct aml body;
    while (aml_resource(&crs, &type, &body)) {
        if (type != RESOURCE_DWORD_ADDRESS || body.end - body.p < 23 || body.p[0] != 0)
            continue;
        uint32_t start = get32(body.p + 7), length = get32(body.p + 19);
        if (start >= 1u << 20 && length > *size && UINT32_MAX - start >= length - 1) {
            *base = start;
            *size = length;
        }
    }
}

/* Method(_CBA) { Return(base) }, and the bridge's own _CRS right behind it: between its _HID and them lie other devices. */
static bool host_in(struct aml block, struct acpi_pci_host *host)
{
    const uint8_t *name;
    while ((name = aml_find(block, "_CBA")) != NULL) {
        block.p = name + 4;
        struct aml value = {block.p + 2, block.end}, crs;
        if (block.end - block.p < 2 || block.p[1] != AML_RETURN || !aml_integer(&value, &host->ecam) || host->ecam == 0)
            continue;
        host->window_size = 0;
        if (value.end - value.p > HOST_CRS_DISTANCE)
            value.end = value.p + HOST_CRS_DISTANCE;
        const uint8_t *at = aml_find(value, "_CRS");
        if (at != NULL && crs_find((struct aml){at, block.end}, &crs))
            window_read(crs, &host->window_base, &host->window_size);
        return true;
    }
    return false;
}

int acpi_pci_host(struct acpi_pci_host *host)
{
    struct aml block;
    for (unsigned i = 0; aml_block(i, &block); i++)
        if (host_in(block, host))
            return 0;
    return -ENODEV;
}
