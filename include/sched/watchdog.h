/* Stuck CPUs are reported, and the machine goes on. */
#ifndef SCHED_WATCHDOG_H
#define SCHED_WATCHDOG_H

#include <kernel/compiler.h>

struct trap_frame;

/* In an NMI: if a report of this CPU was asked for, prints it and returns true. */
bool watchdog_nmi(const struct trap_frame *f);

#endif
