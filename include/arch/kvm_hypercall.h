/* The call into KVM (hypercall.S): number in RAX, arguments in RBX, RCX, RDX and RSI, result in RAX.
   A host that wants the other of the two instructions tries to write it over ours, which lies in
   memory that is not writable: the page fault, or the invalid opcode on a host that does not try,
   arrives at one of the two addresses (kvm_skip_hypercall). */
#ifndef ARCH_KVM_HYPERCALL_H
#define ARCH_KVM_HYPERCALL_H

#include <kernel/compiler.h>

/* amd: by VMMCALL, else by VMCALL. */
long kvm_hypercall(bool amd, unsigned long number, const uint64_t args[4]);
extern const char kvm_vmcall_insn[], kvm_vmmcall_insn[];
#define KVM_HYPERCALL_BYTES 3 /* of each */

#endif
