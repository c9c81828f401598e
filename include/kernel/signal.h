/* What other parts of the kernel need of signals. */
#ifndef KERNEL_SIGNAL_H
#define KERNEL_SIGNAL_H

#include <kernel/compiler.h>

/* Raises a synchronous signal for the calling thread (SIGPIPE by a write to a closed pipe). Returns; the signal is acted on at
   the end of the system call. */
void signal_send_self(int sig);
/* To the process: a thread that does not block the signal takes it. Any thread. */
void signal_send_process(int sig);

/* Replaces the calling thread's mask of blocked signals and returns the former one. */
uint64_t signal_mask_swap(uint64_t mask);
/* Runs the handlers of what is pending for the calling thread. Returns whether all of them want an interrupted call to be restarted. */
bool signal_deliver(void);
/* At the end of a wait with another mask (ppoll and the like): runs the handlers that ended it, if result is -EINTR, then puts the former mask back. */
void signal_mask_restore(uint64_t old, long result);

#endif
