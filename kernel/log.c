/* The log ring and the console output of its lines. A line is formatted on the caller's stack and then claimed a place in the ring by one atomic
   add, so that any context may log and nobody waits; a reader that races a writer sees a torn line at worst. */
#include <arch/serial.h>
#include <kernel/clock.h>
#include <kernel/log.h>
#include <kernel/print.h>
#include <kernel/string.h>
#include <stdatomic.h>

#define RING_SIZE 16384u /* power of two */
#define LINE_MAX 240

static char ring[RING_SIZE];
static _Atomic uint64_t ring_head; /* bytes ever written */
static enum log_level console_level = LOG_WARN;

static void ring_write(const char *s, size_t n)
{
    /* relaxed: the place is all that is claimed; readers tolerate torn lines */
    uint64_t at = atomic_fetch_add_explicit(&ring_head, n, memory_order_relaxed);
    for (size_t i = 0; i < n; i++)
        ring[(at + i) % RING_SIZE] = s[i];
}

void log_printf(enum log_level level, const char *fmt, ...)
{
    static const char *const names[] = {"error: ", "warning: ", "", ""};
    char line[LINE_MAX];
    uint64_t now = clock_monotonic_ns();
    int n = snprintf(line, sizeof(line) - 1, "[%5u.%06u] %s", (unsigned)(now / NS_PER_SEC),
                     (unsigned)(now % NS_PER_SEC / 1000), names[level]);
    va_list ap;
    va_start(ap, fmt);
    n += vsnprintf(line + n, sizeof(line) - 1 - (size_t)n, fmt, ap);
    va_end(ap);
    if (n > (int)sizeof(line) - 2)
        n = sizeof(line) - 2;
    line[n++] = '\n';
    ring_write(line, (size_t)n);
    if (level <= console_level)
        serial_write(line, (size_t)n);
}

void log_set_console_level(enum log_level level) { console_level = level; }

size_t log_read(char *buf, size_t size)
{
    uint64_t head = atomic_load_explicit(&ring_head, memory_order_relaxed);
    uint64_t n = MIN(MIN(head, (uint64_t)RING_SIZE), (uint64_t)size);
    for (uint64_t i = 0; i < n; i++)
        buf[i] = ring[(head - n + i) % RING_SIZE];
    return n;
}
