/* /proc/self (a link to /proc/1: there is one process): what programs read about themselves. Format: proc(5). Memory in kilobytes or pages as there. */
#include <asm/errno.h>
#include <fs/synthfs.h>
#include <kernel/boot.h>
#include <kernel/clock.h>
#include <kernel/cpu_usage.h>
#include <kernel/proc_task.h>
#include <kernel/program.h>
#include <kernel/string.h>
#include <mm/page.h>
#include <mm/vm.h>
#include <fs/file.h>
#include <fs/path.h>
#include <mm/kmem.h>
#include <sched/internal.h>

#define TICKS_PER_SEC 100 /* USER_HZ */

struct usage {
    uint64_t mapped, resident; /* bytes */
    unsigned threads;
    uint64_t cpu_ns;
};

static struct usage usage_now(void)
{
    struct usage u = {.threads = (unsigned)cpu_usage_threads()};
    vm_usage(&u.mapped, &u.resident);
    u.cpu_ns = cpu_usage_process().cpu_ns;
    uint64_t image = boot_info.image_end - boot_info.image_start;
    u.mapped += image;
    u.resident += image;
    return u;
}

/* Fields 1 to 52; what has no meaning here is 0, as Linux does for fields that are no longer kept. */
#define TEXT(t, s) textbuf_append(t, s, sizeof(s) - 1)

/* Without formats: servers read it ten times a second to learn their resident size. */
static void show_stat(struct textbuf *t)
{
    struct usage u = usage_now();
    const char *name = program_name();
    TEXT(t, "1 (");
    textbuf_append(t, name, strlen(name));
    TEXT(t, ") R 0 1 1 0 -1 0 0 0 0 0 ");
    textbuf_number(t, u.cpu_ns / (NS_PER_SEC / TICKS_PER_SEC));
    TEXT(t, " 0 0 0 20 0 ");
    textbuf_number(t, u.threads);
    TEXT(t, " 0 0 ");
    textbuf_number(t, u.mapped);
    TEXT(t, " ");
    textbuf_number(t, u.resident / PAGE_SIZE);
    TEXT(t, " 18446744073709551615 0 0 0 0 0 0 0 0 0 0 0 0 17 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n");
}

static void show_statm(struct textbuf *t)
{
    struct usage u = usage_now();
    uint64_t text = (boot_info.image_end - boot_info.image_start) / PAGE_SIZE;
    textbuf_printf(t, "%llu %llu 0 %llu 0 %llu 0\n", (unsigned long long)(u.mapped / PAGE_SIZE),
                   (unsigned long long)(u.resident / PAGE_SIZE), (unsigned long long)text,
                   (unsigned long long)(u.mapped / PAGE_SIZE - text));
}

static void show_status(struct textbuf *t)
{
    struct usage u = usage_now();
    textbuf_printf(t, "Name:\t%s\nUmask:\t0022\nState:\tR (running)\nTgid:\t1\nNgid:\t0\nPid:\t1\nPPid:\t0\n", program_name());
    textbuf_printf(t, "TracerPid:\t0\nUid:\t0\t0\t0\t0\nGid:\t0\t0\t0\t0\nFDSize:\t%u\n", fd_limit_get());
    textbuf_printf(t, "VmSize:\t%8llu kB\nVmRSS:\t%8llu kB\nThreads:\t%u\n", (unsigned long long)(u.mapped >> 10),
                   (unsigned long long)(u.resident >> 10), u.threads);
    struct thread_info i;
    if (!thread_report_one(thread_id(thread_current()), &i))
        proc_show_schedule(t, &i);
}

static void show_cmdline(struct textbuf *t)
{
    size_t size = 0;
    const char *text = program_cmdline(&size);
    if (text)
        textbuf_append(t, text, size);
}

static void show_comm(struct textbuf *t)
{
    textbuf_printf(t, "%s\n", program_name());
}

/* A linked program is the image: its path is that of argv[0] under /. */
static ssize_t exe_link(char *buf, size_t size)
{
    const char *name = program_name();
    size_t len = strlen(name);
    if (len + 1 > size)
        return -ENAMETOOLONG;
    buf[0] = '/';
    memcpy(buf + 1, name, len);
    return (ssize_t)len + 1;
}

static void show_area(const struct vm_area_info *a, void *arg)
{
    struct textbuf *t = arg;
    textbuf_printf(t, "%012llx-%012llx %c%c%c%c %08llx 00:00 0", (unsigned long long)a->start,
                   (unsigned long long)a->end, a->flags & VM_READ ? 'r' : '-', a->flags & VM_WRITE ? 'w' : '-',
                   a->flags & VM_EXEC ? 'x' : '-', a->flags & VM_SHARED ? 's' : 'p',
                   (unsigned long long)a->offset);
    textbuf_printf(t, "%s%s\n", a->name && a->name[0] ? "                          " : "", a->name ? a->name : "");
}

static void show_image_part(struct textbuf *t, const char *start, const char *end, const char *rights)
{
    textbuf_printf(t, "%016llx-%016llx %s 00000000 00:00 0                          /%s\n",
                   (unsigned long long)(uintptr_t)start, (unsigned long long)ALIGN_UP((uintptr_t)end, PAGE_SIZE),
                   rights, program_name());
}

extern const char __image_start[], __text_end[], __rodata_start[], __rodata_end[], __data_start[];

static void show_maps(struct textbuf *t)
{
    vm_foreach(show_area, t);
    show_image_part(t, __image_start, __text_end, "r-xp");
    show_image_part(t, __rodata_start, __rodata_end, "r--p");
    show_image_part(t, __data_start, (const char *)(boot_info.image_end + IMAGE_BASE), "rw-p");
}

static void show_mounts(struct textbuf *t)
{
    const char *path, *type;
    textbuf_printf(t, "rootfs / tmpfs rw 0 0\n");
    for (unsigned i = 0; mount_describe(i, &path, &type); i++)
        textbuf_printf(t, "%s %s %s rw 0 0\n", type, path, type);
}

static void show_limits(struct textbuf *t)
{
    textbuf_printf(t, "%-25s %-20s %-20s %-10s\n", "Limit", "Soft Limit", "Hard Limit", "Units");
    textbuf_printf(t, "%-25s %-20u %-20u %-10s\n", "Max open files", fd_limit_get(), FD_MAX, "files");
}

static void show_zero(struct textbuf *t)
{
    textbuf_printf(t, "0\n");
}

SYNTH_FILE(proc_self, .path = "/proc/self", .mode = S_IFLNK | 0777, .target = "1");
SYNTH_FILE(proc_thread_self, .path = "/proc/thread-self", .mode = S_IFLNK | 0777, .target = "1");
SYNTH_FILE(proc_self_stat, .path = "/proc/1/stat", .show = show_stat);
SYNTH_FILE(proc_self_statm, .path = "/proc/1/statm", .show = show_statm);
SYNTH_FILE(proc_self_status, .path = "/proc/1/status", .show = show_status);
SYNTH_FILE(proc_self_cmdline, .path = "/proc/1/cmdline", .show = show_cmdline);
SYNTH_FILE(proc_self_comm, .path = "/proc/1/comm", .show = show_comm);
SYNTH_FILE(proc_self_exe, .path = "/proc/1/exe", .mode = S_IFLNK | 0777, .link = exe_link);
SYNTH_FILE(proc_self_maps, .path = "/proc/1/maps", .show = show_maps);
SYNTH_FILE(proc_self_mounts, .path = "/proc/1/mounts", .show = show_mounts);
SYNTH_FILE(proc_self_limits, .path = "/proc/1/limits", .show = show_limits);
SYNTH_FILE(proc_self_oom, .path = "/proc/1/oom_score_adj", .show = show_zero);
SYNTH_FILE(proc_mounts, .path = "/proc/mounts", .mode = S_IFLNK | 0777, .target = "self/mounts");
