/* The kernel command line: `[--option=value ...] program arguments ...`. */
#ifndef KERNEL_CMDLINE_H
#define KERNEL_CMDLINE_H

#include <kernel/compiler.h>

#define CMDLINE_MAX_WORDS 256

/* Splits line in place into words: blanks separate, "..." and '...' keep them, a backslash takes the next character as it is (not inside '...').
   Returns the number of words, -E2BIG (more than max) or -EINVAL (a quote is not closed). */
int cmdline_split(char *line, char **words, int max);

/* Handles the options at the head of words and removes tokens meant for the kernel. Returns the index of the program's name (== count: none), or a
   negative errno after a message on the console. */
int cmdline_options(char **words, int *count);

/* Environment of the program: NULL-terminated "NAME=value" strings; --env adds. */
char **cmdline_environment(void);

#endif
