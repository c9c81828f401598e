/* The call into KVM: number in RAX, arguments in RBX, RCX, RDX and RSI, result in RAX; all else is
   kept. */
#ifndef ARCH_KVM_HYPERCALL_H
#define ARCH_KVM_HYPERCALL_H

#include <kernel/compiler.h>

/* amd: the CPU knows VMMCALL, not VMCALL. */
static inline long kvm_hypercall(bool amd, unsigned long number, const uint64_t args[4])
{
    long result = (long)number;
    if (amd)
        __asm__ volatile("vmmcall"
                         : "+a"(result)
                         : "b"(args[0]), "c"(args[1]), "d"(args[2]), "S"(args[3])
                         : "memory");
    else
        __asm__ volatile("vmcall"
                         : "+a"(result)
                         : "b"(args[0]), "c"(args[1]), "d"(args[2]), "S"(args[3])
                         : "memory");
    return result;
}

#endif
