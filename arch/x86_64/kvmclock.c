/* KVM's clock: a page for each CPU, in which the host says what time it was at which TSC, and how fast the TSC runs.

   Where the host vouches for it (PVCLOCK_TSC_STABLE) all pages say the same, and all CPUs read by one line that was made from the boot CPU's page. The host writes a
   page anew when something has changed: the machine was moved to another host, or its clock was set. Each CPU looks at its page's version when its timer is set and
   when it fires, which is a comparison; if it has changed, the line is made anew (clock_read.c). A CPU that neither sets timers nor gets interrupts does not notice, but
   nor does it read the time for long. The host's time is followed forwards; when it has fallen back behind what we have shown, because it stood still while the machine
   was paused and the TSC did not, we go on from what we have shown: a pause is time that has passed. Wall time is an offset to monotonic time and goes on with it.

   Where the host does not vouch, each CPU reads by its own page, for good: clock_read.c sees to it that nobody sees time go back.

   A page that makes no sense is left aside, with a line in the log; what was known of that CPU before remains.

   Documentation/virt/kvm/x86/msr.rst and cpuid.rst. */
#include <arch/apic.h>
#include <arch/cpu.h>
#include <arch/pvclock.h>
#include <kernel/clock.h>
#include <kernel/log.h>
#include <mm/page.h>
#include <stdatomic.h>

#define MSR_KVM_WALL_CLOCK 0x4b564d00u
#define MSR_KVM_SYSTEM_TIME 0x4b564d01u
#define KVM_FEATURE_CLOCKSOURCE2 (1u << 3)
#define KVM_FEATURE_CLOCKSOURCE_STABLE (1u << 24)
#define CPUID_BASE 0x40000000u
#define CPUID_BASES_END 0x40010000u /* KVM may come second, behind what it imitates */
#define LATEST_NS (1ull << 62)      /* 146 years */
#define JITTER_NS (10 * NS_PER_US)  /* a difference that is no reason for a change */

struct pvclock_wall {
    _Atomic uint32_t version, sec, nsec;
};

/* Constant after kvmclock_start, on the boot CPU. */
static bool used, host_vouches;
/* Monotonic time less the host's. Changed by whoever has just changed the line. relaxed: only the next change looks at it */
static _Atomic uint64_t to_monotonic;

static bool kvm_features(uint32_t *features)
{
    uint32_t r[4];
    if (!cpu_features.hypervisor)
        return false;
    for (uint32_t base = CPUID_BASE; base < CPUID_BASES_END; base += 0x100) {
        cpuid(base, 0, r);
        if (r[1] == 0x4b4d564b && r[2] == 0x564b4d56 && r[3] == 0x4d) { /* "KVMKVMKVM" */
            cpuid(base + 1, 0, r);
            *features = r[0];
            return true;
        }
    }
    return false;
}

bool kvmclock_used(void) { return used; }

static bool read_page(struct clock_cpu *c, struct pvclock_values *v)
{
    bool good = pvclock_read(&c->page, v);
    c->page_seen = v->version;
    if (good) {
        c->line = v->line;
        c->page_bad = false;
    } else if (!c->page_bad) {
        c->page_bad = true;
        log_warn("kvmclock: the host's time page of CPU %u makes no sense (version %u); going on without it", percpu()->id, v->version);
    }
    return good;
}

void kvmclock_refresh(struct clock_cpu *c)
{
    struct pvclock_values v;
    (void)read_page(c, &v);
}

static void register_page(struct clock_cpu *c) { wrmsr(MSR_KVM_SYSTEM_TIME, virt_to_phys(&c->page) | 1); }

bool kvmclock_start(uint64_t entry_tsc)
{
    struct clock_cpu *c = percpu()->clock;
    struct pvclock_values v;
    uint32_t features;
    if (!kvm_features(&features) || !(features & KVM_FEATURE_CLOCKSOURCE2))
        return false;
    register_page(c);
    if (!read_page(c, &v)) {
        wrmsr(MSR_KVM_SYSTEM_TIME, 0);
        return false;
    }
    used = true;
    uint64_t offset = -clock_line_at(&v.line, entry_tsc);
    atomic_store_explicit(&to_monotonic, offset, memory_order_relaxed);
    clock_start(&(struct clock_line){v.line.mult, v.line.offset + offset});
    host_vouches = (features & KVM_FEATURE_CLOCKSOURCE_STABLE) && (v.flags & PVCLOCK_TSC_STABLE);
    if (!host_vouches)
        (void)clock_change_to_each(offset);
    return true;
}

/* Until its page can be read it goes by the boot CPU's. */
void kvmclock_init_cpu(struct clock_cpu *c)
{
    c->line = percpu_table[0]->clock->line;
    register_page(c);
    kvmclock_refresh(c);
}

/* The timers of all CPUs, this one's too, were set by the old rate: they fire now, and are set anew. */
static void fire_timers(void)
{
    for (unsigned i = 0; i < percpu_count; i++)
        if (i == percpu()->id || atomic_load_explicit(&percpu_table[i]->online, memory_order_acquire))
            apic_send_ipi(percpu_table[i]->apic_id, APIC_VECTOR_TIMER);
}

/* False: somebody else is changing the time. */
static bool follow_line(const struct clock_line *host)
{
    struct clock_line old = clock_current_line();
    uint64_t offset = atomic_load_explicit(&to_monotonic, memory_order_relaxed), shifted = host->offset + offset, tsc = clock_tsc();
    struct clock_line to = {host->mult, shifted};
    uint64_t ahead = clock_line_at(&to, tsc) - clock_line_at(&old, tsc);
    if (old.mult == to.mult && ahead + JITTER_NS <= 2 * JITTER_NS)
        return true;
    if ((int64_t)ahead > 0 && clock_line_at(&to, tsc) > LATEST_NS) {
        log_warn("kvmclock: the host's clock has gone ahead by centuries; not followed");
        return true;
    }
    if (!clock_change(to, &shifted))
        return false;
    atomic_store_explicit(&to_monotonic, shifted - host->offset, memory_order_relaxed);
    log_info("kvmclock: the host's clock has changed: %lld us %s", (long long)((int64_t)ahead < 0 ? -ahead : ahead) / 1000,
             (int64_t)ahead < 0 ? "behind, not followed" : "ahead");
    if (old.mult != to.mult) {
        clock_set_timer_rate(to.mult);
        fire_timers();
    }
    return true;
}

void kvmclock_follow(struct clock_cpu *c)
{
    struct pvclock_values v;
    if (!read_page(c, &v))
        return;
    if (v.flags & PVCLOCK_GUEST_STOPPED) {
        atomic_fetch_and_explicit(&c->page.flags, (uint8_t)~PVCLOCK_GUEST_STOPPED, memory_order_relaxed);
        log_info("kvmclock: the host had stopped CPU %u", percpu()->id);
    }
    if (!clock_current_line().mult)
        return;
    bool done = host_vouches && (v.flags & PVCLOCK_TSC_STABLE)
                    ? follow_line(&v.line)
                    : clock_change_to_each(atomic_load_explicit(&to_monotonic, memory_order_relaxed));
    if (!done)
        c->page_seen--; /* look again next time */
}

/* The wall time at which the host's clock was zero. It is written at the MSR's write only, so a version that stays odd is a broken host. */
bool kvmclock_wall_ns(uint64_t *ns)
{
    static struct pvclock_wall wall __attribute__((aligned(16)));
    if (!used)
        return false;
    wrmsr(MSR_KVM_WALL_CLOCK, virt_to_phys(&wall));
    for (unsigned i = 0; i < PVCLOCK_TRIES; i++) {
        uint32_t version = atomic_load_explicit(&wall.version, memory_order_acquire);
        uint64_t at = atomic_load_explicit(&wall.sec, memory_order_acquire) * NS_PER_SEC;
        at += atomic_load_explicit(&wall.nsec, memory_order_acquire);
        if (!(version & 1) && atomic_load_explicit(&wall.version, memory_order_relaxed) == version) {
            *ns = at + clock_monotonic_ns() - atomic_load_explicit(&to_monotonic, memory_order_relaxed);
            return at != 0;
        }
    }
    return false;
}
