/* The system call, and the operations on plain futexes. There is one address space, so a shared futex and a private one have the same
   key. The waiters' queues are in futex_queue.c, PI futexes in futex_pi.c, robust lists in futex_robust.c. linux/futex.h; futex(2). */
#include "futex_internal.h"
#include <asm/errno.h>
#include <kernel/futex.h>
#include <kernel/signal.h>
#include <kernel/syscall.h>
#include <kernel/timespec.h>
#include <kernel/user.h>
#include <linux/futex.h>
#include <sched/thread.h>
#include <sched/waitq.h>

static long futex_wait(int *address, int expected, uint64_t deadline, bool realtime, uint32_t bitset)
{
    struct futex_waiter w = {.thread = thread_current(), .address = address, .bitset = bitset};
    if (!bitset)
        return -EINVAL;
    long result = futex_wait_setup(&w, expected);
    if (result)
        return result;
    result = futex_sleep(&w, deadline, realtime);
    return result && futex_leave(&w) ? result : 0;
}

static bool is_plain(const struct futex_waiter *w) { return !w->pi && !w->pi_target; }

/* With the bucket's mutex held: takes off up to n waiters, but one at least: Linux's FUTEX_WAKE of 0 wakes one, too. Those for PI
   futexes are woken by their own operations only. */
static long take_matching(struct futex_bucket *b, const int *address, int n, uint32_t bitset, struct futex_waiters *taken)
{
    struct futex_waiter *w, *next;
    long count = 0;
    for (w = TAILQ_FIRST(&b->waiters); w; w = next) {
        next = TAILQ_NEXT(w, link);
        if (w->address != address)
            continue;
        if (!is_plain(w))
            return -EINVAL;
        if (!(w->bitset & bitset))
            continue;
        futex_take(b, w, taken);
        if (++count >= n)
            break;
    }
    return count;
}

static __attribute__((noinline)) long wake_slow(struct futex_bucket *b, int *address, int n, uint32_t bitset)
{
    struct futex_waiters taken = TAILQ_HEAD_INITIALIZER(taken);
    futex_lock_bucket(b);
    long result = take_matching(b, address, n, bitset, &taken);
    mutex_unlock(&b->lock);
    futex_wake_taken(&taken);
    return result;
}

static inline long futex_wake(int *address, int n, uint32_t bitset)
{
    struct futex_bucket *b = futex_bucket(address);
    if (!bitset)
        return -EINVAL;
    return futex_is_deserted(b) ? 0 : wake_slow(b, address, n, bitset);
}

int futex_wake_address(int *address, int n) { return (int)futex_wake(address, n, FUTEX_BITSET_MATCH_ANY); }

/* With both mutexes held. */
static long take_and_move(struct futex_bucket *a, int *from, struct futex_bucket *b, int *to, int wake, int move,
                          struct futex_waiters *taken)
{
    struct futex_waiter *w, *next;
    long count = 0;
    for (w = TAILQ_FIRST(&a->waiters); w && count < (long)wake + move; w = next) {
        next = TAILQ_NEXT(w, link);
        if (w->address != from)
            continue;
        if (!is_plain(w))
            return -EINVAL;
        if (++count <= wake)
            futex_take(a, w, taken);
        else
            futex_move(a, b, w, to);
    }
    return count; /* futex(2) says otherwise of REQUEUE, but Linux counts woken and moved for both */
}

static long futex_requeue(int *from, int *to, int wake, int move, bool compare, int expected)
{
    struct futex_bucket *a = futex_bucket(from), *b = futex_bucket(to);
    struct futex_waiters taken = TAILQ_HEAD_INITIALIZER(taken);
    if (wake < 0 || move < 0)
        return -EINVAL;
    if (compare && futex_load(from) != (unsigned)expected)
        return -EAGAIN;
    if (futex_is_deserted(a))
        return 0;
    futex_lock_two(a, b);
    long result = compare && futex_load(from) != (unsigned)expected ? -EAGAIN : take_and_move(a, from, b, to, wake, move, &taken);
    futex_unlock_two(a, b);
    futex_wake_taken(&taken);
    return result;
}

/* Does what op says to the word and returns what it was. */
static int change(int *address, unsigned code, int argument)
{
    unsigned old = futex_load(address), new, arg = (unsigned)argument;
    do {
        switch (code) {
        case FUTEX_OP_SET: new = arg; break;
        case FUTEX_OP_ADD: new = old + arg; break;
        case FUTEX_OP_OR: new = old | arg; break;
        case FUTEX_OP_ANDN: new = old & ~arg; break;
        default: new = old ^ arg;
        }
    } while (!futex_compare_exchange(address, &old, new));
    return (int)old;
}

static bool compares(unsigned comparison, int a, int b)
{
    switch (comparison) {
    case FUTEX_OP_CMP_EQ: return a == b;
    case FUTEX_OP_CMP_NE: return a != b;
    case FUTEX_OP_CMP_LT: return a < b;
    case FUTEX_OP_CMP_LE: return a <= b;
    case FUTEX_OP_CMP_GT: return a > b;
    default: return a >= b;
    }
}

/* Changes *second, wakes on first, and on second if its old value compares true. */
static long futex_wake_op(int *first, int n, int *second, int n2, uint32_t op)
{
    struct futex_bucket *a = futex_bucket(first), *b = futex_bucket(second);
    struct futex_waiters taken = TAILQ_HEAD_INITIALIZER(taken);
    int arg = (int)(op << 8) >> 20, cmp_arg = (int)(op << 20) >> 20;
    unsigned code = op >> 28 & 7, comparison = op >> 24 & 15;
    if (op >> 31)
        arg = (int)(1u << (arg & 31));
    if (code > FUTEX_OP_XOR)
        return -ENOSYS;
    futex_lock_two(a, b);
    int old = change(second, code, arg);
    long result = comparison > FUTEX_OP_CMP_GE ? -ENOSYS : take_matching(a, first, n, FUTEX_BITSET_MATCH_ANY, &taken);
    if (result >= 0 && compares(comparison, old, cmp_arg)) {
        long more = take_matching(b, second, n2, FUTEX_BITSET_MATCH_ANY, &taken);
        result = more < 0 ? more : result + more;
    }
    futex_unlock_two(a, b);
    futex_wake_taken(&taken);
    return result;
}

/* What each operation has. */
#define WAITS 1u      /* the fourth argument is a time */
#define RELATIVE 2u   /* from now on, by the monotonic clock; else a point in time */
#define ANY_CLOCK 4u  /* FUTEX_CLOCK_REALTIME may choose */
#define REALTIME 8u   /* always that clock */
#define TWO 16u       /* a second address */
#define ALWAYS 32u    /* goes on after a signal's handlers, whatever they say */
#define KNOWN 64u
static const uint8_t features[] = {
    [FUTEX_WAIT] = KNOWN | WAITS | RELATIVE,
    [FUTEX_WAKE] = KNOWN,
    [FUTEX_REQUEUE] = KNOWN | TWO,
    [FUTEX_CMP_REQUEUE] = KNOWN | TWO,
    [FUTEX_WAKE_OP] = KNOWN | TWO,
    [FUTEX_LOCK_PI] = KNOWN | WAITS | REALTIME | ALWAYS,
    [FUTEX_UNLOCK_PI] = KNOWN,
    [FUTEX_TRYLOCK_PI] = KNOWN,
    [FUTEX_WAIT_BITSET] = KNOWN | WAITS | ANY_CLOCK,
    [FUTEX_WAKE_BITSET] = KNOWN,
    [FUTEX_WAIT_REQUEUE_PI] = KNOWN | WAITS | ANY_CLOCK | TWO | ALWAYS,
    [FUTEX_CMP_REQUEUE_PI] = KNOWN | TWO,
    [FUTEX_LOCK_PI2] = KNOWN | WAITS | ANY_CLOCK | ALWAYS,
};

static long check_address(const int *address)
{
    return (uint64_t)address & 3 ? -EINVAL : user_range_ok(address, 4) ? 0 : -EFAULT;
}

static long find_deadline(unsigned has, const struct timespec64 *timeout, uint64_t *deadline)
{
    *deadline = TIME_NEVER;
    if (!(has & WAITS) || !timeout)
        return 0;
    if (!user_range_ok(timeout, sizeof(*timeout)))
        return -EFAULT;
    if (!timespec_valid(timeout))
        return -EINVAL;
    *deadline = timespec_ns(timeout);
    if (has & RELATIVE)
        *deadline = deadline_after(*deadline);
    return 0;
}

static long operate(int *address, int cmd, int val, uint64_t deadline, bool realtime, int val2, int *address2, uint32_t val3)
{
    switch (cmd) {
    case FUTEX_WAIT: return futex_wait(address, val, deadline, realtime, FUTEX_BITSET_MATCH_ANY);
    case FUTEX_WAIT_BITSET: return futex_wait(address, val, deadline, realtime, val3);
    case FUTEX_WAKE: return futex_wake(address, val, FUTEX_BITSET_MATCH_ANY);
    case FUTEX_WAKE_BITSET: return futex_wake(address, val, val3);
    case FUTEX_REQUEUE: return futex_requeue(address, address2, val, val2, false, 0);
    case FUTEX_CMP_REQUEUE: return futex_requeue(address, address2, val, val2, true, (int)val3);
    case FUTEX_WAKE_OP: return futex_wake_op(address, val, address2, val2, val3);
    case FUTEX_LOCK_PI:
    case FUTEX_LOCK_PI2: return futex_lock_pi(address, deadline, realtime);
    case FUTEX_TRYLOCK_PI: return futex_trylock_pi(address);
    case FUTEX_UNLOCK_PI: return futex_unlock_pi(address);
    case FUTEX_WAIT_REQUEUE_PI: return futex_wait_requeue_pi(address, val, deadline, realtime, address2);
    default: return futex_cmp_requeue_pi(address, address2, val, val2, (int)val3);
    }
}

static __attribute__((noinline)) long any_operation(int *address, int op, int val, const struct timespec64 *timeout, int *address2,
                                                    uint32_t val3)
{
    unsigned cmd = (unsigned)(op & FUTEX_CMD_MASK), has = cmd < ARRAY_SIZE(features) ? features[cmd] : 0;
    bool realtime = op & FUTEX_CLOCK_REALTIME;
    uint64_t deadline;

    if (!has || (realtime && !(has & ANY_CLOCK)))
        return -ENOSYS;
    long result = find_deadline(has, timeout, &deadline);
    if (!result)
        result = check_address(address);
    if (!result && (has & TWO))
        result = check_address(address2);
    if (result)
        return result;
    for (;;) {
        result = operate(address, (int)cmd, val, deadline, realtime || (has & REALTIME), (int)(long)timeout, address2, val3);
        if (likely(result != -EINTR))
            return result;
        /* signal(7): a wait without a time-out is restarted where the handlers have SA_RESTART */
        bool restart = signal_deliver();
        if (!(has & ALWAYS) && (!restart || timeout))
            return result;
    }
}

SYSCALL(futex, 6, "uaddr, op, val, timeout, uaddr2, val3", SYSCALL_COMPLETE)
long sys_futex(int *address, int op, int val, const struct timespec64 *timeout, int *address2, uint32_t val3)
{
    /* the most frequent call by far: an unlock that finds nobody; it needs no stack frame */
    if ((op & ~FUTEX_PRIVATE_FLAG) == FUTEX_WAKE && !check_address(address) && futex_is_deserted(futex_bucket(address)))
        return 0;
    return any_operation(address, op, val, timeout, address2, val3);
}
