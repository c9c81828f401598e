/* Statistics of contended mutexes: a table of fixed size with open addressing, without locks, so that counting changes little of what is counted.

   An entry is found by a hash of the mutex and the call site, 64 bits long, which stands for the two: that two pairs share one is not to be expected in a table of
   512. Who finds a free slot takes it by storing the hash (compare-and-swap from 0); slots are never given back, so a probe that ends at a free slot has seen all that
   there was. Every recorder of a pair then stores the same two addresses. A reader that comes between hash and addresses sees null pointers, and leaves the entry
   out. The counters stand for themselves: all is relaxed but for the addresses. */
#include <sched/lockstat.h>

#define PROBES 32u

struct slot {
    _Atomic uint64_t key; /* 0: free */
    const void *_Atomic mutex;
    const void *_Atomic site;
    _Atomic uint64_t contended, total_ns, longest_ns;
};

_Atomic bool lock_stats_on;
static struct slot slots[LOCK_STAT_MAX];
static _Atomic uint64_t lost;

/* The finalizer of splitmix64. */
static uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
    x = (x ^ x >> 27) * 0x94d049bb133111ebull;
    return x ^ x >> 31;
}

static struct slot *find(uint64_t key)
{
    for (unsigned i = 0; i < PROBES; i++) {
        struct slot *s = &slots[(key + i) % LOCK_STAT_MAX];
        uint64_t there = atomic_load_explicit(&s->key, memory_order_relaxed);
        if (there == 0 && atomic_compare_exchange_strong_explicit(&s->key, &there, key, memory_order_relaxed, memory_order_relaxed))
            return s;
        if (there == key)
            return s;
    }
    return NULL;
}

void lock_stat_record(const void *mutex, const void *site, uint64_t waited_ns)
{
    uint64_t key = mix((uint64_t)mutex + mix((uint64_t)site));
    struct slot *s = find(key ? key : 1);

    if (!s) {
        atomic_fetch_add_explicit(&lost, 1, memory_order_relaxed);
        return;
    }
    if (unlikely(!atomic_load_explicit(&s->site, memory_order_relaxed))) {
        atomic_store_explicit(&s->mutex, mutex, memory_order_relaxed);
        atomic_store_explicit(&s->site, site, memory_order_release); /* who sees the site sees the mutex */
    }
    atomic_fetch_add_explicit(&s->contended, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&s->total_ns, waited_ns, memory_order_relaxed);
    uint64_t longest = atomic_load_explicit(&s->longest_ns, memory_order_relaxed);
    while (longest < waited_ns && !atomic_compare_exchange_weak_explicit(&s->longest_ns, &longest, waited_ns, memory_order_relaxed,
                                                                         memory_order_relaxed))
        ;
}

static void insert(struct lock_stat *out, unsigned n, unsigned max, const struct lock_stat *e)
{
    unsigned at = n;
    while (at > 0 && out[at - 1].total_ns < e->total_ns)
        at--;
    for (unsigned i = n < max ? n : max - 1; i > at; i--)
        out[i] = out[i - 1];
    if (at < max)
        out[at] = *e;
}

unsigned lock_stat_read(struct lock_stat *out, unsigned max, uint64_t *without_room)
{
    unsigned n = 0;

    for (unsigned i = 0; i < LOCK_STAT_MAX && max; i++) {
        struct slot *s = &slots[i];
        struct lock_stat e = {.site = atomic_load_explicit(&s->site, memory_order_acquire)};
        if (!e.site)
            continue;
        e.mutex = atomic_load_explicit(&s->mutex, memory_order_relaxed);
        e.contended = atomic_load_explicit(&s->contended, memory_order_relaxed);
        e.total_ns = atomic_load_explicit(&s->total_ns, memory_order_relaxed);
        e.longest_ns = atomic_load_explicit(&s->longest_ns, memory_order_relaxed);
        insert(out, n, max, &e);
        n += n < max;
    }
    *without_room = atomic_load_explicit(&lost, memory_order_relaxed);
    return n;
}
