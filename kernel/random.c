/* ChaCha20 random numbers with fast key erasure (D. J. Bernstein, "Fast-key-erasure random-number generators", 2017; ChaCha: RFC 8439): each request runs the block function
   on the key, replaces the key by the first half of the output and hands out the rest, so that an earlier output cannot be computed from the state.

   Seed: RDSEED or RDRAND where the CPU has them, the TSC at several points of the boot, what drivers add (virtio-rng).

   Each CPU has a state of its own, used with preemption off, so that nobody waits for anybody. A CPU that is added is seeded by the one that adds it. What
   random_add mixes in goes to the caller's CPU at once and, hashed, to the others by way of `shared`: a CPU that sees a new generation mixes it in before its next output. */
#include <arch/cpu.h>
#include <asm/errno.h>
#include <kernel/boot.h>
#include <kernel/random.h>
#include <kernel/string.h>
#include <mm/kmem.h>
#include <sched/thread.h>
#include <stdatomic.h>

#define ROTL(x, n) ((x) << (n) | (x) >> (32 - (n)))

struct random_state {
    uint32_t key[8];
    uint32_t pool[16];
    unsigned pool_left;
    unsigned generation; /* of shared, that was mixed in */
};

static struct random_state boot_state;
static _Atomic uint64_t shared[4];
static _Atomic unsigned shared_generation;

static void quarter(uint32_t *a, uint32_t *b, uint32_t *c, uint32_t *d)
{
    *a += *b; *d = ROTL(*d ^ *a, 16);
    *c += *d; *b = ROTL(*b ^ *c, 12);
    *a += *b; *d = ROTL(*d ^ *a, 8);
    *c += *d; *b = ROTL(*b ^ *c, 7);
}

static void block(const uint32_t key[8], uint32_t counter, uint32_t out[16])
{
    uint32_t in[16] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574};
    memcpy(in + 4, key, 32);
    in[12] = counter;
    memcpy(out, in, sizeof(in));
    for (int i = 0; i < 10; i++) {
        quarter(&out[0], &out[4], &out[8], &out[12]);
        quarter(&out[1], &out[5], &out[9], &out[13]);
        quarter(&out[2], &out[6], &out[10], &out[14]);
        quarter(&out[3], &out[7], &out[11], &out[15]);
        quarter(&out[0], &out[5], &out[10], &out[15]);
        quarter(&out[1], &out[6], &out[11], &out[12]);
        quarter(&out[2], &out[7], &out[8], &out[13]);
        quarter(&out[3], &out[4], &out[9], &out[14]);
    }
    for (int i = 0; i < 16; i++)
        out[i] += in[i];
}

static void erase_key(struct random_state *r)
{
    uint32_t out[16];
    block(r->key, 0, out);
    memcpy(r->key, out, sizeof(r->key));
    memset(out, 0, sizeof(out));
}

static void mix(struct random_state *r, const void *buf, size_t n)
{
    const uint8_t *p = buf;
    for (size_t i = 0; i < n;) {
        for (size_t j = 0; j < sizeof(r->key) && i < n; i++, j++)
            ((uint8_t *)r->key)[j] ^= p[i];
        erase_key(r);
    }
    r->pool_left = 0;
}

/* Preemption off. This CPU's state, with what others have added. */
static struct random_state *own_state(void)
{
    struct random_state *r = percpu()->random;
    /* acquire: pairs with the release in random_add */
    unsigned generation = atomic_load_explicit(&shared_generation, memory_order_acquire);
    if (unlikely(generation != r->generation)) {
        uint64_t words[ARRAY_SIZE(shared)];
        for (unsigned i = 0; i < ARRAY_SIZE(shared); i++)
            words[i] = atomic_load_explicit(&shared[i], memory_order_relaxed);
        r->generation = generation;
        mix(r, words, sizeof(words));
    }
    return r;
}

void random_add(const void *buf, size_t n)
{
    uint32_t out[16];
    preempt_disable();
    struct random_state *r = own_state();
    mix(r, buf, n);
    block(r->key, 0, out);
    memcpy(r->key, out, sizeof(r->key));
    /* The other half of the block depends on all that was added, and tells nothing about this CPU's key. */
    for (unsigned i = 0; i < ARRAY_SIZE(shared); i++)
        atomic_fetch_xor_explicit(&shared[i], (uint64_t)out[8 + 2 * i] << 32 | out[9 + 2 * i], memory_order_relaxed);
    r->generation = atomic_fetch_add_explicit(&shared_generation, 1, memory_order_release) + 1;
    preempt_enable();
    memset(out, 0, sizeof(out));
}

void random_bytes(void *buf, size_t n)
{
    uint8_t *p = buf;
    uint32_t out[16], session[8], counter = 1;
    preempt_disable();
    struct random_state *r = own_state();
    block(r->key, 0, out); /* new key, and a session key for this request */
    memcpy(r->key, out, sizeof(r->key));
    preempt_enable();
    memcpy(session, out + 8, sizeof(session));
    for (; n; counter++) {
        size_t k = MIN(n, sizeof(out));
        block(session, counter, out);
        memcpy(p, out, k);
        p += k;
        n -= k;
    }
    memset(out, 0, sizeof(out));
    memset(session, 0, sizeof(session));
}

uint64_t random_u64(void)
{
    preempt_disable();
    struct random_state *r = own_state();
    if (r->pool_left < 2) {
        uint32_t out[16];
        block(r->key, 0, out);
        memcpy(r->key, out, sizeof(r->key));
        memcpy(r->pool, out + 8, 8 * sizeof(uint32_t));
        r->pool_left = 8;
        memset(out, 0, sizeof(out));
    }
    uint64_t v = (uint64_t)r->pool[r->pool_left - 1] << 32 | r->pool[r->pool_left - 2];
    r->pool[r->pool_left - 1] = r->pool[r->pool_left - 2] = 0;
    r->pool_left -= 2;
    preempt_enable();
    return v;
}

int random_cpu_init(struct percpu *p)
{
    p->random = kzalloc(sizeof(*p->random));
    if (!p->random)
        return -ENOMEM;
    random_bytes(p->random->key, sizeof(p->random->key));
    p->random->generation = atomic_load_explicit(&shared_generation, memory_order_relaxed);
    return 0;
}

void random_init(void)
{
    percpu()->random = &boot_state;
    uint64_t seed[8] = {boot_info.entry_tsc, rdtsc()};
    for (unsigned i = 2; i < 8; i++) {
        unsigned char ok = 0;
        for (int tries = 0; tries < 10 && !ok; tries++) {
            if (cpu_features.rdseed)
                __asm__ volatile("rdseed %0; setc %1" : "+r"(seed[i]), "=qm"(ok));
            else if (cpu_features.rdrand)
                __asm__ volatile("rdrand %0; setc %1" : "+r"(seed[i]), "=qm"(ok));
        }
        if (!ok)
            seed[i] = rdtsc() * 0x9e3779b97f4a7c15ull;
    }
    random_add(seed, sizeof(seed));
    memset(seed, 0, sizeof(seed));
}
