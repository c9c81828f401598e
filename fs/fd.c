/* The descriptor table. Readers (fd_file) take no lock; everything that changes the table holds fd_lock.

   Slots lie in chunks of 1024 which are made when first needed and never move or go away, so a reader can hold no stale table, and
   the memory follows the highest descriptor that was ever open. Beside each chunk of slots is one of bits: open descriptors and
   those to be closed on exec. A bit for each chunk says that it is full, so the lowest free descriptor is found by looking at 16
   words, then at 16 words.

   Moving a slot's count into the file (fd_settle) is needed once in 4096 references. The 16-bit count could only overflow if 61,440
   threads stood between the two instructions of fd_file at the same time. */
#include <asm/errno.h>
#include <fs/file.h>
#include <kernel/string.h>
#include <mm/kmem.h>
#include <mm/page.h>

#define WORD_BITS 64u
#define BIT_WORDS (FD_CHUNK_SLOTS / WORD_BITS)
#define SLOTS_ORDER 1 /* 1024 slots of 8 bytes */
_Static_assert(FD_CHUNK_SLOTS * sizeof(fd_slot) == PAGE_SIZE << SLOTS_ORDER, "a chunk fills its pages");

struct chunk_bits {
    uint64_t open[BIT_WORDS];
    uint64_t cloexec[BIT_WORDS];
};

fd_slot *_Atomic fd_chunk_slots[FD_CHUNKS]; /* set once, with fd_lock held */
static struct chunk_bits *chunk_bits[FD_CHUNKS]; /* protected by fd_lock, as all below */
static uint64_t full_chunks[FD_CHUNKS / WORD_BITS];
static unsigned limit = FD_MAX;
static struct mutex fd_lock = MUTEX_INIT;

/* The lowest clear bit at or after from, or words * 64. */
static unsigned lowest_clear(const uint64_t *map, unsigned words, unsigned from)
{
    for (unsigned w = from / WORD_BITS; w < words; w++) {
        uint64_t clear = ~map[w];
        if (w == from / WORD_BITS)
            clear &= ~0ull << (from % WORD_BITS);
        if (clear)
            return w * WORD_BITS + (unsigned)__builtin_ctzll(clear);
    }
    return words * WORD_BITS;
}

static bool all_set(const uint64_t *map, unsigned words)
{
    return lowest_clear(map, words, 0) == words * WORD_BITS;
}

static bool test_bit(const uint64_t *map, unsigned i)
{
    return map[i / WORD_BITS] >> (i % WORD_BITS) & 1;
}

static void assign_bit(uint64_t *map, unsigned i, bool value)
{
    uint64_t mask = 1ull << (i % WORD_BITS);
    map[i / WORD_BITS] = value ? map[i / WORD_BITS] | mask : map[i / WORD_BITS] & ~mask;
}

static int chunk_create(unsigned chunk)
{
    if (chunk_bits[chunk])
        return 0;
    struct chunk_bits *bits = kzalloc(sizeof(*bits));
    fd_slot *slots = pages_alloc_zeroed(SLOTS_ORDER);
    if (!bits || !slots) {
        kfree(bits);
        if (slots)
            pages_free(slots, SLOTS_ORDER);
        return -ENOMEM;
    }
    chunk_bits[chunk] = bits;
    /* Release: a reader that sees the pointer sees empty slots. */
    atomic_store_explicit(&fd_chunk_slots[chunk], slots, memory_order_release);
    return 0;
}

static fd_slot *slot_of(unsigned fd)
{
    fd_slot *slots =
        atomic_load_explicit(&fd_chunk_slots[fd / FD_CHUNK_SLOTS], memory_order_relaxed);
    return &slots[fd % FD_CHUNK_SLOTS];
}

static bool is_open(int fd)
{
    if ((unsigned)fd >= FD_MAX)
        return false;
    const struct chunk_bits *bits = chunk_bits[(unsigned)fd / FD_CHUNK_SLOTS];
    return bits && test_bit(bits->open, (unsigned)fd % FD_CHUNK_SLOTS);
}

void fd_settle(fd_slot *slot)
{
    uint64_t value = atomic_load_explicit(slot, memory_order_relaxed);
    struct file *f = fd_slot_file(value);
    if (!f || value < FD_SLOT_SETTLE * FD_SLOT_ONE)
        return;
    /* The caller holds a reference that is counted in the slot, or the slot does not point to f any more and the exchange fails;
       but f itself may be gone then. So the count moves with fd_lock held, which keeps the slot from being emptied. */
    mutex_lock(&fd_lock);
    value = atomic_load_explicit(slot, memory_order_relaxed);
    f = fd_slot_file(value);
    if (f) {
        uint64_t count = 0;
        do
            count = value >> 48;
        while (!atomic_compare_exchange_weak_explicit(slot, &value, value & (FD_SLOT_ONE - 1),
                                                      memory_order_relaxed, memory_order_relaxed));
        atomic_fetch_add_explicit(&f->refs, (long)count, memory_order_relaxed);
    }
    mutex_unlock(&fd_lock);
}

/* Puts f (with the caller's reference) into a slot; what was there leaves with its references settled but for the slot's own,
   which goes to the caller. */
static struct file *slot_exchange(unsigned fd, struct file *f)
{
    if (f)
        atomic_fetch_add_explicit(&f->refs, FILE_SLOT_BIAS, memory_order_relaxed);
    uint64_t new_value = (uint64_t)f & (FD_SLOT_ONE - 1);
    /* Release: who finds f in the slot sees it complete. */
    uint64_t value = atomic_exchange_explicit(slot_of(fd), new_value, memory_order_acq_rel);
    struct file *old = fd_slot_file(value);
    if (old)
        atomic_fetch_add_explicit(&old->refs, (long)(value >> 48) - FILE_SLOT_BIAS,
                                  memory_order_acq_rel);
    return old;
}

/* Marks a descriptor open or free, and its chunk full or not. */
static void mark(unsigned fd, bool open, bool cloexec)
{
    unsigned chunk = fd / FD_CHUNK_SLOTS;
    struct chunk_bits *bits = chunk_bits[chunk];
    assign_bit(bits->open, fd % FD_CHUNK_SLOTS, open);
    assign_bit(bits->cloexec, fd % FD_CHUNK_SLOTS, cloexec);
    assign_bit(full_chunks, chunk, open && all_set(bits->open, BIT_WORDS));
}

/* The lowest free descriptor >= min, FD_MAX when there is none. */
static unsigned find_free(unsigned min)
{
    unsigned chunk = min / FD_CHUNK_SLOTS, from = min % FD_CHUNK_SLOTS;
    while ((chunk = lowest_clear(full_chunks, FD_CHUNKS / WORD_BITS, chunk)) < FD_CHUNKS) {
        if (chunk != min / FD_CHUNK_SLOTS)
            from = 0;
        if (!chunk_bits[chunk])
            return chunk * FD_CHUNK_SLOTS + from;
        unsigned slot = lowest_clear(chunk_bits[chunk]->open, BIT_WORDS, from);
        if (slot < FD_CHUNK_SLOTS)
            return chunk * FD_CHUNK_SLOTS + slot;
        chunk++;
        if (chunk == FD_CHUNKS)
            break;
    }
    return FD_MAX;
}

int fd_install(struct file *f, int min_fd, bool cloexec)
{
    int r = -EMFILE;
    if (min_fd < 0 || (unsigned)min_fd >= FD_MAX)
        return r;
    mutex_lock(&fd_lock);
    unsigned fd = find_free((unsigned)min_fd);
    if (fd >= limit)
        goto unlock;
    r = chunk_create(fd / FD_CHUNK_SLOTS);
    if (r < 0)
        goto unlock;
    mark(fd, true, cloexec);
    slot_exchange(fd, f);
    r = (int)fd;
unlock:
    mutex_unlock(&fd_lock);
    return r;
}

int fd_install_at(struct file *f, int fd, bool cloexec)
{
    struct file *old = NULL;
    int r = -EBADF;
    mutex_lock(&fd_lock);
    if (fd < 0 || (unsigned)fd >= limit)
        goto unlock;
    r = chunk_create((unsigned)fd / FD_CHUNK_SLOTS);
    if (r < 0)
        goto unlock;
    mark((unsigned)fd, true, cloexec);
    old = slot_exchange((unsigned)fd, f);
    r = fd;
unlock:
    mutex_unlock(&fd_lock);
    if (old)
        file_put(old);
    return r;
}

int fd_close(int fd)
{
    struct file *old = NULL;
    mutex_lock(&fd_lock);
    if (is_open(fd)) {
        mark((unsigned)fd, false, false);
        old = slot_exchange((unsigned)fd, NULL);
    }
    mutex_unlock(&fd_lock);
    if (!old)
        return -EBADF;
    file_put(old);
    return 0;
}

void fd_close_range(unsigned first, unsigned last)
{
    if (first > __INT_MAX__)
        return;
    for (int fd = fd_next_open((int)first); fd >= 0 && (unsigned)fd <= last; fd = fd_next_open(fd + 1))
        fd_close(fd);
}

int fd_get_cloexec(int fd)
{
    int r = -EBADF;
    mutex_lock(&fd_lock);
    if (is_open(fd))
        r = test_bit(chunk_bits[(unsigned)fd / FD_CHUNK_SLOTS]->cloexec,
                     (unsigned)fd % FD_CHUNK_SLOTS);
    mutex_unlock(&fd_lock);
    return r;
}

int fd_set_cloexec(int fd, bool cloexec)
{
    int r = -EBADF;
    mutex_lock(&fd_lock);
    if (is_open(fd)) {
        assign_bit(chunk_bits[(unsigned)fd / FD_CHUNK_SLOTS]->cloexec,
                   (unsigned)fd % FD_CHUNK_SLOTS, cloexec);
        r = 0;
    }
    mutex_unlock(&fd_lock);
    return r;
}

int fd_next_open(int fd)
{
    int found = -1;
    mutex_lock(&fd_lock);
    for (unsigned i = fd < 0 ? 0 : (unsigned)fd; i < FD_MAX && found < 0;) {
        const struct chunk_bits *bits = chunk_bits[i / FD_CHUNK_SLOTS];
        uint64_t word = bits ? bits->open[i % FD_CHUNK_SLOTS / WORD_BITS] >> (i % WORD_BITS) : 0;
        if (!bits)
            i = ALIGN_DOWN(i, FD_CHUNK_SLOTS) + FD_CHUNK_SLOTS;
        else if (!word)
            i = ALIGN_DOWN(i, WORD_BITS) + WORD_BITS;
        else
            found = (int)(i + (unsigned)__builtin_ctzll(word));
    }
    mutex_unlock(&fd_lock);
    return found;
}

unsigned fd_limit_get(void)
{
    mutex_lock(&fd_lock);
    unsigned l = limit;
    mutex_unlock(&fd_lock);
    return l;
}

void fd_limit_set(unsigned new_limit)
{
    mutex_lock(&fd_lock);
    limit = MIN(new_limit, FD_MAX);
    mutex_unlock(&fd_lock);
}
