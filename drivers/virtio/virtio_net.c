/* Virtio network card (virtio 1.2, 5.1): set-up, link state, and the table of operations. One receive and one transmit queue share
   an interrupt, since its handler does the same for both: it wakes the stack. Receive interrupts are on only while the stack sleeps.
   Receive buffers are posted by the first poll or irq_enable, because they are allocated under the stack's mutex. */
#include "net.h"
#include <asm/errno.h>
#include <kernel/clock.h>
#include <kernel/log.h>
#include <kernel/random.h>
#include <kernel/string.h>
#include <linux/virtio_ids.h>
#include <mm/kmem.h>
#include <sched/thread.h>

#define FEATURE(bit) (1ull << (bit))
#define CONFIG(field) offsetof(struct virtio_net_config, field), sizeof(((struct virtio_net_config *)0)->field)
#define QUEUE_SIZE 256u
#define QUEUE_SIZE_MIN 32u /* a packet may have 18 pieces */
#define MTU_DEFAULT 1500u
#define MTU_SINGLE_BUFFER 1800u
#define MTU_MAX 65521u

/* 5.1.3.1: what depends on what. Segments that the device merged for us need buffers that can be chained. */
static uint64_t choose_features(uint64_t offered)
{
    uint64_t f = offered & (FEATURE(VIRTIO_NET_F_MAC) | FEATURE(VIRTIO_NET_F_STATUS) | FEATURE(VIRTIO_NET_F_MTU) |
                            FEATURE(VIRTIO_NET_F_MRG_RXBUF) | FEATURE(VIRTIO_NET_F_CSUM) | FEATURE(VIRTIO_NET_F_GUEST_CSUM));
    if (f & FEATURE(VIRTIO_NET_F_CSUM))
        f |= offered & (FEATURE(VIRTIO_NET_F_HOST_TSO4) | FEATURE(VIRTIO_NET_F_HOST_TSO6));
    if (f & FEATURE(VIRTIO_NET_F_GUEST_CSUM) && f & FEATURE(VIRTIO_NET_F_MRG_RXBUF))
        f |= offered & (FEATURE(VIRTIO_NET_F_GUEST_TSO4) | FEATURE(VIRTIO_NET_F_GUEST_TSO6));
    return f;
}

static unsigned netdev_features(const struct virtio_device *vdev)
{
    unsigned f = 0;
    f |= virtio_has(vdev, VIRTIO_NET_F_CSUM) ? NETDEV_F_CSUM_TX : 0;
    f |= virtio_has(vdev, VIRTIO_NET_F_GUEST_CSUM) ? NETDEV_F_CSUM_RX : 0;
    f |= virtio_has(vdev, VIRTIO_NET_F_HOST_TSO4) ? NETDEV_F_TSO4 : 0;
    f |= virtio_has(vdev, VIRTIO_NET_F_HOST_TSO6) ? NETDEV_F_TSO6 : 0;
    return f;
}

static uint32_t config(const struct virtio_net *net, size_t offset, size_t size)
{
    return net->vdev->transport->config(net->vdev, (unsigned)offset, (unsigned)size);
}

/* A card without an address, or with one that is a group's, gets a random locally administered one. */
static void mac_read(struct virtio_net *net)
{
    uint8_t *mac = net->netdev.mac;
    if (virtio_has(net->vdev, VIRTIO_NET_F_MAC))
        for (unsigned i = 0; i < 6; i++) /* 5.1.4: a field of bytes, read as bytes */
            mac[i] = (uint8_t)config(net, offsetof(struct virtio_net_config, mac) + i, 1);
    static const uint8_t none[6];
    if (!(mac[0] & 1) && memcmp(mac, none, sizeof none) != 0)
        return;
    random_bytes(mac, 6);
    mac[0] = (uint8_t)((mac[0] & 0xfc) | 2);
}

static uint16_t mtu_read(const struct virtio_net *net)
{
    uint32_t mtu = virtio_has(net->vdev, VIRTIO_NET_F_MTU) ? config(net, CONFIG(mtu)) : MTU_DEFAULT;
    if (mtu < 68) /* RFC 791: the least there is */
        mtu = MTU_DEFAULT;
    return (uint16_t)MIN(mtu, net->mergeable ? MTU_MAX : MTU_SINGLE_BUFFER);
}

static bool link_read(const struct virtio_net *net)
{
    return !virtio_has(net->vdev, VIRTIO_NET_F_STATUS) || config(net, CONFIG(status)) & VIRTIO_NET_S_LINK_UP;
}

static void queue_event(struct virtio_device *vdev, unsigned group)
{
    struct virtio_net *net = vdev->driver_data;
    net->netdev.interrupts++;
    if (net->netdev.wake != NULL) /* not before netdev_register */
        net->netdev.wake(&net->netdev);
}

/* Release: pairs with the acquire in poll, though the register read there is ordered by leaving the guest anyway. */
static void config_event(struct virtio_device *vdev)
{
    struct virtio_net *net = vdev->driver_data;
    atomic_store_explicit(&net->config_changed, true, memory_order_release);
    queue_event(vdev, 0);
}

static int poll(struct netdev *dev, int budget)
{
    struct virtio_net *net = virtio_net(dev);
    if (unlikely(atomic_load_explicit(&net->config_changed, memory_order_relaxed))) {
        atomic_store_explicit(&net->config_changed, false, memory_order_seq_cst); /* before the register is read */
        dev->link(dev, link_read(net));
    }
    net_tx_reap(net);
    return net_rx_poll(net, budget);
}

static bool pending(struct netdev *dev)
{
    struct virtio_net *net = virtio_net(dev);
    if (virtqueue_pending(&net->rx) || atomic_load_explicit(&net->config_changed, memory_order_relaxed))
        return true;
    return unlikely(net->tx_stalled) && virtqueue_pending(&net->tx);
}

static bool irq_enable(struct netdev *dev)
{
    struct virtio_net *net = virtio_net(dev);
    net_rx_refill(net);
    if (!virtqueue_irq_enable(&net->rx, 0))
        return false;
    if (likely(!pending(dev))) /* the link, or room in the transmit queue */
        return true;
    virtqueue_irq_disable(&net->rx);
    return false;
}

static void irq_disable(struct netdev *dev)
{
    virtqueue_irq_disable(&virtio_net(dev)->rx);
}

static bool nudge(struct netdev *dev)
{
    return virtqueue_nudge(&virtio_net(dev)->tx);
}

static const struct netdev_ops ops = {
    .transmit = net_tx_transmit,
    .kick = net_tx_kick,
    .poll = poll,
    .pending = pending,
    .irq_enable = irq_enable,
    .irq_disable = irq_disable,
    .nudge = nudge,
};

static int queues_make(struct virtio_net *net)
{
    int err = virtio_irq(net->vdev, 1);
    if (err == 0)
        err = virtio_queue(net->vdev, &net->rx, 0, QUEUE_SIZE, 0);
    if (err == 0)
        err = virtio_queue(net->vdev, &net->tx, 1, QUEUE_SIZE, 0);
    if (err == 0 && (net->rx.mask + 1 < QUEUE_SIZE_MIN || net->tx.mask + 1 < QUEUE_SIZE_MIN)) {
        log_warn("virtio-net %s: queues of fewer than %u entries are not supported", net->vdev->dev.name, QUEUE_SIZE_MIN);
        err = -ENODEV;
    }
    return err;
}

static int device_start(struct virtio_net *net)
{
    struct virtio_device *vdev = net->vdev;
    int err = virtio_start(vdev, choose_features);
    if (err != 0)
        return err;
    net->mergeable = virtio_has(vdev, VIRTIO_NET_F_MRG_RXBUF);
    if (virtio_has(vdev, VIRTIO_NET_F_GUEST_CSUM))
        net->rx_csum_flags = VIRTIO_NET_HDR_F_DATA_VALID | VIRTIO_NET_HDR_F_NEEDS_CSUM;
    net->netdev.features = netdev_features(vdev);
    net->netdev.mtu = mtu_read(net);
    mac_read(net);
    err = queues_make(net);
    if (err != 0)
        return err;
    net_rx_init(net);
    return 0;
}

static bool match(struct device *dev)
{
    return VIRTIO_DEVICE(dev)->id == VIRTIO_ID_NET;
}

/* The device runs before the stack knows of it, because the stack may send at once; it has no receive buffers until the stack polls. */
static int probe(struct device *dev)
{
    struct virtio_device *vdev = VIRTIO_DEVICE(dev);
    struct virtio_net *net = kzalloc(sizeof *net);
    if (net == NULL)
        return -ENOMEM;
    net->netdev.ops = &ops;
    net->vdev = vdev;
    vdev->driver_data = net;
    vdev->queue_event = queue_event;
    vdev->config_event = config_event;
    int err = device_start(net);
    if (err != 0)
        goto fail;
    virtio_ready(vdev);
    err = netdev_register(&net->netdev);
    if (err != 0)
        goto fail;
    /* Should the link be down, the first poll says so: it takes the stack's mutex to tell. */
    atomic_store_explicit(&net->config_changed, !link_read(net), memory_order_relaxed);
    log_info("virtio-net %s: %s, queues of %u and %u, MTU %u, features %#llx", vdev->dev.name, net->netdev.name,
             net->rx.mask + 1, net->tx.mask + 1, net->netdev.mtu, (unsigned long long)vdev->features);
    return 0;
fail:
    virtio_fail(vdev);
    virtqueue_free(&net->tx);
    virtqueue_free(&net->rx);
    kfree(net);
    return err;
}

/* What was queued goes out first, if the device takes it within 100 ms. */
static void shutdown(struct device *dev)
{
    struct virtio_net *net = VIRTIO_DEVICE(dev)->driver_data;
    for (int i = 0; i < 100 && virtqueue_nudge(&net->tx); i++)
        thread_sleep_until(clock_monotonic_ns() + NS_PER_MS);
    virtio_reset(VIRTIO_DEVICE(dev));
}

DRIVER(virtio_net) = {.name = "virtio-net", .bus = "virtio", .match = match, .probe = probe, .shutdown = shutdown};
