/* Policies, priorities, nice values and affinity of threads. sched(7). There are no privileges to
   check: a program is alone on its machine. */
#include <arch/percpu.h>
#include <asm/errno.h>
#include <kernel/futex.h>
#include <kernel/string.h>
#include <kernel/syscall.h>
#include <kernel/timespec.h>
#include <kernel/user.h>
#include <linux/resource.h>
#include <linux/sched.h>
#include <linux/sched/types.h>
#include <sched/internal.h>
#include <stdatomic.h>

#define RT_MAX 99

/* The application's thread tid, 0: the caller; held. */
static struct thread *hold(int tid)
{
    struct thread *t = thread_hold(tid == 0 ? thread_current()->tid : tid);
    if (!t || t->app)
        return t;
    thread_release(t);
    return NULL;
}

static bool is_rt(int policy) { return policy == SCHED_FIFO || policy == SCHED_RR; }

static int check(int policy, int priority)
{
    if (policy != SCHED_NORMAL && policy != SCHED_BATCH && policy != SCHED_IDLE && !is_rt(policy))
        return -EINVAL;
    if (is_rt(policy) ? priority < 1 || priority > RT_MAX : priority != 0)
        return -EINVAL;
    return 0;
}

static int set(int tid, int policy, int priority, const int *nice)
{
    struct thread *t = hold(tid);
    if (!t)
        return -ESRCH;
    if (policy < 0)
        policy = atomic_load_explicit(&t->want_policy, memory_order_relaxed);
    int err = check(policy, priority);
    if (!err) {
        tid = t->tid;
        if (nice)
            atomic_store_explicit(&t->want_nice, *nice, memory_order_relaxed);
        sched_set_policy(t, policy, priority);
    }
    thread_release(t);
    if (!err)
        futex_priority_changed(tid);
    return err;
}

SYSCALL(sched_setscheduler, 3, "pid, policy, param", SYSCALL_COMPLETE) /* SCHED_DEADLINE is not there: EINVAL */
long sys_sched_setscheduler(int tid, int policy, const int *param)
{
    if (tid < 0 || policy < 0 || !param)
        return -EINVAL;
    if (!user_range_ok(param, sizeof(*param)))
        return -EFAULT;
    return set(tid, policy & ~SCHED_RESET_ON_FORK, *param, NULL);
}

SYSCALL(sched_setparam, 2, "pid, param", SYSCALL_COMPLETE)
long sys_sched_setparam(int tid, const int *param)
{
    if (tid < 0 || !param)
        return -EINVAL;
    if (!user_range_ok(param, sizeof(*param)))
        return -EFAULT;
    return set(tid, -1, *param, NULL);
}

struct schedule {
    int policy, priority, nice;
};

static int get(int tid, struct schedule *s)
{
    if (tid < 0)
        return -EINVAL;
    struct thread *t = hold(tid);
    if (!t)
        return -ESRCH;
    *s = (struct schedule){atomic_load_explicit(&t->want_policy, memory_order_relaxed),
                           atomic_load_explicit(&t->want_rt, memory_order_relaxed),
                           atomic_load_explicit(&t->want_nice, memory_order_relaxed)};
    thread_release(t);
    return 0;
}

SYSCALL(sched_getscheduler, 1, "pid", SYSCALL_COMPLETE)
long sys_sched_getscheduler(int tid)
{
    struct schedule s;
    int err = get(tid, &s);
    return err ? err : s.policy;
}

SYSCALL(sched_getparam, 2, "pid, param", SYSCALL_COMPLETE)
long sys_sched_getparam(int tid, int *param)
{
    struct schedule s;
    if (!user_range_ok(param, sizeof(*param)))
        return -EFAULT;
    int err = get(tid, &s);
    if (!err)
        *param = s.priority;
    return err;
}

SYSCALL(sched_setattr, 3, "pid, attr, flags", SYSCALL_PARTIAL) /* no SCHED_DEADLINE, no utilisation clamps */
long sys_sched_setattr(int tid, const struct sched_attr *attr, unsigned flags)
{
    if (flags || tid < 0)
        return -EINVAL;
    if (!user_range_ok(attr, SCHED_ATTR_SIZE_VER0))
        return -EFAULT;
    if (attr->size != 0 && attr->size < SCHED_ATTR_SIZE_VER0)
        return -E2BIG;
    if (attr->sched_flags & ~(uint64_t)SCHED_FLAG_RESET_ON_FORK)
        return -EINVAL;
    int nice = MIN(MAX(attr->sched_nice, -20), 19);
    return set(tid, (int)attr->sched_policy, (int)attr->sched_priority, is_rt((int)attr->sched_policy) ? NULL : &nice);
}

SYSCALL(sched_getattr, 4, "pid, attr, size, flags", SYSCALL_PARTIAL)
long sys_sched_getattr(int tid, struct sched_attr *attr, unsigned size, unsigned flags)
{
    struct schedule s;
    if (flags || size < SCHED_ATTR_SIZE_VER0)
        return -EINVAL;
    if (!user_range_ok(attr, size))
        return -EFAULT;
    int err = get(tid, &s);
    if (err)
        return err;
    struct sched_attr a = {.size = MIN(size, (unsigned)sizeof(a)), .sched_policy = (unsigned)s.policy,
                           .sched_nice = s.nice, .sched_priority = (unsigned)s.priority};
    memcpy(attr, &a, a.size);
    return 0;
}

SYSCALL(sched_get_priority_max, 1, "policy", SYSCALL_COMPLETE)
long sys_sched_get_priority_max(int policy) { return is_rt(policy) ? RT_MAX : policy >= 0 && policy <= 6 && policy != 4 ? 0 : -EINVAL; }
SYSCALL(sched_get_priority_min, 1, "policy", SYSCALL_COMPLETE)
long sys_sched_get_priority_min(int policy) { return is_rt(policy) ? 1 : policy >= 0 && policy <= 6 && policy != 4 ? 0 : -EINVAL; }

SYSCALL(sched_rr_get_interval, 2, "pid, interval", SYSCALL_COMPLETE)
long sys_sched_rr_get_interval(int tid, struct timespec64 *interval)
{
    struct schedule s;
    if (!user_range_ok(interval, sizeof(*interval)))
        return -EFAULT;
    int err = get(tid, &s);
    if (err)
        return err;
    interval->sec = 0;
    interval->nsec = s.policy == SCHED_RR ? RR_SLICE_NS : s.policy == SCHED_FIFO ? 0 : SLICE_NS;
    return 0;
}

SYSCALL(sched_yield, 0, "", SYSCALL_COMPLETE)
long sys_sched_yield(void)
{
    thread_yield();
    return 0;
}

/* As on Linux, a thread's id is as good as a process's; the process, its group and its user are all
   threads. */
static int each(int which, int who, void (*fn)(struct thread *t, void *arg), void *arg)
{
    struct thread *t;
    unsigned slot = 0;
    if (which != PRIO_PROCESS && which != PRIO_PGRP && which != PRIO_USER)
        return -EINVAL;
    if (which == PRIO_PROCESS) {
        t = hold(who);
        if (!t)
            return -ESRCH;
        fn(t, arg);
        thread_release(t);
        return 0;
    }
    if (who != 0 && (which == PRIO_USER || who != 1))
        return -ESRCH;
    while ((t = thread_hold_after(&slot))) {
        if (t->app)
            fn(t, arg);
        thread_release(t);
    }
    return 0;
}

static void set_nice(struct thread *t, void *arg) { sched_set_nice(t, *(int *)arg); }
static void best_nice(struct thread *t, void *arg)
{
    int *best = arg, nice = atomic_load_explicit(&t->want_nice, memory_order_relaxed);
    *best = MIN(*best, nice);
}

SYSCALL(setpriority, 3, "which, who, niceval", SYSCALL_COMPLETE)
long sys_setpriority(int which, int who, int nice)
{
    nice = MIN(MAX(nice, -20), 19);
    return each(which, who, set_nice, &nice);
}

SYSCALL(getpriority, 2, "which, who", SYSCALL_COMPLETE)
long sys_getpriority(int which, int who)
{
    int nice = 19, err = each(which, who, best_nice, &nice);
    return err ? err : 20 - nice; /* the raw call's scale, which is never negative */
}

SYSCALL(sched_getaffinity, 3, "pid, size, mask", SYSCALL_COMPLETE)
long sys_sched_getaffinity(int tid, size_t size, unsigned long *mask)
{
    size_t need = ALIGN_UP(ALIGN_UP(percpu_count, 8) / 8, 8);
    if (size < need || size % 8)
        return -EINVAL;
    if (!user_range_ok(mask, need))
        return -EFAULT;
    unsigned long bits[PERCPU_MAX / 64];
    struct thread *t = hold(tid);
    if (!t)
        return -ESRCH;
    for (size_t i = 0; i < need / 8; i++)
        bits[i] = atomic_load_explicit(&t->affinity.bits[i], memory_order_relaxed) &
                  atomic_load_explicit(&all_cpus.bits[i], memory_order_relaxed);
    thread_release(t);
    memcpy(mask, bits, need);
    return (long)need;
}

SYSCALL(sched_setaffinity, 3, "pid, size, mask", SYSCALL_COMPLETE)
long sys_sched_setaffinity(int tid, size_t size, const unsigned long *mask)
{
    uint64_t bits[PERCPU_MAX / 64] = {0};
    if (!user_range_ok(mask, size))
        return -EFAULT;
    memcpy(bits, mask, MIN(size, sizeof(bits)));
    if (tid == 0 || tid == thread_current()->tid) /* it yields: not held */
        return sched_set_affinity(thread_current(), bits, ARRAY_SIZE(bits));
    struct thread *t = hold(tid);
    if (!t)
        return -ESRCH;
    int err = sched_set_affinity(t, bits, ARRAY_SIZE(bits));
    thread_release(t);
    return err;
}
