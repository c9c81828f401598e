/* Timers that send signals, for signal.c and the program's end. */
#ifndef KERNEL_POSIX_TIMER_H
#define KERNEL_POSIX_TIMER_H

#include <linux/signal.h>

/* The signal of a timer (si_code SI_TIMER) was taken: fills in its overrun count, and has a
 * periodic timer go on. Sleeps; holds threads. */
void posix_timer_taken(siginfo_t *info);
/* The program ends: no timer of timer_create or setitimer sends anything more. */
void timers_end(void);
void itimers_end(void);

#endif
