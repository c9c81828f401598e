/* Entry of interrupts and exceptions. All gates are interrupt gates with an IST stack, so we arrive with interrupts off and a known stack.

   Interrupts (32..255): registers are saved on the interrupt stack, the handler records and wakes; if the current thread is to be preempted, the frame is
   moved to its kernel stack and the switch happens there.
   Exceptions (0..31): the frame is moved to the thread's kernel stack at once if the exception came from a place where it may sleep; exception_stack()
   decides. */
    .section .text.vectors, "ax"
    .balign 16
    .global vector_stubs
    .hidden vector_stubs
vector_stubs:
    .set v, 0
    .rept 256
    .balign 16
    .if v == 8 || (v >= 10 && v <= 14) || v == 17 || v == 21 || v == 29 || v == 30
    .else
    pushq $0
    .endif
    pushq $v
    .if v < 32
    jmp exception_common
    .else
    jmp interrupt_common
    .endif
    .set v, v + 1
    .endr
    .balign 16

    .macro SAVE
    pushq %rax
    pushq %rbx
    pushq %rcx
    pushq %rdx
    pushq %rsi
    pushq %rdi
    pushq %rbp
    pushq %r8
    pushq %r9
    pushq %r10
    pushq %r11
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    cld
    .endm
    .macro RESTORE
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %r11
    popq %r10
    popq %r9
    popq %r8
    popq %rbp
    popq %rdi
    popq %rsi
    popq %rdx
    popq %rcx
    popq %rbx
    popq %rax
    addq $16, %rsp
    .endm

    .set FRAME_WORDS, 22

/* In: %rax = where the frame is to lie (may be where it is). Moves it and the stack pointer. */
    .macro MOVE_FRAME
    cmpq %rsp, %rax
    je 9f
    movq %rsp, %rsi
    movq %rax, %rdi
    movl $FRAME_WORDS, %ecx
    rep movsq
    movq %rax, %rsp
9:
    .endm

    .global interrupt_entry
interrupt_common:
interrupt_entry:
    SAVE
    movq %rsp, %rdi
    call interrupt_dispatch         /* returns the stack to be preempted on, or 0 */
    testq %rax, %rax
    jz 1f
    MOVE_FRAME
    movq %rsp, %rdi
    call thread_preempt
1:  RESTORE
    iretq

exception_common:
    SAVE
    movq %rsp, %rdi
    call exception_stack
    MOVE_FRAME
    movq %rsp, %rdi
    call exception_dispatch
    .global trap_return
    .hidden trap_return
trap_return:
    RESTORE
    iretq
    .section .note.GNU-stack, "", @progbits
