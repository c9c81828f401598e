/* ChaCha20 random numbers with fast key erasure (D. J. Bernstein, "Fast-key-erasure random-number generators", 2017; ChaCha: RFC 8439): each request runs the block function
   on the key, replaces the key by the first half of the output and hands out the rest, so that an earlier output cannot be computed from the state.

   Seed: RDSEED or RDRAND where the CPU has them, the TSC at several points of the boot, what drivers add (virtio-rng). The state is used with preemption off. */
#include <arch/cpu.h>
#include <kernel/boot.h>
#include <kernel/random.h>
#include <kernel/string.h>
#include <sched/thread.h>

#define ROTL(x, n) ((x) << (n) | (x) >> (32 - (n)))

static uint32_t key[8]; /* preemption off */
static uint32_t pool[16];
static unsigned pool_left;

static void quarter(uint32_t *a, uint32_t *b, uint32_t *c, uint32_t *d)
{
    *a += *b; *d = ROTL(*d ^ *a, 16);
    *c += *d; *b = ROTL(*b ^ *c, 12);
    *a += *b; *d = ROTL(*d ^ *a, 8);
    *c += *d; *b = ROTL(*b ^ *c, 7);
}

static void block(uint32_t counter, uint32_t out[16])
{
    uint32_t in[16] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574};
    memcpy(in + 4, key, sizeof(key));
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

static void erase_key(void)
{
    uint32_t out[16];
    block(0, out);
    memcpy(key, out, sizeof(key));
    memset(out, 0, sizeof(out));
}

void random_add(const void *buf, size_t n)
{
    const uint8_t *p = buf;
    preempt_disable();
    for (size_t i = 0; i < n;) {
        for (size_t j = 0; j < sizeof(key) && i < n; i++, j++)
            ((uint8_t *)key)[j] ^= p[i];
        erase_key();
    }
    pool_left = 0;
    preempt_enable();
}

void random_bytes(void *buf, size_t n)
{
    uint8_t *p = buf;
    uint32_t out[16], counter = 1;
    preempt_disable();
    uint32_t session[8];
    block(0, out); /* new key, and a session key for this request */
    memcpy(key, out, sizeof(key));
    memcpy(session, out + 8, sizeof(session));
    uint32_t saved[8];
    memcpy(saved, key, sizeof(key));
    memcpy(key, session, sizeof(key));
    for (; n; counter++) {
        size_t k = MIN(n, sizeof(out));
        block(counter, out);
        memcpy(p, out, k);
        p += k;
        n -= k;
    }
    memcpy(key, saved, sizeof(key));
    preempt_enable();
    memset(out, 0, sizeof(out));
    memset(session, 0, sizeof(session));
}

uint64_t random_u64(void)
{
    preempt_disable();
    if (pool_left < 2) {
        uint32_t out[16];
        block(0, out);
        memcpy(key, out, sizeof(key));
        memcpy(pool, out + 8, 8 * sizeof(uint32_t));
        pool_left = 8;
    }
    uint64_t v = (uint64_t)pool[pool_left - 1] << 32 | pool[pool_left - 2];
    pool[pool_left - 1] = pool[pool_left - 2] = 0;
    pool_left -= 2;
    preempt_enable();
    return v;
}

void random_init(void)
{
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
