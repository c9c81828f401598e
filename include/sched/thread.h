/* Threads. Each has a kernel stack with a guard page, and runs on one CPU's run queue, which only that CPU touches; a wake-up from
   elsewhere travels over that CPU's lock-free list. Waiting never loses a wake-up:

       thread_wait_prepare();            state becomes WAITING
       if (condition) thread_wait_cancel();
       else thread_wait();               returns after thread_wake(), at once if it came since prepare

   thread_wake may be called from any context, also interrupt handlers. Spurious returns are possible: loop over the condition. */
#ifndef SCHED_THREAD_H
#define SCHED_THREAD_H

#include <arch/percpu.h>
#include <kernel/compiler.h>

struct thread;

static inline struct thread *thread_current(void) { return percpu_current(); }

/* Starts fn(arg) in a new kernel thread (no application state, never ends the machine when it returns).
   Returns the thread, NULL when there is no memory. The name is copied (15 characters). */
struct thread *thread_create(const char *name, void (*fn)(void *), void *arg);
_Noreturn void thread_exit(void);
void thread_yield(void);

void thread_wait_prepare(void);
void thread_wait_cancel(void);
void thread_wait(void);
/* As thread_wait, but returns at deadline_ns (clock_monotonic_ns scale; TIME_NEVER: no deadline) at the latest. */
void thread_wait_until(uint64_t deadline_ns);
void thread_wake(struct thread *t);
/* Sleeps until the deadline. */
void thread_sleep_until(uint64_t deadline_ns);

/* Says what the current thread is about to wait for (a constant text; NULL: nothing), for reports, and returns what it said before, which the caller
   says again after the wait: so a mutex that is taken inside another wait hides that only for as long as it takes. */
const char *thread_wait_reason(const char *reason);

/* A signal that would run a handler or end the thread is pending: an interruptible wait should give up with -EINTR. */
bool thread_interrupted(void);

int thread_id(const struct thread *t);
/* Of the current thread: sends whose notification may wait (set by epoll_wait, counted down by net). */
unsigned *thread_net_batch(void);

/* The priority that the thread was given: 0 for SCHED_OTHER, 1..99 for real time. Any thread that cannot end meanwhile. */
int thread_priority(const struct thread *t);
/* owner holds what a thread of priority prio waits for, and is to run as if it had at least that priority until the next call; 0: nobody
   waits any more. Calls for one owner come one after the other, with mutexes held, perhaps with the owner held; does not switch, does not sleep. */
void thread_inherit(struct thread *owner, int prio);

/* While held, this thread is neither preempted nor moved to another CPU. Nests; must not sleep inside. */
static inline void preempt_disable(void) { percpu_preempt_inc(); }
void preempt_enable_switch(void); /* the count is 0 and a switch is due */
static inline void preempt_enable(void)
{
    if (percpu_preempt_dec() && unlikely(percpu_need_resched()))
        preempt_enable_switch();
}

#endif
