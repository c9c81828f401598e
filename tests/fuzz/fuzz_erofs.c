/* SOURCES: fs/erofs.c fs/erofs_dir.c tests/unit/host/host.c */
/* A root file system: everything that can be reached in it is read. */
#define main unit_main
#include "../unit/test_erofs.c"
#undef main

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct erofs fs;
    uint8_t *copy = host_malloc(size + 1);
    memcpy(copy, data, size);
    if (erofs_open(&fs, copy, size) == 0) {
        budget = 2000;
        read_all(&fs, fs.root_nid, 0);
    }
    host_free(copy);
    return 0;
}
