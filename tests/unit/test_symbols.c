/* SOURCES: tests/unit/host/host.c */
/* Names by address: tables as scripts/symbols.py makes them, with shared prefixes, long and empty names, against a plain list. */
#include <kernel/compiler.h>
#include <mm/page.h>

#include "../../kernel/symbols.c"

#include "host/host.h"
#include "tap.h"

#define ROOM 400000
__asm__(".data\n.balign 4\n"
        ".globl __symbols_start, __symbols_end, __kernel_text_start, __kernel_text_end\n"
        "__symbols_start:\n.space 400000\n__symbols_end:\n"
        "__kernel_text_start:\n.space 64\n__kernel_text_end:\n"
        ".text\n");

static uint64_t rng;
static uint64_t rnd(void)
{
    rng ^= rng << 13;
    rng ^= rng >> 7;
    rng ^= rng << 17;
    return rng >> 3;
}

#define MOST 3000
static struct {
    uint32_t at;
    char name[64];
} names[MOST];
static unsigned count; /* with the end mark */

static void build(void)
{
    uint32_t *table = (uint32_t *)__symbols_start;
    uint8_t *p = (uint8_t *)(table + 1 + count);
    const char *before = "";
    table[0] = count;
    for (unsigned i = 0; i < count; i++) {
        unsigned shared = 0;
        table[1 + i] = names[i].at;
        while (shared < 63 && names[i].name[shared] && names[i].name[shared] == before[shared])
            shared++;
        *p++ = (uint8_t)shared;
        p += strlcpy((char *)p, names[i].name + shared, 64) + 1;
        before = names[i].name;
    }
}

static bool look(uint32_t at)
{
    uint64_t offset = 0;
    const char *got = symbol_name(IMAGE_BASE + at, &offset);
    const char *want = NULL;
    uint64_t want_offset = 0;
    for (unsigned i = 0; i + 1 < count; i++)
        if (names[i].at <= at && at < names[i + 1].at)
            want = names[i].name, want_offset = at - names[i].at;
    return want && *want ? got && !strcmp(got, want) && offset == want_offset : !got;
}

int main(void)
{
    uint64_t offset;
    bool right = true;
    rng = host_seed();
    ok(!symbol_name(IMAGE_BASE + 5, &offset), "an empty table");
    for (int round = 0; round < 60; round++) {
        count = (unsigned)(rnd() % (round % 10 ? 60 : MOST)) + 1;
        uint32_t at = (uint32_t)(rnd() % 1000);
        for (unsigned i = 0; i < count; i++) {
            unsigned n = (unsigned)(rnd() % 61);
            if (i)
                memcpy(names[i].name, names[i - 1].name, 64);
            for (unsigned k = (unsigned)(rnd() % 60); k < n; k++)
                names[i].name[k] = (char)('a' + rnd() % 3);
            for (unsigned k = 0; k < n; k++)
                if (!names[i].name[k])
                    names[i].name[k] = '_';
            names[i].name[n] = 0;
            names[i].at = at;
            at += 1 + (uint32_t)(rnd() % 300);
        }
        build();
        for (int i = 0; i < 300; i++)
            right &= look((uint32_t)(rnd() % (at + 500)));
        for (unsigned i = 0; i < count; i += 1 + count / 50)
            right &= look(names[i].at) && (names[i].at == 0 || look(names[i].at - 1));
    }
    ok(right, "every address finds its function and offset, those outside find none");
    ok(!symbol_name(0, &offset) && !symbol_name(IMAGE_BASE - 1, &offset) && !symbol_name(UINT64_MAX, &offset), "addresses outside of the image");
    ok(symbol_is_kernel((uint64_t)__kernel_text_start) && symbol_is_kernel((uint64_t)__kernel_text_end - 1) && !symbol_is_kernel((uint64_t)__kernel_text_end) &&
           !symbol_is_kernel(0), "the kernel's part");
    return done();
}
