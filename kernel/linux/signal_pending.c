/* Pending signals: a bit for each number, and behind a bit any number of queued ones. The bit in
   `any` is set exactly while there is one of either kind; it is set with sequential consistency, so
   that a sender which then looks at the receiver's mask and a receiver which changes its mask and
   then looks here cannot miss each other. */
#include <kernel/signal_pending.h>
#include <kernel/string.h>
#include <sched/mutex.h>
#include <stdatomic.h>

#define BIT(sig) (1ull << ((sig)-1))

static struct mutex lock = MUTEX_INIT; /* of all: signals are rare, and nothing sleeps under it */

void signal_pending_init(struct signal_pending *p)
{
    memset(p, 0, sizeof(*p));
    TAILQ_INIT(&p->queued);
}

static struct queued_signal *first_queued(struct signal_pending *p, int sig)
{
    struct queued_signal *q;
    TAILQ_FOREACH(q, &p->queued, link)
    if (q->info.si_signo == sig)
        return q;
    return NULL;
}

static void update(struct signal_pending *p, int sig)
{
    if ((p->plain & BIT(sig)) || first_queued(p, sig))
        atomic_fetch_or_explicit(&p->any, BIT(sig), memory_order_seq_cst);
    else
        atomic_fetch_and_explicit(&p->any, ~BIT(sig), memory_order_seq_cst);
}

static uint64_t with(uint64_t set, int sig, bool in)
{
    return in ? set | BIT(sig) : set & ~BIT(sig);
}

void signal_pending_add(struct signal_pending *p, int sig, int code)
{
    mutex_lock(&lock);
    p->plain |= BIT(sig);
    p->by_user = with(p->by_user, sig, code == SI_USER);
    p->by_kernel = with(p->by_kernel, sig, code == SI_KERNEL);
    update(p, sig);
    mutex_unlock(&lock);
}

void signal_pending_queue(struct signal_pending *p, struct queued_signal *q)
{
    mutex_lock(&lock);
    if (!q->on) {
        q->on = p;
        TAILQ_INSERT_TAIL(&p->queued, q, link);
        update(p, q->info.si_signo);
    }
    mutex_unlock(&lock);
}

static void unlink_queued(struct queued_signal *q)
{
    struct signal_pending *p = q->on;
    TAILQ_REMOVE(&p->queued, q, link);
    q->on = NULL;
    update(p, q->info.si_signo);
}

void signal_pending_withdraw(struct queued_signal *q)
{
    mutex_lock(&lock);
    if (q->on)
        unlink_queued(q);
    mutex_unlock(&lock);
}

static void take_plain(struct signal_pending *p, int sig, siginfo_t *info)
{
    bool by_user = p->by_user & BIT(sig), by_kernel = p->by_kernel & BIT(sig);
    memset(info, 0, sizeof(*info));
    info->si_signo = sig;
    info->si_code = by_user ? SI_USER : by_kernel ? SI_KERNEL : SI_TKILL;
    info->si_pid = by_kernel ? 0 : 1;
    p->plain &= ~BIT(sig);
    update(p, sig);
}

int signal_pending_take(struct signal_pending *p, uint64_t set, siginfo_t *info)
{
    int sig = 0;
    if (!(atomic_load_explicit(&p->any, memory_order_acquire) & set))
        return 0;
    mutex_lock(&lock);
    uint64_t found = atomic_load_explicit(&p->any, memory_order_relaxed) & set;
    if (found) {
        sig = __builtin_ctzll(found) + 1;
        if (p->plain & BIT(sig)) {
            take_plain(p, sig, info);
        } else {
            struct queued_signal *q = first_queued(p, sig);
            *info = q->info;
            unlink_queued(q);
        }
    }
    mutex_unlock(&lock);
    return sig;
}
