/* A snapshot of threads. Each is held while it is looked at; its numbers are read while it goes on, each a word, so each is right
   for itself. Of what a thread's CPU writes without atomics only counters are read here, as in cpu_usage.c. */
#include <asm/errno.h>
#include <kernel/string.h>
#include <sched/report.h>
#include <sched/runq.h>
#include <stdatomic.h>

static char state_of(const struct thread *t)
{
    int cpu = atomic_load_explicit(&t->cpu, memory_order_relaxed);
    if (t == runq_of((unsigned)cpu)->idle)
        return 'I';
    switch (atomic_load_explicit(&t->state, memory_order_relaxed)) {
    case THREAD_RUNNABLE: return 'R';
    case THREAD_NEW: return 'N';
    default: return 'S';
    }
}

static void fill(struct thread_info *out, const struct thread *t)
{
    *out = (struct thread_info){
        .id = t->tid,
        .cpu = atomic_load_explicit(&t->cpu, memory_order_relaxed),
        .state = state_of(t),
        .application = t->app != NULL,
        .cpu_ns = thread_cpu_time_ns(t),
        .switches = t->switches,
        .preemptions = t->preemptions,
        .migrations = t->migrations,
        .nice = atomic_load_explicit(&t->want_nice, memory_order_relaxed),
        .policy = atomic_load_explicit(&t->want_policy, memory_order_relaxed),
        .priority = atomic_load_explicit(&t->want_rt, memory_order_relaxed),
    };
    strlcpy(out->name, t->name, sizeof(out->name));
    if (out->state == 'S')
        out->wait_reason = atomic_load_explicit(&t->wait_reason, memory_order_relaxed);
    for (unsigned i = 0; i < ARRAY_SIZE(out->affinity); i++)
        out->affinity[i] = atomic_load_explicit(&t->affinity.bits[i], memory_order_relaxed);
}

int thread_report(struct thread_info *out, unsigned max)
{
    struct thread *t;
    unsigned n = 0, slot = 0;
    while (n < max && (t = thread_hold_after(&slot))) {
        fill(&out[n++], t);
        thread_release(t);
    }
    while (thread_after(&slot))
        n++;
    return (int)n;
}

int thread_report_one(int id, struct thread_info *out)
{
    struct thread *t = thread_hold(id);
    if (!t)
        return -ESRCH;
    fill(out, t);
    thread_release(t);
    return 0;
}

int thread_report_next(int id)
{
    const struct thread *t;
    unsigned slot = id < 0 ? 0 : thread_slot_of(id) + 1;
    while ((t = thread_after(&slot))) {
        int next = atomic_load_explicit(&t->listed, memory_order_acquire);
        if (t->app && next >= 0)
            return next;
    }
    return -1;
}
