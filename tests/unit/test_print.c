/* SOURCES: tests/unit/host/host.c */
/* The kernel's vsnprintf against the host's: random conversions with all flags, widths, precisions, sizes of arguments and of the buffer. */
#include <kernel/compiler.h>
#include <kernel/print.h>
#include <kernel/string.h>
#include "host/host.h"
#include "tap.h"

int (*const host_snprintf)(char *, size_t, const char *, ...) = snprintf;
#define vsnprintf kernel_vsnprintf
#define snprintf kernel_snprintf
int kernel_vsnprintf(char *buf, size_t size, const char *fmt, va_list ap);
int kernel_snprintf(char *buf, size_t size, const char *fmt, ...);
#include "../../kernel/print.c"

static uint64_t rng = 1;
static uint64_t rnd(void)
{
    rng ^= rng << 13;
    rng ^= rng >> 7;
    rng ^= rng << 17;
    return rng >> 3;
}

static bool equal(const char *fmt, size_t size, const char *a, int na, const char *b, int nb)
{
    if (na == nb && (!size || !strcmp(a, b)))
        return true;
    printf("# \"%s\" into %zu: kernel %d \"%s\", host %d \"%s\"\n", fmt, size, na, size ? a : "", nb, size ? b : "");
    return false;
}

#define COMPARE(size, fmt, ...)                                                                    \
    ({                                                                                             \
        char a_[512] = "", b_[512] = "";                                                           \
        int na_ = kernel_snprintf(a_, size, fmt, ##__VA_ARGS__), nb_ = host_snprintf(b_, size, fmt, ##__VA_ARGS__); \
        equal(fmt, size, a_, na_, b_, nb_);                                                        \
    })

#pragma GCC diagnostic ignored "-Wformat"

static uint64_t number(void)
{
    switch (rnd() % 5) {
    case 0: return 0;
    case 1: return rnd() % 16;
    case 2: return 0 - rnd() % 100;
    case 3: return 1ull << (rnd() % 64);
    default: return rnd() * rnd();
    }
}

static bool random_integer(void)
{
    static const char *const lengths[] = {"hh", "h", "", "l", "ll", "z", "j", "t"};
    const char *length = lengths[rnd() % 8];
    char conversion = "diuxXo"[rnd() % 6], flags[8], width[8] = "", precision[8] = "", fmt[64];
    unsigned n = 0;
    bool is_signed = conversion == 'd' || conversion == 'i';
    for (const char *f = is_signed ? "-0+ " : conversion == 'u' ? "-0" : "-0#"; *f; f++)
        if (rnd() % 3 == 0)
            flags[n++] = *f;
    flags[n] = 0;
    if (rnd() % 2)
        host_snprintf(width, sizeof(width), "%u", (unsigned)(rnd() % 40) + 1);
    if (rnd() % 3 == 0)
        host_snprintf(precision, sizeof(precision), ".%.0u", (unsigned)(rnd() % 30));
    host_snprintf(fmt, sizeof(fmt), "<%%%s%s%s%s%c>", flags, width, precision, length, conversion);
    uint64_t v = number();
    size_t size = rnd() % 4 ? 200 : rnd() % 20;
    return COMPARE(size, fmt, v);
}

static bool random_string(void)
{
    char s[40], fmt[64];
    size_t n = rnd() % 30;
    for (size_t i = 0; i < n; i++)
        s[i] = (char)('a' + rnd() % 26);
    s[n] = 0;
    bool star = rnd() % 2;
    size_t size = rnd() % 3 ? 200 : rnd() % 20;
    int width = (int)(rnd() % 60) - 30, precision = (int)(rnd() % 40) - 5;
    if (star)
        return COMPARE(size, "[%*.*s]", width, precision, s);
    host_snprintf(fmt, sizeof(fmt), "[%s%d.%ds]", rnd() % 2 ? "%-" : "%", (int)(rnd() % 30) + 1, (int)(rnd() % 30));
    return COMPARE(size, fmt, s);
}

/* Any bytes as a format without arguments in it: no crash, terminated, the same length whatever the buffer. */
static bool garbage(void)
{
    char fmt[24], a[64], b[64];
    unsigned n = (unsigned)(rnd() % 22);
    for (unsigned i = 0; i < n; i++) {
        fmt[i] = "%%%%%0123456789.-+ #lhzjtdiuxXocpkw*"[rnd() % 36];
        if (i && fmt[i] >= '0' && fmt[i] <= '9' && fmt[i - 1] >= '0' && fmt[i - 1] <= '9')
            fmt[i] = '%'; /* widths of one digit: formats come from the kernel, so a huge one is no attack */
    }
    fmt[n] = 0;
    long zero = 0;
    int na = kernel_snprintf(a, sizeof(a), fmt, zero, zero, zero, zero, zero, zero, zero, zero, zero, zero, zero, zero);
    int nb = kernel_snprintf(b, 3, fmt, zero, zero, zero, zero, zero, zero, zero, zero, zero, zero, zero, zero);
    return na == nb && na >= 0 && strnlen(a, 64) < 64 && strnlen(b, 3) < 3;
}

int main(void)
{
    bool right = true;
    for (int i = 0; i < 200000; i++)
        right &= random_integer();
    ok(right, "integers: flags, width, precision, length modifiers, small buffers");
    right = true;
    for (int i = 0; i < 50000; i++)
        right &= random_string();
    ok(right, "strings: width, precision, stars");
    right = COMPARE(64, "%%|%c|%5c|%-5c|%c", 'a', 'b', 'c', 0xe4) && COMPARE(64, "%p %20p|%-20p|", (void *)0x1234, (void *)-1l, &right);
    ok(right, "characters and pointers");
    right = COMPARE(64, "%*d|%-*d|%.*d", -8, 42, -8, 42, -1, 42) && COMPARE(64, "%.0d%.0x|%#.0o|%#o|%#x", 0, 0, 0, 0, 0) && COMPARE(64, "%+.3d|% 05d|%05.2d", 7, 7, 7);
    ok(right, "negative stars, empty zeros, signs");
    right = COMPARE(0, "abc") && COMPARE(1, "abc") && COMPARE(4, "abc") && COMPARE(3, "abc") && COMPARE(64, "%s", "") && COMPARE(64, "%ld %lu", INT64_MIN, UINT64_MAX) &&
            COMPARE(64, "%d %#lo", INT32_MIN, UINT64_MAX);
    ok(right, "edges of buffers and numbers");
    char buf[16];
    ok(kernel_snprintf(buf, sizeof(buf), "%s", (char *)NULL) == 6 && !strcmp(buf, "(null)"), "a null string");
    right = true;
    for (int i = 0; i < 200000; i++)
        right &= garbage();
    ok(right, "formats of random characters: no crash, and the length does not depend on the buffer");
    ok(kernel_snprintf(NULL, 0, "%d", 12345) == 5, "no buffer");
    return done();
}
