/* SOURCES: tests/unit/host/host.c */
/* The random number generator: the block function by the vectors of RFC 8439 (A.1), and what the construction promises: nothing is handed out twice, the key
   changes at each request, seeds matter, lengths are kept. */
#include <kernel/boot.h>

#include "../../kernel/random.c"

#include "host/host.h"
#include "tap.h"

struct boot_info boot_info;
struct cpu_features cpu_features;

static bool block_is(uint8_t first, uint8_t second, uint32_t counter, const char *hex)
{
    uint32_t out[16];
    uint32_t key[8] = {0};
    ((uint8_t *)key)[0] = first;
    ((uint8_t *)key)[1] = second;
    block(key, counter, out);
    for (unsigned i = 0; i < 64; i++) {
        static const char digits[] = "0123456789abcdef";
        uint8_t b = ((uint8_t *)out)[i];
        if (hex[2 * i] != digits[b >> 4] || hex[2 * i + 1] != digits[b & 15])
            return false;
    }
    return true;
}

static void test_block(void)
{
    ok(block_is(0, 0, 0, "76b8e0ada0f13d90405d6ae55386bd28bdd219b8a08ded1aa836efcc8b770dc7da41597c5157488d7724e03fb8d84a376a43b8f41518a11cc387b669b2ee6586"),
       "RFC 8439, A.1, test vector 1");
    ok(block_is(0, 0, 1, "9f07e7be5551387a98ba977c732d080dcb0f29a048e3656912c6533e32ee7aed29b721769ce64e43d57133b074d839d531ed1f28510afb45ace10a1f4b794d6f"),
       "RFC 8439, A.1, test vector 2");
    ok(block_is(0, 0xff, 2, "72d54dfbf12ec44b362692df94137f328fea8da73990265ec1bbbea1ae9af0ca13b25aa26cb4a648cb9b9d1be65b2c0924a66c54d545ec1b7374f4872e99f096"),
       "RFC 8439, A.1, test vector 4");
}

static void test_lengths(void)
{
    bool right = true;
    for (unsigned n = 0; n <= 200; n++) {
        uint8_t a[202];
        memset(a, 0x5a, sizeof(a));
        random_bytes(a + 1, n);
        right &= a[0] == 0x5a && a[n + 1] == 0x5a;
        unsigned kept = 0;
        for (unsigned i = 1; i <= n; i++)
            kept += a[i] == 0x5a;
        right &= n < 20 || kept < n / 4;
    }
    ok(right, "exactly the length asked for is written");
}

static void test_stream(void)
{
    static uint64_t seen[4096];
    bool fresh = true;
    unsigned ones = 0;
    for (unsigned i = 0; i < 4096; i++) {
        uint32_t before[8];
        memcpy(before, boot_state.key, sizeof(boot_state.key));
        if (i % 3 == 0)
            random_bytes(&seen[i], 8);
        else
            seen[i] = random_u64();
        fresh &= i % 3 || memcmp(before, boot_state.key, sizeof(boot_state.key));
        for (unsigned k = 0; k < i; k++)
            fresh &= seen[k] != seen[i];
        ones += (unsigned)__builtin_popcountll(seen[i]);
    }
    ok(fresh, "no number comes twice, and each request changes the key");
    ok(ones > 4096 * 32 - 2000 && ones < 4096 * 32 + 2000, "as many ones as zeros");
    uint64_t v = random_u64();
    bool gone = true;
    for (unsigned i = 0; i + 1 < 8; i++)
        gone &= (((uint64_t)boot_state.pool[i + 1] << 32) | boot_state.pool[i]) != v;
    ok(gone, "what was handed out is not kept");
}

static void test_seeds(void)
{
    uint64_t a[3];
    for (int i = 0; i < 3; i++) {
        memset(boot_state.key, 0, sizeof(boot_state.key));
        random_add(i == 2 ? "seed number 2, longer than one key, 32 bytes" : "seed number 1, longer than one key, 32 bytes", 44);
        a[i] = random_u64();
    }
    ok(a[0] == a[1] && a[0] != a[2], "the same seed gives the same numbers, another one others");
    random_u64();
    random_add("x", 1);
    ok(boot_state.pool_left == 0, "new entropy counts at once: what was computed ahead is dropped");
    random_add(NULL, 0);
    memset(boot_state.key, 0, sizeof(boot_state.key));
    random_init();
    bool zero = true;
    for (unsigned i = 0; i < 8; i++)
        zero &= !boot_state.key[i];
    ok(!zero, "start-up without hardware random numbers");
}

/* Two CPUs: what one is given reaches the other before its next number. */
static void test_cpus(void)
{
    struct percpu other = host_percpu, self = host_percpu;
    uint32_t before[8];

    ok(random_cpu_init(&other) == 0 && memcmp(other.random->key, boot_state.key, sizeof(boot_state.key)) != 0, "a CPU that is added has a key of its own");
    host_percpu = other;
    (void)random_u64();
    memcpy(before, other.random->key, sizeof(before));
    unsigned generation = other.random->generation;
    host_percpu = self;
    random_add("entropy", 7);
    host_percpu = other;
    (void)random_u64(); /* from the pool, were it not for the new entropy */
    ok(other.random->generation == generation + 1 && memcmp(other.random->key, before, sizeof(before)) != 0, "what one CPU is given reaches the others");
    host_percpu = self;
    kfree(other.random);
}

int main(void)
{
    host_percpu.random = &boot_state;
    test_block();
    test_lengths();
    test_stream();
    test_seeds();
    test_cpus();
    return done();
}
