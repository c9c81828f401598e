/* What other parts of the kernel need of signals. */
#ifndef KERNEL_SIGNAL_H
#define KERNEL_SIGNAL_H

#include <kernel/compiler.h>

struct queued_signal;
struct signal_pending;
struct thread;

/* Raises a synchronous signal for the calling thread (SIGPIPE by a write to a closed pipe). Returns; the signal is acted on at
   the end of the system call. */
void signal_send_self(int sig);
/* To the process: a thread that does not block the signal takes it. Any thread. */
void signal_send_process(int sig);
/* The signal of q->info, to the process (tid 0) or to one of its threads. 1, or 0 if it is ignored, -ESRCH if there is no such thread. If q is pending already, it
   stays what it is. Any thread; holds threads, one at a time. */
int signal_send_queued(struct queued_signal *q, int tid);
/* t, the caller, no longer is a thread of the application (t->app is NULL): signals of the process that it might have taken go to others; its own, left, are dropped. */
void signal_thread_end(struct thread *t, struct signal_pending *left);

/* Replaces the calling thread's mask of blocked signals and returns the former one. */
uint64_t signal_mask_swap(uint64_t mask);
/* Runs the handlers of what is pending for the calling thread. Returns whether all of them want an interrupted call to be restarted. */
bool signal_deliver(void);
/* At the end of a wait with another mask (ppoll and the like): runs the handlers that ended it, if result is -EINTR, then puts the former mask back. */
void signal_mask_restore(uint64_t old, long result);

#endif
