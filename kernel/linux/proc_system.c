/* /proc and /sys about the machine: true values where there are such, and the fixed truths of this kernel (overcommit, huge pages, limits).
   What can not be changed has no store function: a write answers EACCES. */
#include <fs/synthfs.h>
#include <kernel/boot.h>
#include <kernel/random.h>
#include <mm/kmem.h>
#include <mm/page.h>
#include <sched/mutex.h>

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

static void show_version(struct textbuf *t)
{
    textbuf_printf(t, "Linux version 6.1.0-singlet (Singlet) (gcc " __VERSION__ ")\n");
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
SYNTH_FILE(proc_version, .path = "/proc/version", .show = show_version);
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
