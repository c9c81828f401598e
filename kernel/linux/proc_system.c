/* /proc and /sys about the machine: true values where there are such, and the fixed truths of this kernel (overcommit, huge pages, limits).
   What can not be changed has no store function: a write answers EACCES. */
#include <arch/cpu.h>
#include <fs/synthfs.h>
#include <kernel/boot.h>
#include <kernel/clock.h>
#include <kernel/random.h>
#include <mm/kmem.h>
#include <mm/page.h>
#include <sched/internal.h>

static unsigned long long kb(uint64_t bytes)
{
    return bytes >> 10;
}

static void show_meminfo(struct textbuf *t)
{
    uint64_t total = page_total_bytes(), free = page_free_bytes();
    textbuf_printf(t, "MemTotal:       %8llu kB\nMemFree:        %8llu kB\nMemAvailable:   %8llu kB\n", kb(total),
                   kb(free), kb(free));
    textbuf_printf(t, "Buffers:        %8u kB\nCached:         %8u kB\nSwapCached:     %8u kB\n", 0, 0, 0);
    textbuf_printf(t, "SwapTotal:      %8u kB\nSwapFree:       %8u kB\nSlab:           %8llu kB\n", 0, 0,
                   kb(kmem_held_bytes()));
    textbuf_printf(t, "HugePages_Total:   %5u\nHugePages_Free:    %5u\nHugepagesize:   %8lu kB\n", 0, 0,
                   HUGE_PAGE_SIZE >> 10);
}

/* Features by the names that Linux gives them; "" where it has none. CPUID leaf 1, EDX and ECX, and leaf 7, EBX. */
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
    for (unsigned i = 0; i < percpu_count; i++) {
        textbuf_printf(t, "processor\t: %u\nvendor_id\t: %s\ncpu family\t: %u\nmodel\t\t: %u\nmodel name\t: %s\n"
                          "stepping\t: %u\nphysical id\t: 0\nsiblings\t: %u\ncore id\t\t: %u\ncpu cores\t: %u\n",
                       i, cpu_features.vendor, family, model, cpu_features.brand, r[0] & 15, percpu_count, i,
                       percpu_count);
        show_features(t);
    }
}

#define TICK_NS (NS_PER_SEC / 100)

static uint64_t busy_ns(void)
{
    uint64_t ns = 0;
    struct thread *t;
    mutex_lock(&threads_lock);
    TAILQ_FOREACH(t, &all_threads, all_link)
        ns += t->cpu_time_ns;
    mutex_unlock(&threads_lock);
    return ns;
}

static uint64_t idle_ns(void)
{
    uint64_t up = clock_monotonic_ns() * percpu_count, busy = busy_ns();
    return up > busy ? up - busy : 0;
}

static void show_stat(struct textbuf *t)
{
    uint64_t now = clock_monotonic_ns(), busy = busy_ns(), idle = idle_ns();
    textbuf_printf(t, "cpu  0 0 %llu %llu 0 0 0 0 0 0\n", (unsigned long long)(busy / TICK_NS),
                   (unsigned long long)(idle / TICK_NS));
    for (unsigned i = 0; i < percpu_count; i++)
        textbuf_printf(t, "cpu%u 0 0 %llu %llu 0 0 0 0 0 0\n", i, (unsigned long long)(busy / TICK_NS / percpu_count),
                       (unsigned long long)(idle / TICK_NS / percpu_count));
    textbuf_printf(t, "btime %llu\nprocesses 1\nprocs_running 1\nprocs_blocked 0\n",
                   (unsigned long long)((clock_realtime_ns() - now) / NS_PER_SEC));
}

static void show_uptime(struct textbuf *t)
{
    uint64_t up = clock_monotonic_ns() / 10000000, idle = idle_ns() / 10000000;
    textbuf_printf(t, "%llu.%02llu %llu.%02llu\n", (unsigned long long)(up / 100), (unsigned long long)(up % 100),
                   (unsigned long long)(idle / 100), (unsigned long long)(idle % 100));
}

static void show_version(struct textbuf *t)
{
    textbuf_printf(t, "Linux version 6.1.0-singlet (Singlet) (gcc " __VERSION__ ")\n");
}

/* Load averages are not kept. */
static void show_loadavg(struct textbuf *t)
{
    textbuf_printf(t, "0.00 0.00 0.00 1/1 1\n");
}

static void show_filesystems(struct textbuf *t)
{
    textbuf_printf(t, "nodev\ttmpfs\nnodev\tproc\nnodev\tsysfs\nnodev\tdevtmpfs\n\terofs\n");
}

static void show_boot_cmdline(struct textbuf *t)
{
    textbuf_printf(t, "%s\n", boot_info.cmdline);
}

/* Memory is given on demand and never promised twice what is there: the same as "always overcommit" to a program that asks. */
static void show_1(struct textbuf *t) { textbuf_printf(t, "1\n"); }
static void show_0(struct textbuf *t) { textbuf_printf(t, "0\n"); }
static void show_somaxconn(struct textbuf *t) { textbuf_printf(t, "65535\n"); }
static void show_pid_max(struct textbuf *t) { textbuf_printf(t, "4194304\n"); }
static void show_map_count(struct textbuf *t) { textbuf_printf(t, "2147483647\n"); }
static void show_file_max(struct textbuf *t) { textbuf_printf(t, "1048576\n"); }
static void show_ostype(struct textbuf *t) { textbuf_printf(t, "Linux\n"); }
static void show_osrelease(struct textbuf *t) { textbuf_printf(t, "6.1.0-singlet\n"); }
static void show_madvise(struct textbuf *t) { textbuf_printf(t, "always [madvise] never\n"); }

static void show_cpus(struct textbuf *t)
{
    textbuf_printf(t, percpu_count > 1 ? "0-%u\n" : "%u\n", percpu_count - 1);
}

static void print_uuid(struct textbuf *t, const uint8_t *b)
{
    for (unsigned i = 0; i < 16; i++)
        textbuf_printf(t, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", b[i]);
    textbuf_printf(t, "\n");
}

/* RFC 9562, version 4. */
static void make_uuid(uint8_t *b)
{
    random_bytes(b, 16);
    b[6] = (uint8_t)((b[6] & 0x0f) | 0x40);
    b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
}

static void show_uuid(struct textbuf *t)
{
    uint8_t b[16];
    make_uuid(b);
    print_uuid(t, b);
}

static void show_boot_id(struct textbuf *t)
{
    static struct mutex lock = MUTEX_INIT;
    static uint8_t id[16]; /* protected by lock; all zero: not made yet */
    mutex_lock(&lock);
    if (!id[6])
        make_uuid(id);
    print_uuid(t, id);
    mutex_unlock(&lock);
}

SYNTH_FILE(proc_meminfo, .path = "/proc/meminfo", .show = show_meminfo);
SYNTH_FILE(proc_cpuinfo, .path = "/proc/cpuinfo", .show = show_cpuinfo);
SYNTH_FILE(proc_stat, .path = "/proc/stat", .show = show_stat);
SYNTH_FILE(proc_uptime, .path = "/proc/uptime", .show = show_uptime);
SYNTH_FILE(proc_version, .path = "/proc/version", .show = show_version);
SYNTH_FILE(proc_loadavg, .path = "/proc/loadavg", .show = show_loadavg);
SYNTH_FILE(proc_filesystems, .path = "/proc/filesystems", .show = show_filesystems);
SYNTH_FILE(proc_boot_cmdline, .path = "/proc/cmdline", .show = show_boot_cmdline);
SYNTH_FILE(proc_overcommit, .path = "/proc/sys/vm/overcommit_memory", .show = show_1);
SYNTH_FILE(proc_map_count, .path = "/proc/sys/vm/max_map_count", .show = show_map_count);
SYNTH_FILE(proc_somaxconn, .path = "/proc/sys/net/core/somaxconn", .show = show_somaxconn);
SYNTH_FILE(proc_file_max, .path = "/proc/sys/fs/file-max", .show = show_file_max);
SYNTH_FILE(proc_nr_open, .path = "/proc/sys/fs/nr_open", .show = show_file_max);
SYNTH_FILE(proc_pid_max, .path = "/proc/sys/kernel/pid_max", .show = show_pid_max);
SYNTH_FILE(proc_threads_max, .path = "/proc/sys/kernel/threads-max", .show = show_pid_max);
SYNTH_FILE(proc_ostype, .path = "/proc/sys/kernel/ostype", .show = show_ostype);
SYNTH_FILE(proc_osrelease, .path = "/proc/sys/kernel/osrelease", .show = show_osrelease);
SYNTH_FILE(proc_randomize, .path = "/proc/sys/kernel/randomize_va_space", .show = show_1);
SYNTH_FILE(proc_uuid, .path = "/proc/sys/kernel/random/uuid", .show = show_uuid);
SYNTH_FILE(proc_boot_id, .path = "/proc/sys/kernel/random/boot_id", .show = show_boot_id);
SYNTH_FILE(sys_thp, .path = "/sys/kernel/mm/transparent_hugepage/enabled", .show = show_madvise);
SYNTH_FILE(sys_thp_khuge, .path = "/sys/kernel/mm/transparent_hugepage/khugepaged/defrag", .show = show_0);
SYNTH_FILE(sys_cpu_online, .path = "/sys/devices/system/cpu/online", .show = show_cpus);
SYNTH_FILE(sys_cpu_possible, .path = "/sys/devices/system/cpu/possible", .show = show_cpus);
