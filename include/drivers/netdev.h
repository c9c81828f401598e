/* The class interface between network drivers and the stack. All driver operations are called with the stack's mutex held, so a
   driver needs no lock of its own; its interrupt handler calls only netdev->wake. */
#ifndef DRIVERS_NETDEV_H
#define DRIVERS_NETDEV_H

#include <net/netbuf.h>

struct netdev;

/* One piece of a packet to send. The stack keeps the memory unchanged until tx_done. Physically contiguous, in the direct map or the image. */
struct net_sg {
    void *data;
    uint32_t len;
};

struct net_tx {
    struct net_sg sg[18];  /* sg[0] has at least NETDEV_TX_HEADROOM free bytes before data which the driver may overwrite */
    unsigned count;
    bool csum;             /* fill in the checksum at csum_start + csum_offset (the pseudo-header sum is there already) */
    uint16_t csum_start, csum_offset;
    uint16_t gso_size;     /* 0: none; else TCP segmentation with this many payload bytes each */
    uint16_t gso_hdr_len;
    bool gso_ipv6;
    void *token;           /* given back by tx_done */
};
#define NETDEV_TX_HEADROOM 16

struct netdev_ops {
    /* Queues a packet, does not notify the device. 0, or -EAGAIN when the queue is full. */
    int (*transmit)(struct netdev *dev, const struct net_tx *tx);
    /* Tells the device about what was queued, if it wants to know. */
    void (*kick)(struct netdev *dev);
    /* Hands received packets to dev->input, at most budget, refills, and gives sent ones back by dev->tx_done. Returns the packets received. */
    int (*poll)(struct netdev *dev, int budget);
    /* True when poll would find something: received packets. A few instructions, callable without the stack's mutex. */
    bool (*pending)(struct netdev *dev);
    /* Turns receive interrupts on, for a CPU that is about to sleep; false when something is pending already (and interrupts stay off). */
    bool (*irq_enable)(struct netdev *dev);
    void (*irq_disable)(struct netdev *dev);
    /* The device was given packets some time ago: true when it has not taken all of them, and it is told again. A host may lose a notification. */
    bool (*nudge)(struct netdev *dev);
};

#define NETDEV_F_CSUM_TX 1u
#define NETDEV_F_CSUM_RX 2u /* received packets carry NETBUF_F_CSUM_OK where the device checked */
#define NETDEV_F_TSO4 4u
#define NETDEV_F_TSO6 8u

struct netdev {
    const struct netdev_ops *ops;
    char name[16]; /* "eth0": given by netdev_register */
    uint8_t mac[6];
    uint16_t mtu;
    unsigned features;
    void *driver_data;
    /* Set by the stack in netdev_register: */
    void (*input)(struct netdev *dev, struct netbuf *nb); /* takes the buffer chain of one packet, from the Ethernet header */
    void (*tx_done)(struct netdev *dev, void *token);
    void (*wake)(struct netdev *dev); /* interrupt context: something is pending */
    void (*link)(struct netdev *dev, bool up);
    void *stack_data;
    /* Counters, written by the driver. */
    uint64_t rx_packets, rx_bytes, rx_errors, rx_dropped, tx_packets, tx_bytes, tx_errors, kicks, interrupts;
    struct netdev *next;
};

/* Called by a driver in probe, before it lets packets in. 0 or a negative errno. */
int netdev_register(struct netdev *dev);

#endif
