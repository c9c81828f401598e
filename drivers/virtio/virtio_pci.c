/* Virtio over PCI (virtio 1.2, 4.1), modern interface; transitional devices have it too. The
   device's vendor capabilities say where in its BARs the structures lie; only those parts are
   mapped. Interrupts: MSI-X with entry 0 for configuration changes and one for each group of queues
   (the last one is shared when the table is short), else the interrupt pin with the ISR
   register. */
#include <arch/io.h>
#include <asm/errno.h>
#include <drivers/pci.h>
#include <drivers/virtio.h>
#include <kernel/log.h>
#include <kernel/string.h>
#include <linux/virtio_pci.h>
#include <mm/kmem.h>

#define VENDOR_VIRTIO 0x1af4
#define DEVICE_TRANSITIONAL 0x1000 /* 0x1000 + n, the type stands in the subsystem id */
#define DEVICE_MODERN 0x1040       /* 0x1040 + type */
#define SUBSYSTEM 0x2c
#define CONFIG_MAX 4096u /* of a device's own registers, what is mapped at most */
#define CAPABILITIES_MAX 16u
#define GROUPS_MAX 8u

/* Where a structure lies: a part of a BAR. */
struct region {
    uint8_t bar;
    uint32_t offset, length; /* length 0: not there */
};

struct irq_group {
    struct virtio_device *vdev;
    unsigned number;
};

struct virtio_pci {
    struct virtio_device vdev;
    struct pci_device *pci;
    struct region regions[VIRTIO_PCI_CAP_DEVICE_CFG + 1]; /* by cfg_type */
    uint32_t notify_multiplier;
    volatile struct virtio_pci_common_cfg *common;
    volatile uint8_t *isr, *config;
    uint32_t config_length;
    unsigned queue_vectors; /* MSI-X entries for queues, 0: the pin is used */
    struct irq_group groups[GROUPS_MAX];
};

static struct virtio_pci *of(struct virtio_device *vdev)
{
    return CONTAINER_OF(vdev, struct virtio_pci, vdev);
}

static uint64_t get_features(struct virtio_device *vdev)
{
    volatile struct virtio_pci_common_cfg *c = of(vdev)->common;
    mmio_write32(&c->device_feature_select, 0);
    uint64_t features = mmio_read32(&c->device_feature);
    mmio_write32(&c->device_feature_select, 1);
    return features | (uint64_t)mmio_read32(&c->device_feature) << 32;
}

static void set_features(struct virtio_device *vdev, uint64_t features)
{
    volatile struct virtio_pci_common_cfg *c = of(vdev)->common;
    mmio_write32(&c->guest_feature_select, 0);
    mmio_write32(&c->guest_feature, (uint32_t)features);
    mmio_write32(&c->guest_feature_select, 1);
    mmio_write32(&c->guest_feature, (uint32_t)(features >> 32));
}

static uint8_t get_status(struct virtio_device *vdev)
{
    return mmio_read8(&of(vdev)->common->device_status);
}

static void set_status(struct virtio_device *vdev, uint8_t status)
{
    mmio_write8(&of(vdev)->common->device_status, status);
}

static uint32_t get_config(struct virtio_device *vdev, unsigned offset, unsigned size)
{
    struct virtio_pci *vp = of(vdev);
    if (offset + size > vp->config_length)
        return 0;
    volatile uint8_t *at = vp->config + offset;
    return size == 1 ? mmio_read8(at) : size == 2 ? mmio_read16(at) : mmio_read32(at);
}

static unsigned queue_max(struct virtio_device *vdev, unsigned index)
{
    volatile struct virtio_pci_common_cfg *c = of(vdev)->common;
    mmio_write16(&c->queue_select, (uint16_t)index);
    return mmio_read16(&c->queue_size);
}

static void write_address(volatile void *low, volatile void *high, const void *ring)
{
    paddr_t address = virt_to_phys(ring);
    mmio_write32(low, (uint32_t)address);
    mmio_write32(high, (uint32_t)(address >> 32));
}

/* 4.1.4.4: the doorbell of a queue is at its queue_notify_off times the multiplier. */
static volatile void *doorbell_map(struct virtio_pci *vp)
{
    const struct region *r = &vp->regions[VIRTIO_PCI_CAP_NOTIFY_CFG];
    uint64_t at = (uint64_t)mmio_read16(&vp->common->queue_notify_off) * vp->notify_multiplier;
    if (at + 2 > r->length || r->offset + at > UINT32_MAX)
        return NULL;
    return pci_bar_map(vp->pci, r->bar, (uint32_t)(r->offset + at), 2);
}

static int queue_vector_set(struct virtio_pci *vp, unsigned group)
{
    if (vp->queue_vectors == 0)
        return 0;
    uint16_t entry = (uint16_t)(1 + MIN(group, vp->queue_vectors - 1));
    mmio_write16(&vp->common->queue_msix_vector, entry);
    return mmio_read16(&vp->common->queue_msix_vector) == entry ? 0 : -ENOSPC; /* 4.1.5.1.2.2 */
}

static int queue_enable(struct virtio_device *vdev, struct virtqueue *vq, unsigned group)
{
    struct virtio_pci *vp = of(vdev);
    volatile struct virtio_pci_common_cfg *c = vp->common;
    vq->notify = doorbell_map(vp);
    if (vq->notify == NULL)
        return -ENODEV;
    mmio_write16(&c->queue_size, (uint16_t)(vq->mask + 1));
    int err = queue_vector_set(vp, group);
    if (err != 0)
        return err;
    write_address(&c->queue_desc_lo, &c->queue_desc_hi, vq->desc);
    write_address(&c->queue_avail_lo, &c->queue_avail_hi, vq->avail);
    write_address(&c->queue_used_lo, &c->queue_used_hi, vq->used);
    mmio_write16(&c->queue_enable, 1);
    return 0;
}

static void config_interrupt(void *arg)
{
    virtio_config_event(arg);
}

static void queue_interrupt(void *arg)
{
    struct irq_group *g = arg;
    virtio_queue_event(g->vdev, g->number);
}

/* One entry for several groups: all of them are told. */
static void shared_interrupt(void *arg)
{
    virtio_queue_events(arg);
}

/* 4.1.4.5: reading the ISR register says what happened, and lets go of the line. */
static void pin_interrupt(void *arg)
{
    struct virtio_device *vdev = arg;
    uint8_t isr = mmio_read8(of(vdev)->isr);
    if (isr & 1)
        virtio_queue_events(vdev);
    if (isr & 2)
        virtio_config_event(vdev);
}

static int msix_setup(struct virtio_pci *vp, unsigned groups)
{
    int entries = pci_msix_enable(vp->pci, 1 + groups);
    if (entries < 2)
        return -ENODEV;
    unsigned vectors = (unsigned)entries - 1;
    int err = pci_msix_route(vp->pci, 0, 0, config_interrupt, &vp->vdev);
    for (unsigned i = 0; err == 0 && i < vectors; i++) {
        vp->groups[i] = (struct irq_group){&vp->vdev, i};
        bool alone = vectors == groups;
        err = pci_msix_route(vp->pci, 1 + i, vectors > 1 ? (int)i : IRQ_ANY_CPU,
                             alone ? queue_interrupt : shared_interrupt, alone ? (void *)&vp->groups[i] : &vp->vdev);
    }
    if (err != 0)
        return err;
    mmio_write16(&vp->common->msix_config, 0);
    vp->queue_vectors = vectors;
    return 0;
}

static int irq_setup(struct virtio_device *vdev, unsigned groups)
{
    struct virtio_pci *vp = of(vdev);
    if (groups == 0 || groups > GROUPS_MAX)
        return -EINVAL;
    int err = msix_setup(vp, groups);
    if (err == 0 || err == -ENOSPC)
        return err;
    const struct region *r = &vp->regions[VIRTIO_PCI_CAP_ISR_CFG];
    vp->isr = pci_bar_map(vp->pci, r->bar, r->offset, MIN(r->length, 1u));
    if (vp->isr == NULL)
        return -ENODEV;
    log_info("virtio %s: no MSI-X, using the interrupt pin", vdev->dev.name);
    return pci_intx_route(vp->pci, pin_interrupt, vdev);
}

static const struct virtio_transport transport = {
    .features = get_features,
    .set_features = set_features,
    .status = get_status,
    .set_status = set_status,
    .config = get_config,
    .queue_max = queue_max,
    .queue_enable = queue_enable,
    .irq_setup = irq_setup,
};

/* 4.1.4: bytes are cfg_type at 3, bar at 4, offset at 8, length at 12. The first capability of a
   type is the one to use. */
static void capabilities_read(struct virtio_pci *vp)
{
    unsigned at = 0;
    for (unsigned n = 0; n < CAPABILITIES_MAX && (at = pci_capability(vp->pci, PCI_CAP_VENDOR, at)) != 0; n++) {
        unsigned type = pci_read32(vp->pci, at) >> 24;
        if (type < VIRTIO_PCI_CAP_COMMON_CFG || type > VIRTIO_PCI_CAP_DEVICE_CFG || at > 256 - sizeof(struct virtio_pci_notify_cap))
            continue;
        struct region *r = &vp->regions[type];
        if (r->length != 0)
            continue;
        r->bar = (uint8_t)pci_read32(vp->pci, at + 4);
        r->offset = pci_read32(vp->pci, at + 8);
        r->length = pci_read32(vp->pci, at + 12);
        if (type == VIRTIO_PCI_CAP_NOTIFY_CFG)
            vp->notify_multiplier = pci_read32(vp->pci, at + 16);
    }
}

static int regions_map(struct virtio_pci *vp)
{
    const struct region *common = &vp->regions[VIRTIO_PCI_CAP_COMMON_CFG];
    const struct region *config = &vp->regions[VIRTIO_PCI_CAP_DEVICE_CFG];
    if (common->length < sizeof *vp->common || vp->regions[VIRTIO_PCI_CAP_NOTIFY_CFG].length < 2)
        return -ENODEV;
    vp->common = pci_bar_map(vp->pci, common->bar, common->offset, sizeof *vp->common);
    if (vp->common == NULL)
        return -ENODEV;
    if (config->length == 0)
        return 0;
    vp->config_length = MIN(config->length, CONFIG_MAX);
    vp->config = pci_bar_map(vp->pci, config->bar, config->offset, vp->config_length);
    return vp->config != NULL ? 0 : -ENODEV;
}

static bool match(struct device *dev)
{
    struct pci_device *pci = PCI_DEVICE(dev);
    return pci->vendor == VENDOR_VIRTIO && pci->device >= DEVICE_TRANSITIONAL && pci->device < DEVICE_MODERN + 0x40;
}

static uint32_t device_type(struct pci_device *pci)
{
    return pci->device >= DEVICE_MODERN ? pci->device - (uint32_t)DEVICE_MODERN : pci_read32(pci, SUBSYSTEM) >> 16;
}

static int probe(struct device *dev)
{
    struct pci_device *pci = PCI_DEVICE(dev);
    struct virtio_pci *vp = kzalloc(sizeof *vp);
    if (vp == NULL)
        return -ENOMEM;
    vp->pci = pci;
    vp->vdev.transport = &transport;
    vp->vdev.id = device_type(pci);
    vp->vdev.dev.bus = "virtio";
    strlcpy(vp->vdev.dev.name, dev->name, sizeof vp->vdev.dev.name);
    capabilities_read(vp);
    int err = regions_map(vp);
    if (err != 0) {
        log_warn("virtio-pci %s: no usable modern interface; QEMU: disable-modern=off", dev->name);
        kfree(vp);
        return err;
    }
    pci_enable(pci);
    dev->driver_data = vp;
    device_add(&vp->vdev.dev);
    return 0;
}

static void shutdown(struct device *dev)
{
    pci_disable(PCI_DEVICE(dev));
}

DRIVER(virtio_pci) = {.name = "virtio-pci", .bus = "pci", .match = match, .probe = probe, .shutdown = shutdown};
