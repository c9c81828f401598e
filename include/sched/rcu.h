/* RCU: what is read far more often than it changes is read without locks and atomics, and what was taken out of it is freed when nobody can be looking at it any more.

       reader                                  writer, under the structure's own mutex
       rcu_read_lock();                        old = p; store (release) the new pointer into p
       load (acquire) p, look at *p            rcu_call(&old->rcu, free_it);  or  rcu_synchronize(); free
       rcu_read_unlock();

   A read section is a stretch with preemption off: it must not sleep, it nests, and it should be short (a long walk is made in parts). Threads only: an interrupt handler is no
   reader, since it may interrupt a CPU that counts as idle. Algorithm and proof: sched/rcu.c. After McKenney & Slingwine, "Read-Copy Update", 1998. */
#ifndef SCHED_RCU_H
#define SCHED_RCU_H

#include <mm/stack_probe.h>
#include <sched/thread.h>

/* In the object that is to be freed. */
struct rcu_head {
    struct rcu_head *next;
    void (*fn)(struct rcu_head *head);
};

static inline void rcu_read_lock(void)
{
    stack_probe(); /* a page fault inside would sleep */
    preempt_disable();
}
static inline void rcu_read_unlock(void) { preempt_enable(); }

/* fn(head) runs in the thread "rcu" after all read sections that have begun by now are over; in no order. It may take mutexes, and must not wait for RCU. Never allocates,
   never waits. Threads, also with preemption or interrupts off if the stack was probed before. */
void rcu_call(struct rcu_head *head, void (*fn)(struct rcu_head *head));
/* The same for threads that may sleep: waits if more than RCU_LIMIT wait on this CPU. So from here come at most RCU_LIMIT for each CPU and one more for each thread. */
#define RCU_LIMIT 4096u
void rcu_call_or_wait(struct rcu_head *head, void (*fn)(struct rcu_head *head));
/* Sleeps until all read sections that have begun by now are over. Not within one. */
void rcu_synchronize(void);
/* Sleeps until the functions of all calls made by now have run. */
void rcu_barrier(void);

#endif
