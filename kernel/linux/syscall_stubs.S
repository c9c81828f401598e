/* System calls that can be interrupted by a signal go through a stub that runs pending handlers when the call is over. The others are entered directly
   (syscall_table.c). */
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

    STUB __NR_read
    STUB __NR_write
    STUB __NR_readv
    STUB __NR_writev
    STUB __NR_pread64
    STUB __NR_pwrite64
    STUB __NR_accept
    STUB __NR_accept4
    STUB __NR_connect
    STUB __NR_recvfrom
    STUB __NR_sendto
    STUB __NR_recvmsg
    STUB __NR_sendmsg
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
    STUB __NR_flock
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
