/* Signals. Actions belong to the process (signal_action.c), masks to threads; a pending signal is a thread's or the process's (signal_pending.c). One for the process is taken by the first thread that
   does not block it: the sender wakes one such, and a thread that begins to block it, or ends, passes that on to another (signal_send.c).

   Where a handler runs: a thread that signals itself, and a thread whose interruptible wait was ended by a signal, run it as a function call at the end of
   the system call (signal_deliver; the system call is a function call, so no register needs saving). A fault, and a thread that was preempted in application code, get a frame on
   the application's stack (or the alternate one) with the interrupted state, as Linux lays it out, and leave the kernel into the handler; rt_sigreturn restores it.

   Default actions: terminate (with a report for those that dump core), ignore. Stop and continue do nothing: there is nobody to continue us.
   SA_RESTART: the stubs of the calls that Linux restarts (syscall_stubs.S) call again after -EINTR if all handlers that ran have the flag. */
#include <arch/cpu.h>
#include <arch/trap_internal.h>
#include <asm/errno.h>
#include <kernel/clock.h>
#include <kernel/init.h>
#include <kernel/panic.h>
#include <kernel/program.h>
#include <kernel/signal.h>
#include <kernel/signal_fault.h>
#include <kernel/signal_internal.h>
#include <kernel/string.h>
#include <kernel/symbols.h>
#include <kernel/syscall.h>
#include <kernel/timespec.h>
#include <kernel/user.h>
#include <linux/signal.h>
#include <asm/sigcontext.h>
#include <asm/ucontext.h>
#include <mm/vm.h>
#include <sched/internal.h>
#include <stdatomic.h>

#define RED_ZONE 128

static const char *const names[32] = {
    [SIGHUP] = "SIGHUP", [SIGINT] = "SIGINT", [SIGQUIT] = "SIGQUIT", [SIGILL] = "SIGILL", [SIGTRAP] = "SIGTRAP",
    [SIGABRT] = "SIGABRT", [SIGBUS] = "SIGBUS", [SIGFPE] = "SIGFPE", [SIGKILL] = "SIGKILL", [SIGUSR1] = "SIGUSR1",
    [SIGSEGV] = "SIGSEGV", [SIGUSR2] = "SIGUSR2", [SIGPIPE] = "SIGPIPE", [SIGALRM] = "SIGALRM", [SIGTERM] = "SIGTERM"};

static const char *signal_name(int sig) { return sig < 32 && names[sig] ? names[sig] : "signal"; }

static _Noreturn void terminate(int sig)
{
    report_printf("%s: killed by %s (signal %d)\n", program_name(), signal_name(sig), sig);
    if (sig == SIGABRT || sig == SIGQUIT)
        backtrace_print((uint64_t)__builtin_return_address(0), (uint64_t)__builtin_frame_address(0));
    program_exit(128 + sig);
}

/* The mask while the handler runs; returns the one before. */
static uint64_t block_for(int sig, const struct kernel_action *a)
{
    return signal_mask_swap(thread_current()->blocked_signals | a->mask | (a->flags & SA_NODEFER ? 0 : BIT(sig)));
}

/* Calls the handler, on the alternate stack where it is wanted and not in use. */
static void call_handler(struct thread *t, const struct kernel_action *a, int sig, siginfo_t *info, struct ucontext *context)
{
    uint64_t stack = t->app->alt_stack, size = t->app->alt_stack_size, here = (uint64_t)__builtin_frame_address(0);
    if (!(a->flags & SA_ONSTACK) || !size || here - stack < size) {
        a->handler(sig, info, context);
        return;
    }
    uint64_t top = ALIGN_DOWN(stack + size, 16), number = (uint64_t)sig, handler = (uint64_t)a->handler;
    __asm__ volatile("movq %%rsp, %%rbx; movq %[top], %%rsp; call *%[handler]; movq %%rbx, %%rsp"
                     : [handler] "+a"(handler), [top] "+c"(top), "+D"(number), "+S"(info), "+d"(context)
                     :: "rbx", "r8", "r9", "r10", "r11", "memory", "cc");
}

/* Runs the handlers of what is pending, as function calls. Called at the end of a system call (syscall_stubs.S) when interrupted is set. Returns
   whether all of them want an interrupted call to be restarted. */
bool signal_deliver(void)
{
    struct thread *t = thread_current();
    bool restart = true;
    siginfo_t info;
    int sig;
    while ((sig = signal_take(t, ~t->blocked_signals, &info))) {
        struct kernel_action a = signal_action_take(sig);
        if (signal_action_ignores(&a, sig))
            continue;
        if (a.handler == (void *)SIG_DFL)
            terminate(sig);
        struct ucontext context = {0};
        uint64_t old_mask = block_for(sig, &a);
        memcpy(&context.uc_sigmask, &old_mask, sizeof(old_mask));
        call_handler(t, &a, sig, &info, &context);
        restart = restart && (a.flags & SA_RESTART);
        memcpy(&old_mask, &context.uc_sigmask, sizeof(old_mask)); /* a handler may change the mask it returns to */
        signal_set_mask(t, old_mask);
    }
    signal_note(t);
    return restart;
}

void signal_mask_restore(uint64_t old, long result)
{
    if (result == -EINTR)
        (void)signal_deliver();
    (void)signal_mask_swap(old);
}

struct signal_frame {
    uint64_t return_address;
    struct ucontext context;
    siginfo_t info;
    /* the extended state follows, 64-byte aligned */
};

static void save_registers(struct sigcontext *c, const struct trap_frame *f)
{
    c->r8 = f->r8, c->r9 = f->r9, c->r10 = f->r10, c->r11 = f->r11, c->r12 = f->r12, c->r13 = f->r13, c->r14 = f->r14, c->r15 = f->r15;
    c->rdi = f->rdi, c->rsi = f->rsi, c->rbp = f->rbp, c->rbx = f->rbx, c->rdx = f->rdx, c->rax = f->rax, c->rcx = f->rcx;
    c->rsp = f->rsp, c->rip = f->rip, c->eflags = f->rflags, c->cs = (uint16_t)f->cs;
    c->err = f->error, c->trapno = f->vector;
}

/* Changes the frame so that leaving it enters the handler of the signal; address: of a fault. False when there is no stack to do it on. */
static bool push_frame(struct trap_frame *f, const struct kernel_action *a, const siginfo_t *info, uint64_t address)
{
    struct thread *t = thread_current();
    int sig = info->si_signo;
    struct app_thread *app = t->app;
    uint64_t sp = f->rsp - RED_ZONE;
    bool on_alt = app->alt_stack_size && f->rsp - app->alt_stack < app->alt_stack_size;

    if ((a->flags & SA_ONSTACK) && app->alt_stack_size && !on_alt)
        sp = app->alt_stack + app->alt_stack_size;
    uint64_t xstate = ALIGN_DOWN(sp - cpu_features.xsave_size, 64);
    struct signal_frame *s = (void *)(ALIGN_DOWN(xstate - sizeof(*s), 16) - 8);
    if (!vm_writable((uint64_t)s, sp - (uint64_t)s))
        return false; /* a stack that overflowed, and no alternate one */
    uint64_t old_mask = block_for(sig, a);
    memset(s, 0, sizeof(*s));
    s->return_address = (uint64_t)a->restorer;
    s->info = *info;
    memcpy(&s->context.uc_sigmask, &old_mask, sizeof(old_mask));
    s->context.uc_stack.ss_sp = (void *)app->alt_stack;
    s->context.uc_stack.ss_size = app->alt_stack_size;
    save_registers(&s->context.uc_mcontext, f);
    s->context.uc_mcontext.cr2 = address;
    s->context.uc_mcontext.fpstate = (void *)xstate;
    memset((void *)xstate, 0, cpu_features.xsave_size);
    cpu_xstate_save((void *)xstate);
    f->rdi = (uint64_t)sig;
    f->rsi = (uint64_t)&s->info;
    f->rdx = (uint64_t)&s->context;
    f->rax = 0;
    f->rip = (uint64_t)a->handler;
    f->rsp = (uint64_t)s;
    f->rflags &= ~0x500ull; /* no trap, direction forward */
    return true;
}

/* A thread was preempted with this frame and goes on: pending signals are delivered if it was in application code. */
static void preempted(struct trap_frame *f)
{
    struct thread *t = thread_current();
    siginfo_t info;
    int sig;
    if (symbol_is_kernel(f->rip)) { /* the kernel finishes what it does, and its end delivers in most system calls */
        signal_nudge();
        return;
    }
    while ((sig = signal_take(t, ~t->blocked_signals, &info))) {
        struct kernel_action a = signal_action_take(sig);
        if (signal_action_ignores(&a, sig))
            continue;
        if (a.handler == (void *)SIG_DFL || !push_frame(f, &a, &info, 0))
            terminate(sig);
        break; /* the next one when this handler's frame is left, or by the next preemption */
    }
    signal_note(t);
}

static const struct signal_hooks hooks = {.nudge = signal_nudge, .preempted = preempted};
static void register_hooks(void) { sched_set_signal_hooks(&hooks); }
INIT(INIT_EARLY, register_hooks);

void signal_fault(struct trap_frame *f, int sig, int code, uint64_t address)
{
    struct thread *t = thread_current();
    bool in_kernel = symbol_is_kernel(f->rip);
    struct kernel_action a = {0};
    if (t->app && !in_kernel && !(t->blocked_signals & BIT(sig)))
        a = signal_action_take(sig);
    bool handled = a.handler != (void *)SIG_DFL && a.handler != (void *)SIG_IGN;
    siginfo_t info = {.si_signo = sig, .si_code = code};
    info.si_addr = (void *)address;
    if (handled && push_frame(f, &a, &info, address))
        return;
    report_printf("\n%s: killed by %s: %s at address %#lx%s\n", program_name(), signal_name(sig), trap_name(f->vector), address,
                  in_kernel ? " (in a system call)" : "");
    report_printf("thread %d (%s)\n", t->tid, t->name);
    trap_report(f);
    if (in_kernel)
        program_abandon(128 + sig);
    program_exit(128 + sig);
}

/* Back from a handler that was entered by a frame: everything is as it was, or as the handler changed it. Reached from sys_rt_sigreturn in
   syscall_stubs.S, which knows where the restorer's stack pointer stood. */
SYSCALL(rt_sigreturn, 0, "", SYSCALL_COMPLETE)
_Noreturn void signal_return(struct ucontext *context);
_Noreturn void signal_return(struct ucontext *context)
{
    struct sigcontext *c = &context->uc_mcontext;
    uint64_t mask;
    memcpy(&mask, &context->uc_sigmask, sizeof(mask));
    (void)signal_mask_swap(mask);
    irq_disable();
    if (c->fpstate)
        cpu_xstate_restore((void *)c->fpstate);
    struct trap_frame f = {.r15 = c->r15, .r14 = c->r14, .r13 = c->r13, .r12 = c->r12, .r11 = c->r11, .r10 = c->r10, .r9 = c->r9,
                           .r8 = c->r8, .rbp = c->rbp, .rdi = c->rdi, .rsi = c->rsi, .rdx = c->rdx, .rcx = c->rcx, .rbx = c->rbx,
                           .rax = c->rax, .rip = c->rip, .cs = 0x08, .rflags = (c->eflags & 0xcd5) | 0x202, .rsp = c->rsp, .ss = 0x10};
    __asm__ volatile("movq %0, %%rsp; jmp trap_return" ::"r"(&f) : "memory");
    __builtin_unreachable();
}

SYSCALL(rt_sigprocmask, 4, "how, set, oldset, sigsetsize", SYSCALL_COMPLETE)
long sys_rt_sigprocmask(int how, const uint64_t *set, uint64_t *old, size_t size)
{
    struct thread *t = thread_current();
    uint64_t was = t->blocked_signals, now = was;
    if (size != 8)
        return -EINVAL;
    if ((set && !user_range_ok(set, 8)) || (old && !user_range_ok(old, 8)))
        return -EFAULT;
    if (set) {
        switch (how) {
        case SIG_BLOCK: now |= *set; break;
        case SIG_UNBLOCK: now &= ~*set; break;
        case SIG_SETMASK: now = *set; break;
        default: return -EINVAL;
        }
        (void)signal_mask_swap(now);
    }
    if (old)
        *old = was;
    return 0;
}

SYSCALL(sigaltstack, 2, "ss, old_ss", SYSCALL_COMPLETE)
long sys_sigaltstack(const stack_t *ss, stack_t *old)
{
    struct app_thread *a = thread_current()->app;
    stack_t was = {.ss_sp = (void *)a->alt_stack, .ss_size = a->alt_stack_size, .ss_flags = a->alt_stack_size ? 0 : SS_DISABLE};
    if ((ss && !user_range_ok(ss, sizeof(*ss))) || (old && !user_range_ok(old, sizeof(*old))))
        return -EFAULT;
    if (ss) {
        bool disable = ss->ss_flags & SS_DISABLE;
        if (!disable && ss->ss_size < MINSIGSTKSZ)
            return -ENOMEM;
        a->alt_stack = disable ? 0 : (uint64_t)ss->ss_sp;
        a->alt_stack_size = disable ? 0 : ss->ss_size;
    }
    if (old)
        *old = was;
    return 0;
}

SYSCALL(rt_sigsuspend, 2, "mask, sigsetsize", SYSCALL_COMPLETE)
long sys_rt_sigsuspend(const uint64_t *mask, size_t size)
{
    if (size != 8)
        return -EINVAL;
    uint64_t old = signal_mask_swap(*mask);
    const char *outer = thread_wait_reason("signal");
    while (!thread_interrupted()) {
        thread_wait_prepare();
        if (thread_interrupted())
            thread_wait_cancel();
        else
            thread_wait();
    }
    thread_wait_reason(outer);
    signal_mask_restore(old, -EINTR);
    return -EINTR;
}

SYSCALL(pause, 0, "", SYSCALL_COMPLETE)
long sys_pause(void)
{
    uint64_t mask = thread_current()->blocked_signals;
    return sys_rt_sigsuspend(&mask, 8);
}

/* Until a signal of wanted is there or the deadline has come. The mask lets them in, so that they wake us; taking happens under it as well. */
static long wait_for(struct thread *t, uint64_t wanted, uint64_t deadline, siginfo_t *info)
{
    for (;;) {
        int sig = signal_take(t, wanted, info);
        if (sig)
            return sig;
        signal_note(t);
        if (thread_interrupted() && !(signal_ready(t) & wanted))
            return -EINTR;
        if (clock_monotonic_ns() >= deadline)
            return -EAGAIN;
        const char *outer = thread_wait_reason("signal");
        thread_wait_prepare();
        if (signal_ready(t))
            thread_wait_cancel();
        else
            thread_wait_until(deadline);
        thread_wait_reason(outer);
    }
}

SYSCALL(rt_sigtimedwait, 4, "set, info, timeout, sigsetsize", SYSCALL_COMPLETE)
long sys_rt_sigtimedwait(const uint64_t *set, siginfo_t *info, const struct timespec64 *timeout, size_t size)
{
    struct thread *t = thread_current();
    siginfo_t got;
    if (size != 8 || (timeout && !timespec_valid(timeout)))
        return -EINVAL;
    if (!user_range_ok(set, sizeof(*set)) || (info && !user_range_ok(info, sizeof(*info))))
        return -EFAULT;
    uint64_t deadline = timeout ? deadline_after(timespec_ns(timeout)) : TIME_NEVER, wanted = *set & ~UNBLOCKABLE;
    t->app->waited_signals = wanted;
    uint64_t old = signal_mask_swap(t->blocked_signals & ~wanted);
    long result = wait_for(t, wanted, deadline, &got);
    (void)signal_mask_swap(old);
    t->app->waited_signals = 0;
    if (result > 0 && info)
        *info = got;
    return result;
}
