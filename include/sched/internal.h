/* The scheduler's own structures, for sched/, arch/ (context switch, stacks) and kernel/linux (application threads). */
#ifndef SCHED_INTERNAL_H
#define SCHED_INTERNAL_H

#include <linux/signal.h>
#include <sched/mutex.h>
#include <sched/thread.h>
#include <sched/waitq.h>
#include <sys/tree.h>

#define KERNEL_STACK_SIZE 16384u

enum thread_state { THREAD_RUNNABLE, THREAD_WAITING, THREAD_DEAD };

struct thread {
    _Atomic bool interrupted;    /* a signal wants this thread's attention; first, for syscall_stubs.S */
    uint64_t saved_rsp;          /* while not running */
    uint64_t kernel_stack_base, kernel_stack_top;
    _Atomic int state;           /* enum thread_state; a waker changes WAITING to RUNNABLE by compare-and-swap */
    int cpu;                     /* changed only by the CPU that runs it */
    unsigned live_xstate;        /* > 0: vector registers are the application's and must be saved at a switch */
    void *xstate;                /* area for them; NULL for kernel threads */
    uint64_t fs_base;
    /* Run queue; only its CPU touches these. */
    RB_ENTRY(thread) run_link;
    uint64_t vruntime_ns, slice_start_ns;
    uint64_t cpu_time_ns;
    unsigned weight;
    bool queued;
    struct thread *wake_next;    /* in a CPU's incoming wake list */
    char name[16];
    int tid;
    unsigned net_batch;          /* this thread only: sends that may wait for their kick (net) */
    uint64_t switches, preemptions;
    TAILQ_ENTRY(thread) all_link; /* threads_lock */
    void (*fn)(void *);
    void *arg;
    /* Application threads (kernel/linux). */
    struct app_thread *app;      /* NULL for kernel threads */
    uint64_t blocked_signals;    /* written by this thread only */
};

TAILQ_HEAD(thread_list, thread);
extern struct thread_list all_threads;
extern struct mutex threads_lock; /* protects all_threads */

/* Start-up of this CPU's scheduler: the caller becomes the idle thread of the boot CPU. */
void sched_init(void);
_Noreturn void sched_idle(void);
bool thread_is_idle(const struct thread *t);
/* A thread that was not started: thread_start puts it on a run queue. NULL when there is no memory. */
struct thread *thread_new(const char *name, void (*fn)(void *), void *arg);
void thread_start(struct thread *t);
/* From the timer interrupt: deadlines of sleeping threads and the time slice. */
void timer_init(void);
void timer_interrupt_run(uint64_t now);
uint64_t timer_next(void);
/* Sets the TLS base of the current (application) thread. */
void sched_set_fs(uint64_t base);
struct thread *thread_find(int tid); /* threads_lock held */

#endif
