/* Timers: a tree for each CPU, ordered by deadline, touched by that CPU only, with interrupts off; the earliest deadline arms the CPU's one-shot timer together with the
   end of the time slice.

   A timer's owner may have moved to another CPU since it was armed, and nobody waits for anybody: so what the owner wants (want_ns) is apart from where the timer is
   linked (home, linked_ns). Cancelling stores want_ns only. Arming stores it, and then: if the timer is in no tree, it takes home by compare-and-swap and links it
   here; if it is in another CPU's tree under an earlier deadline, that CPU will find the new wish when that deadline passes; under a later one, that CPU is asked to
   look (a list of requests, and an interrupt). So a deadline that moves on and on, as that of a read with a time-out, costs a store.

   home and linked_ns are stored before want_ns is read again, and want_ns before they are read: sequentially consistent, so one side sees the other.

   Soft timers are a tree of their own under a mutex, run by the kernel thread "timers". */
#include <arch/apic.h>
#include <asm/errno.h>
#include <kernel/clock.h>
#include <kernel/init.h>
#include <kernel/log.h>
#include <mm/kmem.h>
#include <sched/internal.h>
#include <sched/timer.h>
#include <stdatomic.h>

static int timer_order(const struct timer *a, const struct timer *b)
{
    if (a->key_ns != b->key_ns)
        return a->key_ns < b->key_ns ? -1 : 1;
    return a < b ? -1 : a > b;
}
RB_HEAD(timer_tree, timer);
RB_PROTOTYPE_STATIC(timer_tree, timer, link, timer_order);
RB_GENERATE_STATIC(timer_tree, timer, link, timer_order)

struct timer_queue {
    struct timer_tree tree;          /* own CPU, interrupts off */
    struct timer *_Atomic requests;  /* pushed by other CPUs */
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

int timer_cpu_init(struct percpu *p)
{
    p->timers = kzalloc(sizeof(*p->timers));
    return p->timers ? 0 : -ENOMEM;
}

static uint64_t wanted(struct timer *t) { return atomic_load_explicit(&t->want_ns, memory_order_seq_cst); }

/* t is ours (home) and in no tree: links it where it is wanted, or lets it go. */
static void link_here(struct timer *t)
{
    unsigned self = percpu()->id + 1, none;
    uint64_t want;

    do {
        want = wanted(t);
        if (want == 0) {
            atomic_store_explicit(&t->home, 0, memory_order_seq_cst);
            none = 0;
            if (wanted(t) == 0 || !atomic_compare_exchange_strong_explicit(&t->home, &none, self, memory_order_seq_cst, memory_order_relaxed))
                return;
            want = wanted(t);
        }
        atomic_store_explicit(&t->linked_ns, want, memory_order_seq_cst);
    } while (want == 0 || wanted(t) < want);
    t->key_ns = want;
    RB_INSERT(timer_tree, &percpu()->timers->tree, t);
    clock_arm(want);
}

static void request(unsigned cpu, struct timer *t)
{
    struct timer_queue *q = percpu_table[cpu]->timers;
    struct timer *head;

    if (atomic_exchange_explicit(&t->requested, true, memory_order_seq_cst))
        return;
    head = atomic_load_explicit(&q->requests, memory_order_relaxed);
    do
        t->request_next = head;
    while (!atomic_compare_exchange_weak_explicit(&q->requests, &head, t, memory_order_seq_cst, memory_order_relaxed));
    if (!head)
        apic_send_ipi(percpu_table[cpu]->apic_id, APIC_VECTOR_WAKE);
}

/* Interrupts off. */
static void link_somewhere(struct timer *t)
{
    unsigned self = percpu()->id + 1, home = atomic_load_explicit(&t->home, memory_order_seq_cst);

    if (home == 0) {
        if (atomic_compare_exchange_strong_explicit(&t->home, &home, self, memory_order_seq_cst, memory_order_seq_cst))
            link_here(t);
        else /* its former home has taken it back, and sees what we want */
            return;
    } else if (home == self) {
        if (wanted(t) < t->key_ns) {
            RB_REMOVE(timer_tree, &percpu()->timers->tree, t);
            link_here(t);
        }
    } else if (wanted(t) < atomic_load_explicit(&t->linked_ns, memory_order_seq_cst)) {
        request(home - 1, t);
    }
}

void timer_take_requests(void)
{
    struct timer_queue *q = percpu()->timers;

    if (likely(!atomic_load_explicit(&q->requests, memory_order_relaxed)))
        return;
    struct timer *t = atomic_exchange_explicit(&q->requests, NULL, memory_order_seq_cst);
    while (t) {
        struct timer *next = t->request_next;
        atomic_exchange_explicit(&t->requested, false, memory_order_seq_cst);
        if (wanted(t) != 0)
            link_somewhere(t);
        t = next;
    }
}

void timer_arm(struct timer *t, uint64_t deadline_ns)
{
    uint64_t flags = irq_save();
    atomic_store_explicit(&t->want_ns, deadline_ns ? deadline_ns : 1, memory_order_seq_cst);
    link_somewhere(t);
    irq_restore(flags);
}

bool timer_cancel(struct timer *t) { return atomic_exchange_explicit(&t->want_ns, 0, memory_order_seq_cst) != 0; }

void timer_interrupt_run(uint64_t now)
{
    struct timer_tree *tree = &percpu()->timers->tree;
    struct timer *t;
    while ((t = RB_MIN(timer_tree, tree)) && t->key_ns <= now) {
        RB_REMOVE(timer_tree, tree, t);
        uint64_t want = wanted(t);
        if (want != 0 && want <= now && atomic_compare_exchange_strong_explicit(&t->want_ns, &want, 0, memory_order_seq_cst, memory_order_relaxed))
            t->fn(t);
        link_here(t);
    }
}

uint64_t timer_next(void)
{
    struct timer *t = RB_MIN(timer_tree, &percpu()->timers->tree);
    return t ? t->key_ns : TIME_NEVER;
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
