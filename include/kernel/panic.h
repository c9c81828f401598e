/* Writing a report to the console when little can be relied on. */
#ifndef KERNEL_PANIC_H
#define KERNEL_PANIC_H

#include <kernel/compiler.h>

void report_printf(const char *fmt, ...) PRINTF_LIKE(1, 2);

#endif
