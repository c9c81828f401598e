/* Translations that CPUs remember (TLB): forgetting them on all CPUs. */
#ifndef ARCH_TLB_H
#define ARCH_TLB_H

#include <kernel/compiler.h>

#define TLB_ALL UINT64_MAX

void tlb_init(void);
/* No CPU uses a translation of [start, end) from before the call any more when this returns; end TLB_ALL: of no address of the lower half, with the tables on the
   way. Sleeps until the CPUs that run threads have answered; idle ones catch up before they run one. Threads only, preemption on. */
void tlb_flush(uint64_t start, uint64_t end);
/* Around a halt, interrupts off: this CPU needs no interrupt for flushes now; it makes up for them. */
void tlb_idle_enter(void);
void tlb_idle_leave(void);

#endif
