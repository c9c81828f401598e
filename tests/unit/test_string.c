/* SOURCES: tests/unit/host/string_asm.S tests/unit/host/host.c */
/* The kernel's string and memory functions against the host's: all lengths to 300, all alignments within a cache line, all overlaps; the bytes around
   the destination stay, and nothing is read behind a page's end (the sources end at a page that is not mapped). */
#include <kernel/compiler.h>
#include <kernel/string.h>
#include "host/host.h"
#include "tap.h"

/* The host's. */
int (*const host_memcmp)(const void *, const void *, size_t) = memcmp;
size_t (*const host_strlen)(const char *) = strlen;
int (*const host_strcmp)(const char *, const char *) = strcmp;
int (*const host_strncmp)(const char *, const char *, size_t) = strncmp;
char *(*const host_strchr)(const char *, int) = strchr;
char *(*const host_strrchr)(const char *, int) = strrchr;
char *(*const host_strstr)(const char *, const char *) = strstr;
void *(*const host_memchr)(const void *, int, size_t) = memchr;
size_t (*const host_strnlen)(const char *, size_t) = strnlen;
void *mmap(void *address, size_t length, int prot, int flags, int fd, off_t offset);
int mprotect(void *address, size_t length, int prot);

/* The kernel's. */
void *kernel_memcpy(void *dst, const void *src, size_t n);
void *kernel_memmove(void *dst, const void *src, size_t n);
void *kernel_memset(void *dst, int c, size_t n);

#define memcmp kernel_memcmp
#define memchr kernel_memchr
#define strlen kernel_strlen
#define strnlen kernel_strnlen
#define strcmp kernel_strcmp
#define strncmp kernel_strncmp
#define strchr kernel_strchr
#define strrchr kernel_strrchr
#define strstr kernel_strstr
#define strlcpy kernel_strlcpy
#define kstrdup kernel_kstrdup
int kernel_memcmp(const void *a, const void *b, size_t n);
void *kernel_memchr(const void *s, int c, size_t n);
size_t kernel_strlen(const char *s), kernel_strnlen(const char *s, size_t max);
int kernel_strcmp(const char *a, const char *b), kernel_strncmp(const char *a, const char *b, size_t n);
char *kernel_strchr(const char *s, int c), *kernel_strrchr(const char *s, int c), *kernel_strstr(const char *h, const char *n);
size_t kernel_strlcpy(char *dst, const char *src, size_t size);
char *kernel_kstrdup(const char *s);
#include "../../kernel/string.c"

#define PAGE 4096ul
#define LIMIT 300

static uint8_t *guarded; /* 4 pages, then one that is not mapped */

static uint64_t rng = 1;
static uint64_t rnd(void)
{
    rng ^= rng << 13;
    rng ^= rng >> 7;
    rng ^= rng << 17;
    return rng;
}

static void scramble(uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        p[i] = (uint8_t)(rnd() >> 16);
}

static bool direction_flag(void)
{
    uint64_t flags;
    __asm__ volatile("pushfq; popq %0" : "=r"(flags));
    return flags >> 10 & 1;
}

/* buf holds what a call should leave in it: compare everything, also around. */
static bool same(const uint8_t *a, const uint8_t *b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (a[i] != b[i])
            return false;
    return true;
}

static void test_memcpy(void)
{
    static uint8_t to[512], want[512];
    bool right = true, result = true;
    uint8_t *end = guarded + 4 * PAGE;
    scramble(guarded, 4 * PAGE);
    for (size_t n = 0; n <= LIMIT; n++) {
        for (unsigned d = 0; d < 16; d++) {
            const uint8_t *src = end - n - (d % 2 ? 0 : d); /* odd: up to the guard */
            scramble(to, sizeof(to));
            for (size_t i = 0; i < sizeof(to); i++)
                want[i] = i >= 64 + d && i < 64 + d + n ? src[i - 64 - d] : to[i];
            result &= kernel_memcpy(to + 64 + d, src, n) == to + 64 + d;
            right &= same(to, want, sizeof(to));
        }
    }
    ok(right, "memcpy: lengths to 300, alignments, up to the end of a page");
    ok(result, "memcpy returns the destination");
    static uint8_t big[70000], copy[70000];
    scramble(big, sizeof(big));
    kernel_memcpy(copy + 3, big + 5, 65536 + 7);
    ok(same(copy + 3, big + 5, 65536 + 7), "memcpy: a long one");
}

static void test_memmove(void)
{
    static uint8_t buf[1024], want[1024];
    bool right = true, result = true;
    for (size_t n = 0; n <= LIMIT; n++) {
        for (int shift = -70; shift <= 330; shift += shift > 70 ? 13 : 1) {
            uint8_t *src = buf + 100 + (n & 7), *dst = src + shift;
            scramble(buf, sizeof(buf));
            for (size_t i = 0; i < sizeof(buf); i++)
                want[i] = &buf[i] >= dst && &buf[i] < dst + n ? buf[i - (size_t)shift] : buf[i];
            result &= kernel_memmove(dst, src, n) == dst;
            right &= same(buf, want, sizeof(buf));
        }
    }
    ok(right, "memmove: lengths to 300, overlaps in both directions");
    ok(result && !direction_flag(), "memmove returns the destination and leaves the direction flag clear");
}

static void test_memset(void)
{
    static uint8_t buf[512], want[512];
    bool right = true, result = true;
    for (size_t n = 0; n <= LIMIT; n++) {
        for (unsigned d = 0; d < 16; d++) {
            int c = (int)rnd();
            scramble(buf, sizeof(buf));
            for (size_t i = 0; i < sizeof(buf); i++)
                want[i] = i >= 64 + d && i < 64 + d + n ? (uint8_t)c : buf[i];
            result &= kernel_memset(buf + 64 + d, c, n) == buf + 64 + d;
            right &= same(buf, want, sizeof(buf));
            kernel_memset(guarded + 4 * PAGE - n, c, n);
        }
    }
    ok(right, "memset: lengths to 300, alignments, only the low byte counts");
    ok(result, "memset returns the destination");
}

static int sign(int x) { return (x > 0) - (x < 0); }

static void test_memcmp(void)
{
    static uint8_t a[LIMIT + 16], b[LIMIT + 16];
    bool right = true;
    for (size_t n = 0; n <= LIMIT; n++) {
        for (unsigned k = 0; k < 12; k++) {
            uint8_t *p = a + k % 8, *q = b + k % 5;
            scramble(p, n);
            for (size_t i = 0; i < n; i++)
                q[i] = p[i];
            if (n && k)
                q[rnd() % n] ^= (uint8_t)rnd();
            right &= sign(kernel_memcmp(p, q, n)) == sign(host_memcmp(p, q, n));
            uint8_t c = (uint8_t)rnd();
            right &= kernel_memchr(p, c | 0x100, n) == host_memchr(p, c, n);
        }
    }
    ok(right, "memcmp and memchr");
}

/* Strings of few different characters, so that they are often alike, at the end of a mapped page. */
static char *random_string(size_t room)
{
    size_t n = rnd() % room;
    char *s = (char *)guarded + PAGE * (rnd() % 2 ? 4 : 3) - n - 1;
    for (size_t i = 0; i < n; i++)
        s[i] = "ab\xff" "c"[rnd() % 4];
    s[n] = 0;
    return s;
}

static void test_strings(void)
{
    static char copy[64];
    bool compare = true, search = true, length = true, bounded = true;
    for (int i = 0; i < 200000; i++) {
        char *s = random_string(i % 3 ? 6 : 40), t[64];
        for (size_t k = 0; k < 64; k++)
            if (!(t[k] = s[k]))
                break;
        length &= kernel_strlen(t) == host_strlen(t);
        char *u = random_string(i % 2 ? 5 : 30);
        size_t max = rnd() % 8;
        compare &= sign(kernel_strcmp(t, u)) == sign(host_strcmp(t, u));
        compare &= sign(kernel_strncmp(t, u, max)) == sign(host_strncmp(t, u, max));
        int c = "abcz\0\xff"[rnd() % 6] | 0x100;
        search &= kernel_strchr(u, c) == host_strchr(u, c) && kernel_strrchr(u, c) == host_strrchr(u, c);
        search &= kernel_strstr(t, u) == host_strstr(t, u) && kernel_strstr(u, t) == host_strstr(u, t);
        bounded &= kernel_strnlen(u, max) == host_strnlen(u, max);
        char mark = copy[max] = (char)rnd();
        size_t n = host_strlen(u), kept = max ? (n < max - 1 ? n : max - 1) : 0;
        bounded &= kernel_strlcpy(copy, u, max) == n && copy[max] == mark && !host_memcmp(copy, u, kept) && (!max || !copy[kept]);
    }
    ok(length, "strlen");
    ok(compare, "strcmp and strncmp, with characters above 127");
    ok(search, "strchr, strrchr, strstr");
    ok(bounded, "strnlen and strlcpy keep to their limits");
    char *d = kernel_kstrdup("abc");
    ok(d && !host_strcmp(d, "abc"), "kstrdup");
    kfree(d);
    host_fail_allocation(1);
    ok(!kernel_kstrdup("abc"), "kstrdup without memory");
}

int main(void)
{
    guarded = mmap(NULL, 5 * PAGE, 3, 0x22, -1, 0);
    mprotect(guarded + 4 * PAGE, PAGE, 0);
    test_memcpy();
    test_memmove();
    test_memset();
    test_memcmp();
    test_strings();
    return done();
}
