/* SOURCES: drivers/pci/enumerate.c drivers/pci/capability.c drivers/pci/bar.c drivers/pci/msix.c tests/unit/host/drivers.c */
/* Enumeration, capabilities, BARs and MSI-X on a fake configuration space: functions with sized
   BARs, a bridge, a bus that names itself, capability lists that run in circles. */
#include "tap.h"
#include <asm/errno.h>
#include <drivers/acpi.h>
#include <kernel/string.h>
#include <mm/kmem.h>
#include <mm/mapping.h>

#include "../../drivers/pci/config.h"

#define FUNCTIONS 8u


struct function {
    uint16_t address;
    uint32_t config[64];
    uint64_t bar_size[6];
};
static struct function functions[FUNCTIONS];
static unsigned function_count, accesses;

static struct function *function_at(uint16_t address)
{
    for (unsigned i = 0; i < function_count; i++)
        if (functions[i].address == address)
            return &functions[i];
    return NULL;
}

int pci_config_init(void) { return 0; }
unsigned pci_config_accesses(void) { return accesses; }

uint32_t pci_config_read32(uint16_t address, unsigned offset)
{
    struct function *f = function_at(address);
    accesses++;
    return f != NULL && offset < 256 ? f->config[offset / 4] : UINT32_MAX;
}

void pci_config_write32(uint16_t address, unsigned offset, uint32_t value)
{
    struct function *f = function_at(address);
    accesses++;
    unsigned n = (offset - PCI_BAR0) / 4;
    if (f != NULL && offset >= PCI_BAR0 && n < 6) {
        uint32_t *bar = &f->config[offset / 4];
        bool high = n > 0 && (bar[-1] & 7) == 4;
        uint64_t size = high ? f->bar_size[n - 1] : f->bar_size[n];
        uint64_t mask = -size;
        *bar = size == 0 ? 0 : high ? value & (uint32_t)(mask >> 32) : (value & (uint32_t)mask & ~15u) | (*bar & 15);
    } else if (f != NULL) {
        f->config[offset / 4] = value;
    }
}

void pci_config_write16(uint16_t address, unsigned offset, uint16_t value)
{
    struct function *f = function_at(address);
    accesses++;
    if (f != NULL)
        memcpy((uint8_t *)f->config + offset, &value, 2);
}

static unsigned added;
void device_add(struct device *dev) { added++; }

static bool have_host;
int acpi_pci_host(struct acpi_pci_host *host)
{
    *host = (struct acpi_pci_host){0xe0000000, 0xc0000000, 0x100000};
    return have_host ? 0 : -ENODEV;
}

static uint32_t device_memory[256];
static uint64_t mapped_at;
void *mapping_mmio(paddr_t phys, size_t size)
{
    mapped_at = phys;
    return size <= sizeof device_memory ? device_memory : NULL;
}

/* Two vectors, 40 and 41, and where a message goes. */
static struct irq *irqs_added[2];
static unsigned added_count;
int irq_add(struct irq *irq)
{
    if (added_count == ARRAY_SIZE(irqs_added))
        return -ENOSPC;
    irq->vector = 40 + added_count;
    irqs_added[added_count++] = irq;
    return irq->aim(irq);
}
void irq_msi_message(const struct irq *irq, uint64_t *address, uint32_t *data)
{
    *address = 0xfee00000 | irq->cpu << 12;
    *data = irq->vector;
}

/* An empty machine. */
static void machine_reset(void)
{
    while (pci_devices != NULL) {
        struct pci_device *next = pci_devices->next;
        kfree(pci_devices);
        pci_devices = next;
    }
    function_count = 0;
}

static struct function *function_new(uint16_t address, uint32_t id, uint8_t header)
{
    struct function *f = &functions[function_count++];
    memset(f, 0, sizeof *f);
    f->address = address;
    f->config[0] = id;
    f->config[3] = (uint32_t)header << 16;
    return f;
}

/* BAR n: memory of this size, 64 bits wide or not. */
static void bar_new(struct function *f, unsigned n, uint64_t size, bool wide, uint64_t address)
{
    f->bar_size[n] = size;
    f->config[4 + n] = (uint32_t)address | (wide ? 4 : 0);
    if (wide)
        f->config[5 + n] = (uint32_t)(address >> 32);
}

static void capability_new(struct function *f, unsigned at, uint8_t id, uint8_t next, uint16_t rest)
{
    f->config[at / 4] = id | (uint32_t)next << 8 | (uint32_t)rest << 16;
}

static void test_enumeration(void)
{
    machine_reset();
    function_new(0x0000, 0x29c08086, 0);
    struct function *bridge = function_new(0x0008, 0x000c1b36, 1);
    function_new(0x00f8, 0x29188086, 0x80);
    function_new(0x00fa, 0x29228086, 0x80);
    function_new(0x0300, 0x10411af4, 0);
    struct function *loop = function_new(0x0308, 0x000c1b36, 1);
    bridge->config[6] = 0x00030300; /* bus 3 behind it */
    loop->config[6] = 0x00000300;   /* names its own bus */
    pci_enumerate();
    unsigned n = 0;
    struct pci_device *net = NULL;
    for (struct pci_device *p = pci_devices; p != NULL; p = p->next, n++)
        if (p->vendor == 0x1af4)
            net = p;
    ok(n == 6, "all functions are found once, also behind a bridge, whatever a second bridge claims");
    ok(net != NULL && net->device == 0x1041 && strcmp(net->dev.name, "03:00.0") == 0, "ids and name");
    ok(accesses <= 2 * 32 + 7 + 6 + 2, "with no more accesses than that takes");
    machine_reset();
    pci_enumerate();
    ok(pci_devices == NULL, "an empty bus is empty");
}

static void test_capabilities(void)
{
    machine_reset();
    struct function *f = function_new(0, 0x10411af4, 0);
    pci_enumerate();
    struct pci_device *pci = pci_devices;
    capability_new(f, 0x40, PCI_CAP_VENDOR, 0x50, 0);
    capability_new(f, 0x50, PCI_CAP_MSIX, 0x60, 0);
    capability_new(f, 0x60, PCI_CAP_VENDOR, 0x41, 0); /* a circle, and an unaligned link */
    f->config[PCI_CAPABILITIES / 4] = 0x40;
    ok(pci_capability(pci, PCI_CAP_MSIX, 0) == 0, "no list, no capabilities");
    f->config[1] = PCI_STATUS_CAPABILITIES;
    ok(pci_capability(pci, PCI_CAP_VENDOR, 0) == 0x40 && pci_capability(pci, PCI_CAP_VENDOR, 0x40) == 0x60, "each in turn");
    ok(pci_capability(pci, PCI_CAP_MSIX, 0) == 0x50, "by id");
    ok(pci_capability(pci, 0x33, 0) == 0, "a circle ends");
    f->config[PCI_CAPABILITIES / 4] = 0x3c;
    ok(pci_capability(pci, PCI_CAP_VENDOR, 0) == 0, "a link into the header ends the list");
}

static void test_bars(void)
{
    uint64_t address;
    machine_reset();
    have_host = true;
    struct function *f = function_new(0, 0x10411af4, 0), *g;
    pci_enumerate();
    bar_new(f, 0, 0x1000, false, 0);
    bar_new(f, 1, 0x4000, true, 0);
    bar_new(f, 3, 0, false, 0);
    bar_new(f, 4, 0x200000, false, 0);
    f->config[4 + 5] = 0xc001; /* ports */
    struct pci_device *pci = pci_devices;
    ok(pci_bar(pci, 0, &address) == 0 && address == 0xc0000000, "an empty BAR is assigned from the window");
    ok(pci_bar(pci, 1, &address) == 0 && address == 0xc0004000 && f->config[5] == 0xc0004004 && f->config[6] == 0,
       "a wide one too, aligned to its size");
    ok(pci_bar(pci, 1, &address) == 0 && address == 0xc0004000, "and stays where it is");
    ok(pci_bar(pci, 3, &address) == -ENODEV, "a BAR that is not there");
    ok(pci_bar(pci, 4, &address) == -ENOSPC, "one that does not fit");
    ok(pci_bar(pci, 5, &address) == -ENODEV && pci_bar(pci, 6, &address) == -ENODEV, "ports, and no such BAR");
    machine_reset();
    f = function_new(0, 0x10411af4, 0);
    g = function_new(8, 0x10411af4, 0);
    pci_enumerate();
    bar_new(f, 4, 0x4000, true, 0x8000004000ull);
    bar_new(g, 0, 0x1000, false, 0);
    ok(pci_bar(pci_devices, 4, &address) == 0 && address == 0x8000004000ull, "an address of the firmware, above 4 GiB");
    ok(pci_bar_map(pci_devices, 4, 0x3000, 4) != NULL && mapped_at == 0x8000007000ull, "a part of it is mapped");
    ok(pci_bar_map(pci_devices, 4, 0, 0) == NULL, "nothing of it is not");
}

static void test_msix(void)
{
    machine_reset();
    struct function *f = function_new(0, 0x10411af4, 0);
    pci_enumerate();
    struct pci_device *pci = pci_devices;
    ok(pci_msix_enable(pci, 3) == -ENODEV, "no MSI-X");
    bar_new(f, 1, 0x1000, false, 0xfebd1000);
    f->config[1] = PCI_STATUS_CAPABILITIES;
    f->config[PCI_CAPABILITIES / 4] = 0x98;
    capability_new(f, 0x98, PCI_CAP_MSIX, 0, 2 - 1);
    f->config[0x9c / 4] = 0x801;
    ok(pci_msix_enable(pci, 3) == 2 && mapped_at == 0xfebd1800, "as many entries as there are, at their place");
    ok(f->config[0x98 / 4] >> 31 == 1, "and it is on");
    memset(device_memory, 0xff, sizeof device_memory);
    ok(pci_msix_route(pci, 1, 7, NULL, NULL) == 0 && device_memory[4] == 0xfee00000 && device_memory[5] == 0 &&
       device_memory[6] == 40 && device_memory[7] == 0, "an entry gets address and data, unmasked");
    ok(irqs_added[0]->place == 7 && irqs_added[0]->line == 1, "with the place it asks for");
    device_memory[5] = device_memory[6] = 12345;
    irqs_added[0]->cpu = 3;
    ok(irqs_added[0]->aim(irqs_added[0]) == 0 && device_memory[4] == 0xfee03000 && device_memory[5] == 12345 &&
       device_memory[6] == 12345 && device_memory[7] == 0, "moved to another CPU only its address changes");
    ok(pci_msix_route(pci, 2, 0, NULL, NULL) == -ENOSPC, "an entry beyond the table");
    ok(pci_msix_route(pci, 0, 0, NULL, NULL) == 0 && pci_msix_route(pci, 0, 0, NULL, NULL) == -ENOSPC, "no vectors left");
}

int main(void)
{
    test_enumeration();
    test_capabilities();
    test_bars();
    test_msix();
    machine_reset();
    return done();
}
