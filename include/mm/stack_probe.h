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

/* Before locks under which other functions probe again: kmem's, under which pages are allocated (half), and vm's, under which kmem is called (deep). A fault inside would
   want the same lock. */
static inline void stack_probe_half(void)
{
#ifndef HOST_BUILD
    __asm__ volatile("testb $0, -4096(%%rsp)\n\t"
                     "testb $0, -8192(%%rsp)" ::: "cc", "memory");
#endif
}

static inline void stack_probe_deep(void)
{
#ifndef HOST_BUILD
    __asm__ volatile("testb $0, -4096(%%rsp)\n\t"
                     "testb $0, -8192(%%rsp)\n\t"
                     "testb $0, -12288(%%rsp)" ::: "cc", "memory");
#endif
}

#endif
