/* System calls of a linked application run on its own stack, whose pages come on demand. Before kernel code takes a lock that the fault handler also
   takes, or turns preemption or interrupts off, it touches the stack as far down as it may need: the fault, if any, happens here, where it is harmless. */
#ifndef MM_STACK_PROBE_H
#define MM_STACK_PROBE_H

#define STACK_PROBE_BYTES 4096

static inline void stack_probe(void)
{
#ifndef HOST_BUILD
    __asm__ volatile("testb $0, %c0(%%rsp)" ::"i"(-STACK_PROBE_BYTES) : "cc", "memory");
#endif
}

#endif
