/* The run queue of a CPU, for the files of sched/ only. How threads get onto it and off: thread.c, wake.c. */
#ifndef SCHED_RUNQ_H
#define SCHED_RUNQ_H

#include <kernel/clock.h>
#include <sched/internal.h>
#include <stdatomic.h>

#define RT_PRIORITIES 100u /* 1..99 are used */

enum cpu_activity {
    CPU_BUSY,
    CPU_POLLING, /* idle, and looks at incoming by itself */
    CPU_HALTED,
};

RB_HEAD(run_tree, thread);
TAILQ_HEAD(rt_list, thread);

/* watchdog.c */
struct watch {
    struct timer timer;        /* of this CPU */
    _Atomic bool watching;     /* it is armed; this CPU writes */
    _Atomic bool wanted;       /* another CPU asks that it be armed */
    _Atomic bool asked;        /* the next NMI is to report */
    /* Written by those who watch this CPU. */
    _Atomic bool reported;     /* since the last progress */
    _Atomic uint64_t seen;     /* scheduling points and interrupts */
    _Atomic uint64_t since_ns; /* when that was new, or when the CPU had nothing to do */
};

/* rcu.c */
struct rcu_cpu {
    _Atomic bool asked;         /* a grace period waits for this CPU to be quiescent; whoever takes it counts that */
    _Atomic bool idle;          /* it reads nothing: it is halted, or has not come yet. This CPU writes */
    _Atomic unsigned waiting;   /* calls that have not run */
    struct timer timer;         /* of this CPU: begins a grace period for its calls */
    struct rcu_head *taken;     /* calls that wait for the present grace period; the thread "rcu" only */
    struct rcu_head *_Atomic calls; /* a stack, newest first; pushed by this CPU */
};

struct runq {
    /* This CPU only, interrupts off. */
    struct run_tree fair;
    struct thread *first; /* the tree's minimum */
    struct rt_list rt[RT_PRIORITIES];
    uint64_t rt_present[2]; /* a bit for each list that is not empty */
    unsigned queued;        /* threads in the tree and the lists */
    struct thread *idle;
    struct thread *taken;   /* off `incoming`, oldest first, each with its token: to be put on the queue */
    uint64_t loaded_fs;
    uint64_t slice_end_ns;
    uint64_t balance_ns; /* when to compare with other CPUs next */
    unsigned poll_limit; /* turns that idling polls before it halts */
    unsigned id;

    /* Read by others. */
    _Atomic uint64_t min_vruntime_ns __attribute__((aligned(64)));
    _Atomic unsigned load;  /* runnable threads, the running one included */
    _Atomic int activity;   /* enum cpu_activity */
    _Atomic unsigned thief; /* 1 + the id of an idle CPU that asks for a thread; 0: none */
    _Atomic uint64_t wakeups; /* returns from HLT */
    _Atomic uint64_t passes;  /* scheduling points */
    _Atomic uint64_t switches;
    _Atomic uint64_t online_ns; /* when the CPU came; its idle thread's CPU time counts from then on */

    struct watch watch;
    struct rcu_cpu rcu;
    thread_stack ended; /* structures of threads that ended here, to be recycled */

    /* Pushed by any CPU: a stack of threads linked by wake_next. */
    struct thread *_Atomic incoming __attribute__((aligned(64)));
};

/* CPUs that idle, a bit each. Cleared also by whoever is about to give one a thread, so that the next waker finds another. */
extern _Atomic uint64_t idle_cpus[PERCPU_MAX / 64];

/* Of a counter that only its CPU writes. */
static inline void runq_count(_Atomic uint64_t *counter)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + 1, memory_order_relaxed);
}

static inline struct runq *runq_of(unsigned cpu) { return percpu_table[cpu]->runq; }

/* runq.c: order and accounting. Interrupts off. */
void runq_init(struct runq *q, unsigned id, struct thread *idle);
void runq_insert(struct runq *q, struct thread *t);
void runq_remove(struct runq *q, struct thread *t);
struct thread *runq_best(struct runq *q); /* NULL: empty; it stays in the queue */
/* t should run before the current thread is through with its slice. */
bool runq_preempts(const struct thread *t, const struct thread *current);
/* t may go on, of the two that are runnable. */
bool runq_stays(const struct runq *q, const struct thread *t, uint64_t now);
/* A queued thread that may run on that CPU and will be missed least here; NULL: none. */
struct thread *runq_spare(struct runq *q, unsigned cpu);
void runq_charge(struct runq *q, struct thread *t, uint64_t now);
void runq_publish_load(struct runq *q, bool running);

/* policy.c: takes over what was asked for t, which is on no queue, if it changed. */
void policy_apply(struct thread *t);
/* The weight of what shares by virtual run time. */
unsigned policy_weight(int policy, int nice);

/* wake.c: from one CPU to another. Interrupts off. */
void wake_take_incoming(struct runq *q);
void wake_answer_thief(struct runq *q);
void wake_balance(struct runq *q, uint64_t now);
/* A thread that this CPU has just switched away from and may not keep. */
void wake_send_away(struct thread *t);
void wake_ask_for_work(const struct runq *q);
/* With the token (placed): puts t where it belongs. */
void wake_place(struct thread *t);

/* watchdog.c: this CPU has left idle, or is asked to watch: it does for a while. Interrupts off. */
void watchdog_start(struct runq *q);
static inline void watchdog_busy(struct runq *q)
{
    if (unlikely(!atomic_load_explicit(&q->watch.watching, memory_order_relaxed)))
        watchdog_start(q);
}

/* rcu.c: what a CPU tells. Interrupts off. */
void rcu_report(struct runq *q);
static inline void rcu_quiescent(struct runq *q)
{
    if (unlikely(atomic_load_explicit(&q->rcu.asked, memory_order_relaxed)))
        rcu_report(q);
}
void rcu_interrupt(struct runq *q); /* another CPU has sent one */
void rcu_idle_enter(struct runq *q);
void rcu_idle_leave(struct runq *q);

bool affinity_has(const struct thread *t, unsigned cpu);

#endif
