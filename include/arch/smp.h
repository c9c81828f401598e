/* Other CPUs: finding, starting, interrupting them. */
#ifndef ARCH_SMP_H
#define ARCH_SMP_H

#include <arch/percpu.h>

/* APIC ids of the CPUs that the firmware's MADT lists as usable, without the caller's, in its order; at most max. How many. */
unsigned smp_list(unsigned *apic_ids, unsigned max);
/* Allocates a CPU's block with its descriptor tables and interrupt stacks; NULL: no memory. */
struct percpu *smp_percpu_new(unsigned id, unsigned apic_id);
/* Starts percpu_table[1..count-1], all at once, each on its idle thread's stack; returns without waiting. 0 or -ENOMEM. Each calls smp_online(). */
int smp_start(unsigned count, uint64_t (*stack_top)(const struct percpu *p));
/* A second start-up IPI for a CPU that has not answered the first. */
void smp_start_again(const struct percpu *p);

/* kernel/smp.c: a started CPU arrives here, interrupts off, with all of arch set up. */
_Noreturn void smp_online(void);

#endif
