/* Signals that wait to be taken, of a thread or of the process. */
#ifndef KERNEL_SIGNAL_PENDING_H
#define KERNEL_SIGNAL_PENDING_H

#include <kernel/compiler.h>
#include <linux/signal.h>
#include <sys/queue.h>

/* A signal with information of its own that was made ready beforehand, so that sending it needs no
 * memory: a timer's. Zero-initialise it. */
struct queued_signal {
    siginfo_t info;            /* constant while it is pending; si_signo is the signal */
    struct signal_pending *on; /* where it is pending; NULL: nowhere. Private, as the next */
    TAILQ_ENTRY(queued_signal) link;
};
TAILQ_HEAD(queued_signals, queued_signal);

/* The plain ones are bits, one of each number, as POSIX allows, with where they came from. All but
 * the first field is protected by one mutex in signal_pending.c. */
struct signal_pending {
    _Atomic uint64_t any; /* what there is of both kinds; may be read without the mutex */
    uint64_t plain;
    uint64_t by_user, by_kernel;  /* si_code of the plain ones: SI_USER, SI_KERNEL; else SI_TKILL */
    struct queued_signals queued; /* in order of arrival */
};

void signal_pending_init(struct signal_pending *p);
/* code: SI_USER, SI_KERNEL or SI_TKILL. */
void signal_pending_add(struct signal_pending *p, int sig, int code);
/* Does nothing if q is pending somewhere already. */
void signal_pending_queue(struct signal_pending *p, struct queued_signal *q);
/* After this q is pending nowhere. */
void signal_pending_withdraw(struct queued_signal *q);
/* Takes the lowest signal of set: its number, with *info filled in; 0 when there is none. */
int signal_pending_take(struct signal_pending *p, uint64_t set, siginfo_t *info);

#endif
