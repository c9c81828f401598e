/* Brings up the other CPUs: makes what each subsystem needs for one, starts all at once, and goes
   on with the boot; just before the program starts it looks whether all have come. One that has not
   is named in the log and left out; devices get their CPUs then. */
#include <arch/apic.h>
#include <arch/irq.h>
#include <arch/smp.h>
#include <arch/tlb.h>
#include <asm/errno.h>
#include <kernel/clock.h>
#include <kernel/init.h>
#include <kernel/log.h>
#include <kernel/option.h>
#include <kernel/random.h>
#include <mm/kmem.h>
#include <mm/page_init.h>
#include <sched/internal.h>
#include <sched/semaphore.h>
#include <stdatomic.h>

#define PATIENCE_NS (2 * NS_PER_SEC) /* a host may be slow to give a virtual CPU its first slice */
#define LOOK_NS (200 * NS_PER_US)

static unsigned cpus_wanted = PERCPU_MAX;
static struct semaphore came = SEMAPHORE_INIT(0); /* a unit for each CPU that is online, until it is counted */
static unsigned online = 1;                       /* counted */

static int set_cpus(const char *value)
{
    unsigned n = 0;
    for (; *value >= '0' && *value <= '9' && n < 10000; value++)
        n = n * 10 + (unsigned)(*value - '0');
    if (*value || n < 1)
        return -EINVAL;
    cpus_wanted = MIN(n, (unsigned)PERCPU_MAX);
    return 0;
}
OPTION(cpus, .name = "cpus", .argument = "N", .help = "use at most N of the machine's CPUs", .handle = set_cpus);

/* All that CPU id needs. On failure what was made stays: memory is nearly gone, and the machine
   goes on with fewer CPUs. */
static int prepare(unsigned id, unsigned apic_id)
{
    struct percpu *p = smp_percpu_new(id, apic_id);
    int err = p ? 0 : -ENOMEM;
    if (!err)
        err = page_cpu_init(p);
    if (!err)
        err = kmem_cpu_init(p);
    if (!err)
        err = clock_cpu_init(p);
    if (!err)
        err = random_cpu_init(p);
    if (!err)
        err = sched_cpu_init(p);
    if (!err)
        percpu_table[id] = p;
    return err;
}

static void start_cpus(void)
{
    static unsigned apic_ids[PERCPU_MAX];
    unsigned n = smp_list(apic_ids, cpus_wanted - 1), count = 1;

    tlb_init();
    for (; count <= n; count++) {
        if (prepare(count, apic_ids[count - 1])) {
            log_warn("smp: no memory for CPU %u and those after it", count);
            break;
        }
    }
    percpu_count = count;
    if (smp_start(count, sched_idle_stack)) {
        log_warn("smp: no memory to start other CPUs");
        percpu_count = 1;
    }
}
INIT(INIT_BUS, start_cpus);

void smp_online(void)
{
    sched_online();
    semaphore_up(&came);
    sched_idle();
}

static bool wait_for_all(uint64_t deadline_ns)
{
    while (online < percpu_count) {
        if (semaphore_down(&came, deadline_ns, false) < 0)
            return false;
        online++;
    }
    return true;
}

/* The program asks at its start how many CPUs there are. */
static void check_cpus(void)
{
    if (percpu_count == 1)
        return;
    if (!wait_for_all(clock_monotonic_ns() + LOOK_NS * percpu_count)) {
        for (unsigned i = 1; i < percpu_count; i++)
            if (!atomic_load_explicit(&percpu_table[i]->online, memory_order_acquire))
                smp_start_again(percpu_table[i]);
        (void)wait_for_all(clock_monotonic_ns() + PATIENCE_NS);
    }
    for (unsigned i = 1; i < percpu_count; i++)
        if (!atomic_load_explicit(&percpu_table[i]->online, memory_order_acquire))
            log_warn("smp: CPU %u (APIC id %u) did not start, and is left out", i, percpu_table[i]->apic_id);
    log_info("smp: %u CPUs", online);
    irq_spread();
}
INIT(INIT_LATE, check_cpus);
