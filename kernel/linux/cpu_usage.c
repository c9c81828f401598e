/* What the application used of the CPUs: the sum over its threads, and over what those left behind
   in their structures (past_*) that have ended. A thread's share moves from the one to the other
   under its `life`, so that the process's CPU time never goes back when a thread ends. */
#include <kernel/cpu_usage.h>
#include <kernel/compiler.h>
#include <sched/cputime.h>
#include <sched/internal.h>
#include <stdatomic.h>

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
    struct cpu_usage u = {0};
    for (unsigned slot = 0, end = thread_slots(); slot < end; slot++) {
        struct thread *t = thread_slot(slot);
        /* One of the kernel's own. acquire: who ends leaves what it used before it takes app away */
        if (!t || (!atomic_load_explicit(&t->app, memory_order_acquire) && !t->past_ns))
            continue;
        mutex_lock(&t->life);
        u.cpu_ns += t->past_ns;
        u.voluntary += t->past_voluntary;
        u.involuntary += t->past_involuntary;
        if (t->app)
            add(&u, t);
        mutex_unlock(&t->life);
    }
    return u;
}

void cpu_usage_retire(struct thread *t)
{
    mutex_lock(&t->life);
    uint64_t involuntary = MIN(t->preemptions, t->switches);
    t->past_ns += thread_cpu_time_ns(t);
    t->past_voluntary += t->switches - involuntary;
    t->past_involuntary += involuntary;
    thread_unlist_held(t);
    /* seq_cst: the thread then looks at the process's signals (signal_thread_end), and who sends one
       makes it pending and then looks at app */
    atomic_store_explicit(&t->app, NULL, memory_order_seq_cst);
    mutex_unlock(&t->life);
}
