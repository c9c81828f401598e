/* Initial sequence numbers after RFC 6528: a clock that ticks every 4 us plus a keyed hash of the connection's ends (SipHash-2-4,
   Aumasson & Bernstein 2012). */
#include <kernel/clock.h>
#include <kernel/random.h>
#include <kernel/string.h>

#include <lwip/opt.h>

#include "lwip_hooks.h"

static inline uint64_t rotate(uint64_t x, int b) { return x << b | x >> (64 - b); }

static void round_(uint64_t v[4])
{
    v[0] += v[1]; v[1] = rotate(v[1], 13); v[1] ^= v[0]; v[0] = rotate(v[0], 32);
    v[2] += v[3]; v[3] = rotate(v[3], 16); v[3] ^= v[2];
    v[0] += v[3]; v[3] = rotate(v[3], 21); v[3] ^= v[0];
    v[2] += v[1]; v[1] = rotate(v[1], 17); v[1] ^= v[2]; v[2] = rotate(v[2], 32);
}

static uint64_t siphash(const uint64_t key[2], const uint64_t *words, unsigned count)
{
    uint64_t v[4] = {key[0] ^ 0x736f6d6570736575, key[1] ^ 0x646f72616e646f6d, key[0] ^ 0x6c7967656e657261, key[1] ^ 0x7465646279746573};
    uint64_t last = (uint64_t)count * 8 << 56;

    for (unsigned i = 0; i <= count; i++) {
        uint64_t w = i < count ? words[i] : last;
        v[3] ^= w;
        round_(v);
        round_(v);
        v[0] ^= w;
    }
    v[2] ^= 0xff;
    for (int i = 0; i < 4; i++)
        round_(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

static void put_address(uint64_t out[2], const ip_addr_t *ip)
{
    if (IP_IS_V6(ip))
        memcpy(out, ip_2_ip6(ip)->addr, 16);
    else
        out[0] = ip4_addr_get_u32(ip_2_ip4(ip));
}

uint32_t net_tcp_isn(const ip_addr_t *local_ip, uint16_t local_port, const ip_addr_t *remote_ip, uint16_t remote_port)
{
    static uint64_t key[2];
    uint64_t words[5] = {0};

    if (key[0] == 0)
        random_bytes(key, sizeof(key));
    put_address(words, local_ip);
    put_address(words + 2, remote_ip);
    words[4] = (uint64_t)local_port << 16 | remote_port;
    return (uint32_t)siphash(key, words, 5) + (uint32_t)(clock_monotonic_ns() / 4000);
}
