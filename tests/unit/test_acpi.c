/* SOURCES: drivers/acpi/tables.c drivers/acpi/aml.c drivers/acpi/resources.c drivers/acpi/power.c tests/unit/host/drivers.c */
/* ACPI tables built by hand in a fake physical memory, read by the real parser; then the same with random damage, which must end
   in a refusal or in other values, never in a read outside the tables (the memory is exactly as large as its content, and ASan looks on). */
#include "tap.h"
#include <drivers/acpi.h>
#include <kernel/boot.h>
#include <kernel/string.h>
#include <mm/mapping.h>

#include "../../drivers/acpi/internal.h"

#define RSDP_AT 0xf5aa0u
#define XSDT_AT 0x200000u
#define MEMORY_SIZE 8192u

void *malloc(size_t size);
void free(void *p);

struct boot_info boot_info;

static uint8_t *memory; /* at XSDT_AT, MEMORY_SIZE bytes used up to memory_end */
static uint32_t memory_end;
static uint8_t *bios; /* 0xe0000 to 0xfffff */
static uint8_t registers[16]; /* what MMIO register addresses 0x9000 to 0x900f lead to */

const uint8_t *acpi_map(paddr_t phys, size_t size)
{
    if (phys >= 0xe0000 && phys + size <= 0x100000)
        return bios + (phys - 0xe0000);
    if (phys >= XSDT_AT && phys - XSDT_AT < memory_end && size <= memory_end - (phys - XSDT_AT))
        return memory + (phys - XSDT_AT);
    return NULL;
}

void *mapping_mmio(paddr_t phys, size_t size)
{
    return phys >= 0x9000 && phys + size <= 0x9010 ? &registers[phys - 0x9000] : NULL;
}

static void put32(uint8_t *p, uint32_t v) { memcpy(p, &v, 4); }
static void put64(uint8_t *p, uint64_t v) { memcpy(p, &v, 8); }

static void checksum(uint8_t *p, size_t n, size_t at)
{
    uint8_t sum = 0;
    p[at] = 0;
    for (size_t i = 0; i < n; i++)
        sum = (uint8_t)(sum + p[i]);
    p[at] = (uint8_t)-sum;
}

/* Appends a table; its physical address. */
static uint32_t table(const char *signature, const void *body, uint32_t size)
{
    uint8_t *p = memory + memory_end;
    uint32_t at = XSDT_AT + memory_end, length = size + (uint32_t)sizeof(struct acpi_header);
    memset(p, 0, length);
    memcpy(p, signature, 4);
    put32(p + 4, length);
    memcpy(p + sizeof(struct acpi_header), body, size);
    checksum(p, length, 9);
    memory_end += length;
    return at;
}

/* Device(VR00) { Name(_HID, "LNRO0005") Name(_UID, 0) Name(_CRS, ResourceTemplate(){ Memory32Fixed, Interrupt }) } and \_S5 {5, 0},
   and a PCI host bridge with _CBA and _CRS. */
static const uint8_t dsdt_body[] = {
    0x08, '_', 'S', '5', '_', 0x12, 0x07, 0x04, 0x0a, 0x05, 0x00, 0x00, 0x00,
    0x5b, 0x82, 0x3d, 'V', 'R', '0', '0', 0x08, '_', 'H', 'I', 'D', 0x0d, 'L', 'N', 'R', 'O', '0', '0', '0', '5', 0,
    0x08, '_', 'U', 'I', 'D', 0x00, 0x08, '_', 'C', 'R', 'S', 0x11, 0x1a, 0x0a, 0x17,
    0x86, 0x09, 0x00, 0x01, 0x00, 0x0e, 0xb0, 0xfe, 0x00, 0x02, 0x00, 0x00,
    0x89, 0x06, 0x00, 0x03, 0x01, 0x0c, 0x00, 0x00, 0x00, 0x79, 0x00,
    0x5b, 0x82, 0x3a, 'P', 'C', 'I', '0', 0x08, '_', 'H', 'I', 'D', 0x0c, 0x41, 0xd0, 0x0a, 0x08,
    0x14, 0x0c, '_', 'C', 'B', 'A', 0x00, 0xa4, 0x0c, 0x00, 0x00, 0x00, 0xe0, 0x08, '_', 'C', 'R', 'S', 0x11, 0x1f, 0x0a, 0x1c,
    0x87, 0x17, 0x00, 0x00, 0x0c, 0x03, 0, 0, 0, 0, 0, 0, 0, 0xc0, 0xff, 0xff, 0xff, 0xdf, 0, 0, 0, 0, 0, 0, 0, 0x20,
    0x79, 0x00,
};

static void gas(uint8_t *p, uint8_t space, uint64_t address)
{
    p[0] = space;
    p[1] = 8;
    put64(p + 4, address);
}

static void build(void)
{
    uint8_t fadt[268 - 36], root[64];
    bios = malloc(0x20000);
    memory = malloc(MEMORY_SIZE);
    memset(bios, 0, 0x20000);
    memory_end = 0;
    uint32_t dsdt = table("DSDT", dsdt_body, sizeof dsdt_body);
    memset(fadt, 0, sizeof fadt);
    put32(fadt + (40 - 36), dsdt);
    put32(fadt + (112 - 36), 1u << 10);
    gas(fadt + (116 - 36), 0, 0x9002);
    fadt[128 - 36] = 0x42;
    gas(fadt + (244 - 36), 0, 0x9000);
    put64(root, table("FACP", fadt, sizeof fadt));
    put64(root + 8, table("APIC", "0123456789ab", 12));
    put64(root + 16, 0x7fffffffull); /* nothing there */
    uint32_t xsdt = table("XSDT", root, 24);
    uint8_t *rsdp = bios + (RSDP_AT - 0xe0000);
    memcpy(rsdp, "RSD PTR ", 8);
    rsdp[15] = 2;
    put32(rsdp + 20, 36);
    put64(rsdp + 24, xsdt);
    checksum(rsdp, 20, 8);
    checksum(rsdp, 36, 32);
}

static void destroy(void)
{
    free(bios);
    free(memory);
}

static struct acpi_mmio_device found;
static unsigned found_count;
static void note(const struct acpi_mmio_device *dev, void *arg)
{
    found = *dev;
    found_count++;
}

static void test_good(void)
{
    struct acpi_pci_host host;
    build();
    boot_info.rsdp = 0;
    ok(acpi_init() == 0, "root pointer is found in the BIOS area");
    ok(acpi_table("APIC", 0) != NULL && acpi_table("APIC", 1) == NULL, "a table is found, and only once");
    ok(acpi_table("DSDT", 0) != NULL, "the DSDT is reached through the FADT");
    acpi_virtio_mmio_foreach(note, NULL);
    ok(found_count == 1 && found.base == 0xfeb00e00 && found.size == 0x200 && found.gsi == 12, "virtio-mmio: base, size, interrupt");
    ok(!found.level && !found.active_low, "virtio-mmio: edge, active high");
    ok(acpi_pci_host(&host) == 0 && host.ecam == 0xe0000000 && host.window_base == 0xc0000000 && host.window_size == 0x20000000,
       "PCI host bridge: configuration space, window");
    acpi_power_off();
    ok(registers[0] == (5 << 2 | 1 << 5), "sleep control register gets the type of \\_S5 and the enable bit");
    acpi_reset();
    ok(registers[2] == 0x42, "reset register gets its value");
    boot_info.rsdp = RSDP_AT;
    ok(acpi_init() == 0 && acpi_table("FACP", 0) != NULL, "root pointer from the boot protocol");
    boot_info.rsdp = 0xe0010;
    ok(acpi_init() == 0, "a wrong root pointer from the boot protocol is searched for");
    memory[memory_end - 1] ^= 1;
    ok(acpi_init() != 0, "a root table with a wrong checksum is refused");
    ok(acpi_table("APIC", 0) == NULL, "and nothing is left of the old tables");
    destroy();
}

static uint64_t seed = 88172645463325252u;
static uint32_t random32(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (uint32_t)(seed >> 16);
}

/* Repairs all checksums, so that the damage gets past them. */
static void repair(const uint32_t *starts, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        uint8_t *p = memory + starts[i];
        uint32_t length;
        memcpy(&length, p + 4, 4);
        if (length >= 36 && length <= memory_end - starts[i])
            checksum(p, length, 9);
    }
}

static void use_all(void)
{
    struct acpi_pci_host host;
    acpi_virtio_mmio_foreach(note, NULL);
    (void)acpi_pci_host(&host);
    (void)acpi_table("SSDT", 3);
}

static void test_damage(void)
{
    build();
    uint32_t starts[8];
    unsigned n = 0;
    for (uint32_t at = 0; at < memory_end; n++) {
        uint32_t length;
        starts[n] = at;
        memcpy(&length, memory + at + 4, 4);
        at += length;
    }
    /* Exactly as large as its content: a read beyond it is seen. */
    uint8_t *good = memory, *exact = malloc(memory_end);
    boot_info.rsdp = RSDP_AT;
    unsigned accepted = 0;
    for (unsigned round = 0; round < 40000; round++) {
        memcpy(exact, good, memory_end);
        memory = exact;
        for (unsigned k = 1 + random32() % 4; k > 0; k--)
            exact[random32() % memory_end] = random32() % 3 == 0 ? 0xff : (uint8_t)random32();
        repair(starts, n);
        if (acpi_init() == 0) {
            accepted++;
            use_all();
            /* The power registers may be ports now, which a host test cannot touch: memory only. */
        }
    }
    ok(accepted > 1000, "damaged tables were read without a fault");
    memory = good;
    free(exact);
    destroy();
}

/* AML of random bytes around the words that the parser looks for. */
static void test_noise(void)
{
    static const char *const words[] = {"LNRO0005", "_CRS", "_S5_", "\x41\xd0\x0a\x08", "\x86\x09", "\x89\x06", "\x11\x0f\x0a"};
    for (unsigned round = 0; round < 4000; round++) {
        uint8_t body[300];
        for (unsigned i = 0; i < sizeof body; i++)
            body[i] = (uint8_t)random32();
        for (unsigned k = 0; k < 20; k++) {
            const char *w = words[random32() % 7];
            memcpy(body + random32() % (sizeof body - 8), w, strlen(w));
        }
        uint32_t size = random32() % sizeof body;
        uint8_t *exact = malloc(size + 1), *end;
        memcpy(exact, body, size);
        end = exact + size;
        struct aml where = {exact, end}, inner;
        unsigned count;
        uint64_t value;
        const uint8_t *p;
        uint8_t type;
        while ((p = aml_find(where, "_CRS")) != NULL) {
            where.p = p + 4;
            if (aml_buffer(where, &inner))
                while (aml_resource(&inner, &type, &(struct aml){0}))
                    ;
            if (aml_package(where, &inner, &count))
                while (aml_integer(&inner, &value))
                    ;
        }
        free(exact);
    }
    ok(true, "random AML is survived");
}

int main(void)
{
    test_good();
    test_damage();
    test_noise();
    return done();
}
