/* The futex system call itself: each operation, its counts and its errors. */
#include "check.h"
#include <limits.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <sys/syscall.h>

static _Atomic int word, other;
static _Atomic int sleeping, returned;

static long futex(_Atomic int *address, int op, int value, const struct timespec *timeout, _Atomic int *second, unsigned value3)
{
    return syscall(SYS_futex, address, op, value, timeout, second, value3);
}

static void errors(void)
{
    struct timespec soon = {0, 10000000}, bad = {0, 1000000000};
    word = 5;
    fails(futex(&word, FUTEX_WAIT, 4, NULL, NULL, 0), EAGAIN, "WAIT with another value");
    uint64_t before = now_ns();
    fails(futex(&word, FUTEX_WAIT_PRIVATE, 5, &soon, NULL, 0), ETIMEDOUT, "WAIT times out");
    check(now_ns() - before >= 10000000, "not early");
    fails(futex(&word, FUTEX_WAIT, 5, &bad, NULL, 0), EINVAL, "WAIT with a bad time");
    struct timespec past = {1, 0};
    fails(futex(&word, FUTEX_WAIT_BITSET, 5, &past, NULL, FUTEX_BITSET_MATCH_ANY), ETIMEDOUT, "WAIT_BITSET with a time past");
    fails(futex(&word, FUTEX_WAIT_BITSET, 5, &soon, NULL, 0), EINVAL, "WAIT_BITSET with no bits");
    fails(futex(&word, FUTEX_WAKE_BITSET, 1, NULL, NULL, 0), EINVAL, "WAKE_BITSET with no bits");
    fails(futex((void *)((char *)&word + 1), FUTEX_WAIT, 5, &soon, NULL, 0), EINVAL, "an unaligned address");
    fails(futex(&word, 99, 0, NULL, NULL, 0), ENOSYS, "an unknown operation");
    equal(futex(&word, FUTEX_WAKE, 10, NULL, NULL, 0), 0, "WAKE without waiters");
    fails(futex(&word, FUTEX_CMP_REQUEUE, 1, (void *)1, &other, 6), EAGAIN, "CMP_REQUEUE with another value");
}

struct wait {
    int op;
    unsigned bits;
};

static void *waiter(void *arg)
{
    struct wait *w = arg;
    sleeping++;
    long r = futex(&word, w->op, 0, NULL, NULL, w->bits);
    if (r == 0)
        returned++;
    return (void *)r;
}

static pthread_t threads[8];

static void start_waiters(int n, struct wait *w, int each)
{
    sleeping = returned = 0;
    word = other = 0;
    for (int i = 0; i < n; i++)
        threads[i] = start(waiter, each ? &w[i] : w);
    while (sleeping != n)
        sched_yield();
    sleep_ms(20); /* from there into the kernel: nothing says when; the checks below retry where it matters */
}

static void join_waiters(int n)
{
    for (int i = 0; i < n; i++)
        pthread_join(threads[i], NULL);
}

static void wake_counts(void)
{
    struct wait w = {FUTEX_WAIT_PRIVATE, 0};
    start_waiters(6, &w, 0);
    equal(futex(&word, FUTEX_WAKE_PRIVATE, 2, NULL, NULL, 0), 2, "WAKE 2 of 6");
    check(eventually(returned == 2), "two return");
    sleep_ms(5);
    equal(returned, 2, "and no more");
    equal(futex(&word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0), 4, "WAKE all");
    join_waiters(6);
    equal(returned, 6, "all returned 0");
}

static void requeue(void)
{
    struct wait w = {FUTEX_WAIT, 0};
    start_waiters(5, &w, 0);
    equal(futex(&word, FUTEX_REQUEUE, 1, (void *)2, &other, 0), 3, "REQUEUE wakes one, moves two, counts both");
    check(eventually(returned == 1), "one returns");
    equal(futex(&other, FUTEX_WAKE, 10, NULL, NULL, 0), 2, "two are woken at the other address");
    equal(futex(&word, FUTEX_CMP_REQUEUE, 0, (void *)10, &other, 0), 2, "CMP_REQUEUE counts the moved, too");
    equal(futex(&word, FUTEX_WAKE, 10, NULL, NULL, 0), 0, "nobody left at the first");
    equal(futex(&other, FUTEX_WAKE, 10, NULL, NULL, 0), 2, "the rest at the other");
    join_waiters(5);
    equal(returned, 5, "all returned 0");
}

static void wake_op(void)
{
    struct wait w = {FUTEX_WAIT, 0};
    start_waiters(3, &w, 0);
    other = 7;
    /* other += 3; and as it was 7: wakes there (nobody) */
    equal(futex(&word, FUTEX_WAKE_OP, 1, (void *)10, &other, FUTEX_OP(FUTEX_OP_ADD, 3, FUTEX_OP_CMP_EQ, 7)), 1, "WAKE_OP wakes");
    equal(other, 10, "and adds");
    equal(futex(&other, FUTEX_WAKE_OP, 1, (void *)1, &word, FUTEX_OP(FUTEX_OP_SET, 0, FUTEX_OP_CMP_GT, 0)), 0, "comparison false");
    equal(futex(&other, FUTEX_WAKE_OP, 1, (void *)10, &word, FUTEX_OP(FUTEX_OP_OR, 4, FUTEX_OP_CMP_LE, 0)), 2, "comparison true");
    equal(word, 4, "and ors");
    join_waiters(3);
    other = -1;
    futex(&word, FUTEX_WAKE_OP, 0, NULL, &other, FUTEX_OP(FUTEX_OP_ANDN, 6, FUTEX_OP_CMP_EQ, 0));
    equal(other, ~6, "and-not");
    futex(&word, FUTEX_WAKE_OP, 0, NULL, &other, FUTEX_OP(FUTEX_OP_XOR, 0xfff, FUTEX_OP_CMP_EQ, 0));
    equal(other, ~6 ^ -1, "exclusive or, with a negative argument of 12 bits");
}

static void bitset(void)
{
    struct wait w[3] = {{FUTEX_WAIT_BITSET, 1}, {FUTEX_WAIT_BITSET, 2}, {FUTEX_WAIT_BITSET, 3}};
    start_waiters(3, w, 1);
    equal(futex(&word, FUTEX_WAKE_BITSET, 10, NULL, NULL, 4), 0, "bits that nobody has");
    equal(futex(&word, FUTEX_WAKE_BITSET, 10, NULL, NULL, 2), 2, "bit 1: two waiters");
    equal(futex(&word, FUTEX_WAKE, 10, NULL, NULL, 0), 1, "WAKE matches any bits");
    join_waiters(3);
}

/* Two threads hand a token to and fro 2,000 times. */
static _Atomic int turn;
static void *ping_pong(void *me)
{
    for (int i = 0; i < 2000; i++) {
        while (turn != (int)(long)me)
            futex(&turn, FUTEX_WAIT_PRIVATE, !(long)me, NULL, NULL, 0);
        turn = !(long)me;
        futex(&turn, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
    }
    return me;
}

static void to_and_fro(void)
{
    pthread_t a = start(ping_pong, (void *)0), b = start(ping_pong, (void *)1);
    pthread_join(a, NULL);
    pthread_join(b, NULL);
    equal(turn, 0, "2,000 hand-overs");
}

int main(void)
{
    run(errors);
    run(wake_counts);
    run(requeue);
    run(wake_op);
    run(bitset);
    run(to_and_fro);
    return 0;
}
