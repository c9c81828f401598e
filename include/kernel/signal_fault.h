/* A synchronous fault of the application: runs its signal handler when this frame is left, or reports and ends the machine. */
#ifndef KERNEL_SIGNAL_FAULT_H
#define KERNEL_SIGNAL_FAULT_H

#include <arch/trap.h>

/* A thread was preempted with this frame and goes on: pending signals are delivered if it was in application code. */
void signal_preempted(struct trap_frame *f);

/* The current thread has a signal to look at: this CPU preempts it again and again, soon, until it is found in application code. Any context. */
void signal_nudge(void);

void signal_fault(struct trap_frame *f, int sig, int code, uint64_t address);

#endif
