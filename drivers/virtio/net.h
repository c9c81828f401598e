/* State of a virtio network card, shared by virtio_net.c (set-up, link), net_rx.c and net_tx.c. Protected by the stack's mutex, under which the
   stack makes all calls, but for config_changed and for what virtqueue_pending reads. */
#ifndef DRIVERS_VIRTIO_NET_INTERNAL_H
#define DRIVERS_VIRTIO_NET_INTERNAL_H

#include <drivers/netdev.h>
#include <drivers/virtio.h>
#include <linux/virtio_net.h>
#include <stdatomic.h>

#define NET_HDR_SIZE sizeof(struct virtio_net_hdr_v1)

struct virtio_net {
    struct netdev netdev;
    struct virtqueue rx, tx;
    struct virtio_device *vdev;
    unsigned rx_target; /* buffers to keep posted */
    unsigned rx_min;    /* never fewer than this wanted */
    unsigned rx_free_max; /* with at most this many free descriptors, enough are posted for any packet */
    unsigned rx_peak;   /* most buffers that a poll of this window found filled */
    unsigned rx_window; /* polls in this window */
    uint8_t rx_csum_flags; /* header flags that mean: the checksum is right */
    bool mergeable;     /* MRG_RXBUF: a packet may span buffers */
    bool tx_stalled;    /* the stack was told that the queue is full: transmit interrupts are on; read by anyone as a hint */
    atomic_bool config_changed; /* set by the interrupt handler */
};

static inline struct virtio_net *virtio_net(struct netdev *dev)
{
    return CONTAINER_OF(dev, struct virtio_net, netdev);
}

void net_rx_init(struct virtio_net *net);
/* Receives at most budget packets. */
int net_rx_poll(struct virtio_net *net, int budget);
/* Posts buffers if a quarter of them is missing. */
void net_rx_refill(struct virtio_net *net);

int net_tx_transmit(struct netdev *dev, const struct net_tx *tx);
void net_tx_kick(struct netdev *dev);
/* Gives sent packets back to the stack. */
void net_tx_reap(struct virtio_net *net);

#endif
