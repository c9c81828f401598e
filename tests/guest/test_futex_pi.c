/* PI futexes: the system call's operations, mutexes that inherit priorities, robust ones whose owner dies. Priorities themselves need rights that a test on Linux may
   not have: tests/unit/test_futex_pi.c is about those. */
#include "check.h"
#include <limits.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/syscall.h>

static _Atomic unsigned word, other, third;

static long futex(_Atomic unsigned *address, int op, unsigned value, const struct timespec *timeout, _Atomic unsigned *second, unsigned value3)
{
    return syscall(SYS_futex, address, op | FUTEX_PRIVATE_FLAG, value, timeout, second, value3);
}
static long simple(_Atomic unsigned *address, int op) { return futex(address, op, 0, NULL, NULL, 0); }
static unsigned my_tid(void) { return (unsigned)syscall(SYS_gettid); }

static struct timespec in_ms(clockid_t clock, unsigned ms)
{
    struct timespec t;
    clock_gettime(clock, &t);
    uint64_t ns = (uint64_t)t.tv_nsec + ms * 1000000ull;
    t.tv_sec += (time_t)(ns / 1000000000);
    t.tv_nsec = (long)(ns % 1000000000);
    return t;
}

static void alone(void)
{
    unsigned me = my_tid();
    word = 0;
    equal(simple(&word, FUTEX_LOCK_PI), 0, "LOCK_PI of a free one");
    equal(word, me, "is ours");
    fails(simple(&word, FUTEX_LOCK_PI), EDEADLK, "not twice");
    fails(syscall(SYS_futex, &word, FUTEX_LOCK_PI, 0, NULL), EDEADLK, "nor as a shared one");
    fails(simple(&word, FUTEX_LOCK_PI2), EDEADLK, "not by LOCK_PI2");
    fails(simple(&word, FUTEX_TRYLOCK_PI), EDEADLK, "not by TRYLOCK_PI");
    equal(simple(&word, FUTEX_UNLOCK_PI), 0, "UNLOCK_PI");
    equal(word, 0, "is free");
    fails(simple(&word, FUTEX_UNLOCK_PI), EPERM, "not twice");
    equal(simple(&word, FUTEX_TRYLOCK_PI), 0, "TRYLOCK_PI of a free one");
    word = 0;
    word = FUTEX_OWNER_DIED | FUTEX_WAITERS;
    equal(simple(&word, FUTEX_LOCK_PI), 0, "LOCK_PI of a dead owner's");
    equal(word, me | FUTEX_OWNER_DIED, "tells");
    word = 0x1fffffff;
    fails(simple(&word, FUTEX_LOCK_PI), ESRCH, "an owner that does not exist");
    word = 0x1fffffff;
    fails(simple(&word, FUTEX_TRYLOCK_PI), ESRCH, "nor for TRYLOCK_PI");
    fails(simple(&word, FUTEX_UNLOCK_PI), EPERM, "UNLOCK_PI of another's");
}

static void arguments(void)
{
    struct timespec past = {1, 0}, bad = {0, 1000000000};
    word = 0;
    fails(simple(&word, FUTEX_LOCK_PI | FUTEX_CLOCK_REALTIME), ENOSYS, "LOCK_PI has one clock");
    fails(simple(&word, FUTEX_UNLOCK_PI | FUTEX_CLOCK_REALTIME), ENOSYS, "UNLOCK_PI has none");
    fails(futex(&word, FUTEX_WAIT | FUTEX_CLOCK_REALTIME, 1, NULL, NULL, 0), ENOSYS, "nor does WAIT choose");
    equal(simple(&word, FUTEX_LOCK_PI2 | FUTEX_CLOCK_REALTIME), 0, "LOCK_PI2 does");
    fails(futex(&word, FUTEX_LOCK_PI, 0, &bad, NULL, 0), EINVAL, "a bad time");
    fails(futex(&word, FUTEX_LOCK_PI, 0, (void *)8, NULL, 0), EFAULT, "a time at a bad address");
    fails(simple((void *)8, FUTEX_LOCK_PI), EFAULT, "a bad address");
    fails(simple((void *)((char *)&word + 2), FUTEX_LOCK_PI), EINVAL, "one that is not aligned");
    simple(&word, FUTEX_UNLOCK_PI);
    fails(futex(&word, FUTEX_WAIT_REQUEUE_PI, 0, &past, &word, 0), EINVAL, "WAIT_REQUEUE_PI to itself");
    fails(futex(&word, FUTEX_WAIT_REQUEUE_PI, 1, &past, &other, 0), EAGAIN, "WAIT_REQUEUE_PI with another value");
    fails(futex(&word, FUTEX_WAIT_REQUEUE_PI, 0, &past, &other, 0), ETIMEDOUT, "with a time past");
    fails(futex(&word, FUTEX_WAIT_REQUEUE_PI | FUTEX_CLOCK_REALTIME, 0, &past, &other, 0), ETIMEDOUT, "on the other clock");
    fails(futex(&word, FUTEX_WAIT_REQUEUE_PI, 0, &past, (void *)9, 0), EINVAL, "with a bad second address");
    fails(futex(&word, FUTEX_CMP_REQUEUE_PI, 2, (void *)1, &other, 0), EINVAL, "CMP_REQUEUE_PI wakes one");
    fails(futex(&word, FUTEX_CMP_REQUEUE_PI, 1, (void *)1, &word, 0), EINVAL, "CMP_REQUEUE_PI to itself");
    fails(futex(&word, FUTEX_CMP_REQUEUE_PI, 1, (void *)-1, &other, 0), EINVAL, "a negative number");
    fails(futex(&word, FUTEX_CMP_REQUEUE_PI, 1, (void *)1, &other, 4), EAGAIN, "CMP_REQUEUE_PI with another value");
    equal(futex(&word, FUTEX_CMP_REQUEUE_PI, 1, (void *)1, &other, 0), 0, "without waiters");
    equal(other, 0, "it takes nothing");
}

/* ---- with others ---- */

static void lock_word(_Atomic unsigned *w)
{
    unsigned c = 0;
    if (!atomic_compare_exchange_strong(w, &c, my_tid()) && simple(w, FUTEX_LOCK_PI))
        check(false, "LOCK_PI");
}

static void unlock_word(_Atomic unsigned *w)
{
    unsigned c = my_tid();
    if (!atomic_compare_exchange_strong(w, &c, 0) && simple(w, FUTEX_UNLOCK_PI))
        check(false, "UNLOCK_PI");
}

static long plain;
static void *adder(void *nothing)
{
    for (int i = 0; i < 2000; i++) {
        lock_word(&word);
        plain++;
        if (i % 16 == 0)
            sched_yield();
        unlock_word(&word);
    }
    return nothing;
}

static void contention(void)
{
    pthread_t t[8];
    word = plain = 0;
    for (int i = 0; i < 8; i++)
        t[i] = start(adder, NULL);
    for (int i = 0; i < 8; i++)
        pthread_join(t[i], NULL);
    equal(plain, 8 * 2000, "one at a time");
    equal(word, 0, "free in the end");
}

/* Locks a, then b, and gives both up. */
struct two {
    _Atomic unsigned *a, *b;
    long result;
};
static void *locks_two(void *arg)
{
    struct two *p = arg;
    lock_word(p->a);
    p->result = simple(p->b, FUTEX_LOCK_PI) ? errno : 0;
    if (!p->result)
        unlock_word(p->b);
    unlock_word(p->a);
    return NULL;
}

static void ring(void)
{
    struct two p = {.a = &other, .b = &word};
    word = other = 0;
    lock_word(&word);
    pthread_t t = start(locks_two, &p);
    check(eventually(word & FUTEX_WAITERS), "it waits for us");
    sleep_ms(20);
    fails(simple(&other, FUTEX_LOCK_PI), EDEADLK, "so we cannot wait for it");
    fails(simple(&other, FUTEX_TRYLOCK_PI), EAGAIN, "but try");
    unlock_word(&word);
    pthread_join(t, NULL);
    equal(p.result, 0, "it had both");
    equal(word | other, 0, "both are free");
}

static void *holds(void *until)
{
    lock_word(&word);
    other = 1;
    while (!*(_Atomic int *)until)
        sleep_ms(1);
    unlock_word(&word);
    return NULL;
}

static void timeouts(void)
{
    _Atomic int let_go = 0;
    word = other = 0;
    pthread_t t = start(holds, (void *)&let_go);
    check(eventually(other), "another one has it");
    static const struct {
        int op;
        clockid_t clock;
        const char *name;
    } ways[] = {{FUTEX_LOCK_PI, CLOCK_REALTIME, "LOCK_PI: the wall clock"},
                {FUTEX_LOCK_PI2, CLOCK_MONOTONIC, "LOCK_PI2: the monotonic clock"},
                {FUTEX_LOCK_PI2 | FUTEX_CLOCK_REALTIME, CLOCK_REALTIME, "LOCK_PI2: or the wall clock"}};
    for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
        uint64_t before = now_ns();
        struct timespec at = in_ms(ways[i].clock, 20);
        fails(futex(&word, ways[i].op, 0, &at, NULL, 0), ETIMEDOUT, "%s", ways[i].name);
        check(now_ns() - before >= 15000000, "not early");
    }
    fails(simple(&word, FUTEX_TRYLOCK_PI), EAGAIN, "trying fails at once");
    fails(simple(&word, FUTEX_UNLOCK_PI), EPERM, "unlocking is the owner's");
    let_go = 1;
    pthread_join(t, NULL);
    equal(word, 0, "the owner's unlock finds nobody");
}

static void *plain_waiter(void *nothing)
{
    futex(&word, FUTEX_WAIT, 0, NULL, NULL, 0);
    return nothing;
}
static void *pi_waiter(void *nothing)
{
    lock_word(&other);
    unlock_word(&other);
    return nothing;
}

static void mixed(void)
{
    word = other = 0;
    pthread_t t = start(plain_waiter, NULL);
    sleep_ms(50);
    fails(simple(&word, FUTEX_LOCK_PI), EINVAL, "LOCK_PI where somebody waits by WAIT");
    word = my_tid();
    fails(simple(&word, FUTEX_UNLOCK_PI), EINVAL, "UNLOCK_PI as well");
    equal(futex(&word, FUTEX_WAKE, 1, NULL, NULL, 0), 1, "WAKE it is");
    pthread_join(t, NULL);
    lock_word(&other);
    t = start(pi_waiter, NULL);
    check(eventually(other & FUTEX_WAITERS), "a waiter by LOCK_PI");
    sleep_ms(20);
    fails(futex(&other, FUTEX_WAKE, 1, NULL, NULL, 0), EINVAL, "WAKE is not for it");
    fails(futex(&other, FUTEX_REQUEUE, 1, (void *)1, &word, 0), EINVAL, "nor is REQUEUE");
    unlock_word(&other);
    pthread_join(t, NULL);
    equal(other, 0, "it had its turn");
}

/* ---- from a condition to a lock ---- */

static _Atomic int waiting, done;
static void *waits_for_condition(void *nothing)
{
    lock_word(&other);
    waiting++;
    unsigned seen = third;
    unlock_word(&other);
    long r = futex(&third, FUTEX_WAIT_REQUEUE_PI, seen, NULL, &other, 0);
    check(r == 0 && (other & FUTEX_TID_MASK) == my_tid(), "back with the lock");
    done++;
    unlock_word(&other);
    return nothing;
}

static void condition(void)
{
    pthread_t t[4];
    third = other = 0;
    waiting = done = 0;
    for (int i = 0; i < 4; i++)
        t[i] = start(waits_for_condition, NULL);
    check(eventually(waiting == 4), "four wait");
    sleep_ms(50);
    fails(futex(&third, FUTEX_WAKE, 1, NULL, NULL, 0), EINVAL, "WAKE is not for them");
    fails(futex(&third, FUTEX_CMP_REQUEUE_PI, 1, (void *)9, &word, 0), EINVAL, "nor is another target");
    equal(futex(&third, FUTEX_CMP_REQUEUE_PI, 1, NULL, &other, 0), 1, "one gets the lock, which is free");
    check(eventually(done == 1), "and comes back");
    lock_word(&other);
    equal(futex(&third, FUTEX_CMP_REQUEUE_PI, 1, (void *)1, &other, 0), 2, "two are moved to the lock, which we have");
    equal(other, my_tid() | FUTEX_WAITERS, "they wait for us");
    sleep_ms(5);
    equal(done, 1, "they do");
    unlock_word(&other);
    check(eventually(done == 3), "until we unlock");
    equal(futex(&third, FUTEX_CMP_REQUEUE_PI, 1, (void *)INT_MAX, &other, 0), 1, "the last one");
    for (int i = 0; i < 4; i++)
        pthread_join(t[i], NULL);
    equal(other, 0, "free in the end");
}

/* ---- signals ---- */

static _Atomic int handled;
static _Atomic long signal_result;
static void handler(int sig) { handled++; }

static void *waits_in(void *op)
{
    long r = futex(&word, (int)(long)op, 0, NULL, NULL, 0);
    signal_result = r ? errno : 0;
    if (!r && (word & FUTEX_TID_MASK) == my_tid())
        unlock_word(&word);
    return NULL;
}

/* A thread waits by op, and is sent a signal again and again until a handler ran. */
static pthread_t interrupted(int op, int flags)
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = flags};
    sigaction(SIGUSR1, &action, NULL);
    handled = 0;
    signal_result = -1;
    pthread_t t = start(waits_in, (void *)(long)op);
    sleep_ms(50);
    pthread_kill(t, SIGUSR1);
    check(eventually(handled), "the handler runs");
    sleep_ms(20);
    return t;
}

static void signals(void)
{
    word = 0;
    pthread_t t = interrupted(FUTEX_WAIT, 0);
    pthread_join(t, NULL);
    equal(signal_result, EINTR, "WAIT is interrupted");
    t = interrupted(FUTEX_WAIT, SA_RESTART);
    equal(signal_result, -1, "WAIT is restarted by SA_RESTART");
    equal(futex(&word, FUTEX_WAKE, 1, NULL, NULL, 0), 1, "it waits again");
    pthread_join(t, NULL);
    lock_word(&word);
    t = interrupted(FUTEX_LOCK_PI, 0);
    equal(signal_result, -1, "LOCK_PI always goes on");
    unlock_word(&word);
    pthread_join(t, NULL);
    equal(signal_result, 0, "to its end");
    signal(SIGUSR1, SIG_DFL);
}

/* ---- owners that die ---- */

static void *dies_owning(void *nothing)
{
    lock_word(&word);
    check(eventually(word & FUTEX_WAITERS), "somebody waits");
    sleep_ms(20);
    return nothing;
}

static void death(void)
{
    word = 0;
    pthread_t t = start(dies_owning, NULL);
    check(eventually(word), "another one has it");
    equal(simple(&word, FUTEX_LOCK_PI), 0, "a lock whose owner dies");
    equal(word & ~FUTEX_WAITERS, my_tid() | FUTEX_OWNER_DIED, "is ours, and we are told");
    equal(simple(&word, FUTEX_UNLOCK_PI), 0, "we give it up");
    equal(word, 0, "and it is free");
    pthread_join(t, NULL);
}

struct cell {
    struct robust_list list;
    _Atomic unsigned word;
};
static struct cell robust, robust_pi, taken;
static void *dies_robust(void *nothing)
{
    static struct robust_list_head head;
    head.futex_offset = offsetof(struct cell, word);
    head.list.next = &robust.list;
    robust.list.next = (void *)((char *)&robust_pi.list + 1);
    robust_pi.list.next = &head.list;
    head.list_op_pending = (void *)((char *)&taken.list + 1);
    robust.word = my_tid();
    taken.word = my_tid() | FUTEX_WAITERS;
    syscall(SYS_set_robust_list, &head, sizeof(head));
    lock_word(&robust_pi.word);
    check(eventually(robust_pi.word & FUTEX_WAITERS), "somebody waits");
    sleep_ms(20);
    return nothing;
}

static void lists(void)
{
    robust_pi.word = 0;
    pthread_t t = start(dies_robust, NULL);
    check(eventually(robust_pi.word), "another one has it");
    equal(simple(&robust_pi.word, FUTEX_LOCK_PI), 0, "a robust PI futex");
    equal(robust_pi.word & ~FUTEX_WAITERS, my_tid() | FUTEX_OWNER_DIED, "is passed on");
    pthread_join(t, NULL);
    equal(robust.word, FUTEX_OWNER_DIED, "a robust futex is marked");
    equal(taken.word, FUTEX_OWNER_DIED | FUTEX_WAITERS, "and the one that was being taken");
    equal(simple(&robust_pi.word, FUTEX_UNLOCK_PI), 0, "and given up");
}

/* ---- the C library's mutexes ---- */

static pthread_mutex_t mutex;
static bool make_mutex(int type, int robustness)
{
    pthread_mutexattr_t a;
    pthread_mutexattr_init(&a);
    pthread_mutexattr_settype(&a, type);
    bool made = equal(pthread_mutexattr_setprotocol(&a, PTHREAD_PRIO_INHERIT), 0, "a mutex that inherits priorities");
    pthread_mutexattr_setrobust(&a, robustness);
    return made && pthread_mutex_init(&mutex, &a) == 0;
}

static void *mutex_adder(void *nothing)
{
    for (int i = 0; i < 2000; i++) {
        pthread_mutex_lock(&mutex);
        plain++;
        if (i % 16 == 0)
            sched_yield();
        pthread_mutex_unlock(&mutex);
    }
    return nothing;
}

static void *tries_mutex(void *nothing)
{
    struct timespec at = in_ms(CLOCK_REALTIME, 20);
    equal(pthread_mutex_trylock(&mutex), EBUSY, "try another's");
    equal(pthread_mutex_timedlock(&mutex, &at), ETIMEDOUT, "wait for another's");
    equal(pthread_mutex_unlock(&mutex), EPERM, "unlock another's");
    return nothing;
}

static void mutexes(void)
{
    static const int types[] = {PTHREAD_MUTEX_NORMAL, PTHREAD_MUTEX_ERRORCHECK, PTHREAD_MUTEX_RECURSIVE};
    for (size_t k = 0; k < ARRAY_SIZE(types); k++) {
        pthread_t t[4];
        if (!make_mutex(types[k], PTHREAD_MUTEX_STALLED))
            return;
        plain = 0;
        for (int i = 0; i < 4; i++)
            t[i] = start(mutex_adder, NULL);
        for (int i = 0; i < 4; i++)
            pthread_join(t[i], NULL);
        equal(plain, 4 * 2000, "one at a time");
        equal(pthread_mutex_lock(&mutex), 0, "lock");
        if (types[k] == PTHREAD_MUTEX_ERRORCHECK)
            equal(pthread_mutex_lock(&mutex), EDEADLK, "not twice");
        if (types[k] == PTHREAD_MUTEX_RECURSIVE) {
            equal(pthread_mutex_lock(&mutex), 0, "twice");
            equal(pthread_mutex_unlock(&mutex), 0, "and one back");
        }
        if (types[k] != PTHREAD_MUTEX_NORMAL)
            pthread_join(start(tries_mutex, NULL), NULL);
        equal(pthread_mutex_unlock(&mutex), 0, "unlock");
        pthread_mutex_destroy(&mutex);
    }
}

static _Atomic int locked;
static void *dies_with_mutex(void *nothing)
{
    int r = pthread_mutex_lock(&mutex);
    if (r == EOWNERDEAD)
        pthread_mutex_consistent(&mutex);
    locked++;
    sleep_ms(20);
    return nothing;
}

static void robust_mutexes(void)
{
    pthread_t t[3];
    locked = 0;
    if (!make_mutex(PTHREAD_MUTEX_NORMAL, PTHREAD_MUTEX_ROBUST))
        return;
    for (int i = 0; i < 3; i++) /* each dies with it, and the others wait */
        t[i] = start(dies_with_mutex, NULL);
    check(eventually(locked >= 1), "others have it");
    for (int i = 0; i < 3; i++)
        pthread_join(t[i], NULL);
    equal(locked, 3, "it went from the dead to the living");
    equal(pthread_mutex_lock(&mutex), EOWNERDEAD, "and to us");
    equal(pthread_mutex_consistent(&mutex), 0, "made good");
    equal(pthread_mutex_unlock(&mutex), 0, "unlock");
    equal(pthread_mutex_lock(&mutex), 0, "and nobody remembers");
    equal(pthread_mutex_unlock(&mutex), 0, "unlock");
    pthread_join(start(dies_with_mutex, NULL), NULL);
    equal(pthread_mutex_lock(&mutex), EOWNERDEAD, "once more");
    equal(pthread_mutex_unlock(&mutex), 0, "not made good");
    equal(pthread_mutex_lock(&mutex), ENOTRECOVERABLE, "it is lost");
}

static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int round_of;
static void *takes_turns(void *arg)
{
    for (int i = 0; i < 200; i++) {
        pthread_mutex_lock(&mutex);
        while (round_of % 4 != (int)(long)arg)
            pthread_cond_wait(&changed, &mutex);
        round_of++;
        pthread_cond_broadcast(&changed);
        pthread_mutex_unlock(&mutex);
    }
    return NULL;
}

static void condition_variable(void)
{
    pthread_t t[4];
    if (!make_mutex(PTHREAD_MUTEX_NORMAL, PTHREAD_MUTEX_STALLED))
        return;
    for (long i = 0; i < 4; i++)
        t[i] = start(takes_turns, (void *)i);
    for (int i = 0; i < 4; i++)
        pthread_join(t[i], NULL);
    equal(round_of, 4 * 200, "every one gets its turns");
    pthread_mutex_destroy(&mutex);
}

int main(void)
{
    run(alone);
    run(arguments);
    run(contention);
    run(ring);
    run(timeouts);
    run(mixed);
    run(condition);
    run(signals);
    run(death);
    run(lists);
    run(mutexes);
    run(robust_mutexes);
    run(condition_variable);
    return 0;
}
