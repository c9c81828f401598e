/* Formatted printing into buffers. Conversions: d i u x X o p s c %, flags 0 - + space #, width, precision, h hh l ll z j t. */
#ifndef KERNEL_PRINT_H
#define KERNEL_PRINT_H

#include <kernel/compiler.h>
#include <stdarg.h>

/* As in C: always terminated when size > 0; returns the length that the whole text has. */
int snprintf(char *buf, size_t size, const char *fmt, ...) PRINTF_LIKE(3, 4);
int vsnprintf(char *buf, size_t size, const char *fmt, va_list ap);

#endif
