/* A bounded ring from one producer to one consumer, each of which may be an interrupt handler or a
   thread. Neither waits: a full ring refuses, an empty one gives nothing. Elements are of any size,
   a power of two of them; RING_SPSC makes the memory.

   head counts what was put, tail what was taken; both grow without end, and an element's place is
   its number modulo the size. Only the producer writes head, only the consumer tail. An element is
   written before head is stored with release, which the consumer acquires: it reads it whole. It is
   read before tail is stored with release, which the producer acquires before it uses the place
   again: it overwrites only what was read. Both sides keep what they last saw of the other's
   counter, and look at the other's cache line only when that does not suffice. A counter that was
   seen too early only makes the ring look fuller, or emptier, than it is.

   Sleeping is the user's: the consumer prepares to wait, and looks at ring_spsc_empty once more. */
#ifndef KERNEL_RING_SPSC_H
#define KERNEL_RING_SPSC_H

#include <kernel/compiler.h>
#include <kernel/string.h>
#include <stdatomic.h>

struct ring_spsc {
    void *elements;
    uint32_t mask, element_size;
    _Atomic uint32_t head __attribute__((aligned(64))); /* the producer's line */
    uint32_t tail_seen;
    _Atomic uint32_t tail __attribute__((aligned(64))); /* the consumer's */
    uint32_t head_seen;
};

/* A static ring of `count` elements of `type`. */
#define RING_SPSC(name, type, count)                                                               \
    _Static_assert((count) > 0 && ((count) & ((count)-1)) == 0, "a power of two");                 \
    static type name##_elements[count];                                                            \
    static struct ring_spsc name = {                                                               \
        .elements = name##_elements, .mask = (count)-1, .element_size = sizeof(type)}

static inline void *ring_spsc_place(const struct ring_spsc *r, uint32_t number)
{
    return (char *)r->elements + (size_t)(number & r->mask) * r->element_size;
}

/* The producer only. False: full. */
static inline bool ring_spsc_put(struct ring_spsc *r, const void *element)
{
    uint32_t head = atomic_load_explicit(&r->head, memory_order_relaxed); /* our own */
    if (head - r->tail_seen > r->mask) {
        r->tail_seen = atomic_load_explicit(&r->tail, memory_order_acquire);
        if (head - r->tail_seen > r->mask)
            return false;
    }
    memcpy(ring_spsc_place(r, head), element, r->element_size);
    atomic_store_explicit(&r->head, head + 1, memory_order_release);
    return true;
}

/* The consumer only. False: empty. */
static inline bool ring_spsc_take(struct ring_spsc *r, void *element)
{
    uint32_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed); /* our own */
    if (tail == r->head_seen) {
        r->head_seen = atomic_load_explicit(&r->head, memory_order_acquire);
        if (tail == r->head_seen)
            return false;
    }
    memcpy(element, ring_spsc_place(r, tail), r->element_size);
    atomic_store_explicit(&r->tail, tail + 1, memory_order_release);
    return true;
}

/* The consumer only: what is put from now on may make it untrue at any time. */
static inline bool ring_spsc_empty(const struct ring_spsc *r)
{
    return atomic_load_explicit(&r->tail, memory_order_relaxed) ==
           atomic_load_explicit(&r->head, memory_order_acquire);
}

#endif
