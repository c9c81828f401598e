/* Time. Monotonic time is a line over the TSC, started at entry (clock_read.c). The TSC's rate comes from, in this order: kvmclock (kvmclock.c: the hypervisor's own
   factors, which are followed), CPUID leaf 0x15 or 0x40000010, or a measurement of about 2 ms against PIT channel 2. Wall time: kvmclock, else the RTC; it is an offset
   to monotonic time, one word, so that setting it disturbs nothing else.

   The deadline timer is the local APIC's: TSC deadline where the CPU has it, else one-shot count. There is no periodic interrupt. An armed timer that
   would fire earlier than the new deadline is left alone: one needless interrupt costs less than an exit for each change.

   Intel SDM volume 3: 11.5.4, 18.17. 8254 data sheet. MC146818 data sheet. */
#include <arch/apic.h>
#include <arch/clock_internal.h>
#include <arch/cpu.h>
#include <arch/io.h>
#include <kernel/boot.h>
#include <kernel/clock.h>
#include <kernel/log.h>
#include <mm/kmem.h>
#include <asm/errno.h>
#include <stdatomic.h>

#define MSR_TSC_DEADLINE 0x6e0u
#define PIT_HZ 1193182u
#define PIT_SAMPLE_TICKS 2400u /* about 2 ms */
#define DEFAULT_KHZ 1000000u

static uint64_t ns_per_tsc;  /* 32.32, of the machine's start; after that clock_read.c knows */
static uint64_t apic_per_ns; /* timer counts in a nanosecond, 32.32; constant after clock_init, as is: */
static bool deadline_mode;
static _Atomic uint64_t tsc_per_ns;    /* 32.32 */
static _Atomic int64_t wall_offset_ns; /* realtime - monotonic */
static struct clock_cpu boot_clock;

uint64_t clock_realtime_ns(void)
{
    return clock_monotonic_ns() + (uint64_t)atomic_load_explicit(&wall_offset_ns, memory_order_relaxed);
}

void clock_set_realtime_ns(uint64_t ns)
{
    atomic_store_explicit(&wall_offset_ns, (int64_t)(ns - clock_monotonic_ns()), memory_order_relaxed);
}

void clock_delay_us(unsigned us)
{
    uint64_t until = clock_monotonic_ns() + us * NS_PER_US;
    while (clock_monotonic_ns() < until)
        cpu_relax();
}

static void set_tsc_khz(uint64_t khz) { ns_per_tsc = (1000000ull << 32) / khz; }

void clock_set_timer_rate(uint64_t mult)
{
    atomic_store_explicit(&tsc_per_ns, (uint64_t)(((unsigned __int128)1 << 64) / mult), memory_order_relaxed);
}

static bool tsc_from_cpuid(void)
{
    uint32_t r[4];
    cpuid(0, 0, r);
    uint32_t max = r[0];
    if (cpu_features.hypervisor) {
        cpuid(0x40000000, 0, r);
        if (r[0] >= 0x40000010 && r[0] < 0x40001000) {
            cpuid(0x40000010, 0, r); /* VMware, KVM with vmware-cpuid-freq: kHz of the TSC */
            if (r[0]) {
                set_tsc_khz(r[0]);
                return true;
            }
        }
    }
    if (max < 0x15)
        return false;
    cpuid(0x15, 0, r);
    if (!r[0] || !r[1] || !r[2])
        return false;
    set_tsc_khz((uint64_t)r[2] * r[1] / r[0] / 1000);
    return true;
}

static unsigned pit_read(void)
{
    outb(0x43, 0x80); /* latch channel 2 */
    unsigned lo = inb(0x42);
    return lo | (unsigned)inb(0x42) << 8;
}

/* A reading of the PIT with the TSC around it; the narrowest of a few, so that a host that takes the CPU away does no harm. */
static uint64_t pit_sample(unsigned *pit)
{
    uint64_t best = UINT64_MAX, at = 0;
    for (int i = 0; i < 4; i++) {
        uint64_t before = rdtsc();
        unsigned count = pit_read();
        uint64_t width = rdtsc() - before;
        if (width < best) {
            best = width;
            at = before + width / 2;
            *pit = count;
        }
    }
    return at;
}

/* Measures the TSC and the APIC timer together. */
static void measure(bool need_tsc)
{
    unsigned from, to;
    outb(0x61, (inb(0x61) & ~2) | 1); /* gate on, speaker off */
    outb(0x43, 0xb0);                 /* channel 2, both bytes, mode 0 */
    outb(0x42, 0xff);
    outb(0x42, 0xff);
    apic_write(APIC_TIMER_INITIAL, 0xffffffff);
    uint64_t tsc_from = pit_sample(&from);
    uint32_t apic_from = apic_read(APIC_TIMER_CURRENT);
    uint64_t tsc_apic_from = rdtsc();
    for (unsigned tries = 0; tries < 1000000; tries++) /* bounded: there may be no PIT */
        if (from - pit_read() >= PIT_SAMPLE_TICKS)
            break;
    uint64_t tsc_to = pit_sample(&to);
    uint32_t apic_to = apic_read(APIC_TIMER_CURRENT);
    uint64_t tsc_apic_to = rdtsc();
    apic_write(APIC_TIMER_INITIAL, 0);
    if (need_tsc) {
        unsigned ticks = from - to;
        if (ticks < PIT_SAMPLE_TICKS || ticks > 60000) {
            log_warn("clock: the TSC's rate cannot be measured; assuming 1 GHz");
            set_tsc_khz(DEFAULT_KHZ);
        } else {
            set_tsc_khz((tsc_to - tsc_from) * PIT_HZ / ticks / 1000);
        }
    }
    uint64_t ns = (uint64_t)(((unsigned __int128)(tsc_apic_to - tsc_apic_from) * ns_per_tsc) >> 32);
    apic_per_ns = ns ? ((uint64_t)(apic_from - apic_to) << 32) / ns : 0;
    if (!apic_per_ns)
        apic_per_ns = 1ull << 32;
}

static unsigned rtc(unsigned reg)
{
    outb(0x70, (uint8_t)(reg | 0x80));
    return inb(0x71);
}

static unsigned from_bcd(unsigned v, bool bcd) { return bcd ? (v >> 4) * 10 + (v & 15) : v; }

/* Days since 1970 of a Gregorian date (era arithmetic, Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms"). */
static int64_t days_from_civil(int y, unsigned m, unsigned d)
{
    y -= m <= 2;
    int era = y / 400;
    unsigned yoe = (unsigned)(y - era * 400);
    unsigned doy = (153 * (m + (m > 2 ? -3u : 9u)) + 2) / 5 + d - 1;
    unsigned doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
    return era * 146097ll + (int64_t)doe - 719468;
}

static uint64_t rtc_seconds(void)
{
    for (int i = 0; i < 10000 && (rtc(10) & 0x80); i++) /* an update is under way: at most 2 ms */
        ;
    bool bcd = !(rtc(11) & 4);
    unsigned s = from_bcd(rtc(0), bcd), m = from_bcd(rtc(2), bcd), h = from_bcd(rtc(4) & 0x7f, bcd);
    unsigned day = from_bcd(rtc(7), bcd), month = from_bcd(rtc(8), bcd), year = from_bcd(rtc(9), bcd);
    if (month < 1 || month > 12 || day < 1 || day > 31 || h > 23 || m > 59)
        return 0;
    return (uint64_t)days_from_civil((int)(2000 + year % 100), month, day) * 86400 + h * 3600 + m * 60 + s;
}

/* What the hypervisor has written anew, and a change of the time that is not complete: a few instructions. */
static inline void follow_host(const struct percpu *p)
{
    if (unlikely(kvmclock_changed(p->clock)))
        kvmclock_follow(p->clock);
    clock_settle();
}

void clock_arm(uint64_t deadline_ns)
{
    struct percpu *p = percpu();
    if (deadline_ns >= p->armed_ns)
        return;
    follow_host(p);
    p->armed_ns = deadline_ns;
    uint64_t now = clock_monotonic_ns();
    uint64_t delta = deadline_ns > now ? deadline_ns - now : 1;
    if (deadline_mode) {
        uint64_t tsc = (uint64_t)(((unsigned __int128)delta * atomic_load_explicit(&tsc_per_ns, memory_order_relaxed)) >> 32);
        wrmsr(MSR_TSC_DEADLINE, rdtsc() + tsc + 1);
        return;
    }
    uint64_t count = (uint64_t)(((unsigned __int128)delta * apic_per_ns) >> 32) + 1;
    apic_write(APIC_TIMER_INITIAL, count > 0xffffffff ? 0xffffffff : (uint32_t)count);
}

static void (*deadline_fn)(void *);

static void timer_interrupt(void *arg)
{
    struct percpu *p = percpu();
    follow_host(p);
    p->armed_ns = UINT64_MAX;
    deadline_fn(arg);
}

static void timer_init_cpu(void)
{
    percpu()->armed_ns = UINT64_MAX;
    apic_write(APIC_TIMER_DIVIDE, 0xb); /* by 1 */
    apic_write(APIC_LVT_TIMER, APIC_VECTOR_TIMER | (deadline_mode ? 2u << 17 : 0));
    __asm__ volatile("mfence" ::: "memory"); /* SDM 11.5.4.1: before the first deadline, where the register is memory */
}

int clock_cpu_init(struct percpu *p)
{
    p->clock = kzalloc(sizeof(*p->clock)); /* aligned to 64, as its size is */
    return p->clock ? 0 : -ENOMEM;
}

void clock_init_cpu(void)
{
    timer_init_cpu();
    if (kvmclock_used())
        kvmclock_init_cpu(percpu()->clock);
    else
        tsc_sync_cpu(percpu()->clock);
}

/* Without kvmclock. */
static void start_by_tsc(bool known)
{
    if (!known && !cpu_features.invariant_tsc && !cpu_features.hypervisor)
        log_warn("clock: this CPU's TSC may change its rate, and time with it");
    boot_clock.line = clock_line_through(boot_info.entry_tsc, 0, ns_per_tsc);
    clock_start(&boot_clock.line);
    tsc_sync_init();
}

void clock_init(void (*fn)(void *arg))
{
    uint64_t wall;
    deadline_fn = fn;
    percpu()->clock = &boot_clock;
    irq_set_handler(APIC_VECTOR_TIMER, timer_interrupt, NULL);
    deadline_mode = cpu_features.tsc_deadline;
    timer_init_cpu();
    bool by_host = kvmclock_start(boot_info.entry_tsc), known = by_host || tsc_from_cpuid();
    if (by_host)
        ns_per_tsc = boot_clock.line.mult;
    if (!known || !deadline_mode)
        measure(!known);
    if (!by_host)
        start_by_tsc(known);
    clock_set_timer_rate(ns_per_tsc);
    if (!kvmclock_wall_ns(&wall))
        wall = rtc_seconds() * NS_PER_SEC;
    clock_set_realtime_ns(wall);
}
