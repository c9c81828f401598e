/* Text that grows: for files whose content is made when they are read. At most 64 KiB. */
#include <fs/textbuf.h>
#include <kernel/print.h>
#include <kernel/string.h>
#include <mm/kmem.h>

#define CAPACITY_MAX (64u << 10)

static __attribute__((noinline)) bool grow(struct textbuf *t, size_t more)
{
    size_t want = t->len + more, capacity = t->capacity ? t->capacity : 256;
    while (capacity < want && capacity < CAPACITY_MAX)
        capacity *= 2;
    char *data = capacity >= want ? krealloc(t->data, capacity) : NULL;
    if (!data) {
        t->failed = true;
        return false;
    }
    t->data = data;
    t->capacity = capacity;
    return true;
}

static inline bool reserve(struct textbuf *t, size_t more) { return likely(t->len + more <= t->capacity) || grow(t, more); }

void textbuf_append(struct textbuf *t, const void *data, size_t n)
{
    if (!reserve(t, n))
        return;
    memcpy(t->data + t->len, data, n);
    t->len += n;
}

void textbuf_number(struct textbuf *t, uint64_t v)
{
    char digits[20], *p = digits + sizeof(digits);
    for (; v > UINT32_MAX; v /= 10)
        *--p = (char)('0' + v % 10);
    uint32_t rest = (uint32_t)v; /* a shorter division */
    do
        *--p = (char)('0' + rest % 10);
    while (rest /= 10);
    textbuf_append(t, p, (size_t)(digits + sizeof(digits) - p));
}

static bool has_bit(const uint64_t *bits, unsigned n, unsigned i) { return i < n && (bits[i / 64] >> (i % 64) & 1); }

void textbuf_cpu_list(struct textbuf *t, const uint64_t *bits, unsigned n)
{
    const char *comma = "";
    for (unsigned i = 0; i < n; i++) {
        if (!has_bit(bits, n, i))
            continue;
        unsigned first = i;
        while (has_bit(bits, n, i + 1))
            i++;
        textbuf_printf(t, i > first ? "%s%u-%u" : "%s%u", comma, first, i);
        comma = ",";
    }
}

/* Into the room that is there; only what does not fit is made a second time. */
void textbuf_printf(struct textbuf *t, const char *fmt, ...)
{
    va_list ap;
    if (!reserve(t, 1))
        return;
    va_start(ap, fmt);
    int n = vsnprintf(t->data + t->len, t->capacity - t->len, fmt, ap);
    va_end(ap);
    if (n <= 0)
        return;
    if ((size_t)n >= t->capacity - t->len) {
        if (!reserve(t, (size_t)n + 1))
            return;
        va_start(ap, fmt);
        vsnprintf(t->data + t->len, (size_t)n + 1, fmt, ap);
        va_end(ap);
    }
    t->len += (size_t)n;
}
