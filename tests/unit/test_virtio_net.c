/* SOURCES: drivers/virtio/net_rx.c drivers/virtio/net_tx.c drivers/virtio/virtio.c drivers/virtio/virtqueue.c tests/unit/host/drivers.c */
/* The network card's driver between a model of the device (a transport whose registers are this file) and a model of the stack. Traffic in both
   directions with random batches, merged packets, a full transmit queue, no memory, and a device that writes nonsense. */
#include "tap.h"

#include "../../drivers/virtio/virtio_net.c"

#define HDR 12u
#define ALL_FEATURES                                                                                                   \
    (1ull << VIRTIO_F_VERSION_1 | 1ull << VIRTIO_RING_F_EVENT_IDX | 1ull << VIRTIO_NET_F_MAC |                         \
     1ull << VIRTIO_NET_F_MRG_RXBUF | 1ull << VIRTIO_NET_F_CSUM | 1ull << VIRTIO_NET_F_GUEST_CSUM |                    \
     1ull << VIRTIO_NET_F_HOST_TSO4 | 1ull << VIRTIO_NET_F_GUEST_TSO4 | 1ull << VIRTIO_NET_F_STATUS | 1ull << 40 | 1ull << 17)

void *aligned_alloc(size_t alignment, size_t size);
void free(void *p);

static uint64_t seed = 88172645463325252u;
static uint32_t random32(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (uint32_t)(seed >> 20);
}

void random_bytes(void *buf, size_t n) { memset(buf, 0xab, n); }

/* The stack. */
static unsigned buffers_out, buffers_allowed = 100000;
static unsigned wakes, received, tx_returned, link_calls;
static uint64_t received_bytes;
static bool payload_good = true, link_state;
static unsigned last_flags, last_gso, last_pieces;
static struct virtio_net *card;

struct netbuf *netbuf_alloc(void)
{
    if (buffers_out >= buffers_allowed)
        return NULL;
    buffers_out++;
    return aligned_alloc(NETBUF_SIZE, NETBUF_SIZE);
}

void netbuf_free(struct netbuf *nb)
{
    buffers_out--;
    free(nb);
}

/* Frames of the model carry a counter pattern: byte i is i + the first byte. */
static void stack_input(struct netdev *dev, struct netbuf *nb)
{
    uint8_t expected = nb->data[0];
    received++;
    last_flags = nb->flags;
    last_gso = nb->gso_size;
    last_pieces = 0;
    while (nb != NULL) {
        struct netbuf *next = nb->next;
        for (uint32_t i = 0; i < nb->len; i++)
            payload_good &= nb->data[i] == expected++;
        received_bytes += nb->len;
        last_pieces++;
        netbuf_free(nb);
        nb = next;
    }
}

static void stack_tx_done(struct netdev *dev, void *token) { tx_returned++; *(bool *)token = false; }
static void stack_wake(struct netdev *dev) { wakes++; }
static void stack_link(struct netdev *dev, bool up) { link_calls++; link_state = up; }

int netdev_register(struct netdev *dev)
{
    dev->input = stack_input;
    dev->tx_done = stack_tx_done;
    dev->wake = stack_wake;
    dev->link = stack_link;
    strlcpy(dev->name, "eth0", sizeof dev->name);
    return 0;
}

/* The device. */
static uint8_t status, link_up = 1;
static uint64_t offered;
static struct virtqueue *queues[2];
static uint16_t bells[2];
static struct { uint16_t avail, used; } side[2];

static uint64_t t_features(struct virtio_device *vdev) { return offered; }
static void t_set_features(struct virtio_device *vdev, uint64_t f) {}
static uint8_t t_status(struct virtio_device *vdev) { return status; }
static void t_set_status(struct virtio_device *vdev, uint8_t s) { status = s; }
static unsigned t_queue_max(struct virtio_device *vdev, unsigned index) { return index < 2 ? 256 : 0; }
static int t_irq(struct virtio_device *vdev, unsigned groups) { return 0; }
static uint32_t t_config(struct virtio_device *vdev, unsigned offset, unsigned size)
{
    return offset < 6 ? 0x52 + offset * 2 : offset == 6 ? link_up : 0;
}
static int t_queue_enable(struct virtio_device *vdev, struct virtqueue *vq, unsigned group)
{
    queues[vq->index] = vq;
    vq->notify = &bells[vq->index];
    side[vq->index].avail = side[vq->index].used = 0;
    return 0;
}

static const struct virtio_transport model = {t_features, t_set_features, t_status, t_set_status, t_config, t_queue_max, t_queue_enable, t_irq};
static struct virtio_device vdev;

static bool device_take(unsigned q, uint16_t *head)
{
    struct virtqueue *vq = queues[q];
    if (vq->avail->idx == side[q].avail)
        return false;
    *head = vq->avail->ring[side[q].avail++ & vq->mask];
    return true;
}

static void device_give(unsigned q, uint32_t id, uint32_t length)
{
    struct virtqueue *vq = queues[q];
    vq->used->ring[side[q].used++ & vq->mask] = (struct vring_used_elem){id, length};
}

/* Makes what was given visible; the interrupt if it is wanted. */
static void device_publish(unsigned q)
{
    struct virtqueue *vq = queues[q];
    uint16_t old = vq->used->idx;
    vq->used->idx = side[q].used;
    if (side[q].used != old && vring_need_event(vq->avail->ring[vq->mask + 1], side[q].used, old))
        vdev.queue_event(&vdev, 0);
}

/* A frame of length bytes, over as many buffers as it takes; false when the ring has not enough. */
static bool device_receive(uint32_t length, uint8_t flags, uint16_t gso)
{
    static uint8_t first;
    struct virtqueue *vq = queues[0];
    uint32_t room = NETBUF_CAPACITY - 2, total = length + HDR, count = (total + room - 1) / room;
    if ((uint16_t)(vq->avail->idx - side[0].avail) < count)
        return false;
    uint8_t value = first++;
    for (uint32_t i = 0; i < count; i++) {
        uint16_t head = 0;
        device_take(0, &head);
        uint8_t *p = phys_to_virt(vq->desc[head].addr);
        uint32_t n = total < room ? total : room;
        if (vq->desc[head].len != room || !(vq->desc[head].flags & VRING_DESC_F_WRITE))
            payload_good = false;
        uint32_t at = 0;
        if (i == 0) {
            struct virtio_net_hdr_v1 h = {.flags = flags, .gso_type = gso ? 1 : 0, .gso_size = gso, .num_buffers = (uint16_t)count};
            memcpy(p, &h, HDR);
            at = HDR;
        }
        for (; at < n; at++)
            p[at] = value++;
        total -= n;
        device_give(0, head, n);
    }
    return true;
}

static void start(uint64_t features)
{
    offered = features;
    vdev = (struct virtio_device){.dev = {.bus = "virtio", .name = "test"}, .transport = &model, .id = VIRTIO_ID_NET};
    ok(match(&vdev.dev) && probe(&vdev.dev) == 0, "probe");
    card = vdev.driver_data;
}

/* Takes down what the test set up: posted buffers, rings, card. */
static void stop(void)
{
    struct virtqueue *vq = &card->rx;
    shutdown(&vdev.dev);
    for (unsigned i = 0; i <= vq->mask; i++)
        if (vq->slots[i].count != 0)
            netbuf_free(vq->slots[i].token);
    virtqueue_free(&card->rx);
    virtqueue_free(&card->tx);
    kfree(card);
}

static void test_features(void)
{
    ok(choose_features(1ull << VIRTIO_NET_F_GUEST_TSO4 | 1ull << VIRTIO_NET_F_GUEST_CSUM) == 1ull << VIRTIO_NET_F_GUEST_CSUM,
       "no merged segments without buffers that can be chained");
    ok(choose_features(1ull << VIRTIO_NET_F_HOST_TSO4) == 0, "no segmentation without checksums");
    start(ALL_FEATURES);
    ok(!(vdev.features & (1ull << 17 | 1ull << 40)), "unknown features are not taken");
    ok(card->netdev.mac[0] == 0x52 && card->netdev.mtu == 1500, "address and MTU");
    ok(card->netdev.features == (NETDEV_F_CSUM_TX | NETDEV_F_CSUM_RX | NETDEV_F_TSO4), "features for the stack");
    ok(buffers_out == 0 && irq_enable(&card->netdev) && buffers_out == 48, "buffers are posted before the stack sleeps");
    stop();
    start(1ull << VIRTIO_F_VERSION_1);
    ok(card->netdev.mac[0] == 0xaa && poll(&card->netdev, 8) == 0 && buffers_out == 32, "a bare device: random address, few buffers");
    stop();
    offered = 0;
    vdev.dev.driver = NULL;
    ok(probe(&vdev.dev) != 0, "a legacy device is refused");
}

static void test_receive(void)
{
    start(ALL_FEATURES);
    irq_enable(&card->netdev);
    unsigned sent = 0, before = received, wakes_missed = 0;
    uint64_t bytes = 0, bytes_before = received_bytes;
    for (unsigned round = 0; round < 5000; round++) {
        bool asleep = irq_enable(&card->netdev);
        unsigned old = wakes, n = 0;
        for (unsigned burst = random32() % 60; burst > 0; burst--) {
            uint32_t length = random32() % 20 == 0 ? 2000 + random32() % 60000 : 14 + random32() % 1500;
            if (!device_receive(length, 0, 0))
                break;
            n++;
            bytes += length;
        }
        device_publish(0);
        wakes_missed += asleep && n > 0 && wakes == old;
        irq_disable(&card->netdev);
        for (sent += n; pending(&card->netdev);)
            poll(&card->netdev, 16);
    }
    ok(received - before == sent && received_bytes - bytes_before == bytes && payload_good, "all packets arrive, whole and in order");
    ok(wakes_missed == 0, "a sleeping stack is woken");
    ok(card->rx_target == 256, "the ring grew under load");
    for (unsigned round = 0; round < 40000; round++) {
        device_receive(100, VIRTIO_NET_HDR_F_DATA_VALID, 0);
        device_publish(0);
        poll(&card->netdev, 16);
    }
    ok(card->rx_target == 48 && buffers_out <= 48, "and shrank again");
    ok(last_flags == NETBUF_F_CSUM_OK && last_gso == 0, "a checked packet says so");
    device_receive(65000, 0, 1448);
    device_publish(0);
    poll(&card->netdev, 16);
    ok(last_flags == 0 && last_gso == 1448 && last_pieces == 34, "a merged packet has its segment size");
    stop();
    ok(buffers_out == 0, "no buffer was lost");
}

static void test_scarce(void)
{
    start(ALL_FEATURES);
    irq_enable(&card->netdev);
    buffers_allowed = 40;
    unsigned before = received;
    for (unsigned i = 0; i < 500; i++) {
        device_receive(i % 10 == 9 ? 60000 : 1000, 0, 0);
        device_publish(0);
        poll(&card->netdev, 16);
    }
    uint16_t posted = (uint16_t)(queues[0]->avail->idx - side[0].avail);
    ok(posted >= 36, "without memory the ring keeps room for the largest packet");
    ok(card->netdev.rx_dropped > 0, "packets were dropped for that, and counted");
    ok(received > before, "packets before that were delivered");
    buffers_allowed = 100000;
    before = received;
    poll(&card->netdev, 16);
    ok(device_receive(1000, 0, 0), "the device can go on");
    device_publish(0);
    poll(&card->netdev, 16);
    ok(received == before + 1, "and packets flow when there is memory again");
    stop();
    ok(buffers_out == 0, "no buffer was lost");
}

static void test_hostile(void)
{
    start(ALL_FEATURES);
    for (unsigned round = 0; round < 30000; round++) {
        uint16_t head = (uint16_t)random32();
        bool real = device_take(0, &head);
        if (real) {
            uint8_t *p = phys_to_virt(queues[0]->desc[head].addr);
            memset(p, 0, 64);
            p[0] = (uint8_t)random32();
            p[10] = (uint8_t)(random32() % 4);
            p[11] = random32() % 50 == 0 ? 0xff : 0;
        }
        device_give(0, real ? head : random32(), random32() % 5 == 0 ? random32() : random32() % 2000);
        if (random32() % 7 == 0)
            queues[0]->used->idx = side[0].used;
        payload_good = true;
        poll(&card->netdev, 1 + (int)(random32() % 40));
    }
    ok(card->netdev.rx_errors > 1000, "nonsense from the device is counted as errors");
    stop();
    ok(buffers_out == 0, "and loses no buffer");
}

static void test_transmit(void)
{
    static bool busy[4096];
    static uint8_t frame[4096][64];
    bool header_good = true, woken = true;
    unsigned queued = 0, refused = 0, before = tx_returned;
    start(ALL_FEATURES);
    for (unsigned round = 0; round < 20000; round++) {
        unsigned slot = random32() % 4096;
        for (unsigned burst = random32() % 40; burst > 0; burst--, slot = (slot + 1) % 4096) {
            if (busy[slot])
                continue;
            struct net_tx tx = {.sg = {{frame[slot] + 16, 20}}, .count = 1, .token = &busy[slot]};
            tx.csum = slot & 1;
            tx.csum_start = 34;
            tx.csum_offset = 16;
            if (slot % 5 == 0) {
                tx.count = 2 + slot % 17;
                for (unsigned i = 1; i < tx.count; i++)
                    tx.sg[i] = (struct net_sg){frame[slot] + 36, 5};
            }
            busy[slot] = true;
            int err = net_tx_transmit(&card->netdev, &tx);
            if (err == 0) {
                queued++;
            } else {
                busy[slot] = false;
                refused++;
                unsigned old = wakes;
                uint16_t head;
                while (device_take(1, &head)) {
                    device_give(1, head, 0);
                    device_publish(1);
                }
                woken &= wakes == old + 1 && pending(&card->netdev);
                break;
            }
        }
        net_tx_kick(&card->netdev);
        uint16_t head;
        for (unsigned n = random32() % 30; n > 0 && device_take(1, &head); n--) {
            const struct vring_desc *d = &queues[1]->desc[head];
            const struct virtio_net_hdr_v1 *h = phys_to_virt(d->addr);
            unsigned s = (unsigned)(((const uint8_t *)h + HDR - 16 - frame[0]) / 64);
            header_good &= busy[s] && d->len == 20 + HDR && h->flags == (s & 1) && h->gso_type == 0 && h->gso_size == 0;
            header_good &= !(s & 1) || (h->csum_start == 34 && h->csum_offset == 16);
            device_give(1, head, 0);
        }
        device_publish(1);
        if (random32() % 4 == 0)
            poll(&card->netdev, 16);
    }
    uint16_t head;
    while (device_take(1, &head))
        device_give(1, head, 0);
    device_publish(1);
    poll(&card->netdev, 16);
    ok(header_good, "headers stand before the packets");
    ok(refused > 100 && woken, "a refused packet is followed by one interrupt when there is room");
    ok(tx_returned - before == queued && card->tx.free_count == 256, "every packet is given back");
    unsigned idle = wakes;
    struct net_tx tx = {.sg = {{frame[0] + 16, 1400}}, .count = 1, .gso_size = 1448, .gso_hdr_len = 54, .csum = true, .token = &busy[0]};
    net_tx_transmit(&card->netdev, &tx);
    const struct virtio_net_hdr_v1 *h = (const void *)(frame[0] + 4);
    ok(h->gso_type == VIRTIO_NET_HDR_GSO_TCPV4 && h->hdr_len == 54 && h->gso_size == 1448, "segmentation is described");
    net_tx_kick(&card->netdev);
    device_take(1, &head);
    device_give(1, head, 0);
    device_publish(1);
    ok(wakes == idle, "no transmit interrupts while there is room");
    tx.count = 0;
    ok(net_tx_transmit(&card->netdev, &tx) == -EINVAL, "an empty packet is refused");
    stop();
}

static void test_link(void)
{
    link_up = 0;
    start(ALL_FEATURES);
    link_calls = 0;
    ok(pending(&card->netdev) && !irq_enable(&card->netdev), "a link that is down at the start is news");
    poll(&card->netdev, 1);
    ok(link_calls == 1 && !link_state, "which the first poll tells");
    link_up = 1;
    vdev.config_event(&vdev);
    poll(&card->netdev, 1);
    poll(&card->netdev, 1);
    ok(link_calls == 2 && link_state, "a change is told once");
    stop();
}

int main(void)
{
    test_features();
    test_receive();
    test_scarce();
    test_hostile();
    test_transmit();
    test_link();
    return done();
}
