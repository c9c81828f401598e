/* lwIP's memory: stands for its core/mem.c and core/memp.c.

   What comes and goes with every packet (segments, packet heads, small and full-size packets) is taken from free lists which only
   the holder of net_lock touches, so a block costs about ten instructions. Each list keeps a bounded number of blocks; everything
   else, and what is over, goes to the kernel heap. Nothing has a fixed number: memory is the only limit. A mem_malloc block has
   eight bytes in front that name its list, and its size. What packets to send hold is counted (net_tx_used): sockets respect the limit. */
#include "stack.h"

#include <kernel/string.h>
#include <mm/kmem.h>

#include <lwip/opt.h>

#include <lwip/mem.h>
#include <lwip/memp.h>
#include <lwip/pbuf.h>
#include <lwip/priv/memp_priv.h>
#include <lwip/priv/nd6_priv.h>
#include <lwip/priv/raw_priv.h>
#include <lwip/priv/tcp_priv.h>
#include <lwip/etharp.h>
#include <lwip/icmp.h>
#include <lwip/igmp.h>
#include <lwip/ip4_frag.h>
#include <lwip/ip6_frag.h>
#include <lwip/mld6.h>
#include <lwip/timeouts.h>
#include <lwip/udp.h>

struct free_list {
    void *head;
    unsigned count, limit;
    size_t size;
};

static const uint16_t memp_size[MEMP_MAX] = {
#define LWIP_MEMPOOL(name, num, size, desc) [MEMP_##name] = (size),
#include <lwip/priv/memp_std.h>
};

#define CLASSES 4
#define CLASS_NONE CLASSES
static struct free_list packets[CLASSES] = {
    {.size = 256, .limit = 128}, {.size = 512, .limit = 32}, {.size = 1024, .limit = 32}, {.size = 2048, .limit = 64},
};
size_t net_tx_used;
static struct free_list segments = {.size = sizeof(struct tcp_seg), .limit = 256};
static struct free_list heads = {.size = sizeof(struct pbuf), .limit = 128};

static void *list_take(struct free_list *l)
{
    void *p = l->head;

    if (unlikely(p == NULL))
        return kmalloc(l->size);
    l->head = *(void **)p;
    l->count--;
    return p;
}

static void list_give(struct free_list *l, void *p)
{
    if (unlikely(l->count >= l->limit)) {
        kfree(p);
        return;
    }
    *(void **)p = l->head;
    l->head = p;
    l->count++;
}

/* Full packets and segments: as many are kept as fit a sixteenth of what packets to send may hold, since taking them from the heap costs ten times
   as much. */
void mem_init(void)
{
    unsigned full = (unsigned)(net_tx_limit / 16 / packets[CLASSES - 1].size);

    packets[CLASSES - 1].limit = MAX(full, 64u);
    segments.limit = MAX(full, 256u);
}
void memp_init(void) {}

void *mem_malloc(mem_size_t size)
{
    size_t need = (size_t)size + 8;
    unsigned class = CLASS_NONE;
    uint64_t *block;
    size_t bytes;

    if (need <= packets[CLASSES - 1].size)
        class = need <= 256 ? 0 : need <= 512 ? 1 : need <= 1024 ? 2 : 3;
    block = class == CLASS_NONE ? kmalloc(need) : list_take(&packets[class]);
    if (block == NULL)
        return NULL;
    bytes = class == CLASS_NONE ? need : packets[class].size;
    net_tx_used += bytes;
    *block = class | bytes << 8;
    return block + 1;
}

void *mem_calloc(mem_size_t count, mem_size_t size)
{
    void *p = mem_malloc(count * size);

    if (p != NULL)
        memset(p, 0, (size_t)count * size);
    return p;
}

void mem_free(void *p)
{
    uint64_t *block = (uint64_t *)p - 1, class;

    if (p == NULL)
        return;
    net_tx_used -= *block >> 8;
    class = *block & 0xff;
    if (class == CLASS_NONE)
        kfree(block);
    else
        list_give(&packets[class], block);
}

void *mem_trim(void *p, mem_size_t size)
{
    return p;
}

void *memp_malloc(memp_t type)
{
    if (type == MEMP_TCP_SEG)
        return list_take(&segments);
    if (type == MEMP_PBUF)
        return list_take(&heads);
    if (type == MEMP_PBUF_POOL)
        return NULL; /* received packets are netbufs */
    return kmalloc(memp_size[type]);
}

void memp_free(memp_t type, void *p)
{
    if (p == NULL)
        return;
    if (type == MEMP_TCP_SEG)
        list_give(&segments, p);
    else if (type == MEMP_PBUF)
        list_give(&heads, p);
    else
        kfree(p);
}
