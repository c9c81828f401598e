/* The voluntary context switch: what the C ABI makes callee-saved, and the control words of x87 and SSE. 

   struct thread *switch_stack(struct thread *prev, uint64_t *save_rsp, uint64_t load_rsp): returns prev, on the new stack.
   A new thread's stack is prepared so that the return goes to thread_first, with its function and argument in saved registers. */
    .section .text.switch_stack, "ax"
    .global switch_stack
    .hidden switch_stack
    .type switch_stack, @function
    .balign 16
switch_stack:
    movq %rdi, %rax
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    subq $8, %rsp
    stmxcsr (%rsp)
    fnstcw 4(%rsp)
    movq %rsp, (%rsi)
    movq %rdx, %rsp
    ldmxcsr (%rsp)
    fldcw 4(%rsp)
    addq $8, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
    .size switch_stack, . - switch_stack

/* First instructions of a thread: %rax is the previous thread, %rbx the function, %r12 its argument. */
    .global thread_first
    .hidden thread_first
thread_first:
    movq %rax, %rdi
    call thread_switched
    sti
    movq %r12, %rdi
    call *%rbx
    call thread_exit
    ud2

/* _Noreturn void enter_on_stack(uint64_t rsp, int (*fn)(void *), void *arg): an application thread's first call, on its own stack. */
    .global enter_thread
    .hidden enter_thread
enter_thread:
    movq %rdi, %rsp
    andq $-16, %rsp
    xorl %ebp, %ebp
    movq %rdx, %rdi
    call *%rsi
    movl %eax, %edi
    call thread_returned
    ud2

/* _Noreturn void enter_program(uint64_t rsp, uint64_t entry): the program's first instruction, with the stack as the Linux ABI wants it. */
    .global enter_program
    .hidden enter_program
enter_program:
    movq %rdi, %rsp
    xorl %ebp, %ebp
    xorl %edx, %edx
    jmp *%rsi
    .section .note.GNU-stack, "", @progbits
