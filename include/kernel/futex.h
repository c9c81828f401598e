/* Futexes for the kernel's own use. Threads only. */
#ifndef KERNEL_FUTEX_H
#define KERNEL_FUTEX_H

#include <kernel/compiler.h>
#include <sys/queue.h>

struct futex_pi;
struct futex_waiter;
struct thread;

/* What the futex keeps for each thread of the application. All zero: a thread that has nothing to do with PI futexes. */
struct futex_thread {
    LIST_HEAD(, futex_pi) owned;  /* PI futexes that others wait for; this and the next two: futex_pi.c's pi_lock */
    struct futex_waiter *blocked; /* its wait for a PI futex */
    int inherited;                /* what thread_inherit was told last */
    _Atomic bool attached, ended; /* futex_pi.c: attach, futex_pi_exit */
};
/* NULL for a kernel thread. */
struct futex_thread *thread_futex(struct thread *t);

/* Wakes up to n waiters on this address; returns how many. */
int futex_wake_address(int *address, int n);
/* The calling thread ends: futexes of its robust list are marked as owned by the dead and passed on, its PI futexes are passed on. */
void futex_exit(void *robust_list, size_t size);
/* thread_priority of this thread has another value: its place among the waiters changes, and what others inherit from it. */
void futex_priority_changed(int tid);

#endif
