/* SOURCES: tests/unit/host/host.c */
/* arch/x86_64/vector.c: which CPU gets a device's interrupt, before and after the others have come;
   that nothing is lost on the way; APIC ids that devices cannot reach; vectors that run out. */
#include <arch/apic.h>
#include <kernel/string.h>
#include <sched/mutex.h>

#include "../../arch/x86_64/vector.c"

#include "host/host.h"
#include "tap.h"

#define CPUS 6
#define MANY (DEVICE_VECTORS + 3)

struct percpu *percpu_table[PERCPU_MAX];
unsigned percpu_count = CPUS;
static struct percpu cpus[CPUS];
static unsigned reachable_max = 254;

bool irq_reachable(unsigned apic_id) { return apic_id <= reachable_max; }

/* A device: where its register says that its interrupt goes. */
struct device_irq {
    struct irq irq;
    unsigned to_cpu, to_vector, aimed, got;
    int answer;
};

static int aim(struct irq *irq)
{
    struct device_irq *d = CONTAINER_OF(irq, struct device_irq, irq);
    d->aimed++;
    d->to_cpu = irq->cpu;
    d->to_vector = irq->vector;
    return d->answer;
}

static void handler(void *arg) { ((struct device_irq *)arg)->got++; }

static int add(struct device_irq *d, int place)
{
    *d = (struct device_irq){
        .irq =
            {.fn = handler, .arg = d, .chip = "test", .device = "test", .place = place, .aim = aim},
        .answer = d->answer};
    return irq_add(&d->irq);
}

static void raise(unsigned cpu, unsigned vector)
{
    struct percpu mine = host_percpu;
    host_percpu.id = cpu;
    host_percpu.irqs = cpus[cpu].irqs;
    irq_call(vector);
    host_percpu = mine;
}

/* CPU 4 never comes; CPU 5 is beyond reach at first. */
static void machine(void)
{
    for (unsigned i = 0; i < CPUS; i++) {
        cpus[i].id = i;
        cpus[i].apic_id = i == 5 ? 300 : i;
        cpus[i].irqs = i == 0 ? &boot_cpu : irq_cpu_new();
        cpus[i].online = i == 0;
        percpu_table[i] = &cpus[i];
    }
}

static struct device_irq queues[8], single[3], refused, later, many[MANY];

static void at_start(void)
{
    bool good = true;
    for (unsigned i = 0; i < ARRAY_SIZE(queues); i++)
        good = good && add(&queues[i], (int)i) == 0 && queues[i].to_cpu == 0;
    for (unsigned i = 0; i < ARRAY_SIZE(single); i++)
        good = good && add(&single[i], IRQ_ANY_CPU) == 0 && single[i].to_cpu == 0;
    ok(good, "while the machine starts all go to the boot CPU");
    refused.answer = -ENODEV;
    unsigned would_be = single[2].irq.vector + 1;
    ok(add(&refused, 0) == -ENODEV && is_free(0, would_be),
       "what cannot be aimed leaves nothing behind");
    raise(0, queues[3].to_vector);
    ok(queues[3].got == 1 && queues[3].irq.counts[0] == 1, "an interrupt is handled and counted");
    raise(0, would_be);
    raise(0, 33);
    ok(true, "one that nobody has asked for does nothing");
}

static void spreading(void)
{
    unsigned before[ARRAY_SIZE(queues)];
    for (unsigned i = 0; i < ARRAY_SIZE(queues); i++)
        before[i] = queues[i].to_vector;
    for (unsigned i = 1; i < CPUS; i++)
        cpus[i].online = i != 4;
    irq_spread();
    bool placed = true, same = true, old = true;
    for (unsigned i = 0; i < ARRAY_SIZE(queues); i++) {
        placed = placed && queues[i].to_cpu == i % 4;
        same = same && queues[i].to_vector == before[i];
        unsigned got = queues[i].got;
        raise(0, before[i]);
        raise(queues[i].to_cpu, queues[i].to_vector);
        old = old && queues[i].got == got + 2;
    }
    ok(placed, "queues go to the CPUs in order, but not to one that did not come or that cannot be "
               "reached");
    ok(same, "their vectors stay");
    ok(old, "and what is still on its way to the boot CPU is handled there");
    ok(queues[0].aimed == 1 && queues[1].aimed == 2, "what stays is not touched");
    ok(single[0].to_cpu == 1 && single[1].to_cpu == 2 && single[2].to_cpu == 3,
       "devices with one queue take turns");
    ok(queues[1].irq.counts[0] == 1 && queues[1].irq.counts[1] == 1,
       "counted where they were taken");
    reachable_max = 1000;
    ok(add(&later, 4) == 0 && later.to_cpu == 5 && later.aimed == 1,
       "what comes later is where it belongs at once");
}

static void running_out(void)
{
    bool own = true, others = true;
    unsigned n = 0;
    for (; n < MANY; n++) {
        if (add(&many[n], 2) != 0)
            break;
        own = own && (n >= DEVICE_VECTORS - 4 || many[n].to_cpu == 2);
        others = others && (n < DEVICE_VECTORS || many[n].to_cpu != 2);
    }
    ok(n == MANY && own && others, "when a CPU's vectors are out the next one's are taken");
    unsigned total = 0;
    const struct irq *irq = NULL;
    while ((irq = irq_next(irq)))
        total++;
    ok(total == ARRAY_SIZE(queues) + ARRAY_SIZE(single) + 1 + MANY, "all are listed");
    raise(1, APIC_VECTOR_TIMER);
    raise(1, APIC_VECTOR_SPURIOUS);
    ok(irq_fixed_count(1, APIC_VECTOR_TIMER) == 1 && irq_fixed_count(0, APIC_VECTOR_TIMER) == 0,
       "fixed vectors are counted");
}

int main(void)
{
    machine();
    at_start();
    spreading();
    running_out();
    return done();
}
