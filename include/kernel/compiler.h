/* Small language helpers: alignment, containers, and tables that the linker collects. */
#ifndef KERNEL_COMPILER_H
#define KERNEL_COMPILER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef long ssize_t;
typedef long long off_t; /* as on Linux x86_64: 64 bits */

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define ALIGN_UP(x, a) (((x) + ((a) - 1)) & ~((__typeof__(x))(a) - 1))
#define ALIGN_DOWN(x, a) ((x) & ~((__typeof__(x))(a) - 1))
#define IS_ALIGNED(x, a) (((x) & ((__typeof__(x))(a) - 1)) == 0)
#define CONTAINER_OF(ptr, type, member) ((type *)((char *)(ptr) - offsetof(type, member)))
#define MIN(a, b) ({ __typeof__(a) _a = (a); __typeof__(b) _b = (b); _a < _b ? _a : _b; })
#define MAX(a, b) ({ __typeof__(a) _a = (a); __typeof__(b) _b = (b); _a > _b ? _a : _b; })

#define WARN_UNUSED __attribute__((warn_unused_result))
#define PRINTF_LIKE(f, a) __attribute__((format(printf, f, a)))

/* A table collected by the linker: `LINKER_TABLE(driver, struct driver, name) = { ... };` puts an entry into
   section .table.driver; LINKER_TABLE_FOREACH walks all entries. Adding a file adds an entry. */
#define LINKER_TABLE(table, type, name)                                                            \
    static const type table##_entry_##name                                                         \
        __attribute__((used, section(".table." #table), aligned(_Alignof(type))))
#define LINKER_TABLE_FOREACH(table, type, it)                                                      \
    extern const type __table_##table##_start[], __table_##table##_end[];                          \
    for (const type *it = __table_##table##_start; it < __table_##table##_end; it++)

#endif
