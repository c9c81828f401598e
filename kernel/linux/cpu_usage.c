/* What the application used of the CPUs: the sum over its living threads, and what those left
   behind that have ended. Both change together under threads_lock, so that the process's CPU time
   never goes back when a thread ends. */
#include <kernel/cpu_usage.h>
#include <kernel/compiler.h>
#include <sched/cputime.h>
#include <sched/internal.h>

static struct cpu_usage ended; /* threads_lock */

/* A thread's preemptions count interruptions, some of which changed nothing, so they are no more
 * than its switches. */
static void add(struct cpu_usage *u, const struct thread *t)
{
    uint64_t involuntary = MIN(t->preemptions, t->switches);
    u->cpu_ns += thread_cpu_time_ns(t);
    u->involuntary += involuntary;
    u->voluntary += t->switches - involuntary;
}

struct cpu_usage cpu_usage_self(void)
{
    struct cpu_usage u = {0};
    add(&u, thread_current());
    return u;
}

struct cpu_usage cpu_usage_process(void)
{
    struct thread *t;
    mutex_lock(&threads_lock);
    struct cpu_usage u = ended;
    TAILQ_FOREACH(t, &all_threads, all_link)
    if (t->app)
        add(&u, t);
    mutex_unlock(&threads_lock);
    return u;
}

int cpu_usage_threads(void)
{
    struct thread *t;
    int n = 0;
    mutex_lock(&threads_lock);
    TAILQ_FOREACH(t, &all_threads, all_link)
    n += t->app != NULL;
    mutex_unlock(&threads_lock);
    return n;
}

void cpu_usage_retire(struct thread *t)
{
    mutex_lock(&threads_lock);
    add(&ended, t);
    t->app = NULL;
    mutex_unlock(&threads_lock);
}
