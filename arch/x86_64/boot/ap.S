/* First instructions of a CPU that the boot CPU starts. It begins in real mode at AP_TRAMPOLINE,
   where smp_start has copied ap_start, and goes to 64-bit mode in one step, on the boot page tables
   (their identity map covers the trampoline). In the image it finds its entry in ap_table by its
   APIC id, so all can start at the same time without a lock or a shared stack.

   Intel SDM volume 3: 9.4 (start-up IPI), 10.8.5 (entering IA-32e mode; straight from real mode
   works as PE, PG and LME take effect together). */
#include <arch/ap.h>
#include <arch/boot_asm.h>

    .section .rodata.ap, "a"
    .global ap_start, ap_end
    .hidden ap_start, ap_end
    .code16
ap_start:
    cli
    cld
    xorw %ax, %ax
    movw %ax, %ds
    lgdtl AP_TRAMPOLINE + ap_gdt_pointer - ap_start
    movl $BOOT_CR4, %eax
    movl %eax, %cr4
    movl $PHYS(boot_pml4), %eax
    movl %eax, %cr3
    movl $0xc0000080, %ecx      /* EFER: NXE, LME, SCE */
    rdmsr
    orl $0x901, %eax
    wrmsr
    movl $BOOT_CR0, %eax
    movl %eax, %cr0
    ljmpl $0x08, $(AP_TRAMPOLINE + ap_long_mode - ap_start)

    .code64
ap_long_mode:
    movabsq $ap_entry, %rax
    jmp *%rax

    .balign 8
ap_gdt:
    .quad 0, 0x00af9b000000ffff, 0x00cf93000000ffff
ap_gdt_pointer:
    .short 23
    .long AP_TRAMPOLINE + ap_gdt - ap_start
ap_end:

    .text
ap_entry:
    NULL_SEGMENTS
    cpuid                       /* leaf 0: the highest leaf */
    cmpl $0xb, %eax
    jb 1f
    movl $0xb, %eax             /* x2APIC id in %edx, where the leaf is there */
    xorl %ecx, %ecx
    cpuid
    movl %edx, %edi
    testl %ebx, %ebx
    jnz 2f
1:  movl $1, %eax
    cpuid
    shrl $24, %ebx
    movl %ebx, %edi
2:  movl ap_count(%rip), %ecx
    movq ap_table(%rip), %rsi
3:  subl $1, %ecx
    jb 4f
    cmpl %edi, AP_APIC_ID(%rsi)
    je 5f
    addq $AP_SIZE, %rsi
    jmp 3b
4:  hlt                         /* nobody asked for this one */
    jmp 4b
5:  movq ap_cr3(%rip), %rax     /* the stack is mapped in the final tables only */
    movq %rax, %cr3
    movq AP_STACK(%rsi), %rsp
    movq AP_PERCPU(%rsi), %rdi
    xorl %ebp, %ebp
    call ap_main                /* does not return */
    ud2
    .section .note.GNU-stack, "", @progbits
