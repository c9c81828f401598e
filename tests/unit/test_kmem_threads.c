/* SOURCES: kernel/percpu_counter.c sched/mutex.c sched/lockstat.c tests/unit/host/host.c */
/* SANITIZE: thread */
/* The kernel heap on several CPUs (each thread is one): objects are freed by others than those that allocated them, under ThreadSanitizer. */
#include "kmem_pages.h"
#include "../../mm/kmem.c"
#include "host/host.h"
#include "host_cpus.h"
#include "tap.h"

#define CPUS 6
#define ROUNDS 200000
#define SLOTS 64

struct slot {
    uint64_t *_Atomic p; /* exchanged: whoever gets the object frees it */
};
static struct slot slots[SLOTS];
static _Atomic bool broken;
static struct kmem_cpu magazines[CPUS];

static void cpu(void *arg)
{
    uint64_t rng = (uint64_t)(long)arg * 0x9e3779b97f4a7c15u + 1;
    percpu()->kmem = &magazines[(long)arg];
    for (int i = 0; i < ROUNDS; i++) {
        rng = rng * 6364136223846793005u + 1442695040888963407u;
        size_t size = 16 + (rng >> 33) % (rng >> 60 == 0 ? 5000 : 700);
        uint64_t *p = kmalloc(size);
        if (p) {
            p[0] = size;
            p[size / 8 - 1] = size;
            p[0] = size;
        }
        uint64_t *old = atomic_exchange_explicit(&slots[rng >> 40 & (SLOTS - 1)].p, p, memory_order_acq_rel);
        if (old && (old[0] < 16 || old[0] > 5016 || old[old[0] / 8 - 1] != old[0]))
            broken = true;
        kfree(old);
    }
    struct kmem_cpu *mine = percpu()->kmem;
    for (unsigned c = 0; c < CLASSES; c++) {
        mutex_lock(&classes[c].lock);
        while (mine->magazines[c].count)
            give_locked(mine->magazines[c].objects[--mine->magazines[c].count]);
        mutex_unlock(&classes[c].lock);
    }
    host_cpu_end();
}

int main(void)
{
    struct host_thread *t[CPUS];
    alarm(900);
    host_cpus_start();
    kmem_init();
    for (long i = 0; i < CPUS; i++)
        t[i] = host_spawn(cpu, (void *)i);
    for (int i = 0; i < CPUS; i++)
        host_join(t[i]);
    ok(!broken, "objects that travel between CPUs keep their contents");
    for (int i = 0; i < SLOTS; i++)
        kfree(slots[i].p);
    for (unsigned c = 0; c < CLASSES; c++)
        while (boot_magazines.magazines[c].count)
            give_locked(boot_magazines.magazines[c].objects[--boot_magazines.magazines[c].count]);
    ok(kmem_held_bytes() == (uint64_t)page_bytes && page_bytes <= (long)(CLASSES * SLAB_SIZE), "all memory comes back");
    return done();
}
