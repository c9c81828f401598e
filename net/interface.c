/* Network devices as lwIP interfaces.

   Receive: a netbuf becomes a packet of lwIP in place (its head holds the struct pbuf_custom); segments of known connections never get
   to lwIP at all (tcp_fast.c). Transmit: the packet's own memory goes to the driver, with one reference that tx_done gives back. Checksums: the
   device computes TCP's and UDP's where it can, so lwIP leaves them zero and the pseudo-header sum is put in here; received
   packets that the device checked skip lwIP's check. */
#include "socket.h"
#include "stack.h"

#include <kernel/log.h>
#include <kernel/print.h>
#include <kernel/string.h>
#include <mm/kmem.h>

#include <lwip/etharp.h>
#include <lwip/ethip6.h>
#include <lwip/inet_chksum.h>
#include <lwip/pbuf.h>
#include <lwip/prot/ethernet.h>
#include <lwip/prot/ip4.h>
#include <lwip/prot/ip6.h>
#include <lwip/prot/tcp.h>
#include <lwip/prot/udp.h>
#include <lwip/snmp.h>
#include <netif/ethernet.h>

_Static_assert(sizeof(struct pbuf_custom) <= sizeof(((struct netbuf *)0)->stack_area), "pbuf fits the buffer's head");

#define CHECK_TRANSPORT (NETIF_CHECKSUM_CHECK_TCP | NETIF_CHECKSUM_CHECK_UDP)
#define GEN_TRANSPORT (NETIF_CHECKSUM_GEN_TCP | NETIF_CHECKSUM_GEN_UDP)

static void netbuf_release(struct pbuf *p)
{
    netbuf_free((struct netbuf *)p);
}

struct pbuf *netbuf_pbuf(struct netbuf *nb)
{
    struct pbuf *first = NULL, *last = NULL;
    uint32_t total = 0;

    for (struct netbuf *b = nb; b != NULL; b = b->next)
        total += b->len;
    if (total > UINT16_MAX)
        return NULL;
    for (struct netbuf *b = nb; b != NULL; b = b->next) {
        struct pbuf_custom *pc = (struct pbuf_custom *)b->stack_area;
        pc->custom_free_function = netbuf_release;
        pbuf_alloced_custom(PBUF_RAW, (u16_t)b->len, PBUF_REF, pc, b->data, (u16_t)b->len);
        pc->pbuf.tot_len = (u16_t)total;
        total -= b->len;
        if (last == NULL)
            first = &pc->pbuf;
        else
            last->next = &pc->pbuf;
        last = &pc->pbuf;
    }
    return first;
}

static void netbuf_free_chain(struct netbuf *nb)
{
    while (nb != NULL) {
        struct netbuf *next = nb->next;
        netbuf_free(nb);
        nb = next;
    }
}

static void input(struct netdev *dev, struct netbuf *nb)
{
    struct interface *ifc = dev->stack_data;
    struct netif *n = &ifc->netif;
    struct pbuf *p;

    net_touch();
    if (likely(tcp_fast_input(ifc, nb)))
        return;
    p = netbuf_pbuf(nb);
    if (p == NULL || !netif_is_up(n)) {
        dev->rx_dropped++;
        netbuf_free_chain(nb);
        return;
    }
    if (nb->flags & NETBUF_F_CSUM_OK)
        n->chksum_flags &= (u16_t)~CHECK_TRANSPORT;
    else
        n->chksum_flags |= CHECK_TRANSPORT;
    ethernet_input(p, n);
}

static void tx_done(struct netdev *dev, void *token)
{
    ((struct interface *)dev->stack_data)->tx_done_seen = true;
    if ((uintptr_t)token & 1)
        tcp_run_done(token);
    else
        pbuf_free(token);
}

static void wake(struct netdev *dev)
{
    net_wake();
}

static void link_change(struct netdev *dev, bool up)
{
    struct interface *ifc = dev->stack_data;

    log_info("%s: link %s", dev->name, up ? "up" : "down");
    if (up)
        netif_set_link_up(&ifc->netif);
    else
        netif_set_link_down(&ifc->netif);
}

/* One's complement sum of the pseudo header (RFC 793, RFC 8200 8.1), folded, not inverted. */
static uint16_t pseudo_sum(const void *addresses, unsigned address_bytes, uint8_t proto, uint16_t length)
{
    uint32_t sum = net_checksum(addresses, (int)address_bytes);

    sum += lwip_htons(proto) + (uint32_t)lwip_htons(length);
    sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)((sum & 0xffff) + (sum >> 16));
}

/* Leaves the transport checksum of an Ethernet frame to the device. frame_len counts from the Ethernet header. */
static void offload_checksum(struct net_tx *tx, uint8_t *frame, unsigned contiguous, unsigned frame_len)
{
    uint16_t type = (uint16_t)(frame[12] << 8 | frame[13]), length;
    unsigned start, offset;
    uint8_t proto;
    uint8_t *sum;
    uint16_t pseudo;

    if (type == ETHTYPE_IP && contiguous >= 34) {
        const struct ip_hdr *ip = (void *)(frame + 14);
        if (IPH_OFFSET(ip) & PP_HTONS(IP_OFFMASK | IP_MF))
            return; /* a fragment: the sum was computed over the whole before */
        start = 14 + IPH_HL_BYTES(ip);
        proto = IPH_PROTO(ip);
        length = (uint16_t)(frame_len - start);
        pseudo = pseudo_sum(&ip->src, 8, proto, length);
    } else if (type == ETHTYPE_IPV6 && contiguous >= 54) {
        const struct ip6_hdr *ip = (void *)(frame + 14);
        start = 54;
        proto = IP6H_NEXTH(ip);
        length = (uint16_t)(frame_len - start);
        pseudo = pseudo_sum(&ip->src, 32, proto, length);
    } else {
        return;
    }
    if (proto == IP_PROTO_TCP)
        offset = offsetof(struct tcp_hdr, chksum);
    else if (proto == IP_PROTO_UDP)
        offset = offsetof(struct udp_hdr, chksum);
    else
        return;
    if (contiguous < start + offset + 2)
        return;
    sum = frame + start + offset;
    if (proto == IP_PROTO_UDP && (sum[0] | sum[1]))
        return; /* computed in software: fragments follow */
    memcpy(sum, &pseudo, 2);
    tx->csum = true;
    tx->csum_start = (uint16_t)start;
    tx->csum_offset = (uint16_t)offset;
}

static bool fits_driver(const struct pbuf *p)
{
    const struct pbuf *q;
    unsigned pieces = 0;

    /* The driver's header goes before the first byte: only packets of our own allocation have room there. */
    if ((p->type_internal & PBUF_TYPE_FLAG_STRUCT_DATA_CONTIGUOUS) == 0 || (p->flags & PBUF_FLAG_IS_CUSTOM) ||
        (uint8_t *)p->payload < (uint8_t *)p + sizeof(struct pbuf) + NETDEV_TX_HEADROOM)
        return false;
    for (q = p; q != NULL; q = q->next)
        pieces++;
    return pieces <= ARRAY_SIZE(((struct net_tx *)0)->sg);
}

static err_t link_output(struct netif *n, struct pbuf *p)
{
    struct interface *ifc = n->state;
    struct netdev *dev = ifc->dev;
    struct net_tx tx;

    tx.count = 0;
    tx.csum = false;
    tx.gso_size = 0;
    tx.gso_hdr_len = 0;
    tx.gso_ipv6 = false;
    net_touch();
    if (fits_driver(p)) {
        pbuf_ref(p);
    } else {
        p = pbuf_clone(PBUF_LINK, PBUF_RAM, p);
        if (p == NULL)
            return ERR_MEM;
    }
    for (struct pbuf *q = p; q != NULL; q = q->next) {
        if (q->len != 0) {
            tx.sg[tx.count].data = q->payload;
            tx.sg[tx.count++].len = q->len;
        }
    }
    tx.token = p;
    if (dev->features & NETDEV_F_CSUM_TX)
        offload_checksum(&tx, p->payload, p->len, p->tot_len);
    if (dev->ops->transmit(dev, &tx) != 0) {
        ifc->tx_blocked = true;
        net_flush();
        pbuf_free(p);
        return ERR_MEM;
    }
    net_tx_queued(ifc);
    return ERR_OK;
}

static err_t netif_setup(struct netif *n)
{
    struct interface *ifc = n->state;
    struct netdev *dev = ifc->dev;

    n->name[0] = 'e';
    n->name[1] = 't';
    n->hostname = "singlet";
    n->mtu = dev->mtu;
    n->mtu6 = dev->mtu;
    n->hwaddr_len = 6;
    memcpy(n->hwaddr, dev->mac, 6);
    n->output = etharp_output;
    n->output_ip6 = ethip6_output;
    n->linkoutput = link_output;
    n->flags = NETIF_FLAG_BROADCAST | NETIF_FLAG_ETHARP | NETIF_FLAG_ETHERNET | NETIF_FLAG_IGMP | NETIF_FLAG_MLD6;
    NETIF_SET_CHECKSUM_CTRL(n, NETIF_CHECKSUM_ENABLE_ALL);
    if (dev->features & NETDEV_F_CSUM_TX)
        n->chksum_flags &= (u16_t)~GEN_TRANSPORT;
    return ERR_OK;
}

int netdev_register(struct netdev *dev)
{
    static unsigned number;
    struct interface *ifc = kzalloc(sizeof(*ifc)), **tail;

    if (ifc == NULL)
        return -ENOMEM;
    ifc->dev = dev;
    dev->stack_data = ifc;
    dev->input = input;
    dev->tx_done = tx_done;
    dev->wake = wake;
    dev->link = link_change;
    net_acquire();
    snprintf(dev->name, sizeof(dev->name), "eth%u", number++);
    if (netif_add_noaddr(&ifc->netif, ifc, netif_setup, ethernet_input) == NULL) {
        net_unlock();
        kfree(ifc);
        return -ENOMEM;
    }
    for (tail = &interfaces; *tail != NULL; tail = &(*tail)->next)
        ;
    *tail = ifc;
    if (ifc == interfaces)
        netif_set_default(&ifc->netif);
    netif_set_link_up(&ifc->netif);
    net_configure(ifc);
    net_release();
    net_wake();
    return 0;
}
