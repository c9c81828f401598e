/* A latch: two copies of a few words that are read often and written seldom. Readers take no lock
   and write nothing, so they may be interrupt handlers; and where the reader of a sequence lock
   waits while a writer is under way, here it reads the copy that is not being written: a writer
   that loses its CPU half way costs readers nothing.

   Update number k writes copy k & 1 and then stores k as the sequence. A reader takes the sequence
   n, reads copy n & 1, and reads again only if the sequence is not n any more, which means that a
   whole update was finished meanwhile.

   Why what it read belongs together: acquiring n makes the words of update n visible, so each word
   comes from update n or from a later one to the same copy, n + 2 or more. A word of update m was
   stored with release after the sequence had become m - 1 >= n + 1, and is loaded with acquire, so
   the second look at the sequence finds more than n. (No fences: ThreadSanitizer does not know
   them, and on x86 these loads and stores are plain ones.) The sequence wraps after 2^32 updates
   during one reading.

   Writers are serialised by their caller: a mutex, or a flag whose loser goes away. */
#ifndef KERNEL_LATCH_H
#define KERNEL_LATCH_H

#include <kernel/compiler.h>
#include <stdatomic.h>

struct latch {
    _Atomic uint32_t sequence;
};

/* A reader: n = latch_read(l), latch_get() from copy n & 1, and all that again while latch_changed(l, n). */
static inline uint32_t latch_read(const struct latch *l)
{
    return atomic_load_explicit(&l->sequence, memory_order_acquire);
}
static inline uint64_t latch_get(const _Atomic uint64_t *word)
{
    return atomic_load_explicit(word, memory_order_acquire);
}
/* relaxed: nothing after it depends on it, and the loads before it have acquired */
static inline bool latch_changed(const struct latch *l, uint32_t n)
{
    return atomic_load_explicit(&l->sequence, memory_order_relaxed) != n;
}

/* The writer: n = latch_write(l), latch_put() all words of copy n & 1, latch_publish(l, n). */
static inline uint32_t latch_write(const struct latch *l)
{
    return atomic_load_explicit(&l->sequence, memory_order_relaxed) + 1;
}
static inline void latch_put(_Atomic uint64_t *word, uint64_t value)
{
    atomic_store_explicit(word, value, memory_order_release);
}
static inline void latch_publish(struct latch *l, uint32_t n)
{
    atomic_store_explicit(&l->sequence, n, memory_order_release);
}

#endif
