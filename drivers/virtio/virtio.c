/* Initialisation that all virtio devices share (virtio 1.2, 3.1.1): reset, ACKNOWLEDGE, DRIVER, features, FEATURES_OK, queues,
   DRIVER_OK. The order is the specification's; what a step costs in exits is the transport's business. */
#include <asm/errno.h>
#include <drivers/virtio.h>
#include <kernel/clock.h>
#include <kernel/log.h>
#include <linux/virtio_config.h>

#define FEATURE(bit) (1ull << (bit))
#define RESET_WAIT_MS 100u

/* A device may take a while: it reads 0 when the reset is done (4.1.4.3.2). */
static bool reset_wait(struct virtio_device *vdev)
{
    vdev->transport->set_status(vdev, 0);
    for (unsigned i = 0; i < RESET_WAIT_MS; i++) {
        if (vdev->transport->status(vdev) == 0)
            return true;
        clock_delay_us(1000);
    }
    log_warn("virtio %s: the device does not finish its reset", vdev->dev.name);
    return false;
}

int virtio_start(struct virtio_device *vdev, uint64_t (*choose)(uint64_t offered))
{
    const struct virtio_transport *t = vdev->transport;
    if (!reset_wait(vdev))
        return -ENODEV;
    t->set_status(vdev, VIRTIO_CONFIG_S_ACKNOWLEDGE);
    t->set_status(vdev, VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER);
    uint64_t offered = t->features(vdev);
    if (!(offered & FEATURE(VIRTIO_F_VERSION_1))) {
        log_warn("virtio %s: a legacy device (no VIRTIO_F_VERSION_1), which is not supported", vdev->dev.name);
        return -ENODEV;
    }
    /* 6.1: ACCESS_PLATFORM must be taken where it is offered; without an IOMMU bus addresses are physical ones all the same. */
    uint64_t wanted = choose(offered) | FEATURE(VIRTIO_F_VERSION_1) | FEATURE(VIRTIO_F_ACCESS_PLATFORM) | FEATURE(VIRTIO_RING_F_EVENT_IDX);
    vdev->features = offered & wanted;
    t->set_features(vdev, vdev->features);
    uint8_t status = VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER | VIRTIO_CONFIG_S_FEATURES_OK;
    t->set_status(vdev, status);
    if (!(t->status(vdev) & VIRTIO_CONFIG_S_FEATURES_OK)) {
        log_warn("virtio %s: the device refuses features %#llx", vdev->dev.name, (unsigned long long)vdev->features);
        return -ENODEV;
    }
    return 0;
}

int virtio_irq(struct virtio_device *vdev, unsigned groups)
{
    vdev->groups = groups;
    return vdev->transport->irq_setup(vdev, groups);
}

int virtio_queue(struct virtio_device *vdev, struct virtqueue *vq, unsigned index, unsigned size, unsigned group)
{
    unsigned max = vdev->transport->queue_max(vdev, index);
    if (max == 0) {
        log_warn("virtio %s: there is no queue %u", vdev->dev.name, index);
        return -ENODEV;
    }
    size = MIN(MIN(size, max), VIRTQUEUE_SIZE_MAX);
    while ((size & (size - 1)) != 0) /* 2.7: a power of two; a device that offers another number gets less */
        size &= size - 1;
    int err = virtqueue_init(vq, (uint16_t)index, size, virtio_has(vdev, VIRTIO_RING_F_EVENT_IDX));
    if (err != 0)
        return err;
    err = vdev->transport->queue_enable(vdev, vq, group);
    if (err != 0)
        virtqueue_free(vq);
    return err;
}

void virtio_queue_event(struct virtio_device *vdev, unsigned group)
{
    if (vdev->queue_event != NULL)
        vdev->queue_event(vdev, group);
}

void virtio_queue_events(struct virtio_device *vdev)
{
    for (unsigned g = 0; g < vdev->groups; g++)
        virtio_queue_event(vdev, g);
}

void virtio_config_event(struct virtio_device *vdev)
{
    if (vdev->config_event != NULL)
        vdev->config_event(vdev);
}

void virtio_ready(struct virtio_device *vdev)
{
    vdev->transport->set_status(vdev, VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER |
                                          VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK);
}

void virtio_reset(struct virtio_device *vdev)
{
    vdev->transport->set_status(vdev, 0);
}

void virtio_fail(struct virtio_device *vdev)
{
    reset_wait(vdev);
    vdev->transport->set_status(vdev, VIRTIO_CONFIG_S_FAILED);
    vdev->queue_event = NULL; /* an interrupt may still be on its way */
    vdev->config_event = NULL;
}
