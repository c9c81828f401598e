/* SOURCES: tests/unit/host/host.c */
/* What a boot loader says: the first byte chooses PVH's memory map or Multiboot2's tags. */
#define main unit_main
#include "../unit/test_boot.c"
#undef main

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 9)
        return 0;
    uint8_t *copy = host_malloc(size - 1);
    memcpy(copy, data + 1, size - 1);
    reset();
    if (data[0] & 1) {
        struct pvh_start_info info = {.version = 1, .memmap = (uint64_t)copy, .memmap_entries = (uint32_t)((size - 1) / sizeof(struct pvh_memmap_entry))};
        read_pvh(&info);
    } else {
        *(uint32_t *)copy = (uint32_t)(size - 1); /* the loader's total is right, as its memory is */
        read_multiboot2(copy);
    }
    host_free(copy);
    if (!sane())
        panic("a memory map that makes no sense");
    return 0;
}
