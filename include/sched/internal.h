/* The scheduler's own structures, for sched/, arch/ (context switch, stacks) and kernel/linux (application threads). */
#ifndef SCHED_INTERNAL_H
#define SCHED_INTERNAL_H

#include <kernel/clock.h>
#include <kernel/futex.h>
#include <linux/sched.h>
#include <linux/signal.h>
#include <sched/mutex.h>
#include <sched/thread.h>
#include <sched/thread_table.h>
#include <sched/timer.h>
#include <sched/waitq.h>
#include <sys/tree.h>

#define KERNEL_STACK_SIZE 16384u
#define SLICE_NS (4 * NS_PER_MS)      /* of those that share by virtual run time */
#define RR_SLICE_NS (100 * NS_PER_MS) /* SCHED_RR */

enum thread_state { THREAD_NEW, THREAD_RUNNABLE, THREAD_WAITING, THREAD_DEAD };

struct cpu_set {
    _Atomic uint64_t bits[PERCPU_MAX / 64];
};
extern struct cpu_set all_cpus; /* that are online */

struct thread {
    _Atomic bool interrupted;    /* a signal wants this thread's attention; first, for syscall_stubs.S */
    /* These keep their values when the structure is recycled: others may still refer to them. */
    _Atomic bool placed;         /* the token of wake.c: its holder decides where the thread goes */
    uint64_t kernel_stack_base;
    struct timer sleep_timer;
    struct thread *wake_next;    /* in a CPU's incoming list */
    _Atomic int state;           /* enum thread_state; a waker changes WAITING to RUNNABLE by compare-and-swap */
    _Atomic bool active;         /* current on, or queued by, CPU `cpu`; wake.c */
    _Atomic int cpu;             /* changed with the token, while not active */
    /* thread_table.c */
    unsigned slot;               /* never changes */
    unsigned generation;         /* how many threads had it; its maker's */
    _Atomic int listed;          /* the id by which it is found, or THREAD_NOT_LISTED */
    _Atomic unsigned free_next;  /* 1 + the slot of the next on its stack */
    struct mutex life;           /* who holds it keeps the thread from ending */
    /* What the application's threads have used that lived here before; `life` (cpu_usage.c). */
    uint64_t past_ns, past_voluntary, past_involuntary;
    struct app_thread *app_memory; /* for `app`; made when first needed, by its maker */

    uint64_t saved_rsp;          /* while not running; THREAD_KEPT_BYTES end here */
    uint64_t kernel_stack_top;
    unsigned live_xstate;        /* > 0: vector registers are the application's and must be saved at a switch */
    void *xstate;                /* area for them; NULL for kernel threads */
    uint64_t fs_base;
    struct cpu_set affinity;     /* set by sched_set_affinity; read by anyone */
    /* Run queue; only its CPU touches these. */
    union {
        RB_ENTRY(thread) run_link;
        TAILQ_ENTRY(thread) rt_link;
    };
    uint64_t vruntime_ns, charged_ns;
    uint64_t cpu_time_ns;
    _Atomic uint64_t cpu_clock;  /* cputime.c; read by anyone */
    unsigned weight;
    int policy;                  /* SCHED_*; as the queue sees it */
    unsigned rt_priority;        /* 1..99 for SCHED_FIFO and SCHED_RR, else 0 */
    /* What was asked for; by anyone. The thread's CPU takes it over (policy.c). */
    _Atomic int want_policy, want_nice, want_rt, inherited_rt;
    _Atomic bool policy_dirty;
    unsigned queued_rt;          /* the list it is in, while queued */
    bool queued, rt_head, yielding, moving;
    char name[16];
    int tid;
    const char *_Atomic wait_reason; /* a constant; written by this thread, read by anyone */
    unsigned net_batch;          /* this thread only: sends that may wait for their kick (net) */
    uint64_t switches, preemptions, migrations;
    void (*fn)(void *);
    void *arg;
    /* Application threads (kernel/linux). */
    struct app_thread *_Atomic app; /* NULL for kernel threads; at its end taken away under `life`. Its memory is only recycled */
    uint64_t blocked_signals;    /* written by this thread only */
    struct futex_thread futex;
};
#define CPU_CLOCK_RUNNING (1ull << 63)
#define THREAD_KEPT_BYTES offsetof(struct thread, saved_rsp)

/* Start-up of this CPU's scheduler: the caller becomes the idle thread of the boot CPU. */
void sched_init(void);
_Noreturn void sched_idle(void);
/* Another CPU: its queue, timers and idle thread, made before it starts (0 or -ENOMEM); the idle thread's stack; and, on that CPU, the moment it takes part. */
int sched_cpu_init(struct percpu *p);
uint64_t sched_idle_stack(const struct percpu *p);
void sched_online(void);
/* policy.c. Valid values only; -EINVAL where no CPU that is online is in the set. Any thread that cannot end meanwhile (held, or the caller). */
void sched_set_policy(struct thread *t, int policy, int rt_priority);
void sched_set_nice(struct thread *t, int nice);
int sched_set_affinity(struct thread *t, const uint64_t *bits, unsigned words);
/* If t runs on another CPU, that CPU looks soon at what was set for t: a signal, an affinity, a policy. */
void thread_kick(struct thread *t);
bool thread_is_idle(const struct thread *t);
/* A thread that was not started: thread_start puts it on a run queue. NULL when there is no memory. */
struct thread *thread_new(const char *name, void (*fn)(void *), void *arg);
void thread_start(struct thread *t);
void thread_discard(struct thread *t); /* it is not to be started */
/* From the timer interrupt: deadlines of sleeping threads and the time slice. */
void timer_init(void);
void timer_interrupt_run(uint64_t now);
uint64_t timer_next(void);
int timer_cpu_init(struct percpu *p);
void timer_take_requests(void);
/* Sets the TLS base of the current (application) thread. */
void sched_set_fs(uint64_t base);

/* What a thread with a signal asks of the code that knows signals, which registers once, before the first application thread. */
struct trap_frame;
struct signal_hooks {
    void (*nudge)(void); /* the current thread has one: it is to be preempted soon. Interrupts off */
    void (*preempted)(struct trap_frame *f); /* the current thread was preempted with this frame, has one, and goes on. May not return */
};
void sched_set_signal_hooks(const struct signal_hooks *hooks);

#endif
