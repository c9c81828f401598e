/* Virtio entropy device (virtio 1.2, 5.4): asked for 32 bytes once, which go to the random number generator when they arrive. Nobody
   waits for them: the generator is seeded from the processor as well, and the device may be slow or never answer. The interrupt handler mixes them
   in itself (32 bytes, any context is allowed) and does nothing the second time. */
#include <asm/errno.h>
#include <drivers/virtio.h>
#include <kernel/random.h>
#include <kernel/string.h>
#include <linux/virtio_ids.h>
#include <mm/kmem.h>

#define SEED_BYTES 32u
#define QUEUE_SIZE 2u

struct virtio_rng {
    struct virtqueue vq;
    uint8_t seed[SEED_BYTES]; /* the device's until it is used */
};

static uint64_t choose_features(uint64_t offered)
{
    return 0;
}

static void queue_event(struct virtio_device *vdev, unsigned group)
{
    struct virtio_rng *rng = vdev->driver_data;
    uint32_t length;
    void *token;
    if (!virtqueue_get(&rng->vq, &token, &length))
        return;
    random_add(rng->seed, MIN(length, SEED_BYTES));
    memset(rng->seed, 0, SEED_BYTES);
}

static int seed_request(struct virtio_rng *rng)
{
    struct virtqueue_sg sg = {virt_to_phys(rng->seed), SEED_BYTES};
    int err = virtqueue_add(&rng->vq, &sg, 0, 1, rng);
    if (err != 0)
        return err;
    if (!virtqueue_irq_enable(&rng->vq, 0))
        return -EIO; /* used before it was made available */
    virtqueue_kick(&rng->vq);
    return 0;
}

static bool match(struct device *dev)
{
    return VIRTIO_DEVICE(dev)->id == VIRTIO_ID_RNG;
}

static int probe(struct device *dev)
{
    struct virtio_device *vdev = VIRTIO_DEVICE(dev);
    struct virtio_rng *rng = kzalloc(sizeof *rng);
    if (rng == NULL)
        return -ENOMEM;
    vdev->driver_data = rng;
    vdev->queue_event = queue_event;
    int err = virtio_start(vdev, choose_features);
    if (err == 0)
        err = virtio_irq(vdev, 1);
    if (err == 0)
        err = virtio_queue(vdev, &rng->vq, 0, QUEUE_SIZE, 0);
    if (err != 0)
        goto fail;
    virtio_ready(vdev);
    err = seed_request(rng);
    if (err == 0)
        return 0;
fail:
    virtio_fail(vdev);
    virtqueue_free(&rng->vq);
    kfree(rng);
    return err;
}

static void shutdown(struct device *dev)
{
    virtio_reset(VIRTIO_DEVICE(dev));
}

DRIVER(virtio_rng) = {.name = "virtio-rng", .bus = "virtio", .match = match, .probe = probe, .shutdown = shutdown};
