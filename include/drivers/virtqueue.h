/* Split virtqueue (virtio 1.2, 2.7). One owner at a time (the caller's lock); virtqueue_pending alone may be called by anyone.

   Descriptors are written, then their head into the available ring, then, at virtqueue_kick, one release store of the index
   makes the whole batch visible. The used index is read with acquire, so what the device wrote before it is seen. What the device writes
   (ids, lengths, indices) is checked: an id that is not outstanding is counted and skipped. */
#ifndef DRIVERS_VIRTQUEUE_H
#define DRIVERS_VIRTQUEUE_H

#define VIRTIO_RING_NO_LEGACY
#include <kernel/compiler.h>
#include <linux/virtio_ring.h>
#include <mm/page.h>

#define VIRTQUEUE_SIZE_MAX 256u
#define VIRTQUEUE_SG_MAX 20u

/* What belongs to a chain, at the index of its first descriptor. The descriptor table is the device's to read, so it is not trusted for this. */
struct virtqueue_slot {
    void *token;
    uint16_t count; /* descriptors in the chain, 0: not outstanding */
    uint16_t last;  /* its last descriptor */
};

struct virtqueue {
    struct vring_desc *desc; /* free descriptors are chained by next */
    struct vring_avail *avail;
    struct vring_used *used;
    struct virtqueue_slot *slots;
    volatile void *notify; /* doorbell */
    uint32_t mask;         /* size - 1 */
    uint16_t index;
    uint16_t free_head, free_count;
    uint16_t avail_next;      /* entries written to the available ring */
    uint16_t avail_published; /* of these, visible to the device */
    uint16_t used_seen;       /* written by the owner, read by anyone */
    bool event_idx;           /* VIRTIO_F_EVENT_IDX was agreed on */
    bool notify_wide;         /* the doorbell takes 32 bits, not 16 */
    uint32_t errors;          /* used entries that made no sense */
    unsigned order;           /* of the pages behind the rings */
};

struct virtqueue_sg {
    uint64_t address; /* physical */
    uint32_t length;
};

/* Allocates rings for size entries (a power of two, at most VIRTQUEUE_SIZE_MAX). 0, -EINVAL, -ENOMEM. */
int virtqueue_init(struct virtqueue *vq, uint16_t index, unsigned size, bool event_idx) WARN_UNUSED;
void virtqueue_free(struct virtqueue *vq);

/* Queues a chain: out pieces that the device reads, then in pieces that it writes. 0, or -EAGAIN when there is no room. */
int virtqueue_add(struct virtqueue *vq, const struct virtqueue_sg *sg, unsigned out, unsigned in, void *token);
/* Makes what was queued visible and rings the doorbell if the device wants that; true when it rang. */
bool virtqueue_kick(struct virtqueue *vq);
/* Rings the doorbell, wanted or not, if the device has not used all that is visible to it; true when it rang. */
bool virtqueue_nudge(struct virtqueue *vq);

static inline uint16_t virtqueue_used_index(const struct virtqueue *vq)
{
    return __atomic_load_n(&vq->used->idx, __ATOMIC_ACQUIRE);
}

static inline uint16_t virtqueue_seen(const struct virtqueue *vq)
{
    return __atomic_load_n(&vq->used_seen, __ATOMIC_RELAXED);
}

/* The device gave something back that was not taken yet. Without the lock this is a hint. */
static inline bool virtqueue_pending(const struct virtqueue *vq)
{
    return virtqueue_used_index(vq) != virtqueue_seen(vq);
}

/* Takes the next used entry, which the caller knows to be there: its token and the bytes that the device wrote (its word, check it).
   False when the entry made no sense; then it is skipped. Its descriptors are free afterwards. Each field of the ring is read once,
   since the device may change it meanwhile. */
static inline __attribute__((always_inline)) bool virtqueue_take_chain(struct virtqueue *vq, void **token, uint32_t *length, bool single)
{
    uint16_t seen = virtqueue_seen(vq);
    const struct vring_used_elem *e = &vq->used->ring[seen & vq->mask];
    uint32_t id = __atomic_load_n(&e->id, __ATOMIC_RELAXED);
    *length = __atomic_load_n(&e->len, __ATOMIC_RELAXED);
    __atomic_store_n(&vq->used_seen, (uint16_t)(seen + 1), __ATOMIC_RELAXED);
    if (unlikely(id > vq->mask || vq->slots[id].count == 0)) {
        vq->errors++;
        return false;
    }
    struct virtqueue_slot *slot = &vq->slots[id];
    vq->free_count = (uint16_t)(vq->free_count + (single ? 1 : slot->count));
    slot->count = 0;
    vq->desc[single ? id : slot->last].next = vq->free_head;
    vq->free_head = (uint16_t)id;
    *token = slot->token;
    return true;
}

static inline bool virtqueue_take(struct virtqueue *vq, void **token, uint32_t *length)
{
    return virtqueue_take_chain(vq, token, length, false);
}

/* The same for a queue whose chains all have one descriptor. */
static inline bool virtqueue_take_one(struct virtqueue *vq, void **token, uint32_t *length)
{
    return virtqueue_take_chain(vq, token, length, true);
}

/* Takes the next used entry that makes sense; false when there is none. */
static inline bool virtqueue_get(struct virtqueue *vq, void **token, uint32_t *length)
{
    while (virtqueue_pending(vq))
        if (likely(virtqueue_take(vq, token, length)))
            return true;
    return false;
}

/* Queues one descriptor; the caller knows that one is free. */
static inline void virtqueue_add_one(struct virtqueue *vq, uint64_t address, uint32_t length, uint16_t flags, void *token)
{
    uint16_t id = vq->free_head;
    struct vring_desc *d = &vq->desc[id];
    vq->free_head = d->next;
    vq->free_count--;
    d->addr = address;
    d->len = length;
    d->flags = flags;
    vq->slots[id] = (struct virtqueue_slot){token, 1, id};
    vq->avail->ring[vq->avail_next++ & vq->mask] = id;
}

/* Asks for an interrupt once `after` more entries than those taken were used (0: at the next one). False, and no interrupt,
   when that is the case already. */
bool virtqueue_irq_enable(struct virtqueue *vq, uint16_t after);
void virtqueue_irq_disable(struct virtqueue *vq);

#endif
