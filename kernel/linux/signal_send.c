/* Sending signals: what is pending for the process, who is told, and how a thread comes to look.
 * What is done with a signal that was taken is in signal.c. */
#include <arch/irq.h>
#include <asm/errno.h>
#include <kernel/clock.h>
#include <kernel/posix_timer.h>
#include <kernel/program.h>
#include <kernel/signal.h>
#include <kernel/signal_fault.h>
#include <kernel/signal_internal.h>
#include <kernel/syscall.h>
#include <kernel/user.h>
#include <linux/signal.h>
#include <sched/internal.h>
#include <sched/timer.h>
#include <stdatomic.h>

#define NUDGE_NS (100 * NS_PER_US)

static struct signal_pending process = {.queued = TAILQ_HEAD_INITIALIZER(process.queued)};

static uint64_t pending(const struct thread *t)
{
    return atomic_load_explicit(&t->app->signals.any, memory_order_acquire) |
           atomic_load_explicit(&process.any, memory_order_acquire);
}

uint64_t signal_ready(const struct thread *t)
{
    return t->app ? pending(t) & ~t->blocked_signals : 0;
}

/* After the caller's mask or pending signals changed. The flag goes down before the look, which a
   signal that comes meanwhile puts up again; and with sequential consistency, so that the new mask
   is visible to a sender whose signal the look misses. */
void signal_note(struct thread *t)
{
    atomic_store_explicit(&t->interrupted, false, memory_order_seq_cst);
    if (!signal_ready(t))
        return;
    atomic_store_explicit(&t->interrupted, true, memory_order_release);
    if (t == thread_current())
        signal_nudge(); /* the interrupt that told this CPU may have come while the flag was down */
}

bool thread_interrupted(void)
{
    struct thread *t = thread_current();
    return atomic_load_explicit(&t->interrupted, memory_order_relaxed) && signal_ready(t);
}

/* A thread that was preempted inside a system call which does not end by looking at signals would
   go on in the application with one pending until it is preempted again, which may be never. So a
   timer of its CPU preempts it soon, until it is found in the application's code. */
static struct timer nudges[PERCPU_MAX]; /* each its CPU's, interrupts off */

static void nudge(struct timer *timer)
{
    struct percpu *p = percpu();
    if (!atomic_load_explicit(&p->current->interrupted, memory_order_relaxed))
        return;
    p->need_resched = 1;
    timer_arm(timer, clock_monotonic_ns() + NUDGE_NS);
}

void signal_nudge(void)
{
    uint64_t flags = irq_save();
    struct timer *timer = &nudges[percpu()->id];
    timer->fn = nudge;
    timer_arm(timer, clock_monotonic_ns() + NUDGE_NS);
    irq_restore(flags);
}

/* A signal that t does not block is pending: it ends t's wait and is acted on at the end of its
 * system call, or when it is preempted. */
static void interrupt(struct thread *t)
{
    atomic_store_explicit(&t->interrupted, true, memory_order_release);
    if (t == thread_current())
        return;
    thread_wake(t);
    thread_kick(t);
    signal_nudge();
}

/* As on Linux an ignored signal is not even pending, unless it is blocked: it may have another
 * action when it no longer is. */
static bool dropped(const struct thread *t, int sig)
{
    return signal_is_ignored(sig) && !((t->blocked_signals | t->app->waited_signals) & BIT(sig));
}

/* Makes sig pending: q, or if that is NULL a plain one with this code. */
static void add(struct signal_pending *to, int sig, int code, struct queued_signal *q)
{
    if (q)
        signal_pending_queue(to, q);
    else
        signal_pending_add(to, sig, code);
}

/* To t, the caller or one that is held. False: it is ignored. */
static bool send_thread(struct thread *t, int sig, int code, struct queued_signal *q)
{
    if (dropped(t, sig))
        return false;
    add(&t->app->signals, sig, code, q);
    if (!(t->blocked_signals & BIT(sig)))
        interrupt(t);
    return true;
}

void signal_send_self(int sig)
{
    struct thread *t = thread_current();
    if (t->app)
        (void)send_thread(t, sig, SI_USER, NULL);
}

/* Who is to hear of a signal for the process: t (NULL: nobody is preferred), or else another thread
 * that does not block it; when all do, t or the first. Its id; -1: there is no thread any more. It may
 * end at any time. */
static int receiver(const struct thread *t, int sig)
{
    const struct thread *other;
    int first = t ? t->tid : -1;
    if (t && !(t->blocked_signals & BIT(sig)))
        return t->tid;
    for (unsigned slot = 0; (other = thread_after(&slot));) {
        int id = atomic_load_explicit(&other->listed, memory_order_acquire);
        if (id < 0 || !atomic_load_explicit(&other->app, memory_order_seq_cst))
            continue;
        if (!(other->blocked_signals & BIT(sig)))
            return id;
        first = first < 0 ? id : first;
    }
    return first;
}

/* The receiver, held; NULL: there is no thread any more. */
static struct thread *hold_receiver(const struct thread *preferred, int sig)
{
    struct thread *t;
    int id;
    while ((id = receiver(preferred, sig)) >= 0) {
        t = thread_hold(id);
        if (t && t->app)
            return t;
        if (t)
            thread_release(t); /* it has ended just now, and is not found again */
    }
    return NULL;
}

/* Who is told is chosen after the signal is pending: one that begins to block it or ends before is passed
 * over here, one that does later passes it on itself. */
static bool send_process(const struct thread *preferred, int sig, int code, struct queued_signal *q)
{
    struct thread *t = hold_receiver(preferred, sig);
    bool sent = t && !dropped(t, sig);
    if (t)
        thread_release(t);
    if (!sent)
        return false;
    add(&process, sig, code, q);
    t = hold_receiver(preferred, sig);
    if (t && !(t->blocked_signals & BIT(sig)))
        interrupt(t);
    if (t)
        thread_release(t);
    return true;
}

void signal_send_process(int sig) { (void)send_process(NULL, sig, SI_KERNEL, NULL); }

int signal_send_queued(struct queued_signal *q, int tid)
{
    int sig = q->info.si_signo;
    if (!tid)
        return send_process(NULL, sig, 0, q);
    struct thread *t = thread_hold(tid);
    int sent = t && t->app ? send_thread(t, sig, 0, q) : -ESRCH;
    if (t)
        thread_release(t);
    return sent;
}

/* The caller does not take these signals of the process (any more): threads that do are told. */
static void pass_on(uint64_t set)
{
    struct thread *self = thread_current(), *t;
    set &= atomic_load_explicit(&process.any, memory_order_seq_cst);
    if (likely(!set))
        return;
    for (unsigned slot = 0; set && (t = thread_hold_after(&slot)); thread_release(t)) {
        if (t == self || !t->app || !(set & ~t->blocked_signals))
            continue;
        interrupt(t);
        set &= t->blocked_signals;
    }
}

/* Changes the caller's mask. */
void signal_set_mask(struct thread *t, uint64_t mask)
{
    uint64_t newly = mask & ~t->blocked_signals;
    t->blocked_signals = mask & ~UNBLOCKABLE;
    signal_note(t);
    pass_on(newly);
}

uint64_t signal_mask_swap(uint64_t mask)
{
    struct thread *t = thread_current();
    uint64_t old = t->blocked_signals;
    signal_set_mask(t, mask);
    return old;
}

/* Takes a signal of set from those of the thread, then from those of the process: its number, or 0.
 * A timer hears that its signal was taken. */
int signal_take(struct thread *t, uint64_t set, siginfo_t *info)
{
    int sig = signal_pending_take(&t->app->signals, set, info);
    if (!sig)
        sig = signal_pending_take(&process, set, info);
    if (sig && info->si_code == SI_TIMER)
        posix_timer_taken(info);
    return sig;
}

void signal_thread_end(struct thread *t, struct signal_pending *left)
{
    siginfo_t info;
    int sig;
    pass_on(~t->blocked_signals);
    while ((sig = signal_pending_take(left, UINT64_MAX, &info)))
        if (info.si_code == SI_TIMER)
            posix_timer_taken(&info);
}

/* t, which is not held, has one pending. */
static bool has_pending(const struct thread *t, int sig)
{
    const struct app_thread *a = atomic_load_explicit(&t->app, memory_order_acquire);
    return a && (atomic_load_explicit(&a->signals.any, memory_order_acquire) & BIT(sig));
}

/* Discards one that is pending anywhere. Few threads have any, so most are not held for it. */
static int forget_one(int sig, siginfo_t *info)
{
    struct thread *t;
    int taken = signal_pending_take(&process, BIT(sig), info);
    for (unsigned slot = 0; !taken && (t = thread_after(&slot));) {
        if (!has_pending(t, sig))
            continue;
        mutex_lock(&t->life);
        if (t->app)
            taken = signal_pending_take(&t->app->signals, BIT(sig), info);
        mutex_unlock(&t->life);
    }
    return taken;
}

/* POSIX: what is pending when its signal becomes ignored is discarded. A timer goes on, so it is
 * told, and that without holding a thread. */
void signal_forget(int sig)
{
    siginfo_t info;
    while (forget_one(sig, &info))
        if (info.si_code == SI_TIMER)
            posix_timer_taken(&info);
}

SYSCALL(rt_sigpending, 2, "set, sigsetsize", SYSCALL_COMPLETE)
long sys_rt_sigpending(uint64_t *set, size_t size)
{
    struct thread *t = thread_current();
    if (size != 8)
        return -EINVAL;
    if (!user_range_ok(set, sizeof(*set)))
        return -EFAULT;
    *set = pending(t) & t->blocked_signals;
    return 0;
}

static long send_to(int tid, int sig)
{
    if (sig < 0 || sig > SIGNALS)
        return -EINVAL;
    struct thread *t = thread_hold(tid);
    bool found = t && t->app;
    if (found && sig)
        (void)send_thread(t, sig, SI_TKILL, NULL);
    if (t)
        thread_release(t);
    return found ? 0 : -ESRCH;
}

SYSCALL(tkill, 2, "tid, sig", SYSCALL_COMPLETE)
long sys_tkill(int tid, int sig) { return send_to(tid, sig); }
SYSCALL(tgkill, 3, "tgid, tid, sig", SYSCALL_COMPLETE)
long sys_tgkill(int tgid, int tid, int sig) { return tgid == 1 ? send_to(tid, sig) : -ESRCH; }

/* To the process: the caller takes it if it does not block the signal. */
SYSCALL(kill, 2, "pid, sig", SYSCALL_COMPLETE)
long sys_kill(int pid, int sig)
{
    if (pid != 0 && pid != 1 && pid != -1)
        return -ESRCH;
    if (sig < 0 || sig > SIGNALS)
        return -EINVAL;
    if (sig)
        (void)send_process(thread_current(), sig, SI_USER, NULL);
    return 0;
}
