/* SOURCES: arch/x86_64/pvclock.c tests/unit/host/host.c */
/* kvmclock against a simulated host: pages as they should be and as they should not, and a machine that is paused, moved to a host with another TSC, and whose
   host's clock is set. And the bounds of TSCs that are apart, from exchanges of random speed. */
#include <arch/apic.h>
#include <arch/cpu.h>
#include <arch/pvclock.h>
#include <kernel/clock.h>
#include <kernel/random.h>
#include <kernel/string.h>
#include <mm/page.h>

/* The machine. */
#define cpuid test_cpuid
#define wrmsr test_wrmsr
#define virt_to_phys(p) ((uint64_t)(p))
static void test_cpuid(uint32_t leaf, uint32_t sub, uint32_t r[4]);
static void test_wrmsr(uint32_t msr, uint64_t v);
#define irq_save() 0
#define irq_restore(flags) ((void)(flags))
#include "../../arch/x86_64/clock_read.c"
#include "../../arch/x86_64/kvmclock.c"

#include "host/host.h"
#include "tap.h"

struct cpu_features cpu_features = {.hypervisor = true};
struct percpu *percpu_table[PERCPU_MAX];
unsigned percpu_count = 1;
static struct clock_cpu self_clock, other_clock;
static uint64_t tsc = 5000000000, timer_rate;
static unsigned interrupts, pages_written;

uint64_t clock_tsc(void) { return tsc += 3; }
void clock_set_timer_rate(uint64_t mult) { timer_rate = mult; }
void apic_send(unsigned apic_id, uint32_t command) { interrupts++; }

/* The host: its time, and what it writes into pages. */
static struct host {
    uint32_t base, features;
    uint64_t time; /* at tsc */
    uint32_t mul;
    int8_t shift;
    uint8_t flags;
    uint64_t wall_sec;
    bool wall_odd;
} host = {0x40000000, KVM_FEATURE_CLOCKSOURCE2 | KVM_FEATURE_CLOCKSOURCE_STABLE, 77000000000, 0xaaaaaaaa, -1, PVCLOCK_TSC_STABLE, 1700000000, false};

static void write_page(struct clock_cpu *c)
{
    c->page.version += 2;
    c->page.tsc_timestamp = tsc;
    c->page.system_time = host.time;
    c->page.tsc_to_system_mul = host.mul;
    c->page.tsc_shift = host.shift;
    c->page.flags = host.flags;
    pages_written++;
}

static void test_cpuid(uint32_t leaf, uint32_t sub, uint32_t r[4])
{
    memset(r, 0, 16);
    if (leaf == host.base)
        memcpy(r + 1, "KVMKVMKVM\0\0", 12);
    if (leaf == host.base + 1)
        r[0] = host.features;
}

static void test_wrmsr(uint32_t msr, uint64_t v)
{
    if (msr == MSR_KVM_SYSTEM_TIME && v & 1) {
        write_page((struct clock_cpu *)(v & ~1ull));
    } else if (msr == MSR_KVM_WALL_CLOCK) {
        struct pvclock_wall *w = (struct pvclock_wall *)v;
        w->version += 2;
        w->version |= host.wall_odd;
        w->sec = (uint32_t)host.wall_sec;
        w->nsec = 250;
    }
}

static bool about(uint64_t a, uint64_t b) { return a + 5000 - b <= 10000; } /* ns */

/* The host's and our time go on. */
static void pass(uint64_t ns)
{
    uint64_t factor = host.shift >= 0 ? (uint64_t)host.mul << host.shift : (uint64_t)host.mul >> -host.shift;
    tsc += (uint64_t)(((unsigned __int128)ns << 32) / factor);
    host.time += ns;
}

static void timer(void)
{
    if (kvmclock_changed(&self_clock))
        kvmclock_follow(&self_clock);
    clock_settle();
}

static void test_reading(void)
{
    struct pvclock_time p = {.version = 4, .tsc_timestamp = 1000, .system_time = 5000, .tsc_to_system_mul = 1u << 31, .tsc_shift = 0};
    struct pvclock_values v;
    ok(pvclock_read(&p, &v) && v.version == 4 && clock_line_at(&v.line, 3000) == 6000 && clock_line_at(&v.line, 1000) == 5000, "a page");
    ok(clock_line_at(&v.line, 900) == 4950, "and a TSC of before it was written");
    p.tsc_shift = 1;
    ok(pvclock_read(&p, &v) && clock_line_at(&v.line, 3000) == 7000, "shifted left");
    p.tsc_shift = -2;
    ok(pvclock_read(&p, &v) && clock_line_at(&v.line, 3000) == 5250, "shifted right");
    p.version = 7;
    ok(!pvclock_read(&p, &v), "a version that stays odd: given up");
    p.version = 8;
    static const int shifts[] = {-128, -33, -32, -31, 31, 32, 33, 127, 20, -8};
    bool refused = true;
    for (unsigned i = 0; i < ARRAY_SIZE(shifts); i++) {
        p.tsc_shift = (int8_t)shifts[i];
        p.tsc_to_system_mul = UINT32_MAX;
        refused = refused && !pvclock_read(&p, &v);
    }
    ok(refused, "shifts that cannot be, or make no clock, are refused");
    p.tsc_shift = 0;
    p.tsc_to_system_mul = 0;
    ok(!pvclock_read(&p, &v), "a clock that stands still, too");
    p = (struct pvclock_time){.version = 2, .tsc_timestamp = UINT64_MAX, .system_time = UINT64_MAX, .tsc_to_system_mul = UINT32_MAX};
    ok(pvclock_read(&p, &v) && clock_line_at(&v.line, UINT64_MAX) == UINT64_MAX, "the largest numbers overflow nothing");
    /* the host's own formula, to a nanosecond in a second */
    bool exact = true;
    for (int i = 0; i < 20000; i++) {
        uint64_t from = random_u64() >> 4, delta = random_u64() >> 34;
        p = (struct pvclock_time){.version = 2, .tsc_timestamp = from, .system_time = random_u64() >> 8, .tsc_to_system_mul = (uint32_t)random_u64() | 1u << 31,
                                  .tsc_shift = (int8_t)(random_u64() % 5 - 2)};
        uint64_t d = p.tsc_shift >= 0 ? delta << p.tsc_shift : delta >> -p.tsc_shift;
        uint64_t want = p.system_time + (uint64_t)(((unsigned __int128)d * p.tsc_to_system_mul) >> 32);
        exact = exact && pvclock_read(&p, &v) && clock_line_at(&v.line, from + delta) + 3 - want <= 6;
    }
    ok(exact, "a line is the host's formula");
}

static void test_start(void)
{
    uint64_t wall, entry;
    host.base = 0;
    ok(!kvmclock_start(tsc) && !kvmclock_used(), "no KVM");
    host.base = 0x40000100;
    host.features = 0;
    ok(!kvmclock_start(tsc), "no such clock");
    host.features = KVM_FEATURE_CLOCKSOURCE2 | KVM_FEATURE_CLOCKSOURCE_STABLE;
    host.shift = 99;
    ok(!kvmclock_start(tsc) && !kvmclock_used(), "a page that makes no sense: no kvmclock");
    host.shift = -1;
    entry = tsc;
    pass(3 * NS_PER_MS);
    ok(kvmclock_start(entry) && kvmclock_used(), "there is one");
    ok(about(clock_monotonic_ns(), 3 * NS_PER_MS), "time began at entry");
    ok(kvmclock_wall_ns(&wall) && about(wall, host.wall_sec * NS_PER_SEC + host.time), "wall time is the host's");
    host.wall_odd = true;
    ok(!kvmclock_wall_ns(&wall), "not if its version stays odd");
}

static void test_follow(void)
{
    uint64_t before = clock_monotonic_ns(), at;
    pass(NS_PER_SEC);
    write_page(&self_clock);
    timer();
    ok(about(clock_monotonic_ns(), before + NS_PER_SEC) && !timer_rate && !interrupts, "a page written anew that says the same changes nothing");

    before = clock_monotonic_ns();
    host.time += 40 * NS_PER_MS;
    write_page(&self_clock);
    timer();
    ok(about(clock_monotonic_ns(), before + 40 * NS_PER_MS), "the host's clock is set forward: followed");

    before = clock_monotonic_ns();
    tsc += 3000000000ull * 7200 / 1; /* two hours at 3 GHz, in which the host's clock stood */
    host.flags |= PVCLOCK_GUEST_STOPPED;
    write_page(&self_clock);
    timer();
    at = clock_monotonic_ns();
    ok(at > before + 7199 * NS_PER_SEC && at < before + 7201 * NS_PER_SEC, "a pause is time that has passed");
    ok(!(self_clock.page.flags & PVCLOCK_GUEST_STOPPED), "and the host is told that it was noticed");
    host.flags &= (uint8_t)~PVCLOCK_GUEST_STOPPED;
    pass(NS_PER_SEC);
    write_page(&self_clock);
    timer();
    ok(about(clock_monotonic_ns(), at + NS_PER_SEC), "and is remembered");

    before = clock_monotonic_ns();
    host.mul = 0x80000000;
    host.shift = 1; /* 1 GHz */
    tsc = 12345678; /* another host's */
    write_page(&self_clock);
    timer();
    at = clock_monotonic_ns();
    ok(at >= before && about(at, before), "moved to another host, with another TSC: time goes on where it was");
    ok(timer_rate == 1ull << 32 && interrupts == 1, "timers go by the new rate, and are set anew");
    pass(5 * NS_PER_SEC);
    ok(about(clock_monotonic_ns(), at + 5 * NS_PER_SEC), "at the new rate");
}

static void test_hostile(void)
{
    uint64_t before;
    bool grows = true;
    for (int i = 0; i < 2000; i++) {
        before = clock_monotonic_ns();
        memcpy(&self_clock.page, (uint64_t[4]){random_u64(), random_u64(), random_u64(), random_u64()}, 32);
        self_clock.page.flags |= PVCLOCK_TSC_STABLE;
        if (i % 4)
            self_clock.page.tsc_to_system_mul |= 1u << 31;
        if (i % 3)
            self_clock.page.tsc_shift = (int8_t)(i % 8 - 4);
        timer();
        tsc += random_u64() % 1000;
        uint64_t now = clock_monotonic_ns();
        grows = grows && (int64_t)(now - before) >= 0;
    }
    ok(grows, "pages of noise: time never goes back");
}

static void test_each(void)
{
    uint64_t before;
    percpu()->id = 1;
    kvmclock_init_cpu(&other_clock);
    percpu()->id = 0;
    write_page(&self_clock);
    timer();
    before = clock_monotonic_ns();
    host.flags = 0;
    write_page(&self_clock);
    timer();
    ok(clock_current_line().mult == 0 && clock_monotonic_ns() >= before, "the host vouches no more: each CPU goes by its own page");
    before = clock_monotonic_ns();
    percpu()->clock = &other_clock;
    tsc += 700000; /* of that CPU's TSC */
    write_page(&other_clock);
    ok(about(clock_monotonic_ns(), before), "a CPU with another TSC shows the same time");
    tsc -= 700000;
    percpu()->clock = &self_clock;
    ok(about(clock_monotonic_ns(), before), "and back");
    before = clock_monotonic_ns();
    self_clock.page.version |= 1;
    ok(clock_monotonic_ns() >= before && clock_monotonic_ns() >= before, "a page that stays odd: it goes on with what it knew");
    pass(NS_PER_SEC);
    self_clock.page.version++;
    write_page(&self_clock);
    ok(about(clock_monotonic_ns(), before + NS_PER_SEC), "until there is a whole one");
}

static void test_bounds(void)
{
    bool holds = true, zero = true;
    for (int i = 0; i < 5000; i++) {
        int64_t skew = i % 2 ? (int64_t)(random_u64() >> (random_u64() % 60)) / 4 * (i % 4 == 1 ? 1 : -1) : 0;
        uint64_t t = random_u64() >> 2;
        struct tsc_bounds b = TSC_BOUNDS_NONE;
        uint64_t shortest = UINT64_MAX;
        for (int round = 0; round < 4; round++) {
            uint64_t there = 50 + random_u64() % 10000, back = 50 + random_u64() % 10000;
            tsc_bounds_narrow(&b, t, t + there + (uint64_t)skew, t + there + back);
            shortest = MIN(shortest, there + back);
            t += there + back + 1000;
        }
        int64_t found = tsc_bounds_offset(&b), error = found - skew;
        holds = holds && b.low <= skew && skew <= b.high && (uint64_t)(b.high - b.low) <= shortest &&
                (error < 0 ? -error : error) <= (int64_t)shortest + 1;
        zero = zero && (skew != 0 || found == 0);
    }
    ok(holds, "TSCs apart: the bounds hold the difference, and are as narrow as the fastest exchange");
    ok(zero, "TSCs that agree are found to agree");
}

int main(void)
{
    percpu_table[0] = percpu();
    percpu()->clock = &self_clock;
    test_reading();
    test_start();
    test_follow();
    test_hostile();
    host = (struct host){0x40000100, host.features, clock_monotonic_ns(), 0x80000000, 1, PVCLOCK_TSC_STABLE, 0, false};
    self_clock.page.version &= ~1u;
    test_each();
    test_bounds();
    return done();
}
