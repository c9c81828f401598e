/* TAP for host tests. No header of the host's C library: tests are compiled with the kernel's include path. */
#ifndef TESTS_UNIT_TAP_H
#define TESTS_UNIT_TAP_H

#include <stdbool.h>

int printf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static unsigned tap_count, tap_failed;

static inline bool ok(bool cond, const char *name)
{
    tap_failed += !cond;
    printf("%sok %u - %s\n", cond ? "" : "not ", ++tap_count, name);
    return cond;
}

/* Prints the plan; the exit status of main. */
static inline int done(void)
{
    printf("1..%u\n", tap_count);
    return tap_failed != 0;
}

#endif
