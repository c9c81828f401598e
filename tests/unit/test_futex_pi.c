/* SOURCES: sched/mutex.c sched/lockstat.c tests/unit/host/host.c */
/* SANITIZE: thread */
/* CFLAGS: -Wno-tsan */
/* PI futexes: inheritance, order, rings and errors one by one; then many threads with delays before every atomic operation, under ThreadSanitizer: nested locks with
   time-outs and signals, owners that die, condition variables that move their waiters. A hang is a failure by alarm. */
#include <asm/errno.h>
#include <kernel/clock.h>
#include <kernel/futex.h>
#include <kernel/signal.h>
#include <kernel/syscall.h>
#include <kernel/timespec.h>
#include <kernel/user.h>
#include <linux/futex.h>
#include <mm/kmem.h>
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

static long call(_Atomic int *address, int op, int val, const void *timeout, _Atomic int *address2, uint32_t val3)
{
    return sys_futex((int *)address, op | FUTEX_PRIVATE_FLAG, val, timeout, (int *)address2, val3);
}

static long simple(_Atomic int *address, int op) { return call(address, op, 0, NULL, NULL, 0); }

/* ---- locks as C libraries make them ---- */

static long lock_it(_Atomic int *word, const struct timespec64 *timeout)
{
    int c = 0;
    if (atomic_compare_exchange_strong_explicit(word, &c, (int)my_tid(), memory_order_acquire, memory_order_relaxed))
        return 0;
    return call(word, FUTEX_LOCK_PI, 0, timeout, NULL, 0);
}

static long unlock_it(_Atomic int *word)
{
    int c = (int)my_tid();
    if (atomic_compare_exchange_strong_explicit(word, &c, 0, memory_order_release, memory_order_relaxed))
        return 0;
    return simple(word, FUTEX_UNLOCK_PI);
}

static unsigned owner_of(_Atomic int *word) { return (unsigned)*word & FUTEX_TID_MASK; }

static void run(void (*fn)(void *), unsigned n)
{
    struct host_thread *t[16];
    for (unsigned long i = 0; i < n; i++)
        t[i] = host_spawn(fn, (void *)i);
    for (unsigned i = 0; i < n; i++)
        host_join(t[i]);
}

/* No waiter, no state, nothing inherited. */
static bool all_clean(void)
{
    bool clean = host_allocated() == 0;
    for (unsigned i = 0; i < FUTEX_BUCKETS; i++)
        clean &= TAILQ_EMPTY(&futex_buckets[i].waiters) && futex_buckets[i].count == 0;
    for (unsigned i = 0; i < ARRAY_SIZE(people); i++)
        clean &= people[i].inherited == 0 && !people[i].futex.blocked && LIST_EMPTY(&people[i].futex.owned);
    return clean;
}

/* ---- a storm ---- */

#define LOCKS 4
static _Atomic int locks[LOCKS];
static long plain[LOCKS]; /* protected by the lock of the same number: TSan sees a mistake, the sum shows one */
static _Atomic long entered[LOCKS], results[200];
static _Atomic bool strange;

static struct timespec64 soon(void)
{
    struct timespec64 t = timespec_of_ns(clock_realtime_ns() + delay_random() % 200000);
    return t;
}

static bool enter(unsigned i)
{
    struct timespec64 t = soon();
    long r = delay_random() % 8 == 0 ? simple(&locks[i], FUTEX_TRYLOCK_PI) : lock_it(&locks[i], delay_random() % 2 ? &t : NULL);
    results[-r]++;
    if (r && r != -ETIMEDOUT && r != -EDEADLK && r != -EAGAIN)
        strange = true;
    if (r)
        return false;
    strange = strange || owner_of(&locks[i]) != my_tid();
    plain[i]++;
    entered[i]++;
    if (delay_random() % 8 == 0)
        sched_yield();
    return true;
}

static void leave(unsigned i) { strange = strange || unlock_it(&locks[i]) != 0; }

static void storm(void *arg)
{
    enlist();
    me()->priority = (int)((long)arg % 4) * 10;
    for (int i = 0; i < 2000; i++) {
        unsigned a = (unsigned)(delay_random() % LOCKS), b = (unsigned)(delay_random() % LOCKS);
        if (delay_random() % 16 == 0) {
            me()->priority = (int)(delay_random() % 5) * 10;
            futex_priority_changed((int)my_tid());
        }
        if (delay_random() % 16 == 0 && people[my_tid() - 1].thread)
            interrupt(&people[my_tid() - 1]);
        if (!enter(a))
            continue;
        if (enter(b))
            leave(b);
        leave(a);
    }
    me()->interrupted = false;
    me()->priority = 0;
    pass_away(NULL, 0);
}

static void test_storm(void)
{
    run(storm, THREADS);
    bool right = true, all_free = true;
    for (int i = 0; i < LOCKS; i++) {
        right &= plain[i] == entered[i] && plain[i] > 0;
        all_free &= locks[i] == 0;
    }
    printf("# locked %ld, timed out %ld, rings %ld, busy %ld\n", (long)results[0], (long)results[ETIMEDOUT], (long)results[EDEADLK],
           (long)results[EAGAIN]);
    ok(right && !strange, "a storm of nested locks: one owner at a time, no other results than there may be");
    ok(results[ETIMEDOUT] && results[EDEADLK] && results[EAGAIN], "and all of them were met");
    ok(all_free, "all locks are free afterwards");
    ok(all_clean(), "no waiter, no memory, no inherited priority is left behind");
}

/* ---- owners that die ---- */

struct cell {
    struct robust_list list;
    _Atomic int word;
};
static struct cell mortal;
static long lives;
static _Atomic long deaths_seen, died;

static void die_holding(void *arg)
{
    struct robust_list_head head = {.futex_offset = offsetof(struct cell, word)};
    enlist();
    for (int i = 0; i < 200; i++) {
        long r = lock_it(&mortal.word, NULL);
        if (r == -ESRCH) { /* of an owner that died and said nothing: free for the taking by whoever knows of it */
            strange = true;
            break;
        }
        strange = strange || r || owner_of(&mortal.word) != my_tid();
        lives++;
        if ((unsigned)mortal.word & FUTEX_OWNER_DIED) {
            deaths_seen++;
            mortal.word &= (int)~FUTEX_OWNER_DIED;
        }
        if (i == 199) {
            died++;
            mortal.list.next = &head.list;
            head.list.next = (void *)((uint64_t)&mortal.list | (uint64_t)((long)arg & 1)); /* some say that it is a PI futex */
            pass_away(&head, sizeof(head));
            return;
        }
        strange = strange || unlock_it(&mortal.word);
    }
}

static void test_deaths(void)
{
    strange = false;
    for (int round = 0; round < 20; round++)
        run(die_holding, THREADS);
    ok(!strange && lives == 20l * THREADS * 200, "owners die while others wait: the lock is passed on");
    ok(died == 20 * THREADS && deaths_seen == died - 1 && (unsigned)mortal.word == FUTEX_OWNER_DIED, "and the next one is told");
    ok(all_clean(), "nothing is left behind");
}

/* ---- a condition variable ---- */

static _Atomic int sequence, monitor;
static long turn;

static void lock_monitor(void)
{
    if (lock_it(&monitor, NULL))
        strange = true;
}

static void take_turns(void *arg)
{
    long id = (long)arg;
    enlist();
    for (int i = 0; i < 200; i++) {
        lock_monitor();
        while (turn % THREADS != id) {
            int seen = sequence;
            struct timespec64 t = timespec_of_ns(clock_monotonic_ns() + delay_random() % 1000000);
            strange = strange || unlock_it(&monitor);
            long r = call(&sequence, FUTEX_WAIT_REQUEUE_PI, seen, delay_random() % 4 ? NULL : &t, &monitor, 0);
            if (r == -EAGAIN || r == -ETIMEDOUT)
                lock_monitor();
            else
                strange = strange || r;
            strange = strange || owner_of(&monitor) != my_tid();
        }
        turn++;
        int now = ++sequence;
        long r = call(&sequence, FUTEX_CMP_REQUEUE_PI, 1, (void *)(long)__INT_MAX__, &monitor, (uint32_t)now);
        strange = strange || r < 0 || r >= THREADS;
        strange = strange || unlock_it(&monitor);
    }
    pass_away(NULL, 0);
}

/* Broadcast without the lock: then the requeue takes it for the first waiter. */
static void take_turns_outside(void *arg)
{
    long id = (long)arg;
    enlist();
    for (int i = 0; i < 200; i++) {
        lock_monitor();
        while (turn % THREADS != id) {
            int seen = sequence;
            strange = strange || unlock_it(&monitor);
            long r = call(&sequence, FUTEX_WAIT_REQUEUE_PI, seen, NULL, &monitor, 0);
            if (r == -EAGAIN)
                lock_monitor();
            else
                strange = strange || r;
        }
        turn++;
        strange = strange || unlock_it(&monitor);
        long r;
        sequence++;
        do /* without a new value for each try: two of us could make each other fail for ever */
            r = call(&sequence, FUTEX_CMP_REQUEUE_PI, 1, (void *)(long)__INT_MAX__, &monitor, (uint32_t)sequence);
        while (r == -EAGAIN);
        strange = strange || r < 0;
    }
    pass_away(NULL, 0);
}

static void test_conditions(void)
{
    strange = false;
    run(take_turns, THREADS);
    ok(!strange && turn == THREADS * 200, "a condition variable whose waiters are moved to a PI futex");
    turn = 0;
    run(take_turns_outside, THREADS);
    ok(!strange && turn == THREADS * 200, "and signalled without holding it");
    ok(all_clean() && monitor == 0, "nothing is left behind");
}

/* ---- actors: threads that do one call after the other, as they are told ---- */

struct actor {
    struct host_thread *t;
    struct person *_Atomic person;
    _Atomic int tid;
    _Atomic int orders, answers;
    _Atomic int *_Atomic address, *_Atomic address2;
    _Atomic int op;
    struct timespec64 *_Atomic timeout;
    _Atomic long result;
};
#define DIE (-1)
#define CONDITION_VALUE 3

static void act(void *arg)
{
    struct actor *a = arg;
    enlist();
    a->tid = (int)my_tid();
    a->person = me();
    for (int done = 0;; done++) {
        while (a->orders == done)
            host_yield();
        if (a->op == DIE)
            break;
        a->result = call(a->address, a->op, CONDITION_VALUE, a->timeout, a->address2, 0);
        a->answers = done + 1;
    }
    me()->priority = 0;
    pass_away(NULL, 0);
}

static struct actor *hire(struct actor *a, int priority)
{
    *a = (struct actor){0};
    a->t = host_spawn(act, a);
    while (!a->person)
        host_yield();
    a->person->priority = priority;
    return a;
}

static void tell(struct actor *a, _Atomic int *address, int op, struct timespec64 *timeout, _Atomic int *address2)
{
    a->address = address;
    a->address2 = address2;
    a->op = op;
    a->timeout = timeout;
    a->orders++;
}

static long answer(struct actor *a)
{
    while (a->answers != a->orders)
        host_yield();
    return a->result;
}

static long ask(struct actor *a, _Atomic int *address, int op)
{
    tell(a, address, op, NULL, NULL);
    return answer(a);
}

static void fire(struct actor *a)
{
    a->op = DIE;
    a->orders++;
    host_join(a->t);
}

static bool is_blocked(struct actor *a)
{
    mutex_lock(&pi_lock);
    bool blocked = a->person->futex.blocked;
    mutex_unlock(&pi_lock);
    return blocked;
}

/* Tells, and waits until it waits. */
static void tell_to_wait(struct actor *a, _Atomic int *address, struct timespec64 *timeout)
{
    tell(a, address, FUTEX_LOCK_PI, timeout, NULL);
    while (!is_blocked(a))
        host_yield();
}

static struct actor A, B, C, D;
static _Atomic int x, y, z;

static bool inherited(int a, int b, int c) { return A.person->inherited == a && B.person->inherited == b && C.person->inherited == c; }

static void test_inheritance(void)
{
    struct timespec64 later = timespec_of_ns(clock_realtime_ns() + 300 * NS_PER_MS);
    hire(&A, 0), hire(&B, 10), hire(&C, 20), hire(&D, 5);
    ok(ask(&A, &x, FUTEX_LOCK_PI) == 0 && ask(&B, &y, FUTEX_LOCK_PI2) == 0 && x == A.tid && y == B.tid, "locks that are free");
    tell_to_wait(&B, &x, NULL);
    ok(inherited(10, 0, 0) && (unsigned)x == ((unsigned)A.tid | FUTEX_WAITERS), "the owner inherits");
    tell_to_wait(&C, &y, &later);
    ok(inherited(20, 20, 0), "along the chain");
    ok(answer(&C) == -ETIMEDOUT && inherited(10, 0, 0), "and loses it when the waiter gives up");
    D.person->priority = 30;
    tell_to_wait(&D, &y, NULL);
    ok(inherited(30, 30, 0), "again");
    D.person->priority = 15;
    futex_priority_changed(D.tid);
    ok(inherited(15, 15, 0), "a waiter's priority changes");
    C.person->priority = 12;
    tell_to_wait(&C, &x, NULL);
    ok(inherited(15, 15, 0), "of two waiters the best counts");
    ok(ask(&A, &x, FUTEX_UNLOCK_PI) == 0 && answer(&B) == 0 && inherited(0, 15, 0) && (unsigned)x == ((unsigned)B.tid | FUTEX_WAITERS),
       "unlock hands over to the one that inherited most");
    ok(ask(&B, &x, FUTEX_UNLOCK_PI) == 0 && answer(&C) == 0 && inherited(0, 15, 0) && x == C.tid, "the last waiter takes no FUTEX_WAITERS");
    ok(ask(&B, &y, FUTEX_UNLOCK_PI) == 0 && answer(&D) == 0 && inherited(0, 0, 0), "nobody waits: nothing is inherited");
    ok(ask(&D, &y, FUTEX_UNLOCK_PI) == 0 && ask(&C, &x, FUTEX_UNLOCK_PI) == 0 && x == 0 && y == 0 && all_clean(), "all is free");
    fire(&A), fire(&B), fire(&C), fire(&D);
}

static void test_order(void)
{
    static struct actor waiters[5];
    static const int priorities[5] = {0, 10, 0, 20, 10}, order[5] = {3, 1, 4, 0, 2};
    bool right = true;
    hire(&A, 0);
    ask(&A, &x, FUTEX_LOCK_PI);
    for (int i = 0; i < 5; i++)
        tell_to_wait(hire(&waiters[i], priorities[i]), &x, NULL);
    ask(&A, &x, FUTEX_UNLOCK_PI);
    for (int i = 0; i < 5; i++) {
        right &= (int)owner_of(&x) == waiters[order[i]].tid && answer(&waiters[order[i]]) == 0;
        right &= ask(&waiters[order[i]], &x, FUTEX_UNLOCK_PI) == 0;
    }
    ok(right && x == 0, "the next owner is the waiter of highest priority, the first among equals");
    for (int i = 0; i < 5; i++)
        fire(&waiters[i]);
    fire(&A);
}

static void test_rings(void)
{
    hire(&A, 0), hire(&B, 0), hire(&C, 0);
    ask(&A, &x, FUTEX_LOCK_PI), ask(&B, &y, FUTEX_LOCK_PI), ask(&C, &z, FUTEX_LOCK_PI);
    ok(ask(&A, &x, FUTEX_LOCK_PI) == -EDEADLK && ask(&A, &x, FUTEX_TRYLOCK_PI) == -EDEADLK, "one's own lock");
    tell_to_wait(&A, &y, NULL);
    ok(ask(&B, &x, FUTEX_LOCK_PI) == -EDEADLK, "a ring of two");
    tell_to_wait(&B, &z, NULL);
    ok(ask(&C, &x, FUTEX_LOCK_PI) == -EDEADLK, "a ring of three");
    ok(ask(&C, &x, FUTEX_TRYLOCK_PI) == -EAGAIN, "trying does not wait, so it closes no ring");
    ask(&C, &z, FUTEX_UNLOCK_PI), answer(&B), ask(&B, &z, FUTEX_UNLOCK_PI), ask(&B, &y, FUTEX_UNLOCK_PI), answer(&A);
    ask(&A, &x, FUTEX_UNLOCK_PI), ask(&A, &y, FUTEX_UNLOCK_PI);
    ok(x == 0 && y == 0 && z == 0 && all_clean(), "all is free");
    fire(&A), fire(&B), fire(&C);
}

/* ---- errors ---- */

static void test_errors(void)
{
    hire(&A, 0), hire(&B, 0);
    x = 4000;
    ok(ask(&A, &x, FUTEX_LOCK_PI) == -ESRCH && ask(&A, &x, FUTEX_TRYLOCK_PI) == -ESRCH, "an owner that is not there");
    ok(ask(&A, &x, FUTEX_UNLOCK_PI) == -EPERM, "not one's own");
    people[4001].thread = A.person->thread; /* anybody: the kernel's threads are only looked at */
    x = 4001;
    A.person->is_kernel = true;
    ok(ask(&B, &x, FUTEX_LOCK_PI) == -EPERM, "an owner that is the kernel's");
    A.person->is_kernel = false;
    people[4001].thread = NULL;
    x = (int)FUTEX_OWNER_DIED | (int)FUTEX_WAITERS;
    ok(ask(&A, &x, FUTEX_LOCK_PI) == 0 && (unsigned)x == ((unsigned)A.tid | FUTEX_OWNER_DIED), "of the dead, and one can tell");
    ok(ask(&B, &x, FUTEX_TRYLOCK_PI) == -EAGAIN, "trying a lock that is held");
    ok(ask(&A, &x, FUTEX_UNLOCK_PI) == 0 && x == 0 && ask(&B, &x, FUTEX_TRYLOCK_PI) == 0 && x == B.tid, "and one that is free");
    host_fail_allocation(1);
    ok(ask(&A, &x, FUTEX_LOCK_PI) == -ENOMEM, "no memory");
    host_fail_allocation(0);
    struct timespec64 past = {1, 0}, bad = {0, 1000000000};
    tell(&A, &x, FUTEX_LOCK_PI2 | FUTEX_CLOCK_REALTIME, &past, NULL);
    ok(answer(&A) == -ETIMEDOUT, "a time past");
    tell(&A, &x, FUTEX_LOCK_PI, &bad, NULL);
    ok(answer(&A) == -EINVAL, "a time that is none");
    tell_to_wait(&A, &x, NULL);
    ok(call(&x, FUTEX_WAKE, 1, NULL, NULL, 0) == -EINVAL && call(&x, FUTEX_REQUEUE, 1, (void *)1, &y, 0) == -EINVAL &&
           call(&y, FUTEX_WAKE_OP, 1, (void *)1, &x, FUTEX_OP(FUTEX_OP_OR, 0, FUTEX_OP_CMP_NE, 0)) == -EINVAL,
       "who waits for a PI futex is woken by unlocking only");
    x = A.tid;
    ok(ask(&B, &x, FUTEX_UNLOCK_PI) == -EPERM && call(&x, FUTEX_LOCK_PI, 0, NULL, NULL, 0) == -EINVAL, "a word that was tampered with");
    x = B.tid;
    ok(ask(&B, &x, FUTEX_UNLOCK_PI) == 0 && answer(&A) == 0 && x == A.tid, "and put right");
    A.person->interrupted = true;
    ask(&A, &x, FUTEX_UNLOCK_PI);
    ask(&B, &x, FUTEX_LOCK_PI);
    tell_to_wait(&A, &x, NULL);
    while (!A.person->delivered || !is_blocked(&A))
        host_yield();
    ok(true, "a signal's handlers run, and LOCK_PI goes on");
    fire(&B);
    ok(answer(&A) == 0 && (unsigned)x == ((unsigned)A.tid | FUTEX_OWNER_DIED), "the owner dies without a robust list");
    fire(&A);
    x = 0;
    ok(all_clean(), "nothing is left behind");
}

static unsigned waiting_at(_Atomic int *address)
{
    struct futex_bucket *b = futex_bucket((int *)address);
    struct futex_waiter *w;
    unsigned n = 0;
    futex_lock_bucket(b);
    TAILQ_FOREACH(w, &b->waiters, link)
        n += w->address == (int *)address;
    mutex_unlock(&b->lock);
    return n;
}

static void tell_to_wait_requeue(struct actor *a, _Atomic int *condition, struct timespec64 *timeout, _Atomic int *target)
{
    unsigned before = waiting_at(condition);
    tell(a, condition, FUTEX_WAIT_REQUEUE_PI, timeout, target);
    while (waiting_at(condition) == before)
        host_yield();
}

static void test_requeue(void)
{
    hire(&A, 0), hire(&B, 10), hire(&C, 20), hire(&D, 0);
    y = CONDITION_VALUE;
    tell_to_wait_requeue(&A, &y, NULL, &x);
    tell_to_wait_requeue(&B, &y, NULL, &x);
    tell_to_wait_requeue(&C, &y, NULL, &x);
    ok(call(&y, FUTEX_WAKE, 1, NULL, NULL, 0) == -EINVAL, "FUTEX_WAKE is not for them");
    ok(call(&y, FUTEX_CMP_REQUEUE_PI, 1, (void *)10, &z, CONDITION_VALUE) == -EINVAL, "nor another target");
    ok(call(&y, FUTEX_CMP_REQUEUE_PI, 1, (void *)10, &x, CONDITION_VALUE + 1) == -EAGAIN, "the value is compared");
    ok(call(&y, FUTEX_CMP_REQUEUE_PI, 1, (void *)1, &x, CONDITION_VALUE) == 2 && answer(&C) == 0 && waiting_at(&x) == 1 && waiting_at(&y) == 1,
       "one gets the free lock, one is moved");
    ok((unsigned)x == ((unsigned)C.tid | FUTEX_WAITERS) && C.person->inherited == 10, "in order of priority");
    ok(ask(&C, &x, FUTEX_UNLOCK_PI) == 0 && answer(&B) == 0 && x == B.tid, "and gets it by unlocking");
    ok(call(&y, FUTEX_CMP_REQUEUE_PI, 1, NULL, &x, CONDITION_VALUE) == 1 && waiting_at(&x) == 1 && B.person->inherited == 0, "the last one");
    interrupt(A.person);
    ok(answer(&A) == -EAGAIN && waiting_at(&x) == 0, "a signal after it was moved");
    tell_to_wait_requeue(&A, &y, NULL, &x);
    int before = A.person->delivered;
    interrupt(A.person);
    while (A.person->delivered == before || waiting_at(&y) == 0)
        host_yield();
    ok(true, "a signal before: it goes on");
    struct timespec64 later = timespec_of_ns(clock_monotonic_ns() + 50 * NS_PER_MS);
    tell_to_wait_requeue(&D, &y, &later, &x);
    ok(answer(&D) == -ETIMEDOUT && waiting_at(&y) == 1, "a time-out before it was moved");
    tell_to_wait_requeue(&B, &y, NULL, &x); /* B owns x */
    B.person->priority = 1;
    ok(call(&y, FUTEX_CMP_REQUEUE_PI, 1, (void *)5, &x, CONDITION_VALUE) == -EDEADLK && waiting_at(&y) == 2, "one that owns the target");
    x = 0; /* as if B had unlocked it */
    ok(call(&y, FUTEX_CMP_REQUEUE_PI, 1, (void *)5, &x, CONDITION_VALUE) == 2 && answer(&B) == 0, "and does not any more");
    ok(ask(&B, &x, FUTEX_UNLOCK_PI) == 0 && answer(&A) == 0 && ask(&A, &x, FUTEX_UNLOCK_PI) == 0 && x == 0, "all is free");
    fire(&A), fire(&B), fire(&C), fire(&D);
    ok(all_clean(), "nothing is left behind");
}

/* ---- robust lists ---- */

static void test_robust(void)
{
    enlist();
    int tid = (int)my_tid();
    struct cell mine = {.word = tid | (int)FUTEX_WAITERS}, others = {.word = tid + 1}, pending = {.word = tid};
    struct robust_list_head head = {.futex_offset = offsetof(struct cell, word)};
    head.list.next = &mine.list;
    mine.list.next = &others.list;
    others.list.next = &head.list;
    head.list_op_pending = &pending.list;
    futex_robust_exit(&head, sizeof(head));
    ok((unsigned)mine.word == (FUTEX_WAITERS | FUTEX_OWNER_DIED) && others.word == tid + 1 && (unsigned)pending.word == FUTEX_OWNER_DIED,
       "robust futexes of a dead thread");
    hire(&A, 0);
    y = CONDITION_VALUE;
    tell(&A, &y, FUTEX_WAIT, NULL, NULL);
    while (waiting_at(&y) == 0)
        host_yield();
    y = 0; /* unlocked, and then the thread died */
    head.list.next = &head.list;
    head.list_op_pending = (void *)((char *)&y - head.futex_offset);
    futex_robust_exit(&head, sizeof(head));
    ok(answer(&A) == 0, "one that was just released wakes a waiter");
    x = tid;
    tell_to_wait(&A, &x, NULL);
    head.list_op_pending = (void *)((uint64_t)&x - (uint64_t)head.futex_offset + 1);
    futex_robust_exit(&head, sizeof(head));
    ok(answer(&A) == 0 && (unsigned)x == ((unsigned)A.tid | FUTEX_OWNER_DIED), "a PI futex is handed over");
    fire(&A);
    x = 0;
    head.list_op_pending = NULL;
    head.list.next = &mine.list;
    others.list.next = &mine.list; /* a ring without an end */
    futex_robust_exit(&head, sizeof(head));
    others.list.next = (void *)8;
    futex_robust_exit(&head, sizeof(head));
    futex_robust_exit(&head, 3);
    futex_robust_exit((void *)1, sizeof(head));
    others.list.next = &head.list;
    head.futex_offset = 1;
    futex_robust_exit(&head, sizeof(head));
    head.futex_offset = INT64_MAX - 7;
    futex_robust_exit(&head, sizeof(head));
    ok(all_clean(), "robust lists that are broken");
}

int main(void)
{
    alarm(900);
    test_inheritance();
    test_order();
    test_rings();
    test_errors();
    test_requeue();
    test_robust();
    test_storm();
    test_deaths();
    test_conditions();
    return done();
}
