/* Between vectors.S, trap.c, irq.c and vector.c. */
#ifndef ARCH_TRAP_INTERNAL_H
#define ARCH_TRAP_INTERNAL_H

#include <arch/trap.h>

#define KERNEL_HALF 0x800000000000ull /* first address that is not the application's */

struct trap_frame *exception_stack(struct trap_frame *f);
void exception_dispatch(struct trap_frame *f);
struct trap_frame *interrupt_dispatch(struct trap_frame *f);
void irq_handle(unsigned vector);
void irq_call(unsigned vector); /* vector.c: counts, and calls the handler */
const char *trap_name(uint64_t vector);
/* Prints the exception with registers and back trace, and stops the machine. */
_Noreturn void trap_panic(const struct trap_frame *f, uint64_t address);

#endif
