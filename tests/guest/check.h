/* Checks of the guest tests: each is one line of TAP, "test/case: what is claimed", and a failed
   one does not end anything.

   A test is a file test_NAME.c with a main() of its own (the build renames it) that hands its cases
   to run(). The same files are built as a Linux program (make guest-host), where all of it must
   pass: that proves that the tests describe Linux. What Singlet does otherwise on purpose is asked
   of on_singlet(). Nothing here may depend on how fast the machine is: waits are for something to
   happen, and bounds are only lower ones or very loose. */
#ifndef GUEST_CHECK_H
#define GUEST_CHECK_H

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* Runs a case and names it by its function. */
#define run(function) run_case(#function, function)
void run_case(const char *name, void (*function)(void));

/* Each returns whether it passed. */
#define check(condition, ...) check_at(__FILE__, __LINE__, (condition), __VA_ARGS__)
#define equal(got, want, ...) equal_at(__FILE__, __LINE__, (long)(got), (long)(want), __VA_ARGS__)
#define fails(call, error, ...) (errno = 0, fails_at(__FILE__, __LINE__, (long)(call), error, __VA_ARGS__))
bool check_at(const char *file, int line, bool passed, const char *format, ...) __attribute__((format(printf, 4, 5)));
bool equal_at(const char *file, int line, long got, long want, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
bool fails_at(const char *file, int line, long result, int error, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
void skip(const char *format, ...) __attribute__((format(printf, 1, 2)));
void note(const char *format, ...) __attribute__((format(printf, 1, 2)));

bool on_singlet(void);

uint64_t now_ns(void);
void sleep_ms(unsigned ms);
pthread_t start(void *(*function)(void *), void *argument);
/* A byte of a pattern that differs between places and between seeds. */
unsigned char pattern(size_t at, unsigned seed);
void pattern_fill(void *to, size_t size, size_t at, unsigned seed);
bool pattern_good(const void *from, size_t size, size_t at, unsigned seed);

/* Reads a file, as text that ends with 0: its length, -1 where it cannot be opened. */
extern char file_text[262144];
long slurp(const char *path);
/* The number that follows the key in a text, -1 where there is no such key. */
long number_after(const char *text, const char *key);

/* Waits for a condition that another thread makes true; gives up after a minute. */
#define eventually(condition)                                                                                          \
    ({                                                                                                                 \
        uint64_t give_up_ = now_ns() + 60000000000ull;                                                                 \
        while (!(condition) && now_ns() < give_up_)                                                                    \
            sleep_ms(1);                                                                                               \
        (condition);                                                                                                   \
    })

#endif
