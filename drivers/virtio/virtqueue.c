/* Split virtqueue (virtio 1.2, 2.7): the parts that are not on the path of every packet, or are there once for each batch.

   Order. Publishing: the descriptors and ring entries are plain stores, then the index is stored with release, so a device that sees the
   index sees them (2.7.13.3.1: barrier before the index). Notification and interrupt suppression are Dekker's pattern: we store an index
   (avail->idx, used_event) and then load the other side's (avail_event, used->idx), while the device does the reverse; at least one side sees
   the other's store only if a full fence lies between (2.7.13.4.1, 2.7.7.2). That fence is paid once a batch.

   Layout in one block: descriptors (16 bytes each), available ring, used ring at the next multiple of 4 (2.7). */
#include <asm/errno.h>
#include <drivers/virtqueue.h>
#include <kernel/string.h>
#include <mm/kmem.h>

static size_t avail_bytes(unsigned size)
{
    return 2 * (3 + (size_t)size); /* flags, idx, ring, used_event */
}

static size_t used_bytes(unsigned size)
{
    return 6 + sizeof(struct vring_used_elem) * size; /* flags, idx, ring, avail_event */
}

static uint16_t *used_event(const struct virtqueue *vq)
{
    return &vq->avail->ring[vq->mask + 1];
}

static const uint16_t *avail_event(const struct virtqueue *vq)
{
    return (const uint16_t *)&vq->used->ring[vq->mask + 1];
}

static unsigned order_of(size_t bytes)
{
    unsigned order = 0;
    while ((PAGE_SIZE << order) < bytes)
        order++;
    return order;
}

int virtqueue_init(struct virtqueue *vq, uint16_t index, unsigned size, bool event_idx)
{
    if (size == 0 || size > VIRTQUEUE_SIZE_MAX || (size & (size - 1)) != 0)
        return -EINVAL;
    size_t avail_at = sizeof(struct vring_desc) * size;
    size_t used_at = ALIGN_UP(avail_at + avail_bytes(size), 4);
    unsigned order = order_of(used_at + used_bytes(size));
    uint8_t *rings = pages_alloc_zeroed(order);
    struct virtqueue_slot *slots = kzalloc(sizeof *slots * size);
    if (rings == NULL || slots == NULL)
        goto no_memory;
    *vq = (struct virtqueue){
        .desc = (struct vring_desc *)rings,
        .avail = (struct vring_avail *)(rings + avail_at),
        .used = (struct vring_used *)(rings + used_at),
        .slots = slots,
        .mask = size - 1,
        .index = index,
        .free_count = (uint16_t)size,
        .event_idx = event_idx,
        .order = order,
    };
    for (unsigned i = 0; i < size; i++)
        vq->desc[i].next = (uint16_t)((i + 1) & vq->mask);
    virtqueue_irq_disable(vq);
    return 0;
no_memory:
    if (rings != NULL)
        pages_free(rings, order);
    kfree(slots);
    return -ENOMEM;
}

void virtqueue_free(struct virtqueue *vq)
{
    if (vq->desc == NULL)
        return;
    pages_free(vq->desc, vq->order);
    kfree(vq->slots);
    *vq = (struct virtqueue){0};
}

int virtqueue_add(struct virtqueue *vq, const struct virtqueue_sg *sg, unsigned out, unsigned in, void *token)
{
    unsigned count = out + in;
    if (unlikely(count == 0 || count > vq->free_count))
        return -EAGAIN;
    uint16_t head = vq->free_head, id = head, last = head;
    for (unsigned i = 0; i < count; i++) {
        struct vring_desc *d = &vq->desc[id];
        d->addr = sg[i].address;
        d->len = sg[i].length;
        d->flags = (uint16_t)((i < out ? 0 : VRING_DESC_F_WRITE) | (i + 1 < count ? VRING_DESC_F_NEXT : 0));
        last = id;
        id = d->next & (uint16_t)vq->mask; /* only we write it, but an index that comes from shared memory is masked */
    }
    vq->free_head = id;
    vq->free_count = (uint16_t)(vq->free_count - count);
    vq->slots[head] = (struct virtqueue_slot){token, (uint16_t)count, last};
    vq->avail->ring[vq->avail_next++ & vq->mask] = head;
    return 0;
}

static void doorbell(struct virtqueue *vq)
{
    if (vq->notify_wide)
        *(volatile uint32_t *)vq->notify = vq->index;
    else
        *(volatile uint16_t *)vq->notify = vq->index;
}

bool virtqueue_kick(struct virtqueue *vq)
{
    uint16_t old = vq->avail_published, new = vq->avail_next;
    if (old == new)
        return false;
    vq->avail_published = new;
    __atomic_store_n(&vq->avail->idx, new, __ATOMIC_RELEASE);
    __atomic_thread_fence(__ATOMIC_SEQ_CST); /* see the head: our index before its wish */
    bool wanted;
    if (vq->event_idx)
        wanted = vring_need_event(__atomic_load_n(avail_event(vq), __ATOMIC_RELAXED), new, old);
    else
        wanted = !(__atomic_load_n(&vq->used->flags, __ATOMIC_RELAXED) & VRING_USED_F_NO_NOTIFY);
    if (wanted)
        doorbell(vq);
    return wanted;
}

bool virtqueue_nudge(struct virtqueue *vq)
{
    if (virtqueue_used_index(vq) == vq->avail_published)
        return false;
    doorbell(vq);
    return true;
}

bool virtqueue_irq_enable(struct virtqueue *vq, uint16_t after)
{
    uint16_t seen = virtqueue_seen(vq);
    if (vq->event_idx)
        __atomic_store_n(used_event(vq), (uint16_t)(seen + after), __ATOMIC_RELAXED);
    else
        __atomic_store_n(&vq->avail->flags, 0, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_SEQ_CST); /* see the head: our wish before its index */
    if (likely((uint16_t)(virtqueue_used_index(vq) - seen) <= after))
        return true;
    virtqueue_irq_disable(vq);
    return false;
}

/* With the event index an interrupt comes when the used index passes used_event, so one that was just passed means: not for the next
   65535 entries (2.7.10). A stray interrupt after those does no harm. */
void virtqueue_irq_disable(struct virtqueue *vq)
{
    if (vq->event_idx)
        __atomic_store_n(used_event(vq), (uint16_t)(virtqueue_seen(vq) - 1), __ATOMIC_RELAXED);
    else
        __atomic_store_n(&vq->avail->flags, VRING_AVAIL_F_NO_INTERRUPT, __ATOMIC_RELAXED);
}
