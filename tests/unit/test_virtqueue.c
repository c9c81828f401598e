/* SOURCES: drivers/virtio/virtqueue.c tests/unit/host/drivers.c */
/* The virtqueue against a model of a device. First random histories in one thread, checked step by step against a shadow: every token comes
   back once, descriptors are conserved, the doorbell rings exactly when the event index asks, garbage in the used ring is refused.
   Then driver and device as two threads that sleep whenever they may: a lost notification or interrupt shows as a standstill. */
#include "tap.h"
#include <drivers/virtqueue.h>
#include <kernel/string.h>

int pthread_create(unsigned long *thread, const void *attr, void *(*fn)(void *), void *arg);
int pthread_join(unsigned long thread, void **ret);
int sched_yield(void);

#define SIZE 16u

static uint64_t seed = 0x9e3779b97f4a7c15u;
static uint32_t random32(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (uint32_t)(seed >> 20);
}

/* The device's side. */
struct model {
    struct virtqueue *vq;
    uint16_t avail_seen, used;
    uint16_t heads[SIZE]; /* taken, not yet used */
    unsigned taken;
};

static uint16_t *event_of_driver(struct virtqueue *vq) { return &vq->avail->ring[vq->mask + 1]; }
static uint16_t *event_of_device(struct virtqueue *vq) { return (uint16_t *)&vq->used->ring[vq->mask + 1]; }

static bool model_take(struct model *m, uint16_t *head)
{
    if (__atomic_load_n(&m->vq->avail->idx, __ATOMIC_ACQUIRE) == m->avail_seen)
        return false;
    *head = m->vq->avail->ring[m->avail_seen++ & m->vq->mask];
    return true;
}

/* True when the driver wants an interrupt for it. */
static bool model_give(struct model *m, uint32_t id, uint32_t length)
{
    struct vring_used_elem *e = &m->vq->used->ring[m->used & m->vq->mask];
    __atomic_store_n(&e->id, id, __ATOMIC_RELAXED);
    __atomic_store_n(&e->len, length, __ATOMIC_RELAXED);
    uint16_t old = m->used++;
    __atomic_store_n(&m->vq->used->idx, m->used, __ATOMIC_RELEASE);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (m->vq->event_idx)
        return vring_need_event(__atomic_load_n(event_of_driver(m->vq), __ATOMIC_RELAXED), m->used, old);
    return !(__atomic_load_n(&m->vq->avail->flags, __ATOMIC_RELAXED) & VRING_AVAIL_F_NO_INTERRUPT);
}

static unsigned chain_length(struct virtqueue *vq, uint16_t head)
{
    unsigned n = 1;
    for (; vq->desc[head].flags & VRING_DESC_F_NEXT && n <= SIZE; n++)
        head = vq->desc[head].next;
    return n;
}

static void test_history(bool event_idx)
{
    struct virtqueue vq;
    uint16_t bell = 0;
    bool lengths_good = true, tokens_good = true, bells_good = true, room_good = true, irq_good = true;
    if (!ok(virtqueue_init(&vq, 7, SIZE, event_idx) == 0, "queue is made"))
        return;
    vq.notify = &bell;
    struct model m = {.vq = &vq};
    uintptr_t next_token = 1;
    unsigned count_of[4096] = {0}; /* descriptors of an outstanding token */
    unsigned outstanding = 0;
    bool sleeping = false;
    for (unsigned step = 0; step < 200000; step++) {
        struct virtqueue_sg sg[6];
        unsigned what = random32() % 6, n = 1 + random32() % 5, out = random32() % (n + 1);
        uint16_t head;
        uint32_t length;
        void *token;
        if (what == 0) {
            for (unsigned i = 0; i < n; i++)
                sg[i] = (struct virtqueue_sg){0x1000 * step + i, i + 1};
            int err = virtqueue_add(&vq, sg, out, n - out, (void *)next_token);
            room_good &= (err == 0) == (outstanding + n <= SIZE);
            if (err == 0) {
                outstanding += n;
                count_of[next_token] = n;
                next_token = next_token % 4095 + 1;
            }
        } else if (what == 1) {
            uint16_t old = vq.avail_published, wish = (uint16_t)(old + random32() % 20 - 5);
            *event_of_device(&vq) = wish;
            vq.used->flags = random32() % 2 ? VRING_USED_F_NO_NOTIFY : 0;
            bool expected = vq.avail_next != old &&
                            (event_idx ? vring_need_event(wish, vq.avail_next, old) : !vq.used->flags);
            bell = 0;
            bool rang = virtqueue_kick(&vq);
            bells_good &= rang == expected && (bell == 7) == expected;
        } else if (what == 2 && m.taken < SIZE && model_take(&m, &head)) {
            m.heads[m.taken++] = head;
        } else if (what == 3 && m.taken > 0) {
            unsigned pick = random32() % m.taken;
            head = m.heads[pick];
            m.heads[pick] = m.heads[--m.taken];
            bool interrupt = model_give(&m, head, chain_length(&vq, head));
            irq_good &= !sleeping || interrupt;
            sleeping = false;
        } else if (what == 4 && virtqueue_get(&vq, &token, &length)) {
            uintptr_t t = (uintptr_t)token;
            tokens_good &= t < 4096 && count_of[t] != 0;
            lengths_good &= length == count_of[t];
            outstanding -= count_of[t];
            count_of[t] = 0;
        } else if (what == 5) {
            bool waiting = virtqueue_irq_enable(&vq, 0);
            irq_good &= waiting == !virtqueue_pending(&vq);
            sleeping = waiting;
        }
        room_good &= vq.free_count == SIZE - outstanding;
    }
    ok(tokens_good && lengths_good, "every token comes back once, with its length");
    ok(room_good, "descriptors are conserved");
    ok(bells_good, "the doorbell rings exactly when the device asked");
    ok(irq_good, "a sleeper always gets its interrupt");
    ok(vq.errors == 0, "no errors were counted");
    virtqueue_free(&vq);
}

static void test_garbage(void)
{
    struct virtqueue vq;
    struct virtqueue_sg sg = {0x1000, 10};
    if (virtqueue_init(&vq, 0, SIZE, true) != 0)
        return;
    struct model m = {.vq = &vq};
    uint32_t length;
    void *token;
    unsigned back = 0;
    for (unsigned i = 0; i < 8; i++)
        (void)virtqueue_add(&vq, &sg, 1, 0, (void *)(uintptr_t)(i + 1));
    for (unsigned step = 0; step < 100000; step++) {
        uint32_t id = random32() % 4 == 0 ? random32() * 977u : random32() % (2 * SIZE);
        model_give(&m, id, random32());
        if (virtqueue_get(&vq, &token, &length))
            back++;
    }
    ok(back == 8 && vq.free_count == SIZE, "random ids bring each outstanding token back once, and nothing else");
    ok(vq.errors >= 100000 - 8, "the rest was counted");
    __atomic_store_n(&vq.used->idx, (uint16_t)(m.used + 40000), __ATOMIC_RELEASE);
    while (virtqueue_get(&vq, &token, &length))
        back++;
    ok(back == 8, "an index that jumps ahead gives nothing");
    virtqueue_free(&vq);
    ok(virtqueue_init(&vq, 0, 24, true) != 0 && virtqueue_init(&vq, 0, 0, true) != 0 && virtqueue_init(&vq, 0, 512, true) != 0,
       "sizes that are no power of two, zero, or too large are refused");
}

#define ITEMS 200000u
#define PATIENCE 20000000u /* polls before a wait counts as a standstill */

static struct virtqueue shared;
static uint16_t shared_bell;
static unsigned interrupts; /* raised by the device */
static bool stuck;

static bool wait_change(const unsigned *what, unsigned old)
{
    for (unsigned i = 0; i < PATIENCE; i++) {
        if (__atomic_load_n(what, __ATOMIC_ACQUIRE) != old)
            return true;
        if (__atomic_load_n(&stuck, __ATOMIC_RELAXED))
            return false;
        sched_yield();
    }
    __atomic_store_n(&stuck, true, __ATOMIC_RELAXED);
    return false;
}

/* The doorbell is a plain volatile store in the driver, so the device takes it off with an exchange. */
static bool wait_bell(void)
{
    for (unsigned i = 0; i < PATIENCE; i++) {
        if (__atomic_exchange_n(&shared_bell, 0, __ATOMIC_ACQ_REL) != 0)
            return true;
        if (__atomic_load_n(&stuck, __ATOMIC_RELAXED))
            return false;
        sched_yield();
    }
    __atomic_store_n(&stuck, true, __ATOMIC_RELAXED);
    return false;
}

static void *device_thread(void *arg)
{
    struct model m = {.vq = &shared};
    for (unsigned done_count = 0; done_count < ITEMS;) {
        uint16_t head;
        if (model_take(&m, &head)) {
            uint64_t value = *(uint64_t *)phys_to_virt(shared.desc[head].addr);
            if (model_give(&m, head, (uint32_t)value))
                __atomic_fetch_add(&interrupts, 1, __ATOMIC_RELEASE);
            done_count++;
            continue;
        }
        __atomic_store_n(event_of_device(&shared), m.avail_seen, __ATOMIC_RELAXED);
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
        if (__atomic_load_n(&shared.avail->idx, __ATOMIC_ACQUIRE) == m.avail_seen && !wait_bell())
            break;
    }
    return NULL;
}

static void test_threads(void)
{
    static uint64_t values[256];
    unsigned long thread;
    unsigned sent = 0, back = 0, kicks = 0;
    bool right = true;
    if (virtqueue_init(&shared, 9, SIZE, true) != 0)
        return;
    shared.notify = &shared_bell;
    pthread_create(&thread, NULL, device_thread, NULL);
    while (back < ITEMS && !__atomic_load_n(&stuck, __ATOMIC_RELAXED)) {
        for (unsigned burst = random32() % 8; burst > 0 && sent < ITEMS && shared.free_count > 0; burst--, sent++) {
            uint64_t *v = &values[sent % 256];
            *v = sent;
            virtqueue_add_one(&shared, virt_to_phys(v), 8, 0, v);
        }
        kicks += virtqueue_kick(&shared);
        void *token;
        uint32_t length;
        while (virtqueue_get(&shared, &token, &length)) {
            right &= *(uint64_t *)token == length && length == back;
            back++;
        }
        if (shared.free_count != 0 && sent < ITEMS)
            continue;
        unsigned before = __atomic_load_n(&interrupts, __ATOMIC_ACQUIRE);
        uint16_t queued = (uint16_t)(shared.avail_next - virtqueue_seen(&shared));
        if (queued != 0 && virtqueue_irq_enable(&shared, queued / 2))
            wait_change(&interrupts, before);
    }
    pthread_join(thread, NULL);
    ok(!stuck && back == ITEMS, "two threads that sleep whenever they may never stand still");
    ok(right, "what was queued came back in order");
    ok(kicks < ITEMS && interrupts < ITEMS, "with fewer doorbells and interrupts than items");
    virtqueue_free(&shared);
}

int main(void)
{
    test_history(true);
    test_history(false);
    test_garbage();
    test_threads();
    return done();
}
