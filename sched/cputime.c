/* CPU time of a thread: what it was charged for (cpu_time_ns, by account() in thread.c at each
   switch), and while it runs, the time since then.

   A thread that asks for its own time keeps its CPU meanwhile, so nothing moves. The same goes for
   another thread of the asker's CPU, which does not run then. The fields of a thread on another CPU
   change under the reader: it reads them again after the clock, and starts over if the thread was
   charged or went on or off its CPU in between. That is as often as the thread is switched, and no
   loop that waits for anybody.

   What is left is the instant between the two stores of account(), slice_start_ns and then
   cpu_time_ns: a reader whose both readings fall into it finds one slice too little. Ending that
   takes one word that holds both. */
#include <arch/percpu.h>
#include <kernel/clock.h>
#include <sched/cputime.h>
#include <sched/internal.h>
#include <stdatomic.h>

struct reading {
    uint64_t charged, since;
    bool running;
};

/* The owner's stores are plain ones of aligned words; this order of loads, with a CPU that keeps
   the order of stores, never counts a slice twice: a reader that sees the new charge sees the new
   start as well. */
static struct reading read_once(const struct thread *t)
{
    struct reading r;
    r.charged =
        atomic_load_explicit((const _Atomic uint64_t *)&t->cpu_time_ns, memory_order_acquire);
    r.since =
        atomic_load_explicit((const _Atomic uint64_t *)&t->slice_start_ns, memory_order_acquire);
    int cpu = atomic_load_explicit((const _Atomic int *)&t->cpu, memory_order_relaxed);
    r.running = atomic_load_explicit((struct thread * _Atomic *)&percpu_table[cpu]->current,
                                     memory_order_acquire) == t;
    return r;
}

uint64_t thread_cpu_time_ns(const struct thread *t)
{
    struct reading a, b;
    uint64_t now;
    preempt_disable();
    do {
        a = read_once(t);
        now = clock_monotonic_ns();
        b = read_once(t);
    } while (a.charged != b.charged || a.since != b.since || a.running != b.running);
    preempt_enable();
    return a.charged + (a.running && now > a.since ? now - a.since : 0);
}
