/* Who runs next on a CPU. Only that CPU calls, with interrupts off.

   SCHED_FIFO and SCHED_RR: a list for each of 99 priorities, the highest first, before all others. Everybody else is in a tree ordered by virtual run
   time: CPU time divided by the thread's weight (1.25 to the power of -nice, as Linux has it; SCHED_IDLE weighs next to nothing). The queue's minimum
   follows the smallest; a thread that slept is placed at most a slice behind it, so it runs soon but cannot save up. All in integers.

   Virtual run time counts on a CPU's own scale: who moves a thread takes the difference of the two minima with it (wake.c). */
#include <sched/runq.h>
#include <stdatomic.h>

#define WEIGHT_NICE_0 1024u
#define SPARE_LOOKS 8u

static int run_order(const struct thread *a, const struct thread *b)
{
    if (a->vruntime_ns != b->vruntime_ns)
        return (int64_t)(a->vruntime_ns - b->vruntime_ns) < 0 ? -1 : 1;
    return a < b ? -1 : a > b;
}
RB_PROTOTYPE_STATIC(run_tree, thread, run_link, run_order);
RB_GENERATE_STATIC(run_tree, thread, run_link, run_order)

void runq_init(struct runq *q, unsigned id, struct thread *idle)
{
    for (unsigned i = 0; i < RT_PRIORITIES; i++)
        TAILQ_INIT(&q->rt[i]);
    q->id = id;
    q->idle = idle;
    q->min_vruntime_ns = NS_PER_SEC; /* so that placing behind it cannot wrap */
}

static uint64_t min_of(const struct runq *q) { return atomic_load_explicit(&q->min_vruntime_ns, memory_order_relaxed); }

void runq_insert(struct runq *q, struct thread *t)
{
    t->queued = true;
    q->queued++;
    if (t->rt_priority != 0) {
        if (t->rt_head)
            TAILQ_INSERT_HEAD(&q->rt[t->rt_priority], t, rt_link);
        else
            TAILQ_INSERT_TAIL(&q->rt[t->rt_priority], t, rt_link);
        t->queued_rt = t->rt_priority;
        q->rt_present[t->rt_priority / 64] |= 1ull << (t->rt_priority % 64);
        return;
    }
    t->queued_rt = 0;
    uint64_t floor = min_of(q) - SLICE_NS;
    if ((int64_t)(t->vruntime_ns - floor) < 0)
        t->vruntime_ns = floor;
    RB_INSERT(run_tree, &q->fair, t);
    if (!q->first || run_order(t, q->first) < 0)
        q->first = t;
}

void runq_remove(struct runq *q, struct thread *t)
{
    t->queued = false;
    q->queued--;
    if (t->queued_rt != 0) {
        unsigned p = t->queued_rt;
        TAILQ_REMOVE(&q->rt[p], t, rt_link);
        if (TAILQ_EMPTY(&q->rt[p]))
            q->rt_present[p / 64] &= ~(1ull << (p % 64));
        return;
    }
    if (q->first == t)
        q->first = RB_NEXT(run_tree, &q->fair, t);
    RB_REMOVE(run_tree, &q->fair, t);
}

static unsigned best_rt(const struct runq *q)
{
    if (q->rt_present[1])
        return 127 - (unsigned)__builtin_clzll(q->rt_present[1]);
    return q->rt_present[0] ? 63 - (unsigned)__builtin_clzll(q->rt_present[0]) : 0;
}

struct thread *runq_best(struct runq *q)
{
    if (unlikely(q->rt_present[0] | q->rt_present[1]))
        return TAILQ_FIRST(&q->rt[best_rt(q)]);
    return q->first;
}

bool runq_preempts(const struct thread *t, const struct thread *current)
{
    if (t->rt_priority != current->rt_priority)
        return t->rt_priority > current->rt_priority;
    if (t->rt_priority != 0)
        return false;
    if (unlikely(t->policy != current->policy)) {
        if (current->policy == SCHED_IDLE || t->policy == SCHED_IDLE)
            return current->policy == SCHED_IDLE;
        if (t->policy == SCHED_BATCH)
            return false;
    }
    return (int64_t)(t->vruntime_ns + SLICE_NS / 4 - current->vruntime_ns) < 0;
}

bool runq_stays(const struct runq *q, const struct thread *t, uint64_t now)
{
    unsigned rt = best_rt(q);

    if (rt != t->rt_priority)
        return t->rt_priority > rt;
    if (rt != 0)
        return t->policy == SCHED_FIFO || now < q->slice_end_ns;
    return !q->first;
}

/* Looks at a few only: interrupts are off, and the queue may be long with threads that must stay. */
struct thread *runq_spare(struct runq *q, unsigned cpu)
{
    struct thread *t;
    unsigned looked = 0;

    RB_FOREACH_REVERSE(t, run_tree, &q->fair) {
        if (affinity_has(t, cpu))
            return t;
        if (++looked == SPARE_LOOKS)
            return NULL;
    }
    if (likely(!(q->rt_present[0] | q->rt_present[1])))
        return NULL;
    TAILQ_FOREACH(t, &q->rt[best_rt(q)], rt_link) {
        if (affinity_has(t, cpu))
            return t;
        if (++looked == SPARE_LOOKS)
            break;
    }
    return NULL;
}

/* Charges t, which runs, for the time since it was last charged. */
void runq_charge(struct runq *q, struct thread *t, uint64_t now)
{
    uint64_t ran = now - t->charged_ns;

    t->charged_ns = now;
    t->cpu_time_ns += ran;
    if (t->rt_priority == 0)
        t->vruntime_ns += likely(t->weight == WEIGHT_NICE_0) ? ran : ran * WEIGHT_NICE_0 / t->weight;
    /* The minimum is that of the running thread and the first in the tree, and never goes back. */
    uint64_t min = t->rt_priority == 0 && t != q->idle ? t->vruntime_ns : min_of(q);
    if (q->first && (int64_t)(q->first->vruntime_ns - min) < 0)
        min = q->first->vruntime_ns;
    if ((int64_t)(min - min_of(q)) > 0)
        atomic_store_explicit(&q->min_vruntime_ns, min, memory_order_relaxed);
}

/* seq_cst, against a CPU that goes idle: it sets its bit, then looks at loads; we store the load, then look at the bits (make_runnable). */
void runq_publish_load(struct runq *q, bool running)
{
    atomic_store_explicit(&q->load, q->queued + running, memory_order_seq_cst);
}
