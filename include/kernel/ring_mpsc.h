/* A bounded ring from many producers, interrupt handlers and NMIs among them, to one consumer. Nobody waits
   for anybody: a full ring refuses, and a producer that loses its CPU half way holds up what
   was put after it, but neither another producer nor the consumer, which finds nothing to take and
   goes to sleep. Who completes the oldest element is told so, and wakes it.

   Each place has a turn, a number that says whose it is: for the element number n, n: free for
   its producer; n + 1: written; n + size, when it was taken, is n for the next element there.
   A producer claims the number n by compare-and-swap of head, only if the turn of its
   place is n. Somebody else's claim is the only reason for which that fails: another got on.

   - Nobody writes a place that somebody else writes or reads: turn n at the place of n is stored
     once, by the consumer when it has taken n - size; n is claimed once; and until its producer
     has stored n + 1 nobody else touches the place. The consumer reads it only after that.
   - The compare-and-swap orders nothing, so it may be relaxed: what the producer
     writes is ordered behind the consumer's reading by the turn (release, acquire), and what the
     consumer reads behind the producer's writing by the turn likewise.
   - Elements are taken in the order in which their numbers were claimed, so what one producer puts
     stays in order.
   - No lost wake-up: the consumer prepares to wait and then looks at the turn of the next element
     (ring_mpsc_empty); the producer stores that turn and then wakes. That is the wait protocol of
     include/sched/thread.h, if a producer always wakes; it wakes also when an older element is not
     there yet, which is needless, and rare.

   A ring of 2^31 elements at most, so that the turns of two rounds differ. A producer that stays
   away for 2^32 elements between its look at head and its claim would be mistaken. */
#ifndef KERNEL_RING_MPSC_H
#define KERNEL_RING_MPSC_H

#include <kernel/compiler.h>
#include <kernel/string.h>
#include <stdatomic.h>

struct ring_mpsc {
    void *elements;
    _Atomic uint32_t *turns; /* stored minus the place's index: zeroed memory is an empty ring */
    uint32_t mask, element_size;
    _Atomic uint32_t head __attribute__((aligned(64))); /* the next number to be claimed */
    uint32_t tail __attribute__((aligned(64)));         /* the next to be taken; the consumer only */
};

/* A static ring of `count` elements of `type`. */
#define RING_MPSC(name, type, count)                                                               \
    _Static_assert((count) > 1 && ((count) & ((count)-1)) == 0, "a power of two");                 \
    static type name##_elements[count];                                                            \
    static _Atomic uint32_t name##_turns[count];                                                   \
    static struct ring_mpsc name = {.elements = name##_elements,                                   \
                                    .turns = name##_turns,                                         \
                                    .mask = (count)-1,                                             \
                                    .element_size = sizeof(type)}

static inline void *ring_mpsc_place(const struct ring_mpsc *r, uint32_t number)
{
    return (char *)r->elements + (size_t)(number & r->mask) * r->element_size;
}
static inline uint32_t ring_mpsc_turn(const struct ring_mpsc *r, uint32_t number)
{
    uint32_t i = number & r->mask;
    return atomic_load_explicit(&r->turns[i], memory_order_acquire) + i;
}
static inline void ring_mpsc_pass(struct ring_mpsc *r, uint32_t number, uint32_t turn)
{
    uint32_t i = number & r->mask;
    atomic_store_explicit(&r->turns[i], turn - i, memory_order_release);
}

/* Anybody. False: full. */
static inline bool ring_mpsc_put(struct ring_mpsc *r, const void *element)
{
    uint32_t n = atomic_load_explicit(&r->head, memory_order_relaxed);
    for (;;) {
        int32_t ahead = (int32_t)(ring_mpsc_turn(r, n) - n);
        if (ahead < 0) /* what was put there a round ago is not taken yet */
            return false;
        if (ahead > 0) /* n was claimed, and even written, since we looked at head */
            n = atomic_load_explicit(&r->head, memory_order_relaxed);
        else if (atomic_compare_exchange_weak_explicit(&r->head, &n, n + 1, memory_order_relaxed,
                                                       memory_order_relaxed))
            break;
    }
    memcpy(ring_mpsc_place(r, n), element, r->element_size);
    ring_mpsc_pass(r, n, n + 1);
    return true;
}

/* The consumer only. False: empty, or the next element is not complete: its producer will wake us. */
static inline bool ring_mpsc_take(struct ring_mpsc *r, void *element)
{
    uint32_t n = r->tail;
    if (ring_mpsc_turn(r, n) != n + 1)
        return false;
    memcpy(element, ring_mpsc_place(r, n), r->element_size);
    r->tail = n + 1;
    ring_mpsc_pass(r, n, n + r->mask + 1);
    return true;
}

/* The consumer only: ring_mpsc_take would find nothing. */
static inline bool ring_mpsc_empty(const struct ring_mpsc *r)
{
    return ring_mpsc_turn(r, r->tail) != r->tail + 1;
}

#endif
