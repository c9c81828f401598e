/*
 * libc/string against naive models, on the host: every length and alignment around the sizes where
 * the code changes its way, at the very end of a page that is followed by one that must not be
 * touched. TAP.
 */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#define DECLARE(type, name, ...) type our_##name(__VA_ARGS__)
DECLARE(void *, memcpy, void *, const void *, size_t);
DECLARE(void *, memmove, void *, const void *, size_t);
DECLARE(void *, memset, void *, int, size_t);
DECLARE(int, memcmp, const void *, const void *, size_t);
DECLARE(void *, memchr, const void *, int, size_t);
DECLARE(void *, __memrchr, const void *, int, size_t);
DECLARE(size_t, strlen, const char *);
DECLARE(char *, strchr, const char *, int);
DECLARE(char *, __strchrnul, const char *, int);
DECLARE(int, strcmp, const char *, const char *);
DECLARE(int, strcasecmp, const char *, const char *);

static int test, failed;

static void ok(int good, const char *what)
{
    printf("%sok %d - %s\n", good ? "" : "not ", ++test, what);
    failed |= !good;
}

static int sign(int x)
{
    return (x > 0) - (x < 0);
}

static int fold(unsigned char c)
{
    return c >= 'A' && c <= 'Z' ? c + 32 : c;
}

#define AREA 16384
static unsigned char *edge(void)
{
    unsigned char *p = mmap(0, AREA + 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (p == MAP_FAILED || mprotect(p + AREA, 4096, PROT_NONE))
        exit(1);
    return p;
}

static void fill(unsigned char *p, size_t n, unsigned seed)
{
    for (size_t i = 0; i < n; i++)
        p[i] = (seed = seed * 1103515245 + 12345) >> 16;
}

static const int SIZES[] = {1023, 1024, 1025, 1031, 1032, 1040, 2047, 2048, 4095, 4096, 4103, 5000};

static int size_at(int i)
{
    return i <= 300 ? i : SIZES[i - 301];
}
#define N_SIZES (301 + (int)(sizeof(SIZES) / sizeof(*SIZES)))

int main(void)
{
    unsigned char *a = edge(), *b = edge(), *model = malloc(AREA);
    int good = 1;

    for (int i = 0; i < N_SIZES; i++) {
        int n = size_at(i);
        for (int da = 0; da < 17; da++)
            for (int db = 0; db < 17; db += 3) {
                unsigned char *s = a + AREA - n - da, *d = b + AREA - n - db;
                fill(b, AREA, i + da);
                fill(a + AREA - 6000, 6000, i);
                __builtin_memcpy(model, b, AREA);
                for (int k = 0; k < n; k++)
                    model[d - b + k] = s[k];
                good &= our_memcpy(d, s, n) == d && !__builtin_memcmp(model, b, AREA);
            }
    }
    ok(good, "memcpy");

    good = 1;
    for (int i = 0; i < N_SIZES; i++) {
        int n = size_at(i);
        for (int delta = -70; delta <= 70; delta++)
            for (int al = 0; al < 16; al += 5) {
                unsigned char *s = a + 8192 + al - n / 2, *d = s + delta;
                fill(a, AREA, i);
                __builtin_memcpy(model, a, AREA);
                unsigned char *copy = model + (d - a);
                for (int k = 0; k < n; k++)
                    copy[k] = s[k];
                good &= our_memmove(d, s, n) == d && !__builtin_memcmp(model, a, AREA);
            }
    }
    ok(good, "memmove, with overlap");

    good = 1;
    for (int i = 0; i < N_SIZES; i++) {
        int n = size_at(i);
        for (int al = 0; al < 17; al++) {
            unsigned char *d = a + AREA - n - al;
            fill(a, AREA, i);
            __builtin_memcpy(model, a, AREA);
            for (int k = 0; k < n; k++)
                model[d - a + k] = 0xa5;
            good &= our_memset(d, 0xfa5, n) == d && !__builtin_memcmp(model, a, AREA);
        }
    }
    ok(good, "memset");

    good = 1;
    for (int n = 0; n < 100; n++)
        for (int at = 0; at <= n; at++)
            for (int al = 0; al < 17; al += 4) {
                unsigned char *p = a + AREA - n - al, *q = b + AREA - n;
                fill(p, n, n);
                fill(q, n, n);
                int want = 0;
                if (at < n) {
                    q[at] ^= 0x81;
                    want = p[at] - q[at];
                }
                good &= sign(our_memcmp(p, q, n)) == sign(want);
            }
    ok(good, "memcmp");

    good = 1;
    for (int n = 0; n < 100; n++)
        for (int at = 0; at <= n; at++)
            for (int al = 0; al < 17; al++) {
                unsigned char *p = a + AREA - n - al;
                for (int k = -20; k < n + al; k++)
                    p[k] = k < 0 || k >= n ? 'x' : 'a';
                if (at < n)
                    p[at] = 'x';
                good &= our_memchr(p, 'x' + 256, n) == (at < n ? p + at : NULL);
            }
    our_memset(a, 'a', AREA);
    a[AREA - 1] = 'x';
    good &= our_memchr(a + 5, 'x', SIZE_MAX) == a + AREA - 1;
    ok(good, "memchr");

    good = 1;
    for (int n = 0; n < 100; n++)
        for (int at = -1; at < n; at++)
            for (int al = 0; al < 17; al++) {
                unsigned char *p = a + AREA - n - al;
                for (int k = -20; k < n + al; k++)
                    p[k] = k < 0 || k >= n ? 'x' : 'a';
                if (at >= 0)
                    p[at] = p[at / 2] = 'x';
                good &= our___memrchr(p, 'x' + 256, n) == (at >= 0 ? p + at : NULL);
            }
    ok(good, "memrchr");

    good = 1;
    for (int n = 0; n < 100; n++)
        for (int al = 0; al < 17; al++) {
            char *s = (char *)a + AREA - 1 - n - al;
            our_memset(a, 0, AREA);
            our_memset(s, 0xe1, n);
            good &= our_strlen(s) == (size_t)n;
            for (int at = 0; at < n; at++) {
                s[at] = 'x';
                good &= our_strchr(s, 'x') == s + at && our___strchrnul(s, 'x') == s + at;
                s[at] = (char)0xe1;
            }
            s[n + 1 < n + al ? n + 1 : n] = 0;
            good &= our_strchr(s, 'x') == NULL && our_strchr(s, 0) == s + n;
            good &= our___strchrnul(s, 'x') == s + n && our___strchrnul(s, 0) == s + n;
        }
    ok(good, "strlen, strchr, strchrnul");

    good = 1;
    for (int n = 0; n < 70; n++)
        for (int at = 0; at <= n; at++)
            for (int al = 0; al < 33; al += 3) {
                char *p = (char *)a + AREA - 1 - n - al, *q = (char *)b + AREA - 1 - n;
                for (int k = 0; k < n; k++) {
                    p[k] = q[k] = 1 + (k * 37 + n * 11) % 255;
                    if (fold(p[k]) != (unsigned char)p[k])
                        q[k] = fold(p[k]);
                }
                p[n] = q[n] = 0;
                int want = 0, want_case = 0;
                if (at < n)
                    q[at] = q[at] == 1 ? 2 : q[at] - 1;
                for (int k = 0; k <= n && !want; k++)
                    want = (unsigned char)p[k] - (unsigned char)q[k];
                for (int k = 0; k <= n && !want_case; k++)
                    want_case = fold(p[k]) - fold(q[k]);
                good &= sign(our_strcmp(p, q)) == sign(want);
                good &= sign(our_strcasecmp(p, q)) == sign(want_case);
            }
    ok(good, "strcmp, strcasecmp");

    printf("1..%d\n", test);
    return failed;
}
