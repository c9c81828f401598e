/* The table of threads, without a lock of its own.

   A structure gets a slot when it is made, and keeps it; structures are never given back, only recycled. A thread's id is its slot and, above, how often the slot was used before: so an id
   leads to its structure by two loads, and `listed` says whether the thread that lives there now is the one that is meant. An id comes again after its slot was used 8,192 times; ids
   fit into the 30 bits that a futex word has for them. Slots lie in chunks that are made when first needed.

   What is only looked at needs no more than that: the structure stays a thread's. Who wants to change a thread holds it (`life`, a mutex of each structure), and looks at `listed` once more; a
   thread takes its own life to end. So threads come and go without a lock that they share.

   Structures to be recycled are on a stack for each CPU, linked by slot numbers. Its head is one word: the slot of the first, plus one, and a number that each change
   counts up, so that a pop which was interrupted between its look at the second and its exchange fails if anything happened meanwhile (ABA). After Treiber, 1986. */
#include <asm/errno.h>
#include <mm/kmem.h>
#include <sched/internal.h>
#include <sched/thread_table.h>

#define CHUNK_SLOTS 512u
#define GENERATIONS (1u << (30 - THREAD_SLOT_BITS))

typedef struct thread *_Atomic slot;
static slot *_Atomic thread_chunks[THREAD_SLOTS / CHUNK_SLOTS]; /* set once each */
static _Atomic unsigned used;   /* slots; only grows */
static _Atomic int newest_id;

/* ---- the stacks ---- */

#define FIRST(head) ((unsigned)(head))
#define NEXT_HEAD(head, first) (((((head) >> 32) + 1) << 32) | (first))

void thread_stack_push(thread_stack *s, struct thread *t)
{
    uint64_t head = atomic_load_explicit(s, memory_order_relaxed);
    do
        atomic_store_explicit(&t->free_next, FIRST(head), memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(s, &head, NEXT_HEAD(head, t->slot + 1), memory_order_release, memory_order_relaxed));
}

struct thread *thread_stack_pop(thread_stack *s)
{
    uint64_t head = atomic_load_explicit(s, memory_order_acquire);
    struct thread *t;
    do {
        if (!FIRST(head))
            return NULL;
        t = thread_slot(FIRST(head) - 1);
    } while (!atomic_compare_exchange_weak_explicit(
        s, &head, NEXT_HEAD(head, atomic_load_explicit(&t->free_next, memory_order_relaxed)), memory_order_acquire, memory_order_acquire));
    return t;
}

/* ---- slots ---- */

unsigned thread_slots(void) { return atomic_load_explicit(&used, memory_order_acquire); }
int thread_newest_id(void) { return atomic_load_explicit(&newest_id, memory_order_relaxed); }

struct thread *thread_slot(unsigned i)
{
    slot *chunk = atomic_load_explicit(&thread_chunks[i / CHUNK_SLOTS], memory_order_acquire);
    return chunk ? atomic_load_explicit(&chunk[i % CHUNK_SLOTS], memory_order_acquire) : NULL;
}

static int make_chunk(unsigned n)
{
    slot *none = NULL, *chunk;
    if (likely(atomic_load_explicit(&thread_chunks[n], memory_order_relaxed)))
        return 0;
    chunk = kzalloc(CHUNK_SLOTS * sizeof(*chunk));
    if (!chunk)
        return -ENOMEM;
    if (!atomic_compare_exchange_strong_explicit(&thread_chunks[n], &none, chunk, memory_order_release, memory_order_relaxed))
        kfree(chunk);
    return 0;
}

int thread_table_add(struct thread *t)
{
    unsigned i = atomic_load_explicit(&used, memory_order_relaxed);
    do {
        if (i == THREAD_SLOTS)
            return -EAGAIN;
        if (make_chunk(i / CHUNK_SLOTS))
            return -ENOMEM;
    } while (!atomic_compare_exchange_weak_explicit(&used, &i, i + 1, memory_order_release, memory_order_relaxed));
    t->slot = i;
    atomic_store_explicit(&t->listed, THREAD_NOT_LISTED, memory_order_relaxed);
    slot *chunk = atomic_load_explicit(&thread_chunks[i / CHUNK_SLOTS], memory_order_acquire);
    atomic_store_explicit(&chunk[i % CHUNK_SLOTS], t, memory_order_release);
    return 0;
}

void thread_list(struct thread *t)
{
    t->tid = (int)(t->generation++ % GENERATIONS << THREAD_SLOT_BITS | t->slot);
    atomic_store_explicit(&newest_id, t->tid, memory_order_relaxed);
    atomic_store_explicit(&t->listed, t->tid, memory_order_release);
}

void thread_unlist(struct thread *t)
{
    mutex_lock(&t->life);
    thread_unlist_held(t);
    mutex_unlock(&t->life);
}

void thread_unlist_held(struct thread *t) { atomic_store_explicit(&t->listed, THREAD_NOT_LISTED, memory_order_relaxed); }

/* ---- looking ---- */

static bool is(const struct thread *t, int id) { return atomic_load_explicit(&t->listed, memory_order_acquire) == id; }

struct thread *thread_hold(int id)
{
    struct thread *t = id < 0 ? NULL : thread_slot(thread_slot_of(id));
    if (!t || !is(t, id))
        return NULL;
    mutex_lock(&t->life);
    if (is(t, id))
        return t;
    mutex_unlock(&t->life);
    return NULL;
}

void thread_release(struct thread *t) { mutex_unlock(&t->life); }

struct thread *thread_after(unsigned *slot)
{
    for (unsigned end = thread_slots(); *slot < end;) {
        struct thread *t = thread_slot((*slot)++);
        if (t && !is(t, THREAD_NOT_LISTED))
            return t;
    }
    return NULL;
}

struct thread *thread_hold_after(unsigned *slot)
{
    struct thread *t;
    while ((t = thread_after(slot))) {
        mutex_lock(&t->life);
        if (!is(t, THREAD_NOT_LISTED))
            return t;
        mutex_unlock(&t->life);
    }
    return NULL;
}
