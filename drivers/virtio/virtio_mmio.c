/* Virtio over memory-mapped registers (virtio 1.2, 4.2), version 2. Devices come from the ACPI
   tables (QEMU's microvm) or from the command line (QEMU without ACPI, Firecracker). A machine
   declares slots whether or not they hold a device, and each register access leaves the guest, so
   an empty slot costs two reads: magic, device id. A place named twice is probed once. */
#include <arch/io.h>
#include <arch/irq.h>
#include <asm/errno.h>
#include <drivers/acpi.h>
#include <drivers/virtio.h>
#include <drivers/virtio_mmio.h>
#include <kernel/init.h>
#include <kernel/log.h>
#include <kernel/option.h>
#include <kernel/print.h>
#include <kernel/string.h>
#include <linux/virtio_mmio.h>
#include <mm/kmem.h>
#include <mm/mapping.h>

#define MAGIC 0x74726976u /* "virt" */
#define PLACES_MAX 64u
#define REGISTERS_MIN 0x100u

struct virtio_mmio {
    struct virtio_device vdev;
    volatile uint8_t *regs;
    uint32_t config_length;
    struct acpi_mmio_device place;
};

static struct acpi_mmio_device places[PLACES_MAX];
static unsigned place_count;

static struct virtio_mmio *of(struct virtio_device *vdev)
{
    return CONTAINER_OF(vdev, struct virtio_mmio, vdev);
}

static uint32_t reg_read(struct virtio_device *vdev, unsigned reg)
{
    return mmio_read32(of(vdev)->regs + reg);
}

static void reg_write(struct virtio_device *vdev, unsigned reg, uint32_t value)
{
    mmio_write32(of(vdev)->regs + reg, value);
}

static uint64_t get_features(struct virtio_device *vdev)
{
    reg_write(vdev, VIRTIO_MMIO_DEVICE_FEATURES_SEL, 0);
    uint64_t features = reg_read(vdev, VIRTIO_MMIO_DEVICE_FEATURES);
    reg_write(vdev, VIRTIO_MMIO_DEVICE_FEATURES_SEL, 1);
    return features | (uint64_t)reg_read(vdev, VIRTIO_MMIO_DEVICE_FEATURES) << 32;
}

static void set_features(struct virtio_device *vdev, uint64_t features)
{
    reg_write(vdev, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 0);
    reg_write(vdev, VIRTIO_MMIO_DRIVER_FEATURES, (uint32_t)features);
    reg_write(vdev, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 1);
    reg_write(vdev, VIRTIO_MMIO_DRIVER_FEATURES, (uint32_t)(features >> 32));
}

static uint8_t get_status(struct virtio_device *vdev)
{
    return (uint8_t)reg_read(vdev, VIRTIO_MMIO_STATUS);
}

static void set_status(struct virtio_device *vdev, uint8_t status)
{
    reg_write(vdev, VIRTIO_MMIO_STATUS, status);
}

static uint32_t get_config(struct virtio_device *vdev, unsigned offset, unsigned size)
{
    struct virtio_mmio *vm = of(vdev);
    if (offset + size > vm->config_length)
        return 0;
    volatile uint8_t *at = vm->regs + VIRTIO_MMIO_CONFIG + offset;
    return size == 1 ? mmio_read8(at) : size == 2 ? mmio_read16(at) : mmio_read32(at);
}

static unsigned queue_max(struct virtio_device *vdev, unsigned index)
{
    reg_write(vdev, VIRTIO_MMIO_QUEUE_SEL, index);
    return reg_read(vdev, VIRTIO_MMIO_QUEUE_NUM_MAX);
}

static void write_address(struct virtio_device *vdev, unsigned low, unsigned high, const void *ring)
{
    paddr_t address = virt_to_phys(ring);
    reg_write(vdev, low, (uint32_t)address);
    reg_write(vdev, high, (uint32_t)(address >> 32));
}

static int queue_enable(struct virtio_device *vdev, struct virtqueue *vq, unsigned group)
{
    vq->notify = of(vdev)->regs + VIRTIO_MMIO_QUEUE_NOTIFY;
    vq->notify_wide = true;
    reg_write(vdev, VIRTIO_MMIO_QUEUE_NUM, vq->mask + 1);
    write_address(vdev, VIRTIO_MMIO_QUEUE_DESC_LOW, VIRTIO_MMIO_QUEUE_DESC_HIGH, vq->desc);
    write_address(vdev, VIRTIO_MMIO_QUEUE_AVAIL_LOW, VIRTIO_MMIO_QUEUE_AVAIL_HIGH, vq->avail);
    write_address(vdev, VIRTIO_MMIO_QUEUE_USED_LOW, VIRTIO_MMIO_QUEUE_USED_HIGH, vq->used);
    reg_write(vdev, VIRTIO_MMIO_QUEUE_READY, 1);
    return 0;
}

/* Acknowledged before the driver looks, so what comes later raises the line again. */
static void interrupt(void *arg)
{
    struct virtio_device *vdev = arg;
    uint32_t status = reg_read(vdev, VIRTIO_MMIO_INTERRUPT_STATUS);
    reg_write(vdev, VIRTIO_MMIO_INTERRUPT_ACK, status);
    if (status & VIRTIO_MMIO_INT_VRING)
        virtio_queue_events(vdev);
    if (status & VIRTIO_MMIO_INT_CONFIG)
        virtio_config_event(vdev);
}

static int irq_setup(struct virtio_device *vdev, unsigned groups)
{
    const struct acpi_mmio_device *place = &of(vdev)->place;
    int err = irq_gsi_route(place->gsi, place->level, place->active_low, vdev->dev.name, interrupt, vdev);
    if (err != 0)
        log_warn("virtio %s: interrupt %u cannot be routed: error %d", vdev->dev.name, place->gsi, -err);
    return err;
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

/* The device id in the slot, 0: nothing of use to us. */
static uint32_t slot_probe(volatile uint8_t *regs, uint64_t base)
{
    if (mmio_read32(regs + VIRTIO_MMIO_MAGIC_VALUE) != MAGIC)
        return 0;
    uint32_t id = mmio_read32(regs + VIRTIO_MMIO_DEVICE_ID);
    if (id == 0)
        return 0;
    uint32_t version = mmio_read32(regs + VIRTIO_MMIO_VERSION);
    if (version == 2)
        return id;
    log_warn("virtio-mmio@%llx: version %u, version 2 is needed; QEMU: -global virtio-mmio.force-legacy=false",
             (unsigned long long)base, version);
    return 0;
}

static void slot_open(const struct acpi_mmio_device *place)
{
    size_t size = MIN(place->size, PAGE_SIZE);
    volatile uint8_t *regs = mapping_mmio(place->base, size);
    if (regs == NULL)
        return;
    uint32_t id = slot_probe(regs, place->base);
    if (id == 0)
        return;
    struct virtio_mmio *vm = kzalloc(sizeof *vm);
    if (vm == NULL) {
        log_warn("virtio-mmio@%llx: no memory, ignored", (unsigned long long)place->base);
        return;
    }
    vm->regs = regs;
    vm->config_length = (uint32_t)size - REGISTERS_MIN;
    vm->place = *place;
    vm->vdev.transport = &transport;
    vm->vdev.id = id;
    vm->vdev.dev.bus = "virtio";
    snprintf(vm->vdev.dev.name, sizeof vm->vdev.dev.name, "mmio@%llx", (unsigned long long)place->base);
    device_add(&vm->vdev.dev);
}

static int place_add(const struct acpi_mmio_device *place)
{
    for (unsigned i = 0; i < place_count; i++)
        if (places[i].base == place->base)
            return 0;
    if (place->size < REGISTERS_MIN || place->base % 4 != 0 || place->base >= 1ull << 46)
        return -EINVAL;
    if (place_count == PLACES_MAX)
        return -ENOSPC;
    places[place_count++] = *place;
    return 0;
}

static void place_from_acpi(const struct acpi_mmio_device *place, void *arg)
{
    if (place_add(place) != 0)
        log_warn("virtio-mmio@%llx: implausible or too many, ignored", (unsigned long long)place->base);
}

static void virtio_mmio_scan(void)
{
    acpi_virtio_mmio_foreach(place_from_acpi, NULL);
    for (unsigned i = 0; i < place_count; i++)
        slot_open(&places[i]);
}
INIT(INIT_DRIVER, virtio_mmio_scan);

static unsigned digit(char c)
{
    if (c >= '0' && c <= '9')
        return (unsigned)(c - '0');
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10 : 16;
}

/* Takes a number from the front. False when there is none, or it does not fit. */
static bool number(const char **s, uint64_t *value)
{
    unsigned base = 10;
    if ((*s)[0] == '0' && ((*s)[1] | 0x20) == 'x') {
        base = 16;
        *s += 2;
    }
    const char *start = *s;
    for (*value = 0; digit(**s) < base; (*s)++) {
        if (*value > (UINT64_MAX >> 5))
            return false;
        *value = *value * base + digit(**s);
    }
    return *s != start;
}

static bool size_number(const char **s, uint64_t *value)
{
    if (!number(s, value))
        return false;
    unsigned shift = (**s | 0x20) == 'k' ? 10 : (**s | 0x20) == 'm' ? 20 : (**s | 0x20) == 'g' ? 30 : 0;
    if (shift == 0)
        return true;
    (*s)++;
    *value <<= shift;
    return *value < 1ull << 46;
}

int virtio_mmio_cmdline(const char *spec)
{
    static const char prefix[] = "virtio_mmio.device=";
    struct acpi_mmio_device place = {.level = true};
    uint64_t irq, id;
    if (spec == NULL)
        return -EINVAL;
    if (strncmp(spec, prefix, sizeof prefix - 1) == 0)
        spec += sizeof prefix - 1;
    if (!size_number(&spec, &place.size) || *spec++ != '@' || !number(&spec, &place.base) || *spec++ != ':' || !number(&spec, &irq))
        return -EINVAL;
    if (*spec == ':' && (spec++, !number(&spec, &id)))
        return -EINVAL;
    if (*spec != 0 || irq > 1023)
        return -EINVAL;
    place.gsi = (unsigned)irq;
    return place_add(&place);
}
OPTION(virtio_mmio, .name = "virtio-mmio", .argument = "SIZE@BASE:IRQ", .help = "a virtio device in memory, at a physical address",
       .handle = virtio_mmio_cmdline);
