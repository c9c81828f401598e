/* Compares the CPUs' TSCs, where no hypervisor vouches for them, before a CPU goes online.

   The CPU notes its TSC and asks the boot CPU, by interrupt; the boot CPU's handler notes its own, and answers by interrupt; meanwhile the CPU is in HLT. So nobody
   spins, and a CPU without its host's attention delays nobody but itself. The boot CPU's reading lies between the CPU's two, which bounds the difference; a few rounds
   narrow the bounds to about the time of the fastest exchange, some microseconds. A difference of zero within the bounds counts as zero: TSCs either run from a common
   reset, or were set apart by far more than that. A thread that moves between CPUs takes about as long as that exchange does.

   What is wrong with them is mostly that firmware has written to one: IA32_TSC_ADJUST says so, and making it the boot CPU's mends it exactly (Intel SDM volume 3, 18.17.3).
   What is left is taken into account by a line of the CPU's own (clock_read.c), for a TSC cannot be written exactly. */
#include <arch/apic.h>
#include <arch/clock_internal.h>
#include <arch/cpu.h>
#include <kernel/log.h>
#include <stdatomic.h>

#define MSR_TSC_ADJUST 0x3bu
#define ROUNDS 4u

static bool has_adjust;
static uint64_t boot_adjust;

/* On the boot CPU. One interrupt may stand for the questions of several. */
static void answer_all(void *arg)
{
    if (percpu() != percpu_table[0])
        return; /* an answer: what it was for is seen when HLT returns */
    for (unsigned i = 1; i < percpu_count; i++) {
        struct clock_cpu *c = percpu_table[i]->clock;
        uint32_t asked = atomic_load_explicit(&c->asked, memory_order_acquire);
        if (asked == atomic_load_explicit(&c->answered, memory_order_relaxed))
            continue;
        if (atomic_load_explicit(&c->apart, memory_order_relaxed) && clock_current_line().mult)
            (void)clock_change_to_each(0);
        atomic_store_explicit(&c->answer, clock_tsc(), memory_order_relaxed);
        atomic_store_explicit(&c->answered, asked, memory_order_release);
        apic_send_ipi(percpu_table[i]->apic_id, APIC_VECTOR_TSC);
    }
}

static void ask(struct clock_cpu *c, struct tsc_bounds *b)
{
    uint32_t n = atomic_load_explicit(&c->asked, memory_order_relaxed) + 1;
    uint64_t before = clock_tsc();
    atomic_store_explicit(&c->asked, n, memory_order_release);
    apic_send_ipi(percpu_table[0]->apic_id, APIC_VECTOR_TSC);
    for (;;) {
        if (atomic_load_explicit(&c->answered, memory_order_acquire) == n)
            break;
        irq_enable_and_halt();
        irq_disable();
    }
    tsc_bounds_narrow(b, before, atomic_load_explicit(&c->answer, memory_order_relaxed), clock_tsc());
}

void tsc_sync_init(void)
{
    uint32_t r[4];
    cpuid(0, 0, r);
    if (r[0] >= 7) {
        cpuid(7, 0, r);
        has_adjust = r[1] >> 1 & 1;
    }
    if (has_adjust)
        boot_adjust = rdmsr(MSR_TSC_ADJUST);
    irq_set_handler(APIC_VECTOR_TSC, answer_all, NULL);
}

void tsc_sync_cpu(struct clock_cpu *c)
{
    struct tsc_bounds b = TSC_BOUNDS_NONE;
    struct clock_line line = percpu_table[0]->clock->line;

    if (has_adjust && rdmsr(MSR_TSC_ADJUST) != boot_adjust) {
        wrmsr(MSR_TSC_ADJUST, boot_adjust);
        log_info("clock: the TSC of CPU %u was set apart, by firmware perhaps; set back", percpu()->id);
    }
    for (unsigned i = 0; i < ROUNDS; i++)
        ask(c, &b);
    int64_t offset = tsc_bounds_offset(&b);
    c->line = line;
    if (!offset)
        return;
    /* Until the change is made nobody may read the time here, the log neither. */
    c->line.offset += (uint64_t)(((__int128)offset * line.mult) >> 32);
    atomic_store_explicit(&c->apart, true, memory_order_relaxed);
    do
        ask(c, &b); /* the boot CPU makes the change: its TSC is the one that all have read */
    while (clock_current_line().mult);
    log_warn("clock: the TSC of CPU %u is %lld behind the boot CPU's (+-%lld); reading the time is slower for that", percpu()->id,
             (long long)offset, (long long)(b.high - b.low) / 2);
}
