/* /proc/self/task/TID: what the application's threads do. Formats: proc(5). schedstat's second figure, the time spent waiting for a CPU, is not kept, and 0. wchan is
   what the thread waits for, "0" if it does not wait. */
#include <asm/errno.h>
#include <fs/synthfs.h>
#include <kernel/clock.h>
#include <kernel/cpu_usage.h>
#include <kernel/proc_task.h>
#include <mm/page.h>
#include <mm/vm.h>

#define TICK_NS (NS_PER_SEC / 100) /* USER_HZ */

static long next_thread(long n) { return thread_report_next((int)n); }

static void show_mask(struct textbuf *t, const uint64_t *bits)
{
    for (unsigned words = (percpu_count + 31) / 32; words-- > 0;)
        textbuf_printf(t, words ? "%08x," : "%08x", (unsigned)(bits[words / 2] >> (words % 2 * 32)));
}

void proc_show_schedule(struct textbuf *t, const struct thread_info *i)
{
    uint64_t involuntary = MIN(i->preemptions, i->switches);
    textbuf_printf(t, "Cpus_allowed:\t");
    show_mask(t, i->affinity);
    textbuf_printf(t, "\nCpus_allowed_list:\t");
    textbuf_cpu_list(t, i->affinity, percpu_count);
    textbuf_printf(t, "\nvoluntary_ctxt_switches:\t%llu\nnonvoluntary_ctxt_switches:\t%llu\n",
                   (unsigned long long)(i->switches - involuntary), (unsigned long long)involuntary);
}

/* Linux has no state for a thread that was not started. */
static char state_letter(const struct thread_info *i) { return i->state == 'N' ? 'S' : i->state; }

/* Fields 1 to 52; what has no meaning here is 0. */
static void show_stat(struct textbuf *t, long n)
{
    struct thread_info i;
    uint64_t mapped, resident;
    if (thread_report_one((int)n, &i))
        return;
    vm_usage(&mapped, &resident);
    textbuf_printf(t, "%d (%s) %c 0 1 1 0 -1 0 0 0 0 0 %llu 0 0 0 %d %d ", i.id, i.name, state_letter(&i),
                   (unsigned long long)(i.cpu_ns / TICK_NS), i.priority ? -1 - i.priority : 20 + i.nice, i.nice);
    textbuf_printf(t, "%d 0 0 %llu %llu 18446744073709551615 0 0 0 0 0 0 0 0 0 0 0 0 17 %d %d %d 0 0 0 0 0 0 0 0 0 0 0\n",
                   cpu_usage_threads(), (unsigned long long)mapped, (unsigned long long)(resident / PAGE_SIZE), i.cpu,
                   i.priority, i.policy);
}

static void show_status(struct textbuf *t, long n)
{
    struct thread_info i;
    if (thread_report_one((int)n, &i))
        return;
    textbuf_printf(t, "Name:\t%s\nState:\t%s\nTgid:\t1\nNgid:\t0\nPid:\t%d\nPPid:\t0\nThreads:\t%d\n", i.name,
                   state_letter(&i) == 'R' ? "R (running)" : "S (sleeping)", i.id, cpu_usage_threads());
    proc_show_schedule(t, &i);
}

static void show_comm(struct textbuf *t, long n)
{
    struct thread_info i;
    if (!thread_report_one((int)n, &i))
        textbuf_printf(t, "%s\n", i.name);
}

static void show_schedstat(struct textbuf *t, long n)
{
    struct thread_info i;
    if (!thread_report_one((int)n, &i))
        textbuf_printf(t, "%llu 0 %llu\n", (unsigned long long)i.cpu_ns, (unsigned long long)i.switches);
}

static void show_wchan(struct textbuf *t, long n)
{
    struct thread_info i;
    if (!thread_report_one((int)n, &i))
        textbuf_printf(t, "%s", i.wait_reason ? i.wait_reason : "0");
}

#define TASK "/proc/1/task/#/"
SYNTH_FILE(proc_task_stat, .path = TASK "stat", .next = next_thread, .show_of = show_stat);
SYNTH_FILE(proc_task_status, .path = TASK "status", .next = next_thread, .show_of = show_status);
SYNTH_FILE(proc_task_comm, .path = TASK "comm", .next = next_thread, .show_of = show_comm);
SYNTH_FILE(proc_task_schedstat, .path = TASK "schedstat", .next = next_thread, .show_of = show_schedstat);
SYNTH_FILE(proc_task_wchan, .path = TASK "wchan", .next = next_thread, .show_of = show_wchan);
