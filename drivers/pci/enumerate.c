/* Enumeration. Slots of bus 0 are asked for function 0's vendor; other functions only where function 0 says there are some; other
   buses only where a bridge names them. A bus is visited once, whatever bridges claim. Functions are collected first and offered to the drivers
   afterwards, because the assignment of BARs must know all of them. */
#include "config.h"
#include <kernel/init.h>
#include <kernel/log.h>
#include <kernel/print.h>
#include <mm/kmem.h>

#define HEADER_BRIDGE 1
#define HEADER_MULTIFUNCTION 0x80u

struct pci_device *pci_devices;

struct walk {
    struct pci_device **tail;
    unsigned known;      /* buses found */
    uint8_t buses[256];  /* in the order found */
    bool seen[256];
};

static void bus_found(struct walk *w, uint8_t bus)
{
    if (w->seen[bus])
        return;
    w->seen[bus] = true;
    w->buses[w->known++] = bus;
}

static void function_add(struct walk *w, uint16_t address, uint32_t id, uint8_t header_type)
{
    struct pci_device *pci = kzalloc(sizeof *pci);
    if (pci == NULL) {
        log_warn("pci: no memory for %02x:%02x.%x, ignored", address >> 8, address >> 3 & 31u, address & 7u);
        return;
    }
    pci->address = address;
    pci->vendor = (uint16_t)id;
    pci->device = (uint16_t)(id >> 16);
    pci->header_type = header_type;
    pci->dev.bus = "pci";
    snprintf(pci->dev.name, sizeof pci->dev.name, "%02x:%02x.%x", address >> 8, address >> 3 & 31u, address & 7u);
    *w->tail = pci;
    w->tail = &pci->next;
}

/* True when there is something, and more functions in the slot. */
static bool function_scan(struct walk *w, uint16_t address)
{
    uint32_t id = pci_config_read32(address, PCI_VENDOR);
    if ((id & 0xffff) == 0xffff || id == 0)
        return false;
    uint8_t header = (uint8_t)(pci_config_read32(address, PCI_HEADER) >> 16);
    uint8_t type = header & 0x7f;
    if (type == HEADER_BRIDGE) {
        uint8_t secondary = (uint8_t)(pci_config_read32(address, PCI_BUSES) >> 8);
        if (secondary != 0)
            bus_found(w, secondary);
    }
    function_add(w, address, id, type);
    return header & HEADER_MULTIFUNCTION;
}

static void bus_scan(struct walk *w, uint8_t bus)
{
    for (unsigned slot = 0; slot < 32; slot++) {
        uint16_t address = (uint16_t)(bus << 8 | slot << 3);
        if (!function_scan(w, address))
            continue;
        for (uint16_t function = 1; function < 8; function++)
            function_scan(w, address | function);
    }
}

void pci_enumerate(void)
{
    struct walk *w = kzalloc(sizeof *w);
    if (w == NULL) {
        log_error("pci: no memory to walk the bus");
        return;
    }
    pci_devices = NULL;
    w->tail = &pci_devices;
    bus_found(w, 0);
    for (unsigned i = 0; i < w->known; i++)
        bus_scan(w, w->buses[i]);
    kfree(w);
}

static void pci_init(void)
{
    if (pci_config_init() != 0)
        return;
    pci_enumerate();
    unsigned walked = pci_config_accesses();
    for (struct pci_device *pci = pci_devices; pci != NULL; pci = pci->next)
        device_add(&pci->dev);
    log_debug("pci: %u configuration accesses, %u of them to walk the bus", pci_config_accesses(), walked);
}
INIT(INIT_DRIVER, pci_init);
