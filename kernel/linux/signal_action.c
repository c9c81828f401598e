/* What is done with each signal. Looked at for every signal that is sent or taken, by any thread, and changed hardly ever: read under RCU, so that whoever looks sees one action as it was
   set, never the handler of one and the flags of another. The default action is no structure at all.

   SA_RESETHAND: of several threads that take the signal at once one gets the handler. What comes after it is made together with it, so that resetting needs no memory. */
#include <asm/errno.h>
#include <kernel/signal_internal.h>
#include <kernel/syscall.h>
#include <kernel/user.h>
#include <linux/signal.h>
#include <mm/kmem.h>
#include <sched/mutex.h>
#include <sched/rcu.h>
#include <stdatomic.h>

struct action {
    struct kernel_action what; /* constant */
    struct action *reset;      /* with SA_RESETHAND: the action after the first signal */
    struct rcu_head rcu;
};
static struct action *_Atomic actions[SIGNALS + 1]; /* NULL: the default; changed with actions_lock */
static struct mutex actions_lock = MUTEX_INIT;

static bool ignored_by_default(int sig)
{
    return sig == SIGCHLD || sig == SIGURG || sig == SIGWINCH || sig == SIGCONT || sig == SIGSTOP || sig == SIGTSTP ||
           sig == SIGTTIN || sig == SIGTTOU;
}

bool signal_action_ignores(const struct kernel_action *a, int sig)
{
    return a->handler == (void *)SIG_IGN || (a->handler == (void *)SIG_DFL && ignored_by_default(sig));
}

static struct kernel_action look(int sig)
{
    struct kernel_action what = {0};
    rcu_read_lock();
    const struct action *a = atomic_load_explicit(&actions[sig], memory_order_acquire);
    if (a)
        what = a->what;
    rcu_read_unlock();
    return what;
}

bool signal_is_ignored(int sig)
{
    struct kernel_action what = look(sig);
    return signal_action_ignores(&what, sig);
}

static void free_action(struct rcu_head *head)
{
    struct action *a = CONTAINER_OF(head, struct action, rcu);
    kfree(a->reset);
    kfree(a);
}

/* With actions_lock. */
static struct action *replace(int sig, struct action *by)
{
    struct action *old = atomic_load_explicit(&actions[sig], memory_order_relaxed);
    atomic_store_explicit(&actions[sig], by, memory_order_release);
    return old;
}

static void discard(struct action *old)
{
    if (old)
        rcu_call_or_wait(&old->rcu, free_action);
}

struct kernel_action signal_action_take(int sig)
{
    struct kernel_action what = look(sig);
    struct action *old = NULL;
    if (likely(!(what.flags & SA_RESETHAND)))
        return what;
    mutex_lock(&actions_lock);
    struct action *now = atomic_load_explicit(&actions[sig], memory_order_relaxed);
    what = now ? now->what : (struct kernel_action){0};
    if (now && now->reset) {
        old = replace(sig, now->reset);
        old->reset = NULL;
    }
    mutex_unlock(&actions_lock);
    discard(old);
    return what;
}

static struct action *action_new(const struct kernel_action *what)
{
    struct action *a = kmalloc(sizeof(*a));
    if (a)
        *a = (struct action){.what = *what};
    return a;
}

/* NULL in *a: the default. */
static int make(const struct kernel_action *what, struct action **a)
{
    *a = NULL;
    if (what->handler == (void *)SIG_DFL && !what->flags && !what->mask)
        return 0;
    *a = action_new(what);
    if (!*a)
        return -ENOMEM;
    if (!(what->flags & SA_RESETHAND) || what->handler == (void *)SIG_DFL)
        return 0;
    struct kernel_action after = *what;
    after.handler = (void *)SIG_DFL;
    (*a)->reset = action_new(&after);
    if ((*a)->reset)
        return 0;
    kfree(*a);
    return -ENOMEM;
}

SYSCALL(rt_sigaction, 4, "sig, act, oldact, sigsetsize", SYSCALL_COMPLETE)
long sys_rt_sigaction(int sig, const struct kernel_action *act, struct kernel_action *old, size_t size)
{
    struct kernel_action what, was = {0};
    struct action *new, *now;
    if (sig < 1 || sig > SIGNALS || size != 8 || (act && (sig == SIGKILL || sig == SIGSTOP)))
        return -EINVAL;
    if ((act && !user_range_ok(act, sizeof(*act))) || (old && !user_range_ok(old, sizeof(*old))))
        return -EFAULT;
    if (!act) {
        if (old)
            *old = look(sig);
        return 0;
    }
    what = *act;
    int err = make(&what, &new);
    if (err)
        return err;
    mutex_lock(&actions_lock);
    now = replace(sig, new);
    if (now)
        was = now->what;
    mutex_unlock(&actions_lock);
    discard(now);
    if (signal_action_ignores(&what, sig))
        signal_forget(sig);
    if (old)
        *old = was;
    return 0;
}
