/* A synchronous fault of the application: runs its signal handler when this frame is left, or reports and ends the machine. */
#ifndef KERNEL_SIGNAL_FAULT_H
#define KERNEL_SIGNAL_FAULT_H

#include <arch/trap.h>

void signal_fault(struct trap_frame *f, int sig, int code, uint64_t address);

#endif
