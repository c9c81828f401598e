/* Runs all tests, or those that are named by arguments (test or test/case), and prints TAP. A case
   that hangs is named by a watchdog, one that crashes by the line before the report. The plan comes
   last, from a function that exit() calls after all others, so that exit itself is tested, too. */
#include "check.h"
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/utsname.h>

#define HANGS_AFTER_S 180

struct test {
    const char *name;
    int (*main)(void);
};
#define TEST(name) int test_##name##_main(void);
#include "tests.inc"
#undef TEST
#define TEST(name) {#name, test_##name##_main},
static const struct test tests[] = {
#include "tests.inc"
};

static const char *current_test, *current_case;
static _Atomic unsigned progress;
static int count, failed;
static int wanted_count;
static char **wanted;
static pthread_mutex_t output = PTHREAD_MUTEX_INITIALIZER;

static void line(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void line(const char *format, ...)
{
    char text[600];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(text, sizeof(text) - 1, format, args);
    va_end(args);
    if (n > (int)sizeof(text) - 2)
        n = (int)sizeof(text) - 2;
    text[n++] = '\n';
    if (write(STDOUT_FILENO, text, (size_t)n) < 0)
        _exit(2);
}

static bool report(const char *file, int at, bool passed, const char *format, va_list args, const char *detail)
{
    char name[300];
    int error = errno;
    vsnprintf(name, sizeof(name), format, args);
    pthread_mutex_lock(&output);
    line("%s %d - %s/%s: %s", passed ? "ok" : "not ok", ++count, current_test, current_case, name);
    if (!passed) {
        failed++;
        line("#   %s:%d: %s (errno %d: %s)", file, at, detail, error, strerror(error));
    }
    pthread_mutex_unlock(&output);
    progress++;
    return passed;
}

bool check_at(const char *file, int at, bool passed, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    report(file, at, passed, format, args, "false");
    va_end(args);
    return passed;
}

bool equal_at(const char *file, int at, long got, long want, const char *format, ...)
{
    char detail[100];
    va_list args;
    va_start(args, format);
    snprintf(detail, sizeof(detail), "got %ld (%#lx), want %ld (%#lx)", got, (unsigned long)got, want, (unsigned long)want);
    report(file, at, got == want, format, args, detail);
    va_end(args);
    return got == want;
}

bool fails_at(const char *file, int at, long result, int error, const char *format, ...)
{
    char detail[100];
    va_list args;
    bool passed = result == -1 && errno == error;
    va_start(args, format);
    snprintf(detail, sizeof(detail), "returned %ld, want -1 and errno %d", result, error);
    report(file, at, passed, format, args, detail);
    va_end(args);
    return passed;
}

void skip(const char *format, ...)
{
    char name[300];
    va_list args;
    va_start(args, format);
    vsnprintf(name, sizeof(name), format, args);
    va_end(args);
    pthread_mutex_lock(&output);
    line("ok %d - %s/%s # SKIP %s", ++count, current_test, current_case, name);
    pthread_mutex_unlock(&output);
}

void note(const char *format, ...)
{
    char text[300];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    pthread_mutex_lock(&output);
    line("#   %s", text);
    pthread_mutex_unlock(&output);
}

static bool is_wanted(const char *name, const char *part)
{
    for (int i = 0; i < wanted_count; i++) {
        size_t n = strlen(name);
        const char *w = wanted[i];
        if (!strncmp(w, name, n) && (!w[n] || (w[n] == '/' && (!part || !strcmp(w + n + 1, part)))))
            return true;
    }
    return wanted_count == 0;
}

void run_case(const char *name, void (*function)(void))
{
    if (!is_wanted(current_test, name))
        return;
    current_case = name;
    line("# %s/%s", current_test, name);
    progress++;
    function();
}

static void *watchdog(void *nothing)
{
    sigset_t all;
    sigfillset(&all); /* signals are for the tests' threads */
    pthread_sigmask(SIG_BLOCK, &all, NULL);
    unsigned seen = progress;
    for (int still = 0; still < HANGS_AFTER_S; still++) {
        sleep(1);
        if (progress != seen) {
            seen = progress;
            still = 0;
        }
    }
    line("not ok %d - %s/%s: hangs", count + 1, current_test, current_case);
    line("1..%d", count + 1);
    _exit(3);
    return nothing;
}

bool on_singlet(void)
{
    struct utsname u;
    return uname(&u) == 0 && strstr(u.release, "singlet");
}

uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

void sleep_ms(unsigned ms)
{
    struct timespec t = {ms / 1000, ms % 1000 * 1000000L};
    while (nanosleep(&t, &t) < 0 && errno == EINTR)
        ;
}

pthread_t start(void *(*function)(void *), void *argument)
{
    pthread_t t;
    int error = pthread_create(&t, NULL, function, argument);
    if (error) {
        errno = error;
        check(false, "a thread for the test");
        exit(2);
    }
    return t;
}

unsigned char pattern(size_t at, unsigned seed) { return (unsigned char)((at * 2654435761u + seed * 40503u) >> 13); }

void pattern_fill(void *to, size_t size, size_t at, unsigned seed)
{
    unsigned char *p = to;
    for (size_t i = 0; i < size; i++)
        p[i] = pattern(at + i, seed);
}

bool pattern_good(const void *from, size_t size, size_t at, unsigned seed)
{
    const unsigned char *p = from;
    for (size_t i = 0; i < size; i++) {
        if (p[i] != pattern(at + i, seed)) {
            note("at %zu of %zu: %#x, not %#x", i, size, p[i], pattern(at + i, seed));
            return false;
        }
    }
    return true;
}

char file_text[262144];

long slurp(const char *path)
{
    int fd = open(path, O_RDONLY);
    long n = 0, r;
    if (fd < 0)
        return -1;
    while ((r = read(fd, file_text + n, sizeof(file_text) - 1 - (size_t)n)) > 0)
        n += r;
    close(fd);
    file_text[n] = 0;
    return n;
}

long number_after(const char *text, const char *key)
{
    const char *p = strstr(text, key);
    return p ? strtol(p + strlen(key), NULL, 10) : -1;
}

static void finish(void)
{
    line("1..%d", count);
    if (failed)
        line("# %d failed", failed);
    _exit(failed ? 1 : 0);
}

/* A folder of its own for what the tests write. */
static void enter_folder(void)
{
    char name[] = "/tmp/guest-test-XXXXXX";
    mkdir("/tmp", 01777);
    if (!mkdtemp(name) || chdir(name) < 0) {
        line("Bail out! no folder in /tmp: %s", strerror(errno));
        _exit(2);
    }
}

int main(int argc, char **argv)
{
    atexit(finish);
    wanted_count = argc - 1;
    wanted = argv + 1;
    enter_folder();
    pthread_t t;
    if (pthread_create(&t, NULL, watchdog, NULL) == 0)
        pthread_detach(t);
    for (size_t i = 0; i < ARRAY_SIZE(tests); i++) {
        current_test = tests[i].name;
        if (is_wanted(current_test, NULL))
            tests[i].main();
    }
    return 0;
}
