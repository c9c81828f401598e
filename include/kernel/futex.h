/* Futexes for the kernel's own use. Threads only. */
#ifndef KERNEL_FUTEX_H
#define KERNEL_FUTEX_H

#include <stddef.h>

/* Wakes up to n waiters on this address; returns how many. */
int futex_wake_address(int *address, int n);
/* A thread ends: futexes of its robust list are marked as owned by the dead, and one waiter each is woken. */
void futex_exit_robust(void *head, size_t size, int tid);

#endif
