/* A receive buffer: 2 KiB, this head, then headroom, then packet bytes, so that head and packet are one allocation and the stack's own
   packet structure lies in the head: no allocation for each packet. */
#ifndef NET_NETBUF_H
#define NET_NETBUF_H

#include <kernel/compiler.h>
#include <mm/page.h>

#define NETBUF_SIZE 2048u
#define NETBUF_HEAD 128u
#define NETBUF_F_CSUM_OK 1u /* the device verified the transport checksum, or it never left this host */

struct netbuf {
    uint8_t stack_area[72]; /* the stack's packet structure (struct pbuf_custom) */
    struct netbuf *next;    /* further buffers of the same packet (merged receive buffers) */
    uint8_t *data;          /* first valid byte */
    uint32_t len;           /* valid bytes in this buffer */
    uint32_t flags;
    uint16_t gso_size;      /* of a merged packet: payload bytes of one segment, 0: not merged */
};
_Static_assert(sizeof(struct netbuf) <= NETBUF_HEAD, "head fits");

/* With the stack's mutex held. NULL when there is no memory. Buffers lie within one page, in the direct map, aligned to 2 KiB. */
struct netbuf *netbuf_alloc(void) WARN_UNUSED;
void netbuf_free(struct netbuf *nb); /* one buffer, not the chain */
static inline uint8_t *netbuf_start(struct netbuf *nb) { return (uint8_t *)nb + NETBUF_HEAD; }
#define NETBUF_CAPACITY (NETBUF_SIZE - NETBUF_HEAD)

#endif
