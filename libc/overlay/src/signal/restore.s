# sa_restorer: the kernel calls a handler as a function, so this runs only if a handler returns
# through it.
.hidden singlet_syscall_table
.global __restore_rt
.hidden __restore_rt
.type __restore_rt,@function
__restore_rt:
	call *singlet_syscall_table+8*15(%rip)  # rt_sigreturn
	ud2
.size __restore_rt,.-__restore_rt
.global __restore
.hidden __restore
.set __restore,__restore_rt
