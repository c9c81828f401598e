/* Virtio devices (virtio 1.2, only the modern interface), whatever carries them. A transport finds a device, fills in struct
   virtio_device and offers it to the drivers with bus "virtio". A driver's probe goes:

       virtio_start(vdev, choose) ... virtio_irq(vdev, groups) ... virtio_queue(vdev, &vq, ...) ... virtio_ready(vdev)

   and on any error virtio_fail(vdev), which is all that must be undone but for the queues' memory. */
#ifndef DRIVERS_VIRTIO_H
#define DRIVERS_VIRTIO_H

#include <drivers/driver.h>
#include <drivers/virtqueue.h>

struct virtio_device;

/* Registers of a device. Each call is one or a few exits: probe time only. */
struct virtio_transport {
    uint64_t (*features)(struct virtio_device *vdev);
    void (*set_features)(struct virtio_device *vdev, uint64_t features);
    uint8_t (*status)(struct virtio_device *vdev);
    void (*set_status)(struct virtio_device *vdev, uint8_t status);
    /* size is 1, 2 or 4, offset is aligned to it. */
    uint32_t (*config)(struct virtio_device *vdev, unsigned offset, unsigned size);
    /* Largest size of queue index, 0: there is no such queue. The queue is selected afterwards. */
    unsigned (*queue_max)(struct virtio_device *vdev, unsigned index);
    /* Tells the device where the selected queue lies, binds its interrupt to group, sets vq->notify. 0 or a negative errno. */
    int (*queue_enable)(struct virtio_device *vdev, struct virtqueue *vq, unsigned group);
    /* Binds interrupts for `groups` groups of queues and for configuration changes; called once, before queues are enabled. */
    int (*irq_setup)(struct virtio_device *vdev, unsigned groups);
};

struct virtio_device {
    struct device dev;
    const struct virtio_transport *transport;
    uint32_t id;       /* VIRTIO_ID_* */
    uint64_t features; /* agreed on */
    /* Set by the driver before virtio_irq; called in interrupt context. Queues of one group share an interrupt. */
    void (*queue_event)(struct virtio_device *vdev, unsigned group);
    void (*config_event)(struct virtio_device *vdev);
    unsigned groups;
    void *driver_data;
};
#define VIRTIO_DEVICE(d) CONTAINER_OF(d, struct virtio_device, dev)

static inline bool virtio_has(const struct virtio_device *vdev, unsigned bit)
{
    return vdev->features >> bit & 1;
}

/* Resets the device and agrees on features: choose gets what is offered and returns those of it that the driver wants; VERSION_1,
   EVENT_IDX and ACCESS_PLATFORM are added here. 0, -ENODEV when the device has no VERSION_1 or takes back FEATURES_OK. */
int virtio_start(struct virtio_device *vdev, uint64_t (*choose)(uint64_t offered)) WARN_UNUSED;
/* Interrupts for this many groups of queues. 0 or a negative errno. */
int virtio_irq(struct virtio_device *vdev, unsigned groups) WARN_UNUSED;
/* Makes queue index with at most size entries. 0, -ENODEV, -ENOMEM, or what the transport says. */
int virtio_queue(struct virtio_device *vdev, struct virtqueue *vq, unsigned index, unsigned size, unsigned group) WARN_UNUSED;
/* DRIVER_OK: the device runs. */
void virtio_ready(struct virtio_device *vdev);
/* Resets the device: it uses no memory of ours any more. */
void virtio_reset(struct virtio_device *vdev);
/* Gives up on a device: reset, FAILED, and no more events. */
void virtio_fail(struct virtio_device *vdev);

/* For transports, in their interrupt handlers: the queues of one group, or of all, or the configuration want attention. */
void virtio_queue_event(struct virtio_device *vdev, unsigned group);
void virtio_queue_events(struct virtio_device *vdev);
void virtio_config_event(struct virtio_device *vdev);

#endif
