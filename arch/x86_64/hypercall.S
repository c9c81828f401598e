/* long kvm_hypercall(bool amd, unsigned long number, const uint64_t args[4]): see arch/kvm_hypercall.h. */
    .text
    .global kvm_hypercall, kvm_vmcall_insn, kvm_vmmcall_insn
    .hidden kvm_hypercall, kvm_vmcall_insn, kvm_vmmcall_insn
kvm_hypercall:
    pushq %rbx
    movq %rsi, %rax
    movq (%rdx), %rbx
    movq 8(%rdx), %rcx
    movq 24(%rdx), %rsi
    movq 16(%rdx), %rdx
    testb %dil, %dil
    jnz 1f
kvm_vmcall_insn:
    vmcall
    popq %rbx
    ret
1:
kvm_vmmcall_insn:
    vmmcall
    popq %rbx
    ret
    .section .note.GNU-stack, "", @progbits
