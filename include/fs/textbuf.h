/* Text that grows. */
#ifndef FS_TEXTBUF_H
#define FS_TEXTBUF_H

#include <kernel/compiler.h>

struct textbuf {
    char *data; /* from kmalloc; the owner frees it */
    size_t len, capacity;
    bool failed; /* there was no memory: data holds less than was printed */
};

void textbuf_append(struct textbuf *t, const void *data, size_t n);
/* A decimal number, without the cost of a format. */
void textbuf_number(struct textbuf *t, uint64_t v);
/* A set of CPUs (n bits) as ranges: "0-3,5". */
void textbuf_cpu_list(struct textbuf *t, const uint64_t *bits, unsigned n);
void textbuf_printf(struct textbuf *t, const char *fmt, ...) PRINTF_LIKE(2, 3);

#endif
