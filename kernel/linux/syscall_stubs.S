/* System calls that can be interrupted by a signal go through a stub that runs pending handlers when the call is over. The others are entered directly
   (syscall_table.c). RESTART is for the calls that Linux restarts where the handlers have SA_RESTART (signal(7)): it keeps the arguments. */
#include <asm/errno.h>
#include <asm/unistd.h>
#define INTERRUPTED 0   /* offset of interrupted in struct thread: checked in syscall_table.c */

    .macro STUB nr
    .section .text.syscall_stubs, "ax"
    .balign 16
0:  subq $8, %rsp
    call *syscall_functions + 8 * \nr(%rip)
    movq %gs:8, %rcx
    cmpb $0, INTERRUPTED(%rcx)
    jne syscall_interrupted
    addq $8, %rsp
    ret
    .section .rodata.syscall_stubs, "a"
    .balign 8
    .quad \nr, 0b
    .endm

    .macro RESTART nr, args
    .section .text.syscall_stubs, "ax"
    .balign 16
0:  pushq %rdi
    pushq %rsi
    pushq %rdx
    .if \args > 3
    pushq %rcx
    pushq %r8
    pushq %r9
    subq $8, %rsp
    .endif
    call *syscall_functions + 8 * \nr(%rip)
    movq %gs:8, %rcx
    cmpb $0, INTERRUPTED(%rcx)
    jne 2f
1:  addq $(3 + (\args > 3) * -4) * 8, %rsp
    ret
2:  pushq %rax
    subq $8, %rsp
    call signal_deliver
    addq $8, %rsp
    testb %al, %al
    popq %rax
    jz 1b
    cmpq $-EINTR, %rax
    jne 1b
    .if \args > 3
    addq $8, %rsp
    popq %r9
    popq %r8
    popq %rcx
    .endif
    popq %rdx
    popq %rsi
    popq %rdi
    jmp 0b
    .section .rodata.syscall_stubs, "a"
    .balign 8
    .quad \nr, 0b
    .endm

    .section .rodata.syscall_stubs, "a"
    .global syscall_stubs
    .hidden syscall_stubs
    .balign 8
syscall_stubs:
    .section .text.syscall_stubs, "ax"
syscall_interrupted:
    movq %rax, (%rsp)
    subq $8, %rsp
    call signal_deliver
    addq $8, %rsp
    popq %rax
    ret

    RESTART __NR_read, 3
    RESTART __NR_write, 3
    RESTART __NR_readv, 3
    RESTART __NR_writev, 3
    STUB __NR_pread64
    STUB __NR_pwrite64
    RESTART __NR_accept, 3
    RESTART __NR_accept4, 4
    STUB __NR_connect
    RESTART __NR_recvfrom, 6
    RESTART __NR_sendto, 6
    RESTART __NR_recvmsg, 3
    RESTART __NR_sendmsg, 3
    STUB __NR_recvmmsg
    STUB __NR_sendmmsg
    STUB __NR_sendfile
    STUB __NR_poll
    STUB __NR_ppoll
    STUB __NR_select
    STUB __NR_pselect6
    STUB __NR_epoll_wait
    STUB __NR_epoll_pwait
    STUB __NR_epoll_pwait2
    STUB __NR_nanosleep
    STUB __NR_clock_nanosleep
    STUB __NR_futex
    STUB __NR_kill
    STUB __NR_tkill
    STUB __NR_tgkill
    STUB __NR_rt_sigprocmask
    STUB __NR_rt_sigtimedwait
    STUB __NR_rt_sigsuspend
    STUB __NR_pause
    STUB __NR_sched_yield
    STUB __NR_setitimer
    STUB __NR_alarm
    STUB __NR_timer_settime
    STUB __NR_timer_delete
    RESTART __NR_flock, 3
    STUB __NR_fcntl
    .section .rodata.syscall_stubs, "a"
    .quad -1, 0

/* long sys_rt_sigreturn(void), called by the restorer. A handler entered by a signal frame returns to the restorer, with the stack pointer just behind the
   frame's return address, where the ucontext begins; the restorer calls here as its first act, having pushed nothing but our return address. */
    .section .text.sys_rt_sigreturn, "ax"
    .global sys_rt_sigreturn
    .hidden sys_rt_sigreturn
sys_rt_sigreturn:
    leaq 8(%rsp), %rdi
    andq $-16, %rsp
    subq $512, %rsp                 /* the frame is read from above us while we use the stack */
    call signal_return
    ud2

/* Numbers that nobody serves: each entry passes its number on. */
    .section .text.syscall_missing, "ax"
    .global syscall_missing_entries
    .hidden syscall_missing_entries
    .balign 16
syscall_missing_entries:
    .set n, 0
    .rept 512
    .balign 16
    movl $n, %edi
    jmp syscall_missing
    .set n, n + 1
    .endr
    .section .note.GNU-stack, "", @progbits
