/* Timers: a tree for each CPU, ordered by deadline, touched with that CPU's interrupts off; the earliest deadline arms the CPU's one-shot timer together with the
   end of the time slice. Soft timers are a tree of their own under a mutex, run by the kernel thread "timers". */
#include <arch/apic.h>
#include <kernel/init.h>
#include <kernel/log.h>
#include <kernel/clock.h>
#include <sched/internal.h>
#include <sched/timer.h>

static int timer_order(const struct timer *a, const struct timer *b)
{
    if (a->deadline_ns != b->deadline_ns)
        return a->deadline_ns < b->deadline_ns ? -1 : 1;
    return a < b ? -1 : a > b;
}
RB_HEAD(timer_tree, timer);
RB_PROTOTYPE_STATIC(timer_tree, timer, link, timer_order);
RB_GENERATE_STATIC(timer_tree, timer, link, timer_order)

struct timer_queue {
    struct timer_tree tree; /* own CPU, interrupts off */
};
static struct timer_queue boot_queue;

static int soft_order(const struct soft_timer *a, const struct soft_timer *b)
{
    if (a->deadline_ns != b->deadline_ns)
        return a->deadline_ns < b->deadline_ns ? -1 : 1;
    return a < b ? -1 : a > b;
}
RB_HEAD(soft_tree, soft_timer);
RB_PROTOTYPE_STATIC(soft_tree, soft_timer, link, soft_order);
RB_GENERATE_STATIC(soft_tree, soft_timer, link, soft_order)

static struct mutex soft_lock = MUTEX_INIT; /* protects all below */
static struct soft_tree soft_tree;
static struct soft_timer *soft_running;
static struct waitq soft_done = WAITQ_INIT(soft_done);
static struct waitq soft_wait = WAITQ_INIT(soft_wait);

void timer_init(void) { percpu()->timers = &boot_queue; }

void timer_arm(struct timer *t, uint64_t deadline_ns)
{
    uint64_t flags = irq_save();
    struct timer_tree *tree = &percpu()->timers->tree;
    if (t->armed)
        RB_REMOVE(timer_tree, tree, t);
    t->deadline_ns = deadline_ns;
    t->armed = true;
    RB_INSERT(timer_tree, tree, t);
    clock_arm(deadline_ns);
    irq_restore(flags);
}

bool timer_cancel(struct timer *t)
{
    uint64_t flags = irq_save();
    bool was = t->armed;
    if (was) {
        RB_REMOVE(timer_tree, &percpu()->timers->tree, t);
        t->armed = false;
    }
    irq_restore(flags);
    return was;
}

void timer_interrupt_run(uint64_t now)
{
    struct timer_tree *tree = &percpu()->timers->tree;
    struct timer *t;
    while ((t = RB_MIN(timer_tree, tree)) && t->deadline_ns <= now) {
        RB_REMOVE(timer_tree, tree, t);
        t->armed = false;
        t->fn(t);
    }
}

uint64_t timer_next(void)
{
    struct timer *t = RB_MIN(timer_tree, &percpu()->timers->tree);
    return t ? t->deadline_ns : TIME_NEVER;
}

void soft_timer_arm(struct soft_timer *t, uint64_t deadline_ns)
{
    mutex_lock(&soft_lock);
    if (t->armed)
        RB_REMOVE(soft_tree, &soft_tree, t);
    t->deadline_ns = deadline_ns;
    t->armed = true;
    RB_INSERT(soft_tree, &soft_tree, t);
    if (RB_MIN(soft_tree, &soft_tree) == t)
        waitq_wake_all(&soft_wait);
    mutex_unlock(&soft_lock);
}

bool soft_timer_cancel(struct soft_timer *t)
{
    mutex_lock(&soft_lock);
    bool was = t->armed;
    if (was) {
        RB_REMOVE(soft_tree, &soft_tree, t);
        t->armed = false;
    }
    mutex_unlock(&soft_lock);
    return was;
}

void soft_timer_sync(struct soft_timer *t)
{
    mutex_lock(&soft_lock);
    while (soft_running == t)
        waitq_wait(&soft_done, &soft_lock, TIME_NEVER, false);
    mutex_unlock(&soft_lock);
}

static void soft_timer_thread(void *arg)
{
    mutex_lock(&soft_lock);
    for (;;) {
        struct soft_timer *t = RB_MIN(soft_tree, &soft_tree);
        if (!t || t->deadline_ns > clock_monotonic_ns()) {
            waitq_wait(&soft_wait, &soft_lock, t ? t->deadline_ns : TIME_NEVER, false);
            continue;
        }
        RB_REMOVE(soft_tree, &soft_tree, t);
        t->armed = false;
        soft_running = t;
        mutex_unlock(&soft_lock);
        t->fn(t);
        mutex_lock(&soft_lock);
        soft_running = NULL;
        waitq_wake_all(&soft_done);
    }
}

static void start(void)
{
    if (!thread_create("timers", soft_timer_thread, NULL))
        panic("timers: no memory for the timer thread");
}
INIT(INIT_BUS, start);
