/* The kernel's log: a ring in memory, and the console for what is at or above its level. Any context, never sleeps.
   A line says what happened, to what, and what to do: "virtio-net 00:03.0: no MSI-X, using INTx". No newline at the end. */
#ifndef KERNEL_LOG_H
#define KERNEL_LOG_H

#include <kernel/compiler.h>

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

void log_printf(enum log_level level, const char *fmt, ...) PRINTF_LIKE(2, 3);
#define log_error(...) log_printf(LOG_ERROR, __VA_ARGS__)
#define log_warn(...) log_printf(LOG_WARN, __VA_ARGS__)
#define log_info(...) log_printf(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_printf(LOG_DEBUG, __VA_ARGS__)

/* Lines up to this level also go to the console (default LOG_WARN; --verbose makes it LOG_DEBUG). */
void log_set_console_level(enum log_level level);
/* Copies the newest part of the ring, oldest line first, at most size bytes; returns the bytes copied. */
size_t log_read(char *buf, size_t size);

/* A broken invariant of the kernel: prints the reason, registers and a back trace, and stops the machine. */
_Noreturn void panic(const char *fmt, ...) PRINTF_LIKE(1, 2);

#endif
