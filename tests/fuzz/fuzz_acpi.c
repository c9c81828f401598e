/* SOURCES: drivers/acpi/tables.c drivers/acpi/aml.c drivers/acpi/resources.c drivers/acpi/power.c tests/unit/host/drivers.c */
/* ACPI tables: the input is a list of changes (offset, two bytes; value) to good ones, whose checksums are made right again, or random bytes as a DSDT's body. */
#define main unit_main
#include "../unit/test_acpi.c"
#undef main

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint32_t starts[16];
    unsigned n = 0;
    build();
    for (uint32_t at = 0; at < memory_end && n < 16; n++) {
        uint32_t length;
        starts[n] = at;
        memcpy(&length, memory + at + 4, 4);
        at += length;
    }
    uint8_t *good = memory, *exact = malloc(memory_end);
    memcpy(exact, good, memory_end);
    for (size_t i = 0; i + 3 <= size; i += 3)
        exact[(data[i] | data[i + 1] << 8) % memory_end] = data[i + 2];
    memory = exact;
    repair(starts, n);
    boot_info.rsdp = RSDP_AT;
    if (acpi_init() == 0)
        use_all();
    memory = good;
    free(exact);
    destroy();
    return 0;
}
