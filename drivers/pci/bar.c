/* Base address registers (PCI 3.0, 6.2.5.1). The firmware assigns them; a machine without one (microvm with PCI Express, booted
   directly) leaves them zero. Then, and only if no other function has an address either, they are given out upwards from the host bridge's
   window. Sizes are probed only for that, since it takes four accesses for each BAR; elsewhere the driver knows the length it needs. */
#include "config.h"
#include <asm/errno.h>
#include <drivers/acpi.h>
#include <kernel/log.h>
#include <mm/mapping.h>

#define BAR_IO 1u
#define BAR_TYPE 6u
#define BAR_64 4u

static struct {
    bool known;
    uint64_t next, end; /* free part of the window; equal: none */
} window;

static unsigned bar_offset(unsigned n)
{
    return PCI_BAR0 + 4 * n;
}

static bool any_assigned(void)
{
    for (struct pci_device *pci = pci_devices; pci != NULL; pci = pci->next)
        for (unsigned n = 0; pci->header_type == 0 && n < 6; n++) {
            uint32_t bar = pci_read32(pci, bar_offset(n));
            if (!(bar & BAR_IO) && (bar & ~15u) != 0)
                return true;
        }
    return false;
}

static void window_open(void)
{
    struct acpi_pci_host host;
    window.known = true;
    if (any_assigned() || acpi_pci_host(&host) != 0)
        return;
    window.next = host.window_base;
    window.end = host.window_base + host.window_size;
}

/* Bytes that the BAR decodes, 0 when it is not there. The function must not decode while all ones are in the register. */
static uint64_t bar_size(struct pci_device *pci, unsigned n, bool wide)
{
    uint16_t command = (uint16_t)pci_read32(pci, PCI_COMMAND);
    pci_write16(pci, PCI_COMMAND, (uint16_t)(command & ~PCI_COMMAND_MEMORY));
    pci_write32(pci, bar_offset(n), UINT32_MAX);
    uint64_t mask = pci_read32(pci, bar_offset(n)) & ~15u;
    if (wide) {
        pci_write32(pci, bar_offset(n + 1), UINT32_MAX);
        mask |= (uint64_t)pci_read32(pci, bar_offset(n + 1)) << 32;
    } else {
        mask |= mask != 0 ? 0xffffffffull << 32 : 0;
    }
    pci_write32(pci, bar_offset(n), 0);
    if (wide)
        pci_write32(pci, bar_offset(n + 1), 0);
    pci_write16(pci, PCI_COMMAND, command);
    return mask & -mask;
}

static int bar_assign(struct pci_device *pci, unsigned n, bool wide, uint64_t *address)
{
    if (!window.known)
        window_open();
    if (window.next == window.end) {
        log_warn("pci %s: BAR %u has no address and there is no window to give one from", pci->dev.name, n);
        return -ENOSPC;
    }
    uint64_t size = bar_size(pci, n, wide);
    if (size == 0)
        return -ENODEV;
    uint64_t at = ALIGN_UP(window.next, MAX(size, PAGE_SIZE));
    if (size > window.end - window.next || at > window.end - size) {
        log_warn("pci %s: BAR %u of %#llx bytes does not fit into the window", pci->dev.name, n, (unsigned long long)size);
        return -ENOSPC;
    }
    window.next = at + size;
    pci_write32(pci, bar_offset(n), (uint32_t)at);
    if (wide)
        pci_write32(pci, bar_offset(n + 1), (uint32_t)(at >> 32));
    *address = at;
    return 0;
}

int pci_bar(struct pci_device *pci, unsigned n, uint64_t *address)
{
    if (n >= 6 || pci->header_type != 0)
        return -ENODEV;
    if (pci->bars_known & 1u << n) {
        *address = pci->bars[n];
        return 0;
    }
    uint32_t low = pci_read32(pci, bar_offset(n));
    bool wide = (low & BAR_TYPE) == BAR_64;
    if (low & BAR_IO || (wide && n == 5))
        return -ENODEV;
    *address = low & ~15u;
    if (wide)
        *address |= (uint64_t)pci_read32(pci, bar_offset(n + 1)) << 32;
    if (*address == 0) {
        int err = bar_assign(pci, n, wide, address);
        if (err != 0)
            return err;
    }
    pci->bars[n] = *address;
    pci->bars_known |= (uint8_t)(1u << n);
    return 0;
}

volatile void *pci_bar_map(struct pci_device *pci, unsigned n, uint32_t offset, uint32_t length)
{
    uint64_t address;
    if (length == 0 || pci_bar(pci, n, &address) != 0)
        return NULL;
    if (address >= 1ull << 46) /* more than a processor decodes here: a broken device */
        return NULL;
    return mapping_mmio(address + offset, length);
}
