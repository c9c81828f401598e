/* A snapshot of threads. threads_lock keeps a thread from ending meanwhile; its numbers are read while it goes on, each a word, so each is right
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
    unsigned n = 0;
    mutex_lock(&threads_lock);
    TAILQ_FOREACH(t, &all_threads, all_link) {
        if (n < max)
            fill(&out[n], t);
        n++;
    }
    mutex_unlock(&threads_lock);
    return (int)n;
}

int thread_report_one(int id, struct thread_info *out)
{
    mutex_lock(&threads_lock);
    const struct thread *t = thread_find(id);
    if (t)
        fill(out, t);
    mutex_unlock(&threads_lock);
    return t ? 0 : -ESRCH;
}

int thread_report_next(int id)
{
    const struct thread *t;
    int next = -1;
    mutex_lock(&threads_lock);
    TAILQ_FOREACH(t, &all_threads, all_link)
        if (t->app && t->tid > id && (next < 0 || t->tid < next))
            next = t->tid;
    mutex_unlock(&threads_lock);
    return next;
}
