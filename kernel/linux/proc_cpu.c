/* What /proc and /sys tell about the CPUs: cpuinfo, stat, uptime, loadavg, and a folder for each.

   Nothing here is sampled by a tick. A CPU's idle time is its idle thread's CPU time, and all else
   since it came online is busy, whoever it was: threads that have ended count, too. All of it is
   "user": kernel and program are one, and there is no border at which to tell them apart; but what
   the host took for itself ("steal", where it says so) is not.

   Load averages decay on reading, in steps of 5 seconds as Linux does it. Since the last reading
   the load is taken as constant: the CPUs' busy time since then divided by the time, which is
   exact, and the threads that wait for a CPU now. Who reads every few seconds gets what Linux
   shows; who reads once after an hour gets that hour's busy CPUs. */
#include <arch/cpu.h>
#include <fs/synthfs.h>
#include <kernel/clock.h>
#include <sched/report.h>
#include <sched/runq.h>

#define TICK_NS (NS_PER_SEC / 100)
#define LOAD_STEP_NS (5 * NS_PER_SEC)
#define LOAD_ONE 65536u /* fixed point */

static bool is_online(unsigned cpu) { return atomic_load_explicit(&percpu_table[cpu]->online, memory_order_acquire); }

static unsigned cpus_online(void)
{
    unsigned n = 0;
    for (unsigned i = 0; i < percpu_count; i++)
        n += is_online(i);
    return n;
}

/* Features by the names that Linux gives them; "" where it has none. CPUID leaf 1, EDX and ECX, and
   leaf 7, EBX. */
static const char *const features[3][32] = {
    {"fpu", "vme", "de", "pse", "tsc", "msr", "pae", "mce", "cx8", "apic", "", "sep", "mtrr", "pge", "mca", "cmov", "pat", "pse36", "pn", "clflush",
     "", "dts", "acpi", "mmx", "fxsr", "sse", "sse2", "ss", "ht", "tm", "", "pbe"},
    {"pni", "pclmulqdq", "dtes64", "monitor", "ds_cpl", "vmx", "smx", "est", "tm2", "ssse3", "cid", "sdbg", "fma", "cx16", "xtpr", "pdcm", "", "pcid",
     "dca", "sse4_1", "sse4_2", "x2apic", "movbe", "popcnt", "tsc_deadline_timer", "aes", "xsave", "", "avx", "f16c", "rdrand", "hypervisor"},
    {"fsgsbase", "tsc_adjust", "sgx", "bmi1", "hle", "avx2", "", "smep", "bmi2", "erms", "invpcid", "rtm", "cqm", "", "mpx", "rdt_a", "avx512f",
     "avx512dq", "rdseed", "adx", "smap", "avx512ifma", "", "clflushopt", "clwb", "intel_pt", "avx512pf", "avx512er", "avx512cd", "sha_ni",
     "avx512bw", "avx512vl"}};

static void show_features(struct textbuf *t)
{
    uint32_t zero[4], one[4], seven[4];
    cpuid(0, 0, zero);
    cpuid(1, 0, one);
    cpuid(7, 0, seven);
    const uint32_t words[3] = {one[3], one[2], zero[0] >= 7 ? seven[1] : 0};
    textbuf_printf(t, "flags\t\t:");
    for (unsigned i = 0; i < 96; i++)
        if ((words[i / 32] >> (i % 32) & 1) && features[i / 32][i % 32][0])
            textbuf_printf(t, " %s", features[i / 32][i % 32]);
    textbuf_printf(t, "\n\n");
}

static void show_cpuinfo(struct textbuf *t)
{
    uint32_t r[4];
    cpuid(1, 0, r);
    unsigned family = r[0] >> 8 & 15, model = r[0] >> 4 & 15;
    if (family == 6 || family == 15)
        model |= r[0] >> 12 & 0xf0;
    if (family == 15)
        family += r[0] >> 20 & 0xff;
    unsigned online = cpus_online();
    for (unsigned i = 0; i < percpu_count; i++) {
        if (!is_online(i))
            continue;
        textbuf_printf(t, "processor\t: %u\nvendor_id\t: %s\ncpu family\t: %u\nmodel\t\t: %u\nmodel name\t: %s\n"
                          "stepping\t: %u\nphysical id\t: 0\nsiblings\t: %u\ncore id\t\t: %u\ncpu cores\t: %u\napicid\t\t: %u\n",
                       i, cpu_features.vendor, family, model, cpu_features.brand, r[0] & 15, online, i, online,
                       percpu_table[i]->apic_id);
        show_features(t);
    }
}

struct cpu_times {
    uint64_t busy, idle; /* ns */
    uint64_t stolen;     /* of the busy time */
};

static void add_times(struct cpu_times *sum, unsigned cpu)
{
    const struct runq *q = runq_of(cpu);
    uint64_t idle = thread_cpu_time_ns(q->idle); /* before the clock is read: it cannot be more than what has passed */
    uint64_t up = clock_monotonic_ns() - atomic_load_explicit(&q->online_ns, memory_order_relaxed);
    sum->idle += MIN(idle, up);
    uint64_t busy = up - MIN(idle, up);
    sum->busy += busy;
    sum->stolen += MIN(atomic_load_explicit(&percpu_table[cpu]->kvm.steal_ns, memory_order_relaxed), busy);
}

static struct cpu_times all_times(void)
{
    struct cpu_times sum = {0};
    for (unsigned i = 0; i < percpu_count; i++)
        if (is_online(i))
            add_times(&sum, i);
    return sum;
}

static void show_times(struct textbuf *t, const struct cpu_times *times)
{
    textbuf_printf(t, " %llu 0 0 %llu 0 0 0 %llu 0 0\n", (unsigned long long)((times->busy - times->stolen) / TICK_NS),
                   (unsigned long long)(times->idle / TICK_NS), (unsigned long long)(times->stolen / TICK_NS));
}

struct cpu_counts {
    uint64_t switches, interrupts;
    unsigned runnable;
};

static struct cpu_counts all_counts(void)
{
    struct cpu_counts c = {0};
    for (unsigned i = 0; i < percpu_count; i++) {
        const struct runq *q = runq_of(i);
        c.switches += atomic_load_explicit(&q->switches, memory_order_relaxed);
        c.interrupts += atomic_load_explicit(&percpu_table[i]->interrupts, memory_order_relaxed);
        c.runnable += atomic_load_explicit(&q->load, memory_order_relaxed);
    }
    return c;
}

static void show_stat(struct textbuf *t)
{
    struct cpu_times all = all_times();
    textbuf_printf(t, "cpu ");
    show_times(t, &all);
    for (unsigned i = 0; i < percpu_count; i++) {
        struct cpu_times one = {0};
        if (!is_online(i))
            continue;
        add_times(&one, i);
        textbuf_printf(t, "cpu%u", i);
        show_times(t, &one);
    }
    struct cpu_counts c = all_counts();
    textbuf_printf(t, "intr %llu\nctxt %llu\nbtime %llu\nprocesses 1\nprocs_running %u\nprocs_blocked 0\n",
                   (unsigned long long)c.interrupts, (unsigned long long)c.switches,
                   (unsigned long long)((clock_realtime_ns() - clock_monotonic_ns()) / NS_PER_SEC), c.runnable);
}

static void show_uptime(struct textbuf *t)
{
    uint64_t up = clock_monotonic_ns() / TICK_NS, idle = all_times().idle / TICK_NS;
    textbuf_printf(t, "%llu.%02llu %llu.%02llu\n", (unsigned long long)(up / 100), (unsigned long long)(up % 100),
                   (unsigned long long)(idle / 100), (unsigned long long)(idle % 100));
}

static struct mutex load_lock = MUTEX_INIT; /* protects what follows */
static uint64_t load_average[3];            /* over 1, 5 and 15 minutes, in LOAD_ONE */
static uint64_t load_looked_ns, load_busy_ns;

/* a towards b by n steps; keep is what is left of a after one, in LOAD_ONE. */
static uint64_t decayed(uint64_t a, uint64_t b, uint64_t keep, uint64_t n)
{
    uint64_t left = LOAD_ONE;
    for (; n; n /= 2, keep = keep * keep / LOAD_ONE)
        if (n & 1)
            left = left * keep / LOAD_ONE;
    return (a * left + b * (LOAD_ONE - left)) / LOAD_ONE;
}

static void update_load(const struct cpu_counts *c)
{
    static const unsigned keep[3] = {60296, 64453, 65173}; /* exp(-5/60), exp(-5/300), exp(-5/900) */
    uint64_t now = clock_monotonic_ns(), busy = all_times().busy, n = (now - load_looked_ns) / LOAD_STEP_NS;
    if (n == 0)
        return;
    unsigned online = cpus_online(), waiting = c->runnable > online ? c->runnable - online : 0;
    uint64_t load = (busy - MIN(busy, load_busy_ns)) / ((now - load_looked_ns) / LOAD_ONE + 1) + (uint64_t)waiting * LOAD_ONE;
    for (unsigned i = 0; i < ARRAY_SIZE(keep); i++)
        load_average[i] = decayed(load_average[i], load, keep[i], n);
    load_looked_ns = now;
    load_busy_ns = busy;
}

static void show_loadavg(struct textbuf *t)
{
    struct cpu_counts c = all_counts();
    mutex_lock(&load_lock);
    update_load(&c);
    for (unsigned i = 0; i < ARRAY_SIZE(load_average); i++) {
        unsigned long long hundredths = (load_average[i] * 100 + LOAD_ONE / 2) / LOAD_ONE;
        textbuf_printf(t, "%llu.%02llu ", hundredths / 100, hundredths % 100);
    }
    mutex_unlock(&load_lock);
    textbuf_printf(t, "%u/%d %d\n", c.runnable, thread_report(NULL, 0), thread_newest_id());
}

static void show_present(struct textbuf *t) { textbuf_printf(t, percpu_count > 1 ? "0-%u\n" : "%u\n", percpu_count - 1); }

static void show_online(struct textbuf *t)
{
    uint64_t bits[PERCPU_MAX / 64];
    for (unsigned i = 0; i < ARRAY_SIZE(bits); i++)
        bits[i] = atomic_load_explicit(&all_cpus.bits[i], memory_order_relaxed);
    textbuf_cpu_list(t, bits, PERCPU_MAX);
    textbuf_printf(t, "\n");
}

static long next_cpu(long n) { return n + 1 < (long)percpu_count ? n + 1 : -1; }
static void show_core(struct textbuf *t, long n) { textbuf_printf(t, "%ld\n", n); }
static void show_package(struct textbuf *t, long n) { textbuf_printf(t, "0\n"); }
static void show_is_online(struct textbuf *t, long n) { textbuf_printf(t, "%d\n", is_online((unsigned)n)); }

#define SYS_CPU "/sys/devices/system/cpu"
SYNTH_FILE(proc_cpuinfo, .path = "/proc/cpuinfo", .show = show_cpuinfo);
SYNTH_FILE(proc_stat, .path = "/proc/stat", .show = show_stat);
SYNTH_FILE(proc_uptime, .path = "/proc/uptime", .show = show_uptime);
SYNTH_FILE(proc_loadavg, .path = "/proc/loadavg", .show = show_loadavg);
SYNTH_FILE(sys_cpu_online, .path = SYS_CPU "/online", .show = show_online);
SYNTH_FILE(sys_cpu_possible, .path = SYS_CPU "/possible", .show = show_present);
SYNTH_FILE(sys_cpu_present, .path = SYS_CPU "/present", .show = show_present);
SYNTH_FILE(sys_cpu_one, .path = SYS_CPU "/cpu#/online", .next = next_cpu, .show_of = show_is_online);
SYNTH_FILE(sys_cpu_core, .path = SYS_CPU "/cpu#/topology/core_id", .next = next_cpu, .show_of = show_core);
SYNTH_FILE(sys_cpu_package, .path = SYS_CPU "/cpu#/topology/physical_package_id", .next = next_cpu, .show_of = show_package);
