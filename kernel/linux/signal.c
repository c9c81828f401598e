/* Signals. Actions belong to the process; masks and pending signals to threads.

   Where a handler runs: a thread that signals itself, and a thread whose interruptible wait was ended by a signal, run it as a function call at the end of
   the system call (signal_deliver; the system call is a function call, so no register needs saving). A fault, and a thread that was preempted in application code, get a frame on
   the application's stack (or the alternate one) with the interrupted state, as Linux lays it out, and leave the kernel into the handler; rt_sigreturn restores it.

   Default actions: terminate (with a report for those that dump core), ignore. Stop and continue do nothing: there is nobody to continue us.
   SA_RESTART: the stubs of the calls that Linux restarts (syscall_stubs.S) call again after -EINTR if all handlers that ran have the flag. */
#include <arch/cpu.h>
#include <arch/trap_internal.h>
#include <asm/errno.h>
#include <kernel/panic.h>
#include <kernel/program.h>
#include <kernel/signal.h>
#include <kernel/signal_fault.h>
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

#define SIGNALS 64
#define BIT(sig) (1ull << ((sig) - 1))
#define UNBLOCKABLE (BIT(SIGKILL) | BIT(SIGSTOP))
#define RED_ZONE 128

struct kernel_action {
    void (*handler)(int, void *, void *);
    unsigned long flags;
    void (*restorer)(void);
    uint64_t mask;
};
static struct kernel_action actions[SIGNALS + 1]; /* protected by actions_lock; read without it: a racing change is the program's race */
static struct mutex actions_lock = MUTEX_INIT;

static const char *const names[32] = {
    [SIGHUP] = "SIGHUP", [SIGINT] = "SIGINT", [SIGQUIT] = "SIGQUIT", [SIGILL] = "SIGILL", [SIGTRAP] = "SIGTRAP",
    [SIGABRT] = "SIGABRT", [SIGBUS] = "SIGBUS", [SIGFPE] = "SIGFPE", [SIGKILL] = "SIGKILL", [SIGUSR1] = "SIGUSR1",
    [SIGSEGV] = "SIGSEGV", [SIGUSR2] = "SIGUSR2", [SIGPIPE] = "SIGPIPE", [SIGALRM] = "SIGALRM", [SIGTERM] = "SIGTERM"};

static const char *signal_name(int sig) { return sig < 32 && names[sig] ? names[sig] : "signal"; }

static bool ignored_by_default(int sig)
{
    return sig == SIGCHLD || sig == SIGURG || sig == SIGWINCH || sig == SIGCONT || sig == SIGSTOP || sig == SIGTSTP ||
           sig == SIGTTIN || sig == SIGTTOU;
}

static bool is_ignored(int sig)
{
    void *h = (void *)actions[sig].handler;
    return h == (void *)SIG_IGN || (h == (void *)SIG_DFL && ignored_by_default(sig));
}

static _Noreturn void terminate(int sig)
{
    report_printf("%s: killed by %s (signal %d)\n", program_name(), signal_name(sig), sig);
    if (sig == SIGABRT || sig == SIGQUIT)
        backtrace_print((uint64_t)__builtin_return_address(0), (uint64_t)__builtin_frame_address(0));
    program_exit(128 + sig);
}

static uint64_t ready(const struct thread *t)
{
    return atomic_load_explicit(&t->pending_signals, memory_order_acquire) & ~t->blocked_signals;
}

/* The flag first, then a look, in that order for all CPUs: a signal that comes in between sets the flag itself (post). The same order serves a mask that was changed before. */
static void note(struct thread *t)
{
    atomic_exchange_explicit(&t->interrupted, false, memory_order_seq_cst);
    if (ready(t))
        atomic_store_explicit(&t->interrupted, true, memory_order_relaxed);
}

bool thread_interrupted(void)
{
    struct thread *t = thread_current();
    return atomic_load_explicit(&t->interrupted, memory_order_relaxed) && ready(t);
}

/* Makes sig pending for t and wakes it if that ends a wait. by_kill: SI_USER, not SI_TKILL. */
static void post(struct thread *t, int sig, bool by_kill)
{
    if (is_ignored(sig) && !(t->blocked_signals & BIT(sig)))
        return;
    if (by_kill)
        atomic_fetch_or_explicit(&t->signals_by_kill, BIT(sig), memory_order_relaxed);
    else
        atomic_fetch_and_explicit(&t->signals_by_kill, ~BIT(sig), memory_order_relaxed);
    atomic_fetch_or_explicit(&t->pending_signals, BIT(sig), memory_order_seq_cst);
    if (t->blocked_signals & BIT(sig))
        return;
    atomic_store_explicit(&t->interrupted, true, memory_order_seq_cst);
    if (t != thread_current()) {
        thread_wake(t);
        thread_kick(t);
    }
}

void signal_send_self(int sig) { post(thread_current(), sig, false); }

uint64_t signal_mask_swap(uint64_t mask)
{
    struct thread *t = thread_current();
    uint64_t old = t->blocked_signals;
    t->blocked_signals = mask & ~UNBLOCKABLE;
    note(t);
    return old;
}

static int take(struct thread *t)
{
    uint64_t set = ready(t);
    if (!set)
        return 0;
    int sig = __builtin_ctzll(set) + 1;
    atomic_fetch_and_explicit(&t->pending_signals, ~BIT(sig), memory_order_acq_rel);
    return sig;
}

static void prepare_action(int sig, struct kernel_action *a, uint64_t *old_mask)
{
    struct thread *t = thread_current();
    *a = actions[sig];
    *old_mask = t->blocked_signals;
    t->blocked_signals |= (a->mask | (a->flags & SA_NODEFER ? 0 : BIT(sig))) & ~UNBLOCKABLE;
    if (a->flags & SA_RESETHAND)
        actions[sig].handler = NULL;
}

static siginfo_t info_of(struct thread *t, int sig)
{
    bool by_kill = atomic_load_explicit(&t->signals_by_kill, memory_order_relaxed) & BIT(sig);
    siginfo_t info = {.si_signo = sig, .si_code = by_kill ? SI_USER : SI_TKILL};
    info.si_pid = 1;
    return info;
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
    int sig;
    while ((sig = take(t))) {
        if (is_ignored(sig))
            continue;
        if (actions[sig].handler == (void *)SIG_DFL)
            terminate(sig);
        struct kernel_action a;
        uint64_t old_mask;
        siginfo_t info = info_of(t, sig);
        struct ucontext context = {0};
        prepare_action(sig, &a, &old_mask);
        memcpy(&context.uc_sigmask, &old_mask, sizeof(old_mask));
        call_handler(t, &a, sig, &info, &context);
        restart = restart && (a.flags & SA_RESTART);
        memcpy(&old_mask, &context.uc_sigmask, sizeof(old_mask)); /* a handler may change the mask it returns to */
        t->blocked_signals = old_mask & ~UNBLOCKABLE;
    }
    note(t);
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

/* Changes the frame so that leaving it enters the handler of sig. False when there is no stack to do it on. */
static bool push_frame(struct trap_frame *f, int sig, int code, uint64_t address)
{
    struct thread *t = thread_current();
    struct app_thread *app = t->app;
    uint64_t sp = f->rsp - RED_ZONE;
    bool on_alt = app->alt_stack_size && f->rsp - app->alt_stack < app->alt_stack_size;

    if ((actions[sig].flags & SA_ONSTACK) && app->alt_stack_size && !on_alt)
        sp = app->alt_stack + app->alt_stack_size;
    uint64_t xstate = ALIGN_DOWN(sp - cpu_features.xsave_size, 64);
    struct signal_frame *s = (void *)(ALIGN_DOWN(xstate - sizeof(*s), 16) - 8);
    if (!vm_writable((uint64_t)s, sp - (uint64_t)s))
        return false; /* a stack that overflowed, and no alternate one */
    struct kernel_action a;
    uint64_t old_mask;
    prepare_action(sig, &a, &old_mask);
    memset(s, 0, sizeof(*s));
    s->return_address = (uint64_t)a.restorer;
    s->info.si_signo = sig;
    s->info.si_code = code;
    s->info.si_addr = (void *)address;
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
    f->rip = (uint64_t)a.handler;
    f->rsp = (uint64_t)s;
    f->rflags &= ~0x500ull; /* no trap, direction forward */
    return true;
}

void signal_preempted(struct trap_frame *f)
{
    struct thread *t = thread_current();
    int sig;
    if (!t->app || symbol_is_kernel(f->rip)) /* the kernel finishes what it does; the system call's end delivers */
        return;
    while ((sig = take(t))) {
        if (is_ignored(sig))
            continue;
        if (actions[sig].handler == (void *)SIG_DFL || !push_frame(f, sig, SI_TKILL, 0))
            terminate(sig);
        break; /* the next one when this handler's frame is left, or by the next preemption */
    }
    note(t);
}

void signal_fault(struct trap_frame *f, int sig, int code, uint64_t address)
{
    struct thread *t = thread_current();
    bool in_kernel = symbol_is_kernel(f->rip);
    bool handled = t->app && !in_kernel && !(t->blocked_signals & BIT(sig)) && actions[sig].handler != (void *)SIG_DFL &&
                   actions[sig].handler != (void *)SIG_IGN;
    if (handled && push_frame(f, sig, code, address))
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

/* POSIX: what is pending when its signal becomes ignored is discarded. */
static void forget(int sig)
{
    struct thread *t;
    mutex_lock(&threads_lock);
    TAILQ_FOREACH(t, &all_threads, all_link)
        atomic_fetch_and_explicit(&t->pending_signals, ~BIT(sig), memory_order_relaxed);
    mutex_unlock(&threads_lock);
}

SYSCALL(rt_sigaction, 4, "sig, act, oldact, sigsetsize", SYSCALL_COMPLETE)
long sys_rt_sigaction(int sig, const struct kernel_action *act, struct kernel_action *old, size_t size)
{
    if (sig < 1 || sig > SIGNALS || size != 8 || (act && (sig == SIGKILL || sig == SIGSTOP)))
        return -EINVAL;
    if ((act && !user_range_ok(act, sizeof(*act))) || (old && !user_range_ok(old, sizeof(*old))))
        return -EFAULT;
    mutex_lock(&actions_lock);
    struct kernel_action was = actions[sig];
    if (act)
        actions[sig] = *act;
    mutex_unlock(&actions_lock);
    if (act && is_ignored(sig))
        forget(sig);
    if (old)
        *old = was;
    return 0;
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

SYSCALL(rt_sigpending, 2, "set, sigsetsize", SYSCALL_COMPLETE)
long sys_rt_sigpending(uint64_t *set, size_t size)
{
    struct thread *t = thread_current();
    if (size != 8)
        return -EINVAL;
    *set = t->pending_signals & t->blocked_signals;
    return 0;
}

static long send_to(int tid, int sig)
{
    if (sig < 0 || sig > SIGNALS)
        return -EINVAL;
    mutex_lock(&threads_lock);
    struct thread *t = thread_find(tid);
    bool found = t && t->app;
    if (found && sig)
        post(t, sig, false);
    mutex_unlock(&threads_lock);
    return found ? 0 : -ESRCH;
}

SYSCALL(tkill, 2, "tid, sig", SYSCALL_COMPLETE)
long sys_tkill(int tid, int sig) { return send_to(tid, sig); }
SYSCALL(tgkill, 3, "tgid, tid, sig", SYSCALL_COMPLETE)
long sys_tgkill(int tgid, int tid, int sig) { return tgid == 1 ? send_to(tid, sig) : -ESRCH; }

/* To any application thread that does not block the signal, else to the main thread, where it waits. */
void signal_send_process(int sig)
{
    struct thread *t;
    mutex_lock(&threads_lock);
    struct thread *target = NULL;
    TAILQ_FOREACH(t, &all_threads, all_link)
        if (t->app && (!target || ((target->blocked_signals & BIT(sig)) && !(t->blocked_signals & BIT(sig)))))
            target = t;
    if (target)
        post(target, sig, true);
    mutex_unlock(&threads_lock);
}

/* To the process: the caller takes it if it does not block the signal. */
SYSCALL(kill, 2, "pid, sig", SYSCALL_COMPLETE)
long sys_kill(int pid, int sig)
{
    struct thread *self = thread_current();
    if (pid != 0 && pid != 1 && pid != -1)
        return -ESRCH;
    if (sig < 0 || sig > SIGNALS)
        return -EINVAL;
    if (sig && !(self->blocked_signals & BIT(sig)))
        post(self, sig, true);
    else if (sig)
        signal_send_process(sig);
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
    while (!thread_interrupted()) {
        thread_wait_prepare();
        if (thread_interrupted())
            thread_wait_cancel();
        else
            thread_wait();
    }
    signal_mask_restore(old, -EINTR);
    return -EINTR;
}

SYSCALL(pause, 0, "", SYSCALL_COMPLETE)
long sys_pause(void)
{
    uint64_t mask = thread_current()->blocked_signals;
    return sys_rt_sigsuspend(&mask, 8);
}

SYSCALL(rt_sigtimedwait, 4, "set, info, timeout, sigsetsize", SYSCALL_COMPLETE)
long sys_rt_sigtimedwait(const uint64_t *set, siginfo_t *info, const struct timespec64 *timeout, size_t size)
{
    struct thread *t = thread_current();
    if (size != 8 || (timeout && !timespec_valid(timeout)))
        return -EINVAL;
    uint64_t deadline = timeout ? deadline_after(timespec_ns(timeout)) : TIME_NEVER, wanted = *set & ~UNBLOCKABLE;
    uint64_t old = t->blocked_signals;
    for (;;) {
        uint64_t got = atomic_load_explicit(&t->pending_signals, memory_order_acquire) & wanted;
        if (got) {
            int sig = __builtin_ctzll(got) + 1;
            atomic_fetch_and_explicit(&t->pending_signals, ~BIT(sig), memory_order_acq_rel);
            (void)signal_mask_swap(old);
            if (info) {
                *info = info_of(t, sig);
            }
            return sig;
        }
        (void)signal_mask_swap(old & ~wanted); /* so that they wake us */
        long result = thread_interrupted() && !(ready(t) & wanted) ? -EINTR : clock_monotonic_ns() >= deadline ? -EAGAIN : 0;
        if (result) {
            (void)signal_mask_swap(old);
            return result;
        }
        thread_wait_prepare();
        if (ready(t))
            thread_wait_cancel();
        else
            thread_wait_until(deadline);
    }
}
