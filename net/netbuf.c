/* Receive buffers: two in a page, so that a buffer never crosses one. Free ones hang on a doubly linked list through their first 16
   bytes; when many are free and both halves of a page are, the page goes back. All under net_lock.

   What peers send must not take the application's memory: buffers stop at net_rx_limit, and when the machine has less than net_reserve
   free. Then packets are dropped, and TCP sends them again. */
#include "stack.h"

#include <net/netbuf.h>
#include <stdatomic.h>

#include <lwip/pbuf.h>

#define KEEP_FREE 128u             /* free buffers that are kept without looking for whole pages */
#define NETBUF_F_FREE 0x80000000u  /* on the free list */

struct link {
    struct link *next, *prev;
};
static struct link free_list = {&free_list, &free_list};
static unsigned free_count;
static size_t held; /* bytes of all buffers, free ones included */

static struct pbuf *_Atomic read_packets; /* pushed by anyone, taken as a whole under net_lock */

size_t net_rx_used(void)
{
    return held - (size_t)free_count * NETBUF_SIZE;
}

static void push(struct netbuf *nb)
{
    struct link *l = (struct link *)nb;

    nb->flags = NETBUF_F_FREE;
    l->next = free_list.next;
    l->prev = &free_list;
    l->next->prev = l;
    free_list.next = l;
    free_count++;
}

static void unlink_free(struct link *l)
{
    l->prev->next = l->next;
    l->next->prev = l->prev;
    free_count--;
}

void net_free_later(struct pbuf *first, struct pbuf *last)
{
    struct pbuf *head = atomic_load_explicit(&read_packets, memory_order_relaxed);

    do
        last->next = head;
    while (!atomic_compare_exchange_weak_explicit(&read_packets, &head, first, memory_order_release, memory_order_relaxed));
}

void net_free_now(void)
{
    struct pbuf *p, *next;

    if (atomic_load_explicit(&read_packets, memory_order_relaxed) == NULL)
        return;
    for (p = atomic_exchange_explicit(&read_packets, NULL, memory_order_acquire); p != NULL; p = next) {
        next = p->next;
        p->next = NULL;
        pbuf_free(p);
    }
}

struct netbuf *netbuf_alloc(void)
{
    struct link *l;
    struct netbuf *nb;

    if (unlikely(free_list.next == &free_list))
        net_free_now();
    l = free_list.next;

    if (unlikely(l == &free_list)) {
        char *page = held < net_rx_limit && page_free_bytes() > net_reserve ? pages_alloc(0) : NULL;
        if (page == NULL)
            return NULL;
        held += PAGE_SIZE;
        push((struct netbuf *)(page + NETBUF_SIZE));
        nb = (struct netbuf *)page;
    } else {
        unlink_free(l);
        nb = (struct netbuf *)l;
    }
    nb->next = NULL;
    nb->flags = 0;
    nb->gso_size = 0;
    return nb;
}

void netbuf_free(struct netbuf *nb)
{
    struct netbuf *other = (struct netbuf *)((uintptr_t)nb ^ NETBUF_SIZE);

    if (unlikely(free_count >= KEEP_FREE) && (other->flags & NETBUF_F_FREE)) {
        unlink_free((struct link *)other);
        held -= PAGE_SIZE;
        pages_free((void *)((uintptr_t)nb & ~(uintptr_t)(PAGE_SIZE - 1)), 0);
        return;
    }
    push(nb);
}
