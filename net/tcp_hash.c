/* Hash table over the 4-tuple of connections, with chaining through the pcb. The table doubles when there are as many connections as
   buckets; growing moves all at once, which costs as much as setting up a few connections. The hash is keyed with a random
   number, so nobody outside can aim at one bucket. */
#include "tcp_hash.h"

#include <kernel/random.h>
#include <kernel/string.h>
#include <mm/kmem.h>
#include <mm/page.h>

#define FIRST_BITS 6
#define MAX_BITS 20

static struct tcp_pcb *first_table[1 << FIRST_BITS];
static struct tcp_pcb **table = first_table;
static unsigned bits = FIRST_BITS;
static size_t count;
static uint64_t seed;

static inline unsigned hash(uint64_t addresses, uint16_t local_port, uint16_t remote_port)
{
    uint64_t h = addresses ^ seed ^ ((uint64_t)local_port << 16 | remote_port) * 0x9e3779b97f4a7c15;

    h *= 0xff51afd7ed558ccd;
    h ^= h >> 32;
    h *= 0xc4ceb9fe1a85ec53;
    return (unsigned)(h >> (64 - bits));
}

static inline uint64_t fold6(const ip6_addr_t *a)
{
    return ((uint64_t)a->addr[0] << 32 | a->addr[1]) * 0x9e3779b97f4a7c15 ^ ((uint64_t)a->addr[2] << 32 | a->addr[3]);
}

static unsigned bucket_of(const ip_addr_t *local, const ip_addr_t *remote, uint16_t local_port, uint16_t remote_port)
{
    uint64_t addresses;

    if (IP_IS_V6(remote))
        addresses = fold6(ip_2_ip6(remote)) * 31 + fold6(ip_2_ip6(local));
    else
        addresses = (uint64_t)ip4_addr_get_u32(ip_2_ip4(local)) << 32 | ip4_addr_get_u32(ip_2_ip4(remote));
    return hash(addresses, local_port, remote_port);
}

static void link_into(struct tcp_pcb **bucket, struct tcp_pcb *pcb)
{
    pcb->hash_next = *bucket;
    if (pcb->hash_next != NULL)
        pcb->hash_next->hash_pprev = &pcb->hash_next;
    *bucket = pcb;
    pcb->hash_pprev = bucket;
}

static size_t table_bytes(unsigned b) { return sizeof(table[0]) << b; }

static struct tcp_pcb **table_alloc(unsigned b)
{
    size_t bytes = table_bytes(b);
    unsigned order = 0;

    while (PAGE_SIZE << order < bytes)
        order++;
    return bytes < PAGE_SIZE ? kzalloc(bytes) : pages_alloc_zeroed(order);
}

static void table_free(struct tcp_pcb **t, unsigned b)
{
    unsigned order = 0;

    if (t == first_table)
        return;
    while (PAGE_SIZE << order < table_bytes(b))
        order++;
    if (table_bytes(b) < PAGE_SIZE)
        kfree(t);
    else
        pages_free(t, order);
}

static void grow(void)
{
    struct tcp_pcb **old = table, **bigger = table_alloc(bits + 1);
    unsigned old_bits = bits;

    if (bigger == NULL)
        return; /* longer chains, still right */
    table = bigger;
    bits++;
    for (size_t i = 0; i < (size_t)1 << old_bits; i++) {
        struct tcp_pcb *pcb = old[i], *next;
        for (; pcb != NULL; pcb = next) {
            next = pcb->hash_next;
            link_into(&table[bucket_of(&pcb->local_ip, &pcb->remote_ip, pcb->local_port, pcb->remote_port)], pcb);
        }
    }
    table_free(old, old_bits);
}

void tcp_hash_insert(struct tcp_pcb *pcb)
{
    if (seed == 0)
        seed = random_u64() | 1;
    if (count >= (size_t)1 << bits && bits < MAX_BITS)
        grow();
    link_into(&table[bucket_of(&pcb->local_ip, &pcb->remote_ip, pcb->local_port, pcb->remote_port)], pcb);
    count++;
}

void tcp_hash_remove(struct tcp_pcb *pcb)
{
    if (pcb->hash_pprev == NULL)
        return;
    *pcb->hash_pprev = pcb->hash_next;
    if (pcb->hash_next != NULL)
        pcb->hash_next->hash_pprev = pcb->hash_pprev;
    pcb->hash_next = NULL;
    pcb->hash_pprev = NULL;
    count--;
}

struct tcp_pcb *tcp_hash_find(const ip_addr_t *local, const ip_addr_t *remote, u16_t local_port, u16_t remote_port)
{
    struct tcp_pcb *pcb = table[bucket_of(local, remote, local_port, remote_port)];

    for (; pcb != NULL; pcb = pcb->hash_next) {
        if (pcb->remote_port == remote_port && pcb->local_port == local_port && ip_addr_cmp(&pcb->remote_ip, remote) &&
            ip_addr_cmp(&pcb->local_ip, local))
            return pcb;
    }
    return NULL;
}

struct tcp_pcb *tcp_hash_find4(uint32_t local, uint32_t remote, uint16_t local_port, uint16_t remote_port)
{
    struct tcp_pcb *pcb = table[hash((uint64_t)local << 32 | remote, local_port, remote_port)];

    for (; pcb != NULL; pcb = pcb->hash_next) {
        if (pcb->remote_port == remote_port && pcb->local_port == local_port && IP_IS_V4_VAL(pcb->remote_ip) &&
            ip4_addr_get_u32(ip_2_ip4(&pcb->remote_ip)) == remote && ip4_addr_get_u32(ip_2_ip4(&pcb->local_ip)) == local)
            return pcb;
    }
    return NULL;
}

size_t tcp_hash_count(void)
{
    return count;
}
