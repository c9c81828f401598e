/* What the futex asks of threads, for the host: who they are by thread id, their priorities, their signals. Include after the kernel's headers. */
#ifndef TESTS_UNIT_FUTEX_THREADS_H
#define TESTS_UNIT_FUTEX_THREADS_H

#include <kernel/futex.h>
#include <sched/internal.h>

struct person {
    struct thread *_Atomic thread; /* NULL: there is no such thread */
    struct futex_thread futex;
    bool is_kernel;
    _Atomic int priority;  /* its own */
    _Atomic int inherited; /* what thread_inherit said last */
    _Atomic bool interrupted, restart;
    _Atomic int delivered;
};
static struct person people[4096]; /* by thread id */
static struct mutex life = MUTEX_INIT; /* of all */

static inline struct person *person_of(const struct thread *t) { return &people[thread_id(t)]; }
static inline struct person *me(void) { return person_of(thread_current()); }
static inline unsigned my_tid(void) { return (unsigned)thread_id(thread_current()); }

/* Each thread that takes part in PI futexes calls these at its start and end, as the kernel does. */
static inline void enlist(void)
{
    mutex_lock(&life);
    me()->thread = thread_current();
    mutex_unlock(&life);
}
static inline void pass_away(void *robust_list, size_t size)
{
    futex_exit(robust_list, size);
    mutex_lock(&life);
    me()->thread = NULL;
    mutex_unlock(&life);
}

struct thread *thread_hold(int tid)
{
    mutex_lock(&life);
    if (tid >= 0 && tid < 4096 && people[tid].thread)
        return people[tid].thread;
    mutex_unlock(&life);
    return NULL;
}
void thread_release(struct thread *t) { mutex_unlock(&life); }
struct futex_thread *thread_futex(struct thread *t) { return person_of(t)->is_kernel ? NULL : &person_of(t)->futex; }
int thread_priority(const struct thread *t) { return person_of(t)->priority; }
void thread_inherit(struct thread *owner, int prio) { person_of(owner)->inherited = prio; }
bool thread_interrupted(void) { return me()->interrupted; }
bool signal_deliver(void)
{
    me()->interrupted = false;
    me()->delivered++;
    return me()->restart;
}
static inline void interrupt(struct person *p)
{
    p->interrupted = true;
    thread_wake(p->thread);
}

#endif
