/* /proc/lock_stat, and the same on the console when the machine ends, where --lock-stats is given: a line for each mutex and place that had to wait for it, the
   longest total first. A mutex has a name where it is data of
   its own that is called lock or *_lock; one inside of such data has an offset (vfs_lock+0x40 is the writers' mutex of the reader-writer lock). */
#include <fs/synthfs.h>
#include <kernel/lock_report.h>
#include <kernel/option.h>
#include <kernel/panic.h>
#include <kernel/symbols.h>
#include <kernel/print.h>
#include <sched/lockstat.h>
#include <sched/mutex.h>

#define LAST_LINES 40u /* on the console */

static struct mutex lock = MUTEX_INIT; /* protects what follows, and the names that symbol_name gives */
static struct lock_stat entries[LOCK_STAT_MAX];

static int set_lock_stats(const char *value)
{
    atomic_store_explicit(&lock_stats_on, true, memory_order_relaxed);
    return 0;
}
OPTION(lock_stats, .name = "lock-stats", .help = "count waits for mutexes: /proc/lock_stat, and a list at the end",
       .handle = set_lock_stats);

static void name_of(char *buf, size_t size, const void *address)
{
    uint64_t offset = 0;
    const char *name = symbol_name((uint64_t)address, &offset);
    if (name)
        snprintf(buf, size, offset ? "%s+0x%lx" : "%s", name, offset);
    else
        snprintf(buf, size, "-");
}

static int line_of(char *buf, size_t size, const struct lock_stat *e)
{
    char mutex[80], site[80];
    name_of(mutex, sizeof(mutex), e->mutex);
    name_of(site, sizeof(site), (const char *)e->site - 1);
    return snprintf(buf, size, "%9llu %12llu %12llu %016lx %-24s %s\n", (unsigned long long)e->contended,
                    (unsigned long long)(e->total_ns / 1000), (unsigned long long)(e->longest_ns / 1000), (uint64_t)e->mutex, mutex, site);
}

static const char heading[] = "contended     total_us   longest_us mutex            name                     site\n";

static void show_lock_stat(struct textbuf *t)
{
    char line[256];
    uint64_t lost;
    if (!atomic_load_explicit(&lock_stats_on, memory_order_relaxed)) {
        textbuf_printf(t, "off: start the machine with --lock-stats\n");
        return;
    }
    mutex_lock(&lock);
    unsigned n = lock_stat_read(entries, ARRAY_SIZE(entries), &lost);
    textbuf_printf(t, "%s", heading);
    for (unsigned i = 0; i < n; i++) {
        line_of(line, sizeof(line), &entries[i]);
        textbuf_printf(t, "%s", line);
    }
    if (lost)
        textbuf_printf(t, "%9llu without room\n", (unsigned long long)lost);
    mutex_unlock(&lock);
}
SYNTH_FILE(proc_lock_stat, .path = "/proc/lock_stat", .show = show_lock_stat);

/* Waits for no mutex: the machine ends, and a reader in the middle of it may not come back. */
void lock_report_at_end(void)
{
    char line[256];
    uint64_t lost;
    if (!atomic_load_explicit(&lock_stats_on, memory_order_relaxed) || !mutex_trylock(&lock))
        return;
    unsigned n = lock_stat_read(entries, LAST_LINES, &lost);
    report_printf("lock statistics:\n%s", heading);
    for (unsigned i = 0; i < n; i++) {
        line_of(line, sizeof(line), &entries[i]);
        report_printf("%s", line);
    }
}
