/* Sending (virtio 1.2, 5.1.6.2). The device's header is written into the headroom before the packet, so a packet in one piece is one descriptor.
   The stack queues any number of packets and then kicks once. What was sent is reaped by poll, or when the queue is full; transmit interrupts are off
   but when the stack was refused a packet: then one comes when half of the queue is through.

   Cost for a packet in one piece: about 45 instructions, and 15 to reap it, without the stack's own. */
#include "net.h"
#include <asm/errno.h>

/* The header, as two words: fields of 8, 8, 16, 16, 16 and 16, 16 bits. */
struct packed_header {
    uint64_t low; /* flags, gso_type, hdr_len, gso_size, csum_start */
    uint32_t high; /* csum_offset, num_buffers */
} __attribute__((packed));
_Static_assert(sizeof(struct packed_header) == NET_HDR_SIZE, "same size");
_Static_assert(NET_HDR_SIZE <= NETDEV_TX_HEADROOM, "fits the headroom");

static inline struct packed_header header_of(const struct net_tx *tx)
{
    struct packed_header h = {0, 0};
    if (tx->csum) {
        h.low = VIRTIO_NET_HDR_F_NEEDS_CSUM | (uint64_t)tx->csum_start << 48;
        h.high = tx->csum_offset;
    }
    if (unlikely(tx->gso_size != 0)) {
        uint64_t type = tx->gso_ipv6 ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4;
        h.low |= type << 8 | (uint64_t)tx->gso_hdr_len << 16 | (uint64_t)tx->gso_size << 32;
    }
    return h;
}

void net_tx_reap(struct virtio_net *net)
{
    uint32_t length;
    void *token;
    while (virtqueue_pending(&net->tx)) {
        if (likely(virtqueue_take(&net->tx, &token, &length)))
            net->netdev.tx_done(&net->netdev, token);
        else
            net->netdev.tx_errors++;
    }
    if (unlikely(net->tx_stalled)) {
        net->tx_stalled = false;
        virtqueue_irq_disable(&net->tx);
    }
}

void net_tx_kick(struct netdev *dev)
{
    struct virtio_net *net = virtio_net(dev);
    dev->kicks += virtqueue_kick(&net->tx);
}

/* Half of what is queued (in packets, not descriptors) from now on, an interrupt. */
static bool tx_interrupt_at_half(struct virtqueue *vq)
{
    uint16_t queued = (uint16_t)(vq->avail_published - virtqueue_seen(vq));
    return virtqueue_irq_enable(vq, queued / 2);
}

static __attribute__((noinline)) bool tx_make_room(struct virtio_net *net, unsigned count)
{
    net_tx_kick(&net->netdev); /* what is queued must be on its way before we wait for it */
    net_tx_reap(net);
    if (net->tx.free_count >= count)
        return true;
    net->tx_stalled = true;
    if (!tx_interrupt_at_half(&net->tx))
        net_tx_reap(net);
    return net->tx.free_count >= count;
}

/* Writes the header before the packet; its physical address. */
static inline uint64_t tx_header(const struct net_tx *tx)
{
    struct packed_header *header = (struct packed_header *)((uint8_t *)tx->sg[0].data - NET_HDR_SIZE);
    *header = header_of(tx);
    return virt_to_phys(header);
}

static int tx_full(struct netdev *dev, const struct net_tx *tx);

static __attribute__((noinline)) int tx_chain(struct virtio_net *net, const struct net_tx *tx)
{
    struct virtqueue_sg sg[ARRAY_SIZE(tx->sg)];
    if (tx->count == 0 || tx->count > ARRAY_SIZE(sg))
        return -EINVAL;
    if (tx->count > net->tx.free_count)
        return tx_full(&net->netdev, tx);
    uint64_t bytes = 0;
    for (unsigned i = 0; i < tx->count; i++) {
        sg[i] = (struct virtqueue_sg){virt_to_phys(tx->sg[i].data), tx->sg[i].len};
        bytes += tx->sg[i].len;
    }
    sg[0].address = tx_header(tx);
    sg[0].length += (uint32_t)NET_HDR_SIZE;
    int err = virtqueue_add(&net->tx, sg, tx->count, 0, tx->token);
    net->netdev.tx_packets += err == 0;
    net->netdev.tx_bytes += err == 0 ? bytes : 0;
    return err;
}

/* The queue is full: tries again if something can be reaped. */
static __attribute__((noinline)) int tx_full(struct netdev *dev, const struct net_tx *tx)
{
    return tx_make_room(virtio_net(dev), tx->count) ? net_tx_transmit(dev, tx) : -EAGAIN;
}

int net_tx_transmit(struct netdev *dev, const struct net_tx *tx)
{
    struct virtio_net *net = virtio_net(dev);
    if (unlikely(tx->count != 1))
        return tx_chain(net, tx);
    if (unlikely(net->tx.free_count == 0))
        return tx_full(dev, tx);
    uint32_t length = tx->sg[0].len;
    virtqueue_add_one(&net->tx, tx_header(tx), length + (uint32_t)NET_HDR_SIZE, 0, tx->token);
    dev->tx_packets++;
    dev->tx_bytes += length;
    return 0;
}
