# long __syscall_cp_asm(volatile int *cancel, nr, a, b, c, d, e, f): a cancellation point.
#
# A request that came before is seen in *cancel. One that comes while an interrupt finds this thread
# between __cp_begin and __cp_end is acted on by cancel_handler, which moves the saved program
# counter to __cp_cancel. One that comes inside the kernel makes a blocked call return -EINTR, and
# __syscall_cp_c looks at *cancel again. So none is lost.

.global __cp_begin
.hidden __cp_begin
.global __cp_end
.hidden __cp_end
.global __cp_cancel
.hidden __cp_cancel
.hidden __cancel
.hidden singlet_syscall
.hidden singlet_syscall_table
.global __syscall_cp_asm
.hidden __syscall_cp_asm
.type __syscall_cp_asm,@function
__syscall_cp_asm:
__cp_begin:
	mov (%rdi),%eax
	test %eax,%eax
	jnz __cp_cancel
	cmp $512,%rsi
	jae 1f
	lea singlet_syscall_table(%rip),%rax
	mov (%rax,%rsi,8),%rax
	mov %rdx,%rdi
	mov %rcx,%rsi
	mov %r8,%rdx
	mov %r9,%rcx
	mov 8(%rsp),%r8
	mov 16(%rsp),%r9
	jmp *%rax
__cp_end:
1:	mov $-38,%rax           # -ENOSYS
	ret
__cp_cancel:
	jmp __cancel
.size __syscall_cp_asm,.-__syscall_cp_asm
