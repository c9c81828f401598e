/* Threads of the application: clone as pthread_create uses it, thread exit, identities. A linked program calls singlet_clone (a function instead of "return twice");
   it runs fn(arg) on the given stack. There is no fork: clone without CLONE_VM and CLONE_THREAD answers ENOSYS. */
#include <arch/cpu.h>
#include <asm/errno.h>
#include <asm/prctl.h>
#include <kernel/cpu_usage.h>
#include <kernel/futex.h>
#include <kernel/log.h>
#include <kernel/panic.h>
#include <kernel/program.h>
#include <kernel/signal.h>
#include <kernel/string.h>
#include <kernel/syscall.h>
#include <kernel/user.h>
#include <linux/futex.h>
#include <linux/prctl.h>
#include <linux/sched.h>
#include <mm/kmem.h>
#include <mm/vm.h>
#include <sched/internal.h>
#include <stdatomic.h>

#define THREAD_FLAGS (CLONE_VM | CLONE_THREAD | CLONE_SIGHAND)

_Noreturn void enter_thread(uint64_t rsp, int (*fn)(void *), void *arg);
_Noreturn void thread_returned(int status);

static _Atomic int app_threads = 1;

bool app_thread_exists(int tid)
{
    struct thread *t = thread_hold(tid);
    bool found = t && t->app;
    if (t)
        thread_release(t);
    return found;
}

static void app_thread_main(void *arg)
{
    struct app_thread *a = thread_current()->app;
    enter_thread(a->start_rsp, a->start_fn, a->start_arg);
}

long singlet_clone(unsigned long flags, void *stack, int *parent_tid, int *child_tid, unsigned long tls, int (*fn)(void *),
                   void *arg)
{
    if ((flags & THREAD_FLAGS) != THREAD_FLAGS)
        return -ENOSYS;
    if (!user_range_ok((char *)stack - 16, 16))
        return -EINVAL;
    struct thread *parent = thread_current();
    struct thread *t = thread_new(parent->name, app_thread_main, NULL);
    if (!t)
        return -EAGAIN;
    struct app_thread *a = t->app_memory;
    if (!a)
        a = t->app_memory = kmalloc(sizeof(*a));
    if (!a) {
        thread_discard(t);
        return -EAGAIN;
    }
    *a = (struct app_thread){.start_rsp = (uint64_t)stack, .start_fn = fn, .start_arg = arg};
    if (flags & CLONE_CHILD_CLEARTID)
        a->clear_child_tid = child_tid;
    signal_pending_init(&a->signals);
    atomic_store_explicit(&t->app, a, memory_order_release);
    t->fs_base = flags & CLONE_SETTLS ? tls : parent->fs_base;
    t->blocked_signals = parent->blocked_signals;
    if (flags & CLONE_PARENT_SETTID)
        *parent_tid = t->tid;
    if (flags & CLONE_CHILD_SETTID)
        *child_tid = t->tid;
    int tid = t->tid;
    atomic_fetch_add_explicit(&app_threads, 1, memory_order_relaxed);
    thread_start(t);
    return tid;
}

int cpu_usage_threads(void) { return atomic_load_explicit(&app_threads, memory_order_relaxed); }

struct futex_thread *thread_futex(struct thread *t)
{
    bool ended = atomic_load_explicit(&t->futex.ended, memory_order_relaxed);
    return t->app || ended ? &t->futex : NULL;
}

/* The last things of a thread: robust futexes, the joiner's futex; the last thread ends the machine. */
static void app_thread_end(int status)
{
    struct thread *t = thread_current();
    struct app_thread *a = t->app;
    futex_exit(a->robust_list, a->robust_list_size);
    if (atomic_fetch_sub_explicit(&app_threads, 1, memory_order_acq_rel) == 1)
        program_exit(status & 0xff);
    cpu_usage_retire(t); /* from here on nobody sends it a signal */
    signal_thread_end(t, &a->signals);
    if (a->clear_child_tid) {
        /* release: the thread's writes come before its end is seen */
        atomic_store_explicit((_Atomic int *)a->clear_child_tid, 0, memory_order_release);
        futex_wake_address(a->clear_child_tid, 1);
    }
}

/* The end happens on the kernel stack: as soon as the joiner's futex is cleared, the thread's own stack may go away under it. */
static _Noreturn void on_kernel_stack(void (*fn)(long, long), long a, long b)
{
    uint64_t top = thread_current()->kernel_stack_top;
    __asm__ volatile("movq %0, %%rsp; xorl %%ebp, %%ebp; call *%1" ::"r"(top), "r"(fn), "D"(a), "S"(b) : "memory");
    __builtin_unreachable();
}

static _Noreturn void end_on_kernel_stack(long status, long unused)
{
    app_thread_end((int)status);
    thread_exit();
}

_Noreturn void thread_returned(int status) { on_kernel_stack(end_on_kernel_stack, status, 0); }

SYSCALL(exit, 1, "status", SYSCALL_COMPLETE)
long sys_exit(int status) { thread_returned(status); }

static _Noreturn void unmap_on_kernel_stack(long base, long size)
{
    (void)vm_unmap((uint64_t)base, (uint64_t)size);
    end_on_kernel_stack(0, 0);
}

_Noreturn void singlet_exit_unmap(void *base, size_t size) { on_kernel_stack(unmap_on_kernel_stack, (long)base, (long)size); }

SYSCALL(clone, 5, "flags, stack, parent_tid, child_tid, tls", SYSCALL_PARTIAL) /* threads of linked programs use singlet_clone */
long sys_clone(unsigned long flags) { return -ENOSYS; }

SYSCALL(set_tid_address, 1, "tidptr", SYSCALL_COMPLETE)
long sys_set_tid_address(int *tidptr)
{
    thread_current()->app->clear_child_tid = tidptr;
    return thread_current()->tid;
}

SYSCALL(set_robust_list, 2, "head, len", SYSCALL_COMPLETE)
long sys_set_robust_list(void *head, size_t len)
{
    if (len != 24)
        return -EINVAL;
    thread_current()->app->robust_list = head;
    thread_current()->app->robust_list_size = len;
    return 0;
}

SYSCALL(get_robust_list, 3, "pid, head, len", SYSCALL_COMPLETE)
long sys_get_robust_list(int tid, void **list, size_t *size)
{
    long err = 0;
    if (!user_range_ok(list, sizeof(*list)) || !user_range_ok(size, sizeof(*size)))
        return -EFAULT;
    struct thread *t = thread_hold(tid ? tid : thread_current()->tid);
    struct app_thread *a = t ? t->app : NULL;
    if (a) {
        *list = a->robust_list;
        *size = sizeof(struct robust_list_head);
    } else {
        err = -ESRCH;
    }
    if (t)
        thread_release(t);
    return err;
}

SYSCALL(gettid, 0, "", SYSCALL_COMPLETE)
long sys_gettid(void) { return thread_current()->tid; }
SYSCALL(getpid, 0, "", SYSCALL_COMPLETE)
long sys_getpid(void) { return 1; }
SYSCALL(getppid, 0, "", SYSCALL_COMPLETE)
long sys_getppid(void) { return 0; }
SYSCALL(getpgrp, 0, "", SYSCALL_COMPLETE)
long sys_getpgrp(void) { return 1; }
SYSCALL(getpgid, 1, "pid", SYSCALL_COMPLETE)
long sys_getpgid(int pid) { return pid == 0 || pid == 1 ? 1 : -ESRCH; }
SYSCALL(getsid, 1, "pid", SYSCALL_COMPLETE)
long sys_getsid(int pid) { return pid == 0 || pid == 1 ? 1 : -ESRCH; }
SYSCALL(setsid, 0, "", SYSCALL_COMPLETE)
long sys_setsid(void) { return -EPERM; /* the one process leads its session already */ }

SYSCALL(arch_prctl, 2, "code, addr", SYSCALL_PARTIAL) /* FS only: GS is the kernel's */
long sys_arch_prctl(int code, unsigned long addr)
{
    switch (code) {
    case ARCH_SET_FS: sched_set_fs(addr); return 0;
    case ARCH_GET_FS:
        if (!user_range_ok((void *)addr, sizeof(addr)))
            return -EFAULT;
        *(unsigned long *)addr = thread_current()->fs_base;
        return 0;
    default: return -EINVAL;
    }
}

SYSCALL(prctl, 5, "option, arg2, arg3, arg4, arg5", SYSCALL_PARTIAL) /* names, dumpable, THP, timer slack; others EINVAL */
long sys_prctl(int option, unsigned long a2, unsigned long a3, unsigned long a4, unsigned long a5)
{
    static int dumpable = 1, thp_disable;
    if ((option == PR_SET_NAME || option == PR_GET_NAME) && !user_range_ok((void *)a2, 16))
        return -EFAULT;
    switch (option) {
    case PR_SET_NAME: strlcpy(thread_current()->name, (const char *)a2, 16); return 0;
    case PR_GET_NAME: strlcpy((char *)a2, thread_current()->name, 16); return 0;
    case PR_SET_DUMPABLE: dumpable = (int)a2; return a2 > 1 ? -EINVAL : 0;
    case PR_GET_DUMPABLE: return dumpable;
    case PR_SET_THP_DISABLE: thp_disable = a2 != 0; return 0;
    case PR_GET_THP_DISABLE: return thp_disable;
    case PR_SET_NO_NEW_PRIVS: return a2 == 1 ? 0 : -EINVAL;
    case PR_GET_NO_NEW_PRIVS: return 1;
    default: return -EINVAL;
    }
}

SYSCALL(getcpu, 3, "cpu, node, cache", SYSCALL_COMPLETE)
long sys_getcpu(unsigned *cpu, unsigned *node, void *cache)
{
    if (cpu)
        *cpu = percpu()->id;
    if (node)
        *node = 0;
    return 0;
}

