/* Work for whoever holds net_lock, so that a thread that finds it taken need not wait for it. */
#ifndef NET_POSTED_H
#define NET_POSTED_H

#include <kernel/compiler.h>
#include <sched/mutex.h>
#include <stdatomic.h>

struct net_work {
    struct net_work *next;
    void (*fn)(struct net_work *w); /* with net_lock held; w may be gone when it returns */
};

/* Everything in lwIP and in sockets is protected by this, but for what says otherwise. Threads only. */
extern struct mutex net_lock;
extern struct net_work *_Atomic net_posted;

/* Runs w with net_lock held, here or in the thread that holds it, soon; does not wait. What is posted runs in the order of posting. */
void net_post(struct net_work *w);
/* With net_lock held: runs what is posted. */
void net_run_posted(void);
static inline void net_look_posted(void)
{
    if (unlikely(atomic_load_explicit(&net_posted, memory_order_relaxed) != NULL))
        net_run_posted();
}
/* Where something else has released net_lock (a wait queue): sees to what was posted meanwhile. */
void net_unlocked(void);
/* Releases net_lock. */
static inline void net_unlock(void)
{
    mutex_unlock(&net_lock);
    if (unlikely(atomic_load_explicit(&net_posted, memory_order_seq_cst) != NULL))
        net_unlocked();
}
/* stack.c: what the work may have left to do. net_lock held. */
void net_before_release(void);

#endif
