/* The kernel heap. Objects up to 4 KiB come from slabs of 16 KiB: a head, then objects of one size class. A slab is aligned to its size, so the head is found from the
   object's address. What is larger is a run of pages with the same kind of head in front.

   Each CPU has a magazine (a small stack of free objects) for each class: allocating and freeing hot objects is a pop or a push with preemption off, no lock
   and no atomic. Magazines are filled and emptied by halves under the class's mutex. Empty slabs go back to the page allocator, but for one in each class. */
#include <arch/percpu.h>
#include <asm/errno.h>
#include <kernel/log.h>
#include <kernel/percpu_counter.h>
#include <kernel/string.h>
#include <mm/kmem.h>
#include <mm/page.h>
#include <mm/page_init.h>
#include <mm/stack_probe.h>
#include <sched/mutex.h>
#include <sched/thread.h>
#include <sys/queue.h>

#define SLAB_ORDER 2u
#define SLAB_SIZE (PAGE_SIZE << SLAB_ORDER)
#define HEAD_SIZE 64u
#define SMALL_MAX 4096u /* paths are that long */
#define LARGE_MAX (1u << 20)
#define MAGAZINE 16u
#define SLAB_MAGIC 0x51ab51abu
#define LARGE_MAGIC 0x1a49e1a9u

static const uint16_t class_sizes[] = {16, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1344, 2048, 4096};
#define CLASSES ARRAY_SIZE(class_sizes)

struct object {
    struct object *next;
};

struct slab {
    uint32_t magic;
    uint16_t class;
    uint16_t used;
    struct object *free;
    LIST_ENTRY(slab) link;
    uint32_t order; /* of a large allocation */
    uint32_t fresh; /* objects behind this index were never handed out: no list is built in advance */
};
_Static_assert(sizeof(struct slab) <= HEAD_SIZE, "head fits");

struct cache_class {
    struct mutex lock;
    LIST_HEAD(, slab) partial; /* have a free object */
    unsigned empty;            /* slabs in partial that are entirely free */
};

struct magazine {
    unsigned count;
    void *objects[MAGAZINE];
};
struct kmem_cpu {
    struct magazine magazines[CLASSES];
};

static struct cache_class classes[CLASSES];
static uint8_t class_of_size[SMALL_MAX / 16 + 1]; /* by (size + 15) / 16; written once at start-up */
static struct kmem_cpu boot_magazines;
PERCPU_COUNTER(held_bytes);

void kmem_init(void)
{
    unsigned c = 0;
    for (unsigned i = 0; i <= SMALL_MAX / 16; i++) {
        if (i * 16 > class_sizes[c])
            c++;
        class_of_size[i] = (uint8_t)c;
    }
    percpu()->kmem = &boot_magazines;
}

int kmem_cpu_init(struct percpu *p)
{
    p->kmem = kzalloc(sizeof(*p->kmem));
    return p->kmem ? 0 : -ENOMEM;
}

static void held_add(uint64_t n) { percpu_counter_add(PERCPU_COUNTER_OF(held_bytes), (int64_t)n); }

static struct slab *head_of(const void *p) { return (struct slab *)ALIGN_DOWN((uint64_t)p, SLAB_SIZE); }

/* Capacity of a slab, and the offset of its first object: objects whose size is a multiple of 64 are aligned to 64. */
static unsigned slab_capacity(unsigned class) { return (unsigned)(SLAB_SIZE - HEAD_SIZE) / class_sizes[class]; }

/* Objects of a class that a CPU keeps: few of the large ones. */
static unsigned magazine_limit(unsigned class) { return class_sizes[class] >= 1024 ? 4 : MAGAZINE; }

static void *take_locked(unsigned class)
{
    struct cache_class *c = &classes[class];
    struct slab *s = LIST_FIRST(&c->partial);
    if (!s) {
        s = pages_alloc(SLAB_ORDER);
        if (!s)
            return NULL;
        held_add(SLAB_SIZE);
        *s = (struct slab){.magic = SLAB_MAGIC, .class = (uint16_t)class};
        LIST_INSERT_HEAD(&c->partial, s, link);
        c->empty++;
    }
    if (!s->used)
        c->empty--;
    void *p;
    if (s->free) {
        p = s->free;
        s->free = s->free->next;
    } else {
        p = (char *)s + HEAD_SIZE + s->fresh++ * class_sizes[class];
    }
    s->used++;
    if (!s->free && s->fresh == slab_capacity(class))
        LIST_REMOVE(s, link);
    return p;
}

static void give_locked(void *p)
{
    struct slab *s = head_of(p);
    struct cache_class *c = &classes[s->class];
    if (!s->free && s->fresh == slab_capacity(s->class))
        LIST_INSERT_HEAD(&c->partial, s, link);
    ((struct object *)p)->next = s->free;
    s->free = p;
    if (--s->used)
        return;
    if (c->empty) {
        LIST_REMOVE(s, link);
        held_add(-SLAB_SIZE);
        pages_free(s, SLAB_ORDER);
    } else {
        c->empty++;
    }
}

static __attribute__((noinline)) void *refill(unsigned class)
{
    void *got[MAGAZINE / 2];
    unsigned n = 0, want = class_sizes[class] > 512 ? 2 : MAGAZINE / 2;

    stack_probe_half();
    mutex_lock(&classes[class].lock);
    while (n < want && (got[n] = take_locked(class)))
        n++;
    mutex_unlock(&classes[class].lock);
    if (!n)
        return NULL;
    preempt_disable();
    struct magazine *m = &percpu()->kmem->magazines[class];
    while (n > 1 && m->count < magazine_limit(class))
        m->objects[m->count++] = got[--n];
    preempt_enable();
    if (n > 1) { /* another thread filled it meanwhile */
        mutex_lock(&classes[class].lock);
        while (n > 1)
            give_locked(got[--n]);
        mutex_unlock(&classes[class].lock);
    }
    return got[0];
}

static __attribute__((noinline)) void spill(unsigned class, void *p)
{
    void *out[MAGAZINE / 2];
    unsigned n = 0;
    stack_probe_half();
    preempt_disable();
    struct magazine *m = &percpu()->kmem->magazines[class];
    while (n < MAGAZINE / 2 && m->count)
        out[n++] = m->objects[--m->count];
    m->objects[m->count++] = p;
    preempt_enable();
    mutex_lock(&classes[class].lock);
    while (n)
        give_locked(out[--n]);
    mutex_unlock(&classes[class].lock);
}

static void *alloc_large(size_t size)
{
    unsigned order = SLAB_ORDER;
    if (size > LARGE_MAX)
        return NULL;
    while ((PAGE_SIZE << order) < size + HEAD_SIZE)
        order++;
    struct slab *s = pages_alloc(order); /* aligned to at least SLAB_SIZE */
    if (!s)
        return NULL;
    held_add(PAGE_SIZE << order);
    *s = (struct slab){.magic = LARGE_MAGIC, .order = order};
    return (char *)s + HEAD_SIZE;
}

void *kmalloc(size_t size)
{
    if (unlikely(size > SMALL_MAX))
        return alloc_large(size);
    unsigned class = class_of_size[(size + 15) / 16];
    preempt_disable();
    struct magazine *m = &percpu()->kmem->magazines[class];
    void *p = m->count ? m->objects[--m->count] : NULL;
    preempt_enable();
    return likely(p != NULL) ? p : refill(class);
}

void *kzalloc(size_t size)
{
    void *p = kmalloc(size);
    return p ? memset(p, 0, size) : NULL;
}

void kfree(void *p)
{
    if (!p)
        return;
    struct slab *s = head_of(p);
    if (unlikely(s->magic != SLAB_MAGIC)) {
        if (s->magic != LARGE_MAGIC || (char *)p != (char *)s + HEAD_SIZE)
            panic("kmem: free of %p, which is not an allocation", p);
        held_add(-(PAGE_SIZE << s->order));
        s->magic = 0;
        pages_free(s, s->order);
        return;
    }
    preempt_disable();
    struct magazine *m = &percpu()->kmem->magazines[s->class];
    bool full = m->count >= magazine_limit(s->class);
    if (!full)
        m->objects[m->count++] = p;
    preempt_enable();
    if (unlikely(full))
        spill(s->class, p);
}

void *krealloc(void *p, size_t size)
{
    if (!p)
        return kmalloc(size);
    struct slab *s = head_of(p);
    size_t room = s->magic == SLAB_MAGIC ? class_sizes[s->class] : (PAGE_SIZE << s->order) - HEAD_SIZE;
    if (size <= room)
        return p;
    void *q = kmalloc(size);
    if (q) {
        memcpy(q, p, room);
        kfree(p);
    }
    return q;
}

uint64_t kmem_held_bytes(void) { return percpu_gauge_read(PERCPU_COUNTER_OF(held_bytes)); }
