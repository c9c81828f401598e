/* ACPI tables (ACPI 6.4, chapter 5). The root pointer comes from the boot protocol or from the BIOS area; it names the XSDT (or the
   older RSDT), which names the other tables. Each table is taken only if its length is plausible and its bytes add up to zero; one that is not
   is left out with a line in the log, and the machine does without it. Runs once on the boot CPU before threads exist; constant afterwards. */
#include "internal.h"
#include <asm/errno.h>
#include <kernel/boot.h>
#include <kernel/log.h>
#include <kernel/string.h>

#define TABLES_MAX 64u
#define ROOT_ENTRIES_MAX 256u
#define RSDP_V1_SIZE 20u
#define RSDP_V2_SIZE 36u
#define BIOS_AREA 0xe0000u
#define BIOS_AREA_SIZE 0x20000u
#define EBDA_POINTER 0x40eu

#define FADT_DSDT 40u
#define FADT_X_DSDT 140u

static const struct acpi_header *tables[TABLES_MAX];
static unsigned table_count;

/* Sum of bytes modulo 256, eight at a time: lanes are added without their top bits, which then are added by xor. */
static uint8_t byte_sum(const uint8_t *p, size_t n)
{
    const uint64_t top = 0x8080808080808080u;
    uint64_t lanes = 0;
    uint8_t sum = 0;
    for (; n >= 8; p += 8, n -= 8) {
        uint64_t w = get64(p);
        lanes = ((lanes & ~top) + (w & ~top)) ^ ((lanes ^ w) & top);
    }
    for (; n > 0; p++, n--)
        sum = (uint8_t)(sum + *p);
    for (; lanes != 0; lanes >>= 8)
        sum = (uint8_t)(sum + lanes);
    return sum;
}

static bool rsdp_valid(const uint8_t *p)
{
    return memcmp(p, "RSD PTR ", 8) == 0 && byte_sum(p, RSDP_V1_SIZE) == 0;
}

/* ACPI 6.4, 5.2.5.1: on a 16-byte boundary. */
static paddr_t rsdp_search(paddr_t start, size_t size)
{
    const uint8_t *area = acpi_map(start, size);
    if (area == NULL)
        return 0;
    const uint64_t magic = 0x2052545020445352u; /* "RSD PTR " */
    for (size_t at = 0; at + RSDP_V2_SIZE <= size; at += 16)
        if (get64(area + at) == magic && rsdp_valid(area + at))
            return start + at;
    return 0;
}

static paddr_t rsdp_find(void)
{
    const uint8_t *p = boot_info.rsdp ? acpi_map(boot_info.rsdp, RSDP_V2_SIZE) : NULL;
    if (p != NULL && rsdp_valid(p))
        return boot_info.rsdp;
    paddr_t found = 0;
    p = acpi_map(EBDA_POINTER, 2);
    paddr_t ebda = p != NULL ? (paddr_t)get16(p) << 4 : 0;
    if (ebda >= 0x80000 && ebda < 0xa0000)
        found = rsdp_search(ebda, 1024);
    return found != 0 ? found : rsdp_search(BIOS_AREA, BIOS_AREA_SIZE);
}

/* The table at phys with its checks made, NULL when it fails them. */
static const struct acpi_header *table_open(paddr_t phys)
{
    const struct acpi_header *h = (const void *)acpi_map(phys, sizeof *h);
    if (h == NULL)
        return NULL;
    uint32_t length = h->length;
    if (length < sizeof *h || length > ACPI_TABLE_MAX || acpi_map(phys, length) == NULL) {
        log_warn("acpi: table at %#llx: bad length %u, ignored", (unsigned long long)phys, length);
        return NULL;
    }
    if (byte_sum((const uint8_t *)h, length) != 0) {
        log_warn("acpi: table %.4s at %#llx: bad checksum, ignored", h->signature, (unsigned long long)phys);
        return NULL;
    }
    return h;
}

static void table_add(paddr_t phys)
{
    if (table_count == TABLES_MAX)
        return;
    const struct acpi_header *h = table_open(phys);
    if (h != NULL)
        tables[table_count++] = h;
}

/* entry_size: 4 in the RSDT, 8 in the XSDT. */
static bool root_read(paddr_t phys, const char *signature, unsigned entry_size)
{
    const struct acpi_header *root = table_open(phys);
    if (root == NULL || memcmp(root->signature, signature, 4) != 0)
        return false;
    const uint8_t *entry = (const uint8_t *)(root + 1), *end = (const uint8_t *)root + root->length;
    for (unsigned n = 0; n < ROOT_ENTRIES_MAX && (size_t)(end - entry) >= entry_size; n++, entry += entry_size)
        table_add(entry_size == 8 ? get64(entry) : get32(entry));
    return true;
}

static bool roots_read(paddr_t rsdp)
{
    const uint8_t *p = acpi_map(rsdp, RSDP_V2_SIZE);
    if (p == NULL)
        return false;
    if (p[15] >= 2 && byte_sum(p, RSDP_V2_SIZE) == 0 && get64(p + 24) != 0 && root_read(get64(p + 24), "XSDT", 8))
        return true;
    return root_read(get32(p + 16), "RSDT", 4);
}

static void fadt_follow(const struct acpi_header *fadt)
{
    const uint8_t *p = (const uint8_t *)fadt;
    paddr_t dsdt = 0;
    if (fadt->length >= FADT_X_DSDT + 8)
        dsdt = get64(p + FADT_X_DSDT);
    if (dsdt == 0 && fadt->length >= FADT_DSDT + 4)
        dsdt = get32(p + FADT_DSDT);
    if (dsdt != 0)
        table_add(dsdt);
    acpi_power_init(fadt);
}

int acpi_init(void)
{
    table_count = 0;
    paddr_t rsdp = rsdp_find();
    if (rsdp == 0 || !roots_read(rsdp)) {
        log_info("acpi: no tables");
        return -ENODEV;
    }
    const struct acpi_header *fadt = acpi_table("FACP", 0);
    if (fadt != NULL)
        fadt_follow(fadt);
    log_debug("acpi: %u tables", table_count);
    return 0;
}

const struct acpi_header *acpi_table(const char *signature, unsigned index)
{
    for (unsigned i = 0; i < table_count; i++)
        if (memcmp(tables[i]->signature, signature, 4) == 0 && index-- == 0)
            return tables[i];
    return NULL;
}
