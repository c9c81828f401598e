/* The C library on this kernel: formatted input and output, conversions, sorting, streams, strings, locale. */
#include "check.h"
#include <ctype.h>
#include <limits.h>
#include <locale.h>
#include <search.h>
#include <setjmp.h>
#include <wchar.h>

static void printing(void)
{
    char b[200];
    snprintf(b, sizeof(b), "%d %5u|%-5x|%#o %ld %lld %zu %c %s %.3s %5.2f %g %e %p%%", -1, 42u, 0xbeefu, 8u, -1234567890123l, 9876543210ll,
             (size_t)7, 'c', "text", "abcdef", 3.14159, 1e-7, 12345.678, (void *)0x1234);
    check(!strcmp(b, "-1    42|beef |010 -1234567890123 9876543210 7 c text abc  3.14 1e-07 1.234568e+04 0x1234%"), "%s", b);
    equal(snprintf(b, 5, "123456789"), 9, "the length that there would be");
    check(!strcmp(b, "1234"), "cut off");
    snprintf(b, sizeof(b), "%.17g %.0f %a %Lf", 0.1, 2.5, 1.0, 1.5L);
    check(!strcmp(b, "0.10000000000000001 2 0x1p+0 1.500000"), "%s", b);
    snprintf(b, sizeof(b), "%2$s %1$s %3$*4$d", "a", "b", 5, 3);
    check(!strcmp(b, "b a   5"), "positions: %s", b);
}

static void scanning(void)
{
    int a, n;
    unsigned x;
    double d;
    char s[20], c;
    equal(sscanf("12 0xff 2.5e3 word [x] 99", "%d %x %lf %19s [%c] %n", &a, &x, &d, s, &c, &n), 5, "sscanf");
    check(a == 12 && x == 255 && d == 2500 && !strcmp(s, "word") && c == 'x' && n == 23, "values");
    char *end;
    check(strtol("  -123abc", &end, 10) == -123 && !strcmp(end, "abc"), "strtol");
    errno = 0;
    check(strtoul("99999999999999999999", NULL, 10) == ULONG_MAX && errno == ERANGE, "strtoul: too large");
    static const struct {
        const char *text;
        double value;
    } t[] = {{"0.1", 0.1}, {"1e308", 1e308}, {"4.9e-324", 4.9e-324}, {"123456789.123456789", 123456789.123456789}, {"0x1.8p1", 3}};
    for (size_t i = 0; i < ARRAY_SIZE(t); i++)
        check(strtod(t[i].text, NULL) == t[i].value, "strtod %s", t[i].text);
}

static int by_value(const void *a, const void *b)
{
    int x = *(const int *)a, y = *(const int *)b;
    return x < y ? -1 : x > y;
}

static void sorting(void)
{
    static int v[5000];
    unsigned long seed = 3;
    for (int i = 0; i < 5000; i++) {
        seed = seed * 6364136223846793005u + 1;
        v[i] = (int)(seed >> 33) % 10000;
    }
    qsort(v, 5000, sizeof(int), by_value);
    int bad = 0;
    for (int i = 1; i < 5000; i++)
        bad += v[i] < v[i - 1];
    equal(bad, 0, "qsort of 5,000");
    check(bsearch(&v[1234], v, 5000, sizeof(int), by_value) != NULL, "bsearch");
    int missing = -5;
    check(bsearch(&missing, v, 5000, sizeof(int), by_value) == NULL, "bsearch of what is not there");
}

static void streams(void)
{
    FILE *f = fopen("stream", "w+");
    if (!check(f != NULL, "fopen"))
        return;
    for (int i = 0; i < 5000; i++)
        fprintf(f, "line %d\n", i);
    rewind(f);
    char b[100];
    int n = 0, bad = 0, value;
    while (fgets(b, sizeof(b), f))
        bad += sscanf(b, "line %d", &value) != 1 || value != n++;
    check(n == 5000 && !bad && feof(f), "5,000 lines written and read");
    equal(fseek(f, -10, SEEK_END), 0, "fseek");
    equal(ftell(f), 48890 - 10, "ftell");
    fclose(f);
    check(fopen("nosuch", "r") == NULL && errno == ENOENT, "fopen of nothing");
    char *memory = NULL;
    size_t size = 0;
    f = open_memstream(&memory, &size);
    fprintf(f, "%s", "in memory");
    fclose(f);
    check(size == 9 && !strcmp(memory, "in memory"), "open_memstream");
    free(memory);
    f = tmpfile();
    check(f && fputs("x", f) >= 0 && fclose(f) == 0, "tmpfile");
    f = fopen("/proc/self/status", "r");
    check(f && fgets(b, sizeof(b), f) && !strncmp(b, "Name:", 5), "a stream on /proc");
    if (f)
        fclose(f);
    char *line = NULL;
    size_t capacity = 0;
    f = fopen("stream", "r");
    check(f && getline(&line, &capacity, f) == 7, "getline");
    free(line);
    fclose(f);
    unlink("stream");
}

static void strings(void)
{
    char b[300], c[300];
    int bad = 0;
    for (size_t n = 0; n < 200; n++) { /* each length at each alignment of a few */
        for (size_t a = 0; a < 17; a += 3) {
            pattern_fill(b, sizeof(b), 0, 1);
            memset(c, 7, sizeof(c));
            memcpy(c + a, b + 5, n);
            bad += memcmp(c + a, b + 5, n) || c[a + n] != 7 || (a && c[a - 1] != 7);
            memmove(b + 3, b, n);
            memset(c + a, 'x', n);
            c[a + n] = 0;
            bad += strlen(c + a) != n || (n && memchr(c + a, 'x', n) != c + a) || memchr(c + a, 'y', n) || strchr(c + a, 'y');
        }
    }
    equal(bad, 0, "memcpy, memset, strlen, memchr of all lengths");
    check(!strcmp(strstr("hello wonderful world", "wor"), "world"), "strstr");
    check(strcasecmp("HeLLo", "hEllO") == 0 && strncmp("abc", "abd", 2) == 0 && strcmp("a", "b") < 0, "comparisons");
    char t[] = "a,b,,c", *save, *p = strtok_r(t, ",", &save);
    int words = 0;
    for (; p; p = strtok_r(NULL, ",", &save))
        words++;
    equal(words, 3, "strtok_r");
    check(!strcmp(strerror(ENOENT), "No such file or directory"), "strerror");
    check(setlocale(LC_ALL, "C") != NULL, "setlocale");
    wchar_t w[20];
    setlocale(LC_CTYPE, "C.UTF-8");
    equal(mbstowcs(w, "gr\xc3\xbc\xc3\x9f", 20), 4, "UTF-8");
    setlocale(LC_ALL, "C");
}

static jmp_buf place;
static __attribute__((noinline)) void leave(int n)
{
    if (n)
        leave(n - 1);
    longjmp(place, 5);
}

static void jumping(void)
{
    volatile int kept = 3;
    int r = setjmp(place);
    if (r == 0) {
        kept = 4;
        leave(10);
    }
    check(r == 5 && kept == 4, "setjmp and longjmp");
}

int main(void)
{
    run(printing);
    run(scanning);
    run(sorting);
    run(streams);
    run(strings);
    run(jumping);
    return 0;
}
