/* SOURCES: sched/mutex.c sched/lockstat.c tests/unit/host/host.c */
/* SANITIZE: thread */
/* CFLAGS: -Wno-tsan */
/* Futexes with many threads and delays before every atomic operation, under ThreadSanitizer: a mutex and a condition variable built on them as C libraries do,
   storms of waits with time-outs, wake-ups and requeues; then the edges of each operation. A hang is a failure by alarm. PI futexes have a test of their own. */
#include <asm/errno.h>
#include <kernel/clock.h>
#include <kernel/futex.h>
#include <kernel/syscall.h>
#include <kernel/timespec.h>
#include <kernel/user.h>
#include <linux/futex.h>
#include <sched/thread.h>
#include <sched/waitq.h>
#include "futex_threads.h"
#include "delays.h"

#include "../../kernel/linux/futex_queue.c"
#include "../../kernel/linux/futex.c"
#include "../../kernel/linux/futex_pi.c"
#include "../../kernel/linux/futex_robust.c"

#include "host/host.h"
#include "tap.h"

unsigned alarm(unsigned seconds);

#define THREADS 8
#define ROUNDS 4000

static long call(_Atomic int *address, int op, int val, const void *timeout, _Atomic int *address2, uint32_t val3)
{
    return sys_futex((int *)address, op | FUTEX_PRIVATE_FLAG, val, timeout, (int *)address2, val3);
}

/* ---- a mutex: 0 free, 1 held, 2 held and waited for (Drepper, "Futexes are tricky") ---- */

static _Atomic int lock_word;

static void lock_it(void)
{
    int c = 0;
    if (atomic_compare_exchange_strong_explicit(&lock_word, &c, 1, memory_order_acquire, memory_order_relaxed))
        return;
    while (atomic_exchange_explicit(&lock_word, 2, memory_order_acquire) != 0)
        (void)call(&lock_word, FUTEX_WAIT, 2, NULL, NULL, 0);
}

static void unlock_it(void)
{
    if (atomic_exchange_explicit(&lock_word, 0, memory_order_release) == 2)
        (void)call(&lock_word, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static long plain;
static void locker(void *arg)
{
    for (int i = 0; i < ROUNDS; i++) {
        lock_it();
        plain++;
        if (delay_random() % 8 == 0)
            sched_yield();
        unlock_it();
    }
}

static bool all_empty(void)
{
    bool empty = true;
    for (unsigned i = 0; i < FUTEX_BUCKETS; i++)
        empty &= TAILQ_EMPTY(&futex_buckets[i].waiters) && futex_buckets[i].count == 0;
    return empty;
}

static void run(void (*fn)(void *), unsigned n)
{
    struct host_thread *t[16];
    for (unsigned long i = 0; i < n; i++)
        t[i] = host_spawn(fn, (void *)i);
    for (unsigned i = 0; i < n; i++)
        host_join(t[i]);
}

/* ---- a condition variable whose broadcast moves the waiters to the mutex ---- */

static _Atomic int sequence;
static long turn;

static void take_turns(void *arg)
{
    long me = (long)arg;
    for (int i = 0; i < 300; i++) {
        lock_it();
        while (turn % THREADS != me) {
            int seen = sequence;
            unlock_it();
            (void)call(&sequence, FUTEX_WAIT, seen, NULL, NULL, 0);
            while (atomic_exchange_explicit(&lock_word, 2, memory_order_acquire) != 0) /* as waited for: others may have been moved here */
                (void)call(&lock_word, FUTEX_WAIT, 2, NULL, NULL, 0);
        }
        turn++;
        for (;;) {
            int now = ++sequence;
            if (call(&sequence, FUTEX_CMP_REQUEUE, 1, (void *)(long)__INT_MAX__, &lock_word, (uint32_t)now) != -EAGAIN)
                break;
        }
        atomic_exchange_explicit(&lock_word, 0, memory_order_release);
        (void)call(&lock_word, FUTEX_WAKE, 1, NULL, NULL, 0);
    }
}

/* ---- a storm: everybody waits with short time-outs, wakes, requeues ---- */

static _Atomic int words[6];
static _Atomic long woken_sum, waits_ended, timed_out;
static _Atomic bool strange;

static void storm(void *arg)
{
    for (int i = 0; i < ROUNDS; i++) {
        _Atomic int *a = &words[delay_random() % 6], *b = &words[delay_random() % 6];
        struct timespec64 t = {0, (int64_t)(delay_random() % 60000)};
        long r;
        switch (delay_random() % 5) {
        case 0:
        case 1:
            r = call(a, FUTEX_WAIT, 0, &t, NULL, 0);
            if (r == 0)
                waits_ended++;
            else if (r == -ETIMEDOUT)
                timed_out++;
            else
                strange = true;
            break;
        case 2:
            r = call(a, FUTEX_WAKE, (int)(delay_random() % 3) + 1, NULL, NULL, 0);
            woken_sum += r;
            strange = strange || r < 0 || r > 3;
            break;
        case 3: { /* the result counts both the woken and the moved, so one of them is none */
            int wake = (int)(delay_random() % 2), move = wake ? 0 : (int)(delay_random() % 4);
            r = call(a, FUTEX_REQUEUE, wake, (void *)(long)move, b, 0);
            woken_sum += wake ? r : 0;
            strange = strange || r < 0 || r > wake + move;
            break;
        }
        default:
            r = call(a, FUTEX_WAKE_OP, 1, (void *)1l, b, FUTEX_OP(FUTEX_OP_ADD, 0, FUTEX_OP_CMP_EQ, 0));
            woken_sum += r;
            strange = strange || r < 0 || r > 2;
        }
    }
}

static void test_storms(void)
{
    run(locker, THREADS);
    ok(plain == THREADS * ROUNDS, "a mutex on futexes: no update lost, no wake-up lost");
    run(take_turns, THREADS);
    ok(turn == THREADS * 300, "a condition variable with requeue: every thread gets its turns");
    run(storm, THREADS);
    printf("# waits ended by wake-ups %ld, woken %ld, timed out %ld\n", (long)waits_ended, (long)woken_sum, (long)timed_out);
    ok(!strange && waits_ended == woken_sum, "a storm: each wake-up that was counted ended one wait");
    ok(all_empty(), "no waiter is left behind");
}

/* ---- single operations ---- */

static _Atomic int word, other;
static _Atomic int inside, returned;
static uint32_t masks[4] = {1, 2, 4, 6};

static void waiter(void *arg)
{
    inside++;
    if (call(&word, FUTEX_WAIT_BITSET, 7, NULL, NULL, masks[(long)arg % 4]) == 0)
        returned++;
}

static unsigned queued(void)
{
    unsigned n = 0;
    for (unsigned i = 0; i < FUTEX_BUCKETS; i++) {
        struct futex_waiter *w;
        futex_lock_bucket(&futex_buckets[i]);
        TAILQ_FOREACH(w, &futex_buckets[i].waiters, link)
            n++;
        mutex_unlock(&futex_buckets[i].lock);
    }
    return n;
}

static void wait_until(unsigned waiting, int back)
{
    while (queued() != waiting || returned != back)
        sched_yield();
}

static void test_counts(void)
{
    struct host_thread *t[4];
    word = 7;
    for (long i = 0; i < 4; i++)
        t[i] = host_spawn(waiter, (void *)i);
    wait_until(4, 0);
    ok(call(&word, FUTEX_WAKE_BITSET, 100, NULL, NULL, 8) == 0, "a bit set that nobody waits for");
    ok(call(&word, FUTEX_WAKE_BITSET, 100, NULL, NULL, 4) == 2, "a bit set wakes those that have a bit in common");
    wait_until(2, 2);
    ok(call(&word, FUTEX_CMP_REQUEUE, 0, (void *)5l, &other, 8) == -EAGAIN, "requeue compares");
    ok(call(&word, FUTEX_CMP_REQUEUE, 0, (void *)5l, &word, 7) == 2, "requeue to the same address ends");
    ok(call(&word, FUTEX_CMP_REQUEUE, 0, (void *)1l, &other, 7) == 1, "requeue one");
    ok(call(&other, FUTEX_WAKE, 100, NULL, NULL, 0) == 1, "it waits at the other address");
    wait_until(1, 3);
    ok(futex_wake_address((int *)&word, 100) == 1, "and the last one where it was");
    wait_until(0, 4);
    for (int i = 0; i < 4; i++)
        host_join(t[i]);
}

static void test_edges(void)
{
    struct timespec64 t = {0, 2000000}, bad = {0, 1000000000}, negative = {-1, 0}, past = {1, 0}, ever = {INT64_MAX, 999999999};
    uint64_t start = clock_monotonic_ns();
    word = 7;
    ok(call(&word, FUTEX_WAIT, 6, NULL, NULL, 0) == -EAGAIN && call(&word, FUTEX_WAIT, 6, &ever, NULL, 0) == -EAGAIN, "another value");
    ok(call(&word, FUTEX_WAIT, 7, &t, NULL, 0) == -ETIMEDOUT && clock_monotonic_ns() - start >= 2000000, "a time-out, not too early");
    ok(call(&word, FUTEX_WAIT_BITSET, 7, &past, NULL, 1) == -ETIMEDOUT, "an absolute time in the past");
    ok(call(&word, FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME, 7, &past, NULL, 1) == -ETIMEDOUT, "on the other clock");
    ok(call(&word, FUTEX_WAIT, 7, &bad, NULL, 0) == -EINVAL && call(&word, FUTEX_WAIT, 7, &negative, NULL, 0) == -EINVAL, "times that are none");
    ok(call(&word, FUTEX_WAIT_BITSET, 7, NULL, NULL, 0) == -EINVAL && call(&word, FUTEX_WAKE_BITSET, 1, NULL, NULL, 0) == -EINVAL, "an empty bit set");
    ok(sys_futex((int *)((char *)&word + 1), FUTEX_WAKE, 1, NULL, NULL, 0) == -EINVAL, "an address that is not aligned");
    ok(sys_futex(NULL, FUTEX_WAIT, 1, NULL, NULL, 0) == -EFAULT && sys_futex((int *)0xffff800000000000, FUTEX_WAKE, 1, NULL, NULL, 0) == -EFAULT, "addresses that are nobody's");
    ok(call(&word, FUTEX_REQUEUE, 1, (void *)1l, NULL, 0) == -EFAULT && call(&word, FUTEX_REQUEUE, -1, (void *)1l, &other, 0) == -EINVAL, "requeue's arguments");
    ok(call(&word, FUTEX_FD, 0, NULL, NULL, 0) == -ENOSYS && call(&word, 99, 0, NULL, NULL, 0) == -ENOSYS && call(&word, -1, 0, NULL, NULL, 0) == -ENOSYS, "what is not there");
    bool none = true;
    static const int no_choice[] = {FUTEX_WAIT, FUTEX_WAKE, FUTEX_REQUEUE, FUTEX_CMP_REQUEUE, FUTEX_WAKE_OP, FUTEX_LOCK_PI, FUTEX_UNLOCK_PI, FUTEX_TRYLOCK_PI, FUTEX_WAKE_BITSET, FUTEX_CMP_REQUEUE_PI};
    for (unsigned i = 0; i < ARRAY_SIZE(no_choice); i++)
        none &= call(&word, no_choice[i] | FUTEX_CLOCK_REALTIME, 0, NULL, &other, 0) == -ENOSYS;
    ok(none, "operations whose clock cannot be chosen");
    ok(call(&word, FUTEX_WAIT, 7, (void *)8, NULL, 0) == -EFAULT && call(&word, FUTEX_LOCK_PI, 0, (void *)8, NULL, 0) == -EFAULT, "a time at an address that is nobody's");
    static const struct {
        uint32_t op;
        int from, to;
    } ops[] = {
        {FUTEX_OP(FUTEX_OP_SET, 5, FUTEX_OP_CMP_EQ, 0), 9, 5},       {FUTEX_OP(FUTEX_OP_ADD, 0xfff, FUTEX_OP_CMP_NE, 0), 9, 8},
        {FUTEX_OP(FUTEX_OP_ADD, 1, FUTEX_OP_CMP_LT, 0), __INT_MAX__, -__INT_MAX__ - 1}, {FUTEX_OP(FUTEX_OP_OR, 6, FUTEX_OP_CMP_LE, 0), 9, 15},
        {FUTEX_OP(FUTEX_OP_ANDN, 8, FUTEX_OP_CMP_GT, 0), 9, 1},      {FUTEX_OP(FUTEX_OP_XOR, 3, FUTEX_OP_CMP_GE, 0), 9, 10},
        {FUTEX_OP((FUTEX_OP_SET | 8u), 4, FUTEX_OP_CMP_GE, 0), 9, 16},
    };
    bool right = true;
    for (unsigned i = 0; i < ARRAY_SIZE(ops); i++) {
        other = ops[i].from;
        right &= call(&word, FUTEX_WAKE_OP, 1, (void *)1l, &other, ops[i].op) == 0 && other == ops[i].to;
    }
    ok(right, "the operations of FUTEX_WAKE_OP");
    ok(call(&word, FUTEX_WAKE_OP, 1, (void *)1l, &other, FUTEX_OP(6u, 0, 0, 0)) == -ENOSYS, "and one that is none");
    other = 9;
    ok(call(&word, FUTEX_WAKE_OP, 1, (void *)1l, &other, FUTEX_OP(FUTEX_OP_SET, 5, 6u, 0)) == -ENOSYS && other == 5, "an unknown comparison comes after the operation");
}

/* ---- priorities, signals ---- */

static _Atomic int order[4], ended;
static void by_priority(void *arg)
{
    enlist();
    me()->priority = (int)(long)arg;
    if (call(&word, FUTEX_WAIT, 7, NULL, NULL, 0) == 0)
        order[ended++] = (int)(long)arg;
}

static void test_priorities(void)
{
    static const long given[4] = {0, 10, 0, 20};
    struct host_thread *t[4];
    bool one_by_one = true;
    word = 7;
    for (unsigned i = 0; i < 4; i++) {
        t[i] = host_spawn(by_priority, (void *)given[i]);
        wait_until(i + 1, 4);
    }
    for (int i = 0; i < 4; i++) {
        one_by_one &= call(&word, FUTEX_WAKE, i % 2, NULL, NULL, 0) == 1; /* 0 wakes one as well */
        while (ended != i + 1)
            sched_yield();
    }
    for (int i = 0; i < 4; i++)
        host_join(t[i]);
    ok(one_by_one && order[0] == 20 && order[1] == 10 && order[2] == 0 && order[3] == 0, "the waiter of highest priority is woken first");
}

static struct person *_Atomic sleeper;
static _Atomic long sleeper_result;
static _Atomic bool sleeper_back;
static void interrupted_wait(void *timeout)
{
    enlist();
    me()->restart = true;
    sleeper = me();
    sleeper_result = call(&word, FUTEX_WAIT, 7, timeout, NULL, 0);
    sleeper_back = true;
}

static struct person *sleep_and_interrupt(struct timespec64 *timeout, struct host_thread **t)
{
    sleeper = NULL;
    sleeper_back = false;
    *t = host_spawn(interrupted_wait, timeout);
    wait_until(1, 4);
    interrupt(sleeper);
    while (!sleeper->delivered)
        sched_yield();
    return sleeper;
}

static void test_signals(void)
{
    struct timespec64 long_time = {1000, 0};
    struct host_thread *t;
    struct person *p = sleep_and_interrupt(NULL, &t);
    wait_until(1, 4);
    ok(!sleeper_back, "a wait is restarted where the handlers say so");
    p->restart = false;
    interrupt(p);
    host_join(t);
    ok(sleeper_result == -EINTR && p->delivered == 2, "and ends where they do not");
    sleep_and_interrupt(&long_time, &t);
    host_join(t);
    ok(sleeper_result == -EINTR, "and if it has a time-out");
    ok(all_empty(), "nothing is left behind");
}

int main(void)
{
    alarm(900);
    test_storms();
    test_counts();
    test_edges();
    test_priorities();
    test_signals();
    return done();
}
