/* Between signal.c (how a signal is acted on), signal_action.c (what is to be done) and signal_send.c (how it comes to a thread). */
#ifndef KERNEL_SIGNAL_INTERNAL_H
#define KERNEL_SIGNAL_INTERNAL_H

#include <kernel/signal_pending.h>

struct thread;

#define SIGNALS 64
#define BIT(sig) (1ull << ((sig)-1))
#define UNBLOCKABLE (BIT(SIGKILL) | BIT(SIGSTOP))

struct kernel_action { /* as rt_sigaction has it */
    void (*handler)(int, void *, void *);
    unsigned long flags;
    void (*restorer)(void);
    uint64_t mask;
};
/* The action for a signal that was taken; it is the default one from now on if it has SA_RESETHAND. Sleeps. */
struct kernel_action signal_action_take(int sig);
/* The action, or what is the default one, is to ignore it. */
bool signal_action_ignores(const struct kernel_action *a, int sig);
/* So is the present one. */
bool signal_is_ignored(int sig);
/* What is pending, for t or the process, and not blocked by t. */
uint64_t signal_ready(const struct thread *t);
/* Brings t->interrupted, of the caller, up to date after its mask or its pending signals changed.
 */
void signal_note(struct thread *t);
/* Changes the mask of t, the caller. */
void signal_set_mask(struct thread *t, uint64_t mask);
/* Takes a signal of set from those of t, the caller, then from those of the process: its number,
 * with *info filled in, or 0. Sleeps. */
int signal_take(struct thread *t, uint64_t set, siginfo_t *info);
/* Discards what is pending of sig, anywhere. */
void signal_forget(int sig);

/* The current thread has a signal to look at: this CPU preempts it again and again, soon, until it is found in application code. Any context. */
void signal_nudge(void);

#endif
