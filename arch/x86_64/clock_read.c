/* Reading monotonic time, and changing how it is computed while every CPU reads it.

   As a rule all CPUs read by one line over the TSC (struct clock_line). It lies in a latch (kernel/latch.h), so who changes it never makes a reader wait; and while no
   change is under way also in `fast`, which is a few instructions shorter: its data belong to change number `after` and are valid as long as no change has begun since,
   `before` == `after`. A changer stores `before` first and `after` last; a reader looks at them in the opposite order, and where they differ goes to clock_slow(), which
   reads the latch.

   Where the CPUs' TSCs do not agree each CPU has a line of its own, and `fast` stays invalid. clock_slow() raises `last`, the greatest time that it has shown anybody,
   and shows that if it is more: it holds together what a thread sees that moves from one CPU to another.

   A change of the line in four steps, so that no reader sees time go back:
     A  all read by the old line, fast.
     B  all read by the old line, slowly. Who was fast has looked at the TSC before B began; the changer reads in B, so from then on last >= all that was ever shown.
     C  all read by the new line, and are shown `last` if that is more. The changer raises `last` to where the old line is now: a reader of B that was interrupted before
        it raised `last` can come with no more than that.
     D  all read by the new line, fast, as soon as it has passed `last`.
   Readers of the latch read again if it has changed, so each one's line is that of the step in which it read the TSC. The new line is lifted to begin at `last`, so C ends
   at the next look. CHANGE_MARGIN_NS covers that RDTSC may be executed earlier or later than the loads around it, by what fits into a CPU's reordering.

   Order of `fast`: its words are stored with release after `before`, and loaded with acquire before it. Who sees a word of a change sees that it has begun.

   Who changes holds `changing`, whose loser goes away: nobody waits, and any context may try. */
#include <arch/clock_internal.h>
#include <arch/irq.h>
#include <arch/percpu.h>
#include <kernel/clock.h>
#include <kernel/latch.h>

#define CHANGE_MARGIN_NS 1000u

static struct {
    _Atomic uint32_t after, before;
    _Atomic uint64_t mult, offset;
} fast __attribute__((aligned(64)));

/* mult 0: each CPU's own line, and offset is added to it. */
static struct {
    struct latch latch;
    struct {
        _Atomic uint64_t mult, offset;
    } copy[2];
} line_of_all;

static _Atomic uint64_t last __attribute__((aligned(64)));
static _Atomic bool changing, settling;

/* The greatest time shown here so far. relaxed: one word's own order is all that is wanted */
static uint64_t at_least_last(uint64_t ns)
{
    uint64_t seen = atomic_load_explicit(&last, memory_order_relaxed);
    while (seen < ns)
        if (atomic_compare_exchange_weak_explicit(&last, &seen, ns, memory_order_relaxed, memory_order_relaxed))
            return ns;
    return seen;
}

/* Reads again only when a change was finished meanwhile. */
static uint32_t read_line(struct clock_line *line)
{
    uint32_t n = latch_read(&line_of_all.latch);
    *line = (struct clock_line){latch_get(&line_of_all.copy[n & 1].mult), latch_get(&line_of_all.copy[n & 1].offset)};
    return n;
}

static __attribute__((noinline)) uint64_t clock_slow(void)
{
    struct clock_line line;
    for (;;) {
        uint32_t n = read_line(&line);
        uint64_t flags = irq_save(); /* the TSC and the line of one CPU */
        if (!line.mult) {
            struct clock_cpu *own = percpu()->clock;
            if (unlikely(kvmclock_changed(own)))
                kvmclock_refresh(own);
            line = (struct clock_line){own->line.mult, own->line.offset + line.offset};
        }
        uint64_t ns = clock_line_at(&line, clock_tsc());
        irq_restore(flags);
        if (!latch_changed(&line_of_all.latch, n))
            return at_least_last(ns);
    }
}

uint64_t clock_monotonic_ns(void)
{
    uint32_t n = atomic_load_explicit(&fast.after, memory_order_acquire);
    uint64_t mult = atomic_load_explicit(&fast.mult, memory_order_acquire);
    uint64_t offset = atomic_load_explicit(&fast.offset, memory_order_acquire);
    uint64_t tsc = clock_tsc();
    if (unlikely(atomic_load_explicit(&fast.before, memory_order_relaxed) != n))
        return clock_slow();
    return clock_scale(tsc, mult) + offset;
}

struct clock_line clock_current_line(void)
{
    struct clock_line line;
    for (;;) {
        uint32_t n = read_line(&line);
        if (!latch_changed(&line_of_all.latch, n))
            return line;
    }
}

/* What follows is for the one who holds `changing`. */

static void publish(const struct clock_line *line)
{
    uint32_t n = latch_write(&line_of_all.latch);
    latch_put(&line_of_all.copy[n & 1].mult, line->mult);
    latch_put(&line_of_all.copy[n & 1].offset, line->offset);
    latch_publish(&line_of_all.latch, n);
}

static void publish_fast(const struct clock_line *line)
{
    atomic_store_explicit(&fast.mult, line->mult, memory_order_release);
    atomic_store_explicit(&fast.offset, line->offset, memory_order_release);
    atomic_store_explicit(&fast.after, atomic_load_explicit(&fast.before, memory_order_relaxed), memory_order_release);
}

void clock_start(const struct clock_line *line)
{
    publish(line);
    publish_fast(line);
}

/* What the old line shows now, with the margin, made the least that anybody is shown. A TSC that the
   host has set back makes nonsense of it, which is left out. */
static uint64_t raise_last(const struct clock_line *old)
{
    uint64_t ns = old->mult ? clock_line_at(old, clock_tsc()) + CHANGE_MARGIN_NS : 0;
    return at_least_last((int64_t)ns > 0 ? ns : 1);
}

static bool begin(struct clock_line *old)
{
    if (atomic_exchange_explicit(&changing, true, memory_order_acquire))
        return false;
    (void)read_line(old); /* nobody else changes it */
    uint32_t n = atomic_load_explicit(&fast.after, memory_order_relaxed) + 1;
    (void)atomic_exchange_explicit(&fast.before, n, memory_order_seq_cst); /* B; seen by all before the TSC is read next */
    return true;
}

static void settle(void)
{
    struct clock_line line;
    (void)read_line(&line);
    bool passed = line.mult && clock_line_at(&line, clock_tsc()) >= atomic_load_explicit(&last, memory_order_relaxed);
    if (passed)
        publish_fast(&line); /* D */
    atomic_store_explicit(&settling, line.mult && !passed, memory_order_relaxed);
}

bool clock_change(struct clock_line to, uint64_t *offset)
{
    struct clock_line old;
    if (!begin(&old))
        return false;
    uint64_t least = raise_last(&old), shows = clock_line_at(&to, clock_tsc());
    if ((int64_t)(least - shows) > 0)
        to.offset += least - shows;
    *offset = to.offset;
    publish(&to); /* C */
    (void)raise_last(&old);
    settle();
    atomic_store_explicit(&changing, false, memory_order_release);
    return true;
}

bool clock_change_to_each(uint64_t offset)
{
    struct clock_line old;
    if (!begin(&old))
        return false;
    uint64_t least = raise_last(&old), shows = clock_line_at(&percpu()->clock->line, clock_tsc()) + offset;
    if (old.mult && (int64_t)(least - shows) > 0)
        offset += least - shows;
    if (old.mult) /* else it is so already */
        publish(&(struct clock_line){0, offset});
    (void)raise_last(&old);
    atomic_store_explicit(&changing, false, memory_order_release);
    return true;
}

void clock_settle(void)
{
    if (likely(!atomic_load_explicit(&settling, memory_order_relaxed)) ||
        atomic_exchange_explicit(&changing, true, memory_order_acquire))
        return;
    settle();
    atomic_store_explicit(&changing, false, memory_order_release);
}
