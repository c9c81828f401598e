/* CPU time of a thread, for any reader without a lock: one word (cpu_clock) that the thread's CPU stores at each switch. While the thread does not run it is what it has
   used; while it runs, marked by the highest bit, it is the monotonic time at which it would have started had it run all its time in one piece: what it has used
   is now less that. So the value never goes back, and costs two stores a switch. */
#include <kernel/clock.h>
#include <sched/cputime.h>
#include <sched/internal.h>
#include <stdatomic.h>

uint64_t thread_cpu_time_ns(const struct thread *t)
{
    uint64_t v = atomic_load_explicit(&t->cpu_clock, memory_order_acquire);
    if (!(v & CPU_CLOCK_RUNNING))
        return v;
    /* Read after the word; another CPU's clock may be a little behind ours. */
    uint64_t now = clock_monotonic_ns(), start = v & ~CPU_CLOCK_RUNNING;
    return now > start ? now - start : 0;
}
