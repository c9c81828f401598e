/* Policy, priority, nice value, affinity: asked for by anyone, taken over by the CPU that has the thread, since only that one touches its queue.

   The wish is stored, policy_dirty set, and then the thread is handed to its CPU as in a wake-up (wake_place, with the token): that CPU takes it off its queue, applies the wish
   and puts it back. If the token is taken, whoever has it looks at policy_dirty after giving it back.

   A PI futex lends its owner the priority of its best waiter (thread_inherit); what counts is the higher of the two. */
#include <arch/irq.h>
#include <asm/errno.h>
#include <sched/runq.h>
#include <stdatomic.h>

#define WEIGHT_NICE_0 1024u
#define WEIGHT_IDLE 3u

/* 1.25 to the power of -nice. */
unsigned policy_weight(int policy, int nice)
{
    unsigned weight = WEIGHT_NICE_0;

    if (policy == SCHED_IDLE)
        return WEIGHT_IDLE;
    for (; nice < 0; nice++)
        weight += weight / 4;
    for (; nice > 0; nice--)
        weight = (weight * 4 + 2) / 5;
    return weight;
}

void policy_apply(struct thread *t)
{
    if (likely(!atomic_load_explicit(&t->policy_dirty, memory_order_relaxed)))
        return;
    atomic_exchange_explicit(&t->policy_dirty, false, memory_order_seq_cst);
    int policy = atomic_load_explicit(&t->want_policy, memory_order_relaxed);
    int inherited = atomic_load_explicit(&t->inherited_rt, memory_order_relaxed);
    int rt = atomic_load_explicit(&t->want_rt, memory_order_relaxed);
    t->weight = policy_weight(policy, atomic_load_explicit(&t->want_nice, memory_order_relaxed));
    t->policy = inherited > rt ? SCHED_FIFO : policy;
    t->rt_priority = (unsigned)MAX(rt, inherited);
}

static void hand_over(struct thread *t)
{
    atomic_store_explicit(&t->policy_dirty, true, memory_order_seq_cst);
    uint64_t flags = irq_save();
    if (!atomic_exchange_explicit(&t->placed, true, memory_order_seq_cst))
        wake_place(t);
    irq_restore(flags);
}

void sched_set_policy(struct thread *t, int policy, int rt_priority)
{
    atomic_store_explicit(&t->want_policy, policy, memory_order_relaxed);
    atomic_store_explicit(&t->want_rt, rt_priority, memory_order_relaxed);
    hand_over(t);
}

void sched_set_nice(struct thread *t, int nice)
{
    atomic_store_explicit(&t->want_nice, nice, memory_order_relaxed);
    hand_over(t);
}

int thread_priority(const struct thread *t) { return atomic_load_explicit(&t->want_rt, memory_order_relaxed); }

void thread_inherit(struct thread *owner, int prio)
{
    if (atomic_exchange_explicit(&owner->inherited_rt, prio, memory_order_relaxed) != prio)
        hand_over(owner);
}

int sched_set_affinity(struct thread *t, const uint64_t *bits, unsigned words)
{
    uint64_t set[PERCPU_MAX / 64], any = 0;

    for (unsigned i = 0; i < ARRAY_SIZE(set); i++) {
        set[i] = i < words ? bits[i] & atomic_load_explicit(&all_cpus.bits[i], memory_order_relaxed) : 0;
        any |= set[i];
    }
    if (!any)
        return -EINVAL;
    /* First what is added, then what is taken away, so that the set is never empty for a reader. */
    for (unsigned i = 0; i < ARRAY_SIZE(set); i++)
        atomic_fetch_or_explicit(&t->affinity.bits[i], set[i], memory_order_relaxed);
    for (unsigned i = 0; i < ARRAY_SIZE(set); i++)
        atomic_store_explicit(&t->affinity.bits[i], set[i], memory_order_seq_cst);
    if (t == thread_current())
        thread_yield(); /* moves if it must */
    else
        hand_over(t);
    return 0;
}
