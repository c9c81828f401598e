/* Futexes: waiters in a hash table by address, a mutex for each bucket. The comparison with the expected value happens under the bucket's mutex, so a waker that changed the
   value first and then takes the mutex cannot be missed. PI operations answer ENOSYS.

   Requeue takes both buckets' mutexes in the order of their addresses. linux/futex.h; futex(2). */
#include <asm/errno.h>
#include <kernel/clock.h>
#include <kernel/futex.h>
#include <kernel/syscall.h>
#include <kernel/timespec.h>
#include <kernel/user.h>
#include <linux/futex.h>
#include <sched/thread.h>
#include <sched/waitq.h>
#include <stdatomic.h>
#include <sys/queue.h>

#define BUCKETS 64u /* power of two */
#define ROBUST_MAX 2048

struct futex_waiter {
    TAILQ_ENTRY(futex_waiter) link;
    struct thread *thread;
    const int *address;             /* of the bucket it is in; changed by requeue with both mutexes held */
    struct futex_bucket *_Atomic bucket;
    uint32_t bitset;
    _Atomic bool woken;
};
struct futex_bucket {
    struct mutex lock; /* protects waiters */
    TAILQ_HEAD(, futex_waiter) waiters; /* a zeroed head is made valid on first use */
    bool ready;
};
static struct futex_bucket buckets[BUCKETS];

static struct futex_bucket *bucket_of(const int *address)
{
    return &buckets[((uint64_t)address >> 2) * 0x9e3779b97f4a7c15ull >> 58];
}

static void lock(struct futex_bucket *b)
{
    mutex_lock(&b->lock);
    if (!b->ready) {
        TAILQ_INIT(&b->waiters);
        b->ready = true;
    }
}

static int load(const int *address) { return atomic_load_explicit((const _Atomic int *)address, memory_order_seq_cst); }

static long futex_wait(int *address, int expected, uint64_t deadline, bool realtime, uint32_t bitset)
{
    struct futex_bucket *b = bucket_of(address);
    struct futex_waiter w = {.thread = thread_current(), .address = address, .bucket = b, .bitset = bitset};
    long result = 0;

    if (!bitset)
        return -EINVAL;
    lock(b);
    if (load(address) != expected) {
        mutex_unlock(&b->lock);
        return -EAGAIN;
    }
    TAILQ_INSERT_TAIL(&b->waiters, &w, link);
    mutex_unlock(&b->lock);
    for (;;) {
        thread_wait_prepare();
        if (atomic_load_explicit(&w.woken, memory_order_acquire))
            break;
        uint64_t now = realtime ? clock_realtime_ns() : clock_monotonic_ns();
        if (thread_interrupted())
            result = -EINTR;
        else if (deadline != TIME_NEVER && now >= deadline)
            result = -ETIMEDOUT;
        if (result)
            break;
        thread_wait_until(deadline == TIME_NEVER ? TIME_NEVER : deadline_after(deadline - now));
    }
    thread_wait_cancel();
    if (!result)
        return 0;
    for (;;) { /* requeue may have moved us */
        b = atomic_load_explicit(&w.bucket, memory_order_acquire);
        mutex_lock(&b->lock);
        if (b == atomic_load_explicit(&w.bucket, memory_order_relaxed))
            break;
        mutex_unlock(&b->lock);
    }
    bool woken = atomic_load_explicit(&w.woken, memory_order_relaxed);
    if (!woken)
        TAILQ_REMOVE(&b->waiters, &w, link);
    mutex_unlock(&b->lock);
    return woken ? 0 : result;
}

static void wake_locked(struct futex_bucket *b, struct futex_waiter *w)
{
    struct thread *t = w->thread;
    TAILQ_REMOVE(&b->waiters, w, link);
    /* release: after this the waiter's frame may be gone */
    atomic_store_explicit(&w->woken, true, memory_order_release);
    thread_wake(t);
}

static long wake_matching(struct futex_bucket *b, const int *address, int n, uint32_t bitset)
{
    struct futex_waiter *w, *next;
    long woken = 0;
    for (w = TAILQ_FIRST(&b->waiters); w && woken < n; w = next) {
        next = TAILQ_NEXT(w, link);
        if (w->address == address && (w->bitset & bitset)) {
            wake_locked(b, w);
            woken++;
        }
    }
    return woken;
}

static long futex_wake(int *address, int n, uint32_t bitset)
{
    struct futex_bucket *b = bucket_of(address);
    if (!bitset)
        return -EINVAL;
    lock(b);
    long woken = wake_matching(b, address, n, bitset);
    mutex_unlock(&b->lock);
    return woken;
}

static void lock_two(struct futex_bucket *a, struct futex_bucket *b)
{
    lock(a < b ? a : b);
    if (a != b)
        lock(a < b ? b : a);
}

static void unlock_two(struct futex_bucket *a, struct futex_bucket *b)
{
    mutex_unlock(&a->lock);
    if (a != b)
        mutex_unlock(&b->lock);
}

static long futex_requeue(int *from, int *to, int wake, int move, bool compare, int expected)
{
    struct futex_bucket *a = bucket_of(from), *b = bucket_of(to);
    struct futex_waiter *w, *next;
    long woken, moved = 0;

    if (wake < 0 || move < 0)
        return -EINVAL;
    lock_two(a, b);
    if (compare && load(from) != expected) {
        unlock_two(a, b);
        return -EAGAIN;
    }
    woken = wake_matching(a, from, wake, FUTEX_BITSET_MATCH_ANY);
    for (w = TAILQ_FIRST(&a->waiters); w && moved < move; w = next) {
        next = TAILQ_NEXT(w, link);
        if (w->address != from)
            continue;
        w->address = to;
        moved++;
        if (a == b) /* it stays where it is, so that the loop ends even if from is to */
            continue;
        TAILQ_REMOVE(&a->waiters, w, link);
        TAILQ_INSERT_TAIL(&b->waiters, w, link);
        atomic_store_explicit(&w->bucket, b, memory_order_release);
    }
    unlock_two(a, b);
    return woken + moved; /* futex(2) says otherwise of REQUEUE, but Linux counts both for both */
}

/* FUTEX_WAKE_OP: changes *second, wakes on first, and on second if its old value compares true. */
static long futex_wake_op(int *first, int n, int *second, int n2, uint32_t op)
{
    struct futex_bucket *a = bucket_of(first), *b = bucket_of(second);
    int arg = (int)(op << 8) >> 20, cmp_arg = (int)(op << 20) >> 20, old, new;
    unsigned code = op >> 28 & 7, cmp = op >> 24 & 15;
    if (op >> 31)
        arg = 1 << (arg & 31);
    if (code > FUTEX_OP_XOR || cmp > FUTEX_OP_CMP_GE)
        return -ENOSYS;
    lock_two(a, b);
    old = load(second);
    do {
        switch (code) {
        case FUTEX_OP_SET: new = arg; break;
        case FUTEX_OP_ADD: new = (int)((unsigned)old + (unsigned)arg); break;
        case FUTEX_OP_OR: new = old | arg; break;
        case FUTEX_OP_ANDN: new = old & ~arg; break;
        default: new = old ^ arg;
        }
    } while (!atomic_compare_exchange_weak((_Atomic int *)second, &old, new));
    long woken = wake_matching(a, first, n, FUTEX_BITSET_MATCH_ANY);
    bool also = cmp == FUTEX_OP_CMP_EQ ? old == cmp_arg : cmp == FUTEX_OP_CMP_NE ? old != cmp_arg :
                cmp == FUTEX_OP_CMP_LT ? old < cmp_arg : cmp == FUTEX_OP_CMP_LE ? old <= cmp_arg :
                cmp == FUTEX_OP_CMP_GT ? old > cmp_arg : old >= cmp_arg;
    if (also)
        woken += wake_matching(b, second, n2, FUTEX_BITSET_MATCH_ANY);
    unlock_two(a, b);
    return woken;
}

int futex_wake_address(int *address, int n) { return (int)futex_wake(address, n, FUTEX_BITSET_MATCH_ANY); }

static void owner_died(int *address, int tid)
{
    int v = load(address);
    while ((v & FUTEX_TID_MASK) == tid) {
        if (atomic_compare_exchange_weak((_Atomic int *)address, &v, (int)((unsigned)v & FUTEX_WAITERS) | FUTEX_OWNER_DIED)) {
            if ((unsigned)v & FUTEX_WAITERS)
                futex_wake_address(address, 1);
            return;
        }
    }
}

void futex_exit_robust(void *list, size_t size, int tid)
{
    struct robust_list_head *head = list;
    if (!head || size != sizeof(*head) || !user_range_ok(head, sizeof(*head)))
        return;
    struct robust_list *entry = head->list.next, *pending = head->list_op_pending;
    for (int i = 0; entry != &head->list && i < ROBUST_MAX && user_range_ok(entry, sizeof(*entry)); i++) {
        struct robust_list *next = entry->next;
        if (entry != pending)
            owner_died((int *)((char *)entry + head->futex_offset), tid);
        entry = next;
    }
    if (pending && user_range_ok(pending, sizeof(*pending)))
        owner_died((int *)((char *)pending + head->futex_offset), tid);
}

SYSCALL(futex, 6, "uaddr, op, val, timeout, uaddr2, val3", SYSCALL_PARTIAL) /* no PI operations */
long sys_futex(int *address, int op, int val, const struct timespec64 *timeout, int *address2, uint32_t val3)
{
    int cmd = op & FUTEX_CMD_MASK;
    bool realtime = op & FUTEX_CLOCK_REALTIME;
    uint64_t deadline = TIME_NEVER;

    if (((uint64_t)address & 3) || !user_range_ok(address, 4))
        return (uint64_t)address & 3 ? -EINVAL : -EFAULT;
    if (realtime && cmd != FUTEX_WAIT && cmd != FUTEX_WAIT_BITSET)
        return -ENOSYS;
    if ((cmd == FUTEX_WAIT || cmd == FUTEX_WAIT_BITSET) && timeout) {
        if (!timespec_valid(timeout))
            return -EINVAL;
        deadline = timespec_ns(timeout); /* relative for WAIT, absolute for WAIT_BITSET */
        if (cmd == FUTEX_WAIT) {
            deadline = deadline_after(deadline);
            realtime = false;
        }
    }
    if ((cmd == FUTEX_REQUEUE || cmd == FUTEX_CMP_REQUEUE || cmd == FUTEX_WAKE_OP) && (((uint64_t)address2 & 3) || !user_range_ok(address2, 4)))
        return -EFAULT;
    switch (cmd) {
    case FUTEX_WAIT: return futex_wait(address, val, deadline, realtime, FUTEX_BITSET_MATCH_ANY);
    case FUTEX_WAIT_BITSET: return futex_wait(address, val, deadline, realtime, val3);
    case FUTEX_WAKE: return futex_wake(address, val, FUTEX_BITSET_MATCH_ANY);
    case FUTEX_WAKE_BITSET: return futex_wake(address, val, val3);
    case FUTEX_REQUEUE: return futex_requeue(address, address2, val, (int)(long)timeout, false, 0);
    case FUTEX_CMP_REQUEUE: return futex_requeue(address, address2, val, (int)(long)timeout, true, (int)val3);
    case FUTEX_WAKE_OP: return futex_wake_op(address, val, address2, (int)(long)timeout, val3);
    default: return -ENOSYS;
    }
}
