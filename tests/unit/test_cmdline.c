/* SOURCES: tests/unit/host/host.c */
/* The command line: words quoted at random come out as they went in; broken and random lines; options with and without values, what the kernel takes for itself, the environment. */
#include <asm/errno.h>
#include <kernel/log.h>
#include <kernel/print.h>
#include <kernel/string.h>

#include "../../kernel/cmdline.c"

#include "host/host.h"
#include "tap.h"

/* What the console and the drivers hear. */
static char reported[16384];
void report_printf(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    size_t n = strlen(reported);
    vsnprintf(reported + n, sizeof(reported) - n, fmt, ap);
    va_end(ap);
}
static enum log_level level = LOG_WARN;
void log_set_console_level(enum log_level l) { level = l; }
static unsigned devices;
int virtio_mmio_cmdline(const char *spec) { return devices++, strchr(spec, '@') ? 0 : -EINVAL; }

static const char *given = "never";
static int take(const char *value)
{
    given = value;
    return value && !strcmp(value, "bad") ? -EINVAL : 0;
}
OPTION(test_value, .name = "test-value", .argument = "X", .help = "a value", .handle = take);
OPTION(test_flag, .name = "test-flag", .help = "a flag", .handle = take);

static uint64_t rng;
static uint64_t rnd(void)
{
    rng ^= rng << 13;
    rng ^= rng >> 7;
    rng ^= rng << 17;
    return rng >> 3;
}

/* ---- words ---- */

static bool split_is(const char *line, const char *joined) /* words joined by | */
{
    char copy[256], out[256] = "", *words[8];
    strlcpy(copy, line, sizeof(copy));
    int n = cmdline_split(copy, words, 8);
    for (int i = 0; i < n; i++)
        snprintf(out + strlen(out), sizeof(out) - strlen(out), "%s%s", i ? "|" : "", words[i]);
    if (n >= 0 && !strcmp(out, joined))
        return true;
    printf("# <%s>: %d <%s>, not <%s>\n", line, n, out, joined);
    return false;
}

static int split_error(const char *line)
{
    char copy[256], *words[8];
    strlcpy(copy, line, sizeof(copy));
    return cmdline_split(copy, words, 8);
}

static void test_words(void)
{
    ok(split_is("", "") && split_is("   \t\n", "") && split_is("a", "a") && split_is(" a  b\tc\n", "a|b|c"), "blanks");
    ok(split_is("'a b' \"c d\" e\\ f", "a b|c d|e f") && split_is("a'b'\"c\"d", "abcd"), "quotes and backslashes");
    ok(split_is("'' a \"\"", "|a|") && split_is("\"a\\\"b\" 'a\\b' a\\\\b", "a\"b|a\\b|a\\b"), "empty words; quotes in quotes");
    ok(split_is("a\\", "a\\") && split_is("\"'\" '\"'", "'|\""), "a backslash at the end; the other quote inside");
    ok(split_error("'") == -EINVAL && split_error("a \"b c") == -EINVAL && split_error("\"a\\\"") == -EINVAL && split_error("a'b'c'") == -EINVAL, "quotes that are not closed");
    ok(split_error("1 2 3 4 5 6 7 8") == 8 && split_error("1 2 3 4 5 6 7 8 ") == 8 && split_error("1 2 3 4 5 6 7 8 9") == -E2BIG, "the limit of words");
}

static unsigned quote(char *out, const char *word)
{
    unsigned n = 0;
    int style = (int)(rnd() % 3);
    if (style == 1 && strchr(word, '\''))
        style = 2;
    if (style)
        out[n++] = style == 1 ? '\'' : '"';
    for (const char *p = word; *p; p++) {
        if ((style == 0 && strchr(" \t\n'\"\\", *p)) || (style == 2 && (*p == '"' || *p == '\\')))
            out[n++] = '\\';
        out[n++] = *p;
    }
    if (style)
        out[n++] = style == 1 ? '\'' : '"';
    if (!n) /* an empty word needs quotes */
        out[n++] = '"', out[n++] = '"';
    return n;
}

static void test_round_trips(void)
{
    bool right = true;
    for (int round = 0; round < 100000 && right; round++) {
        char line[1024], words[16][16], *got[16];
        unsigned n = (unsigned)(rnd() % 16), at = 0;
        for (unsigned i = 0; i < n; i++) {
            unsigned len = (unsigned)(rnd() % 14);
            for (unsigned k = 0; k < len; k++)
                words[i][k] = "ab \t\n'\"\\=-\xe4"[rnd() % 11];
            words[i][len] = 0;
            do
                line[at++] = " \t\n"[rnd() % 3];
            while (rnd() % 3 == 0);
            at += quote(line + at, words[i]);
        }
        line[at] = 0;
        right = cmdline_split(line, got, 16) == (int)n;
        for (unsigned i = 0; right && i < n; i++)
            right = !strcmp(words[i], got[i]);
    }
    ok(right, "100000 lines of words quoted at random come back as they were");
}

static void test_garbage(void)
{
    bool right = true;
    for (int round = 0; round < 200000; round++) {
        unsigned size = (unsigned)(rnd() % 64) + 1;
        char *line = host_malloc(size), *words[5]; /* of the heap: ASan sees a step outside */
        for (unsigned i = 0; i + 1 < size; i++)
            line[i] = rnd() % 3 ? "a '\"\\ "[rnd() % 6] : (char)(1 + rnd() % 255);
        line[size - 1] = 0;
        int n = cmdline_split(line, words, 5);
        right &= (n >= 0 && n <= 5) || n == -E2BIG || n == -EINVAL;
        for (int i = 0; i < n; i++)
            right &= words[i] >= line && words[i] + strlen(words[i]) < line + size && (i == 0 || words[i] == words[i - 1] + strlen(words[i - 1]) + 1);
        host_free(line);
    }
    ok(right, "200000 random lines");
}

/* ---- options ---- */

static int options(const char *line, int *count)
{
    static char copy[4096];
    static char *words[128];
    reported[0] = 0;
    strlcpy(copy, line, sizeof(copy));
    *count = cmdline_split(copy, words, 128);
    int r = cmdline_options(words, count);
    if (r >= 0 && r < *count)
        given = words[r];
    return r;
}

static void test_options(void)
{
    int n;
    ok(options("", &n) == 0 && n == 0 && options("prog", &n) == 0 && n == 1, "no options");
    given = "never";
    ok(options("--test-value=a=b", &n) == 1 && n == 1 && !strcmp(given, "a=b"), "a value, with an equals sign in it");
    ok(options("--test-value=", &n) == 1 && !strcmp(given, ""), "an empty value");
    given = "never";
    ok(options("--test-flag", &n) == 1 && !given, "an option without a value");
    ok(options("--test-flag prog --test-flag --no", &n) == 1 && n == 4 && !strcmp(given, "prog"), "what follows the program is the program's");
    ok(options("--test-flag -- --prog", &n) == 2 && !strcmp(given, "--prog"), "-- ends the options");
    ok(options("--", &n) == 1 && n == 1, "-- and no program");
    ok(options("-x", &n) == 0 && n == 1, "one dash is a program");
    ok(options("--nothing", &n) == -EINVAL && strstr(reported, "unknown option --nothing") && strstr(reported, "--test-value=X"), "an unknown option is named, and the options listed");
    ok(options("--test-valu=1", &n) == -EINVAL && options("--test-value2=1", &n) == -EINVAL && options("--=1", &n) == -EINVAL && options("---", &n) == -EINVAL, "names must be whole");
    ok(options("--test-value", &n) == -EINVAL && strstr(reported, "needs a value"), "a missing value");
    ok(options("--test-flag=1", &n) == -EINVAL && strstr(reported, "takes no value"), "a value too many");
    ok(options("--test-value=bad x", &n) == -EINVAL && strstr(reported, "--test-value=bad is not valid: expected X"), "a value that is refused");
    ok(options("--help", &n) == -ECANCELED && strstr(reported, "--verbose"), "help");
    ok(options("--verbose x", &n) == 1 && level == LOG_DEBUG, "verbose");
    devices = 0;
    ok(options("virtio_mmio.device=512@0xfeb00000:5 --test-flag prog a virtio_mmio.device=512@0xfeb00200:6 b virtio_mmio.device=x", &n) == 1 && n == 4 && devices == 3 &&
           !strcmp(given, "prog"), "devices are taken out wherever they are");
}

static void test_environment(void)
{
    int n;
    char **e = cmdline_environment();
    unsigned before = 0;
    while (e[before])
        before++;
    ok(before == environment_count && options("--env=A=1 --env=HOME=/root --env=A=2=3 --env=B=", &n) == 4, "variables");
    ok(!strcmp(e[0], "HOME=/root") && !strcmp(e[before], "A=2=3") && !strcmp(e[before + 1], "B=") && !e[before + 2], "added, replaced, empty");
    ok(options("--env=AB", &n) == -EINVAL && options("--env==x", &n) == -EINVAL && options("--env=", &n) == -EINVAL && options("--env", &n) == -EINVAL, "what is no variable");
    char line[16];
    int err = 0, more = 0;
    for (int i = 0; i < ENV_MAX + 5; i++) {
        static char names[ENV_MAX + 5][16];
        snprintf(names[i], sizeof(names[i]), "V%d=x", i);
        snprintf(line, sizeof(line), "V%d", i);
        if ((err = set_env(names[i])))
            more++;
    }
    ok(err == -E2BIG && environment_count == ENV_MAX && !e[ENV_MAX] && more == (int)before + 2 + 5, "the environment has a limit, and an end");
}

int main(void)
{
    rng = host_seed();
    test_words();
    test_round_trips();
    test_garbage();
    test_options();
    test_environment();
    return done();
}
