/* SOURCES: tests/unit/host/host.c */
/* The command line: splitting any bytes, then the options in them. */
#define main unit_main
#include "../unit/test_cmdline.c"
#undef main

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *words[16], *line = host_malloc(size + 1);
    memcpy(line, data, size);
    line[size] = 0;
    int n = cmdline_split(line, words, 16);
    for (int i = 0; i < n; i++)
        if (words[i] < line || words[i] + strlen(words[i]) > line + size)
            panic("a word outside of the line");
    environment[0] = "HOME=/"; /* what a line adds or replaces lies in it */
    environment[1] = "PATH=/bin";
    environment[2] = "TERM=dumb";
    environment_count = 3;
    environment[3] = NULL;
    reported[0] = 0;
    if (n > 0 && cmdline_options(words, &n) > n)
        panic("more words than there are");
    host_free(line);
    return 0;
}
