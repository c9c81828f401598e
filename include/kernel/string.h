/* Memory and string functions of the kernel (its own copies: kernel code has no libc). All as in ISO C / POSIX. */
#ifndef KERNEL_STRING_H
#define KERNEL_STRING_H

#include <stddef.h>

void *memcpy(void *restrict dst, const void *restrict src, size_t n);
void *memmove(void *dst, const void *src, size_t n);
void *memset(void *dst, int c, size_t n);
int memcmp(const void *a, const void *b, size_t n);
void *memchr(const void *s, int c, size_t n);
size_t strlen(const char *s);
size_t strnlen(const char *s, size_t max);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t n);
char *strchr(const char *s, int c);
char *strrchr(const char *s, int c);
char *strstr(const char *haystack, const char *needle);

/* Copies src with its end, cut at size-1 characters; returns strlen(src). */
size_t strlcpy(char *dst, const char *src, size_t size);
/* Copy on the heap (kfree it), NULL when there is no memory. */
char *kstrdup(const char *s);

#endif
