/* Receiving (virtio 1.2, 5.1.6.3 and 5.1.6.4). The device writes its header and the frame into one network buffer, in front of each other: the
   header is skipped, not copied. Posted two bytes into the buffer, so that IP headers are aligned to four.

   How many buffers are posted: few at first (a small machine must not spend its memory on an idle ring), twice as many when a poll finds half
   of them filled and memory is there, half as many again after a long time in which few were needed. They are replaced in batches, a quarter of the ring
   at a time. A device stops receiving for good if the ring is too empty for the next packet, so the last ones are never given away: when no
   replacement can be had, the packet is dropped and its buffers are posted again.

   Cost for a packet that fits one buffer, without the calls into the stack: about 60 instructions, and 20 for the new buffer. */
#include "net.h"

#define RX_PAD 2u
#define RX_SPACE (NETBUF_CAPACITY - RX_PAD)
#define RX_MIN 32u
#define RX_MIN_MERGED 48u /* three quarters of it hold a 64 KiB packet */
#define RX_WINDOW 4096u   /* polls */
#define RX_GROW_FREE (4ull << 20) /* bytes that must be free for the ring to grow */
#define ETHERNET_HEADER 14u

static uint8_t *rx_start(struct netbuf *nb)
{
    return netbuf_start(nb) + RX_PAD;
}

static unsigned rx_posted(const struct virtio_net *net)
{
    return net->rx.mask + 1 - net->rx.free_count;
}

/* Enough are posted for any packet. */
static bool rx_reserved(const struct virtio_net *net)
{
    return net->rx.free_count <= net->rx_free_max;
}

static void rx_post(struct virtio_net *net, struct netbuf *nb)
{
    virtqueue_add_one(&net->rx, virt_to_phys(rx_start(nb)), RX_SPACE, VRING_DESC_F_WRITE, nb);
}

void net_rx_init(struct virtio_net *net)
{
    net->rx_min = MIN(net->mergeable ? RX_MIN_MERGED : RX_MIN, net->rx.mask + 1);
    net->rx_target = net->rx_min;
    net->rx_free_max = net->rx.mask + 1 - (net->rx_min - net->rx_min / 4);
}

/* Fills the ring up to its target; false when there is no memory even for the last reserve. */
static bool rx_fill(struct virtio_net *net)
{
    struct netbuf *nb;
    for (unsigned n = rx_posted(net); n < net->rx_target && (nb = netbuf_alloc()) != NULL; n++)
        rx_post(net, nb);
    return rx_reserved(net);
}

void net_rx_refill(struct virtio_net *net)
{
    if (rx_posted(net) + net->rx_target / 4 < net->rx_target)
        rx_fill(net);
    if (net->rx.avail_next != net->rx.avail_published)
        net->netdev.kicks += virtqueue_kick(&net->rx);
}

/* backlog: buffers that the device had filled when this poll began. */
static void rx_adapt(struct virtio_net *net, unsigned backlog)
{
    if (backlog > net->rx_peak)
        net->rx_peak = backlog;
    if (unlikely(backlog * 2 >= net->rx_target) && net->rx_target <= net->rx.mask && page_free_bytes() > RX_GROW_FREE)
        net->rx_target = MIN(net->rx_target * 2, net->rx.mask + 1);
    if (likely(++net->rx_window < RX_WINDOW))
        return;
    if (net->rx_peak * 4 < net->rx_target)
        net->rx_target = MAX(net->rx_target / 2, net->rx_min);
    net->rx_window = 0;
    net->rx_peak = 0;
}

/* What the header says, into the packet's first buffer. */
static inline void rx_describe(struct virtio_net *net, struct netbuf *nb, const struct virtio_net_hdr_v1 *hdr, uint32_t length)
{
    nb->next = NULL;
    nb->data = rx_start(nb) + NET_HDR_SIZE;
    nb->len = length - (uint32_t)NET_HDR_SIZE;
    nb->flags = hdr->flags & net->rx_csum_flags ? NETBUF_F_CSUM_OK : 0;
    nb->gso_size = hdr->gso_type != VIRTIO_NET_HDR_GSO_NONE ? hdr->gso_size : 0;
}

static inline void rx_deliver(struct virtio_net *net, struct netbuf *nb, uint32_t length)
{
    net->netdev.rx_packets++;
    net->netdev.rx_bytes += length;
    net->netdev.input(&net->netdev, nb);
}

/* The ring may have got new buffers meanwhile: what is too much goes back to the stack. */
static void rx_repost(struct virtio_net *net, struct netbuf *nb)
{
    while (nb != NULL) {
        struct netbuf *next = nb->next;
        if (rx_posted(net) < net->rx_target)
            rx_post(net, nb);
        else
            netbuf_free(nb);
        nb = next;
    }
}

/* Takes the buffers that follow the first one of a packet; false when they are not there or make no sense (5.1.6.4: all were made
   used at once, so none is left behind in the ring). *total grows by their bytes. */
static bool rx_followers(struct virtio_net *net, struct netbuf *nb, unsigned count, uint16_t used, uint32_t *total)
{
    bool good = count >= 1 && count <= net->rx.mask + 1;
    for (unsigned i = 1; i < count; i++) {
        uint32_t length;
        void *token;
        if (virtqueue_seen(&net->rx) == used)
            return false;
        if (!virtqueue_take_one(&net->rx, &token, &length)) {
            good = false;
            continue;
        }
        struct netbuf *more = token;
        good = good && length != 0 && length <= RX_SPACE;
        more->next = NULL;
        more->data = rx_start(more);
        more->len = length;
        more->flags = 0;
        more->gso_size = 0;
        *total += length;
        nb->next = more;
        nb = more;
    }
    return good;
}

/* A packet that is malformed, spans buffers, or takes the last ones. */
static __attribute__((noinline)) void rx_unusual(struct virtio_net *net, struct netbuf *nb, uint32_t length, unsigned count, uint16_t used)
{
    const struct virtio_net_hdr_v1 *hdr = (const void *)rx_start(nb);
    bool good = length >= NET_HDR_SIZE + ETHERNET_HEADER && length <= RX_SPACE;
    nb->next = NULL;
    if (good)
        rx_describe(net, nb, hdr, length);
    uint32_t total = length;
    good = rx_followers(net, nb, count, used, &total) && good;
    if (!good)
        net->netdev.rx_errors++;
    else if (rx_reserved(net) || rx_fill(net)) {
        rx_deliver(net, nb, total - (uint32_t)NET_HDR_SIZE);
        return;
    } else
        net->netdev.rx_dropped++;
    rx_repost(net, nb);
}

static inline void rx_packet(struct virtio_net *net, uint16_t used)
{
    uint32_t length;
    void *token;
    if (unlikely(!virtqueue_take_one(&net->rx, &token, &length))) {
        net->netdev.rx_errors++;
        return;
    }
    struct netbuf *nb = token;
    const struct virtio_net_hdr_v1 *hdr = (const void *)rx_start(nb);
    uint16_t count = hdr->num_buffers;
    bool fits = length - (NET_HDR_SIZE + ETHERNET_HEADER) <= RX_SPACE - (NET_HDR_SIZE + ETHERNET_HEADER);
    if (unlikely(count != 1 || !fits || !rx_reserved(net))) {
        rx_unusual(net, nb, length, net->mergeable ? count : 1, used); /* 5.1.6.4: 1 where there is no merging */
        return;
    }
    rx_describe(net, nb, hdr, length);
    rx_deliver(net, nb, nb->len);
}

int net_rx_poll(struct virtio_net *net, int budget)
{
    uint16_t used = virtqueue_used_index(&net->rx), first = virtqueue_seen(&net->rx);
    uint16_t end = (uint16_t)(first + MIN((unsigned)budget, (uint16_t)(used - first)));
    int packets = 0;
    for (; (int16_t)(end - virtqueue_seen(&net->rx)) > 0; packets++) /* a merged packet may go beyond end, not beyond used */
        rx_packet(net, used);
    rx_adapt(net, (uint16_t)(used - first));
    net_rx_refill(net);
    return packets;
}
