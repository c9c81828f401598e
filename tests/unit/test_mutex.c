/* SOURCES: tests/unit/host/host.c */
/* SANITIZE: thread */
/* The hand-off mutex and the wait queue with many threads, delays before every atomic operation, under ThreadSanitizer: exclusion, the
   hand-off's race (a locker that has counted itself but is not queued yet), order, no lost wake-ups, time-outs, interruption. A hang is a failure by alarm. */
#include <asm/errno.h>
#include <kernel/clock.h>
#include <kernel/log.h>
#include <mm/stack_probe.h>
#include <sched/mutex.h>
#include <sched/thread.h>
#include <sched/waitq.h>
#include "delays.h"

#include "../../sched/lockstat.c"
#include "../../sched/mutex.c"
#include "../../sched/waitq.c"

#include "host/host.h"
#include "tap.h"

unsigned alarm(unsigned seconds);

#define THREADS 8
#define ROUNDS 10000

static struct mutex lock = MUTEX_INIT;
static long plain; /* protected by lock: TSan sees a mistake, the sum shows one */
static _Atomic int inside;
static _Atomic bool broken;
static _Atomic long try_won, try_lost;

static void enter(void)
{
    if (atomic_fetch_add(&inside, 1) != 0 || !mutex_held(&lock))
        broken = true;
    plain++;
    if (delay_random() % 8 == 0)
        sched_yield();
    atomic_fetch_sub(&inside, 1);
}

static void locker(void *arg)
{
    for (int i = 0; i < ROUNDS; i++) {
        mutex_lock(&lock);
        enter();
        mutex_unlock(&lock);
        if (delay_random() % 16 == 0)
            sched_yield();
    }
}

static void trier(void *arg)
{
    long won = 0;
    while (won < ROUNDS) {
        if (mutex_trylock(&lock)) {
            enter();
            mutex_unlock(&lock);
            won++;
            try_won++;
        } else {
            try_lost++;
            sched_yield();
        }
    }
}

/* Again until the race was met, which on a busy machine may take more than one round. */
static void test_contention(void)
{
    struct host_thread *t[THREADS];
    long rounds = 0;
    do {
        for (int i = 0; i < THREADS; i++)
            t[i] = host_spawn(i == 0 ? trier : locker, NULL);
        for (int i = 0; i < THREADS; i++)
            host_join(t[i]);
        rounds++;
    } while (lock.sequence == 0 && rounds < 50);
    ok(!broken, "one thread at a time holds the mutex, and knows it");
    ok(plain == rounds * THREADS * ROUNDS, "no update is lost");
    ok(lock.count == 0 && !lock.queue && !lock.incoming && !lock.owner, "the mutex is free and its queue empty at the end");
    printf("# hand-off tokens published: %u; trylock: %ld won, %ld lost\n", lock.sequence, (long)try_won, (long)try_lost);
    ok(lock.sequence > 0 && lock.handoff == 0, "the hand-off race was met, and no token is left behind");
}

/* Few threads and an almost empty critical section: the gap between counting and queueing is met most often. */
static void pair(void *arg)
{
    for (int i = 0; i < ROUNDS; i++) {
        mutex_lock(&lock);
        plain++;
        mutex_unlock(&lock);
    }
}

static void test_short(void)
{
    struct host_thread *t[3];
    unsigned before = lock.sequence;
    plain = 0;
    for (int i = 0; i < 3; i++)
        t[i] = host_spawn(pair, NULL);
    for (int i = 0; i < 3; i++)
        host_join(t[i]);
    printf("# hand-off tokens published: %u\n", lock.sequence - before);
    ok(plain == 3 * ROUNDS && lock.count == 0 && lock.handoff == 0, "short critical sections");
}

static int order[THREADS];
static int arrived;

static void in_order(void *arg)
{
    mutex_lock(&lock);
    order[arrived++] = (int)(long)arg;
    mutex_unlock(&lock);
}

static void test_order(void)
{
    bool fair = true;
    for (int round = 0; round < 20; round++) {
        struct host_thread *t[THREADS];
        arrived = 0;
        mutex_lock(&lock);
        for (long i = 0; i < THREADS; i++) {
            struct mutex_waiter *before = lock.incoming;
            t[i] = host_spawn(in_order, (void *)i);
            while (lock.incoming == before) /* until it is in the queue */
                sched_yield();
        }
        if (mutex_trylock(&lock))
            fair = false;
        mutex_unlock(&lock);
        for (int i = 0; i < THREADS; i++)
            host_join(t[i]);
        for (int i = 0; i < THREADS; i++)
            fair &= order[i] == i;
    }
    ok(fair, "waiters get the mutex in the order in which they came");
}

/* ---- wait queues: a bounded buffer with several producers and consumers ---- */

#define ITEMS 3000
#define ROOM 3
static struct waitq not_full = WAITQ_INIT(not_full), not_empty = WAITQ_INIT(not_empty);
static long buffer[ROOM], stored, produced_sum, consumed_sum, consumed, timeouts;

static void producer(void *arg)
{
    for (long i = 0; i < ITEMS; i++) {
        mutex_lock(&lock);
        while (stored == ROOM)
            (void)waitq_wait(&not_full, &lock, TIME_NEVER, false);
        buffer[stored++] = i + (long)arg;
        produced_sum += i + (long)arg;
        waitq_wake(&not_empty, 1);
        mutex_unlock(&lock);
    }
}

static void consumer(void *arg)
{
    for (;;) {
        mutex_lock(&lock);
        while (stored == 0 && consumed < 4 * ITEMS) {
            /* Some wait with short time-outs, which must not swallow a wake-up. */
            uint64_t deadline = arg ? clock_monotonic_ns() + delay_random() % 200000 : TIME_NEVER;
            if (waitq_wait(&not_empty, &lock, deadline, false) == -ETIMEDOUT)
                timeouts++;
        }
        if (consumed >= 4 * ITEMS) {
            waitq_wake_all(&not_empty);
            mutex_unlock(&lock);
            return;
        }
        consumed_sum += buffer[--stored];
        if (++consumed == 4 * ITEMS)
            waitq_wake_all(&not_empty);
        waitq_wake(&not_full, 1);
        mutex_unlock(&lock);
    }
}

static void test_waitq(void)
{
    struct host_thread *t[THREADS];
    for (long i = 0; i < THREADS; i++)
        t[i] = host_spawn(i < 4 ? producer : consumer, (void *)(i < 4 ? i * 1000 : i & 1));
    for (int i = 0; i < THREADS; i++)
        host_join(t[i]);
    printf("# time-outs: %ld\n", timeouts);
    ok(consumed == 4 * ITEMS && consumed_sum == produced_sum && stored == 0, "a bounded buffer: nothing lost, no wake-up lost");
    ok(waitq_empty(&not_full) && waitq_empty(&not_empty), "the queues are empty at the end");
}

/* ---- edges ---- */

static _Atomic bool interrupted_flag;
bool thread_interrupted(void) { return interrupted_flag; }
static _Atomic int waiting, result = 1;
static struct waitq queue = WAITQ_INIT(queue);
static struct thread *_Atomic waiter_thread;

static void interruptible(void *arg)
{
    mutex_lock(&lock);
    waiter_thread = thread_current();
    waiting++;
    result = waitq_wait(&queue, &lock, TIME_NEVER, true);
    mutex_unlock(&lock);
}

static void test_edges(void)
{
    mutex_lock(&lock);
    uint64_t start = clock_monotonic_ns();
    ok(waitq_wait(&queue, &lock, start + 5000000, false) == -ETIMEDOUT && mutex_held(&lock), "a time-out, with the mutex held again");
    ok(clock_monotonic_ns() - start >= 5000000, "not before its time");
    ok(waitq_wait(&queue, &lock, 1, false) == -ETIMEDOUT, "a deadline in the past");
    ok(waitq_empty(&queue) && waitq_wake(&queue, 5) == 0, "nobody is left in the queue");
    interrupted_flag = true;
    ok(waitq_wait(&queue, &lock, TIME_NEVER, true) == -EINTR && mutex_held(&lock), "a signal that is pending already");
    interrupted_flag = false;
    mutex_unlock(&lock);
    struct host_thread *t = host_spawn(interruptible, NULL);
    while (!waiting)
        sched_yield();
    mutex_lock(&lock);
    mutex_unlock(&lock); /* it is in the queue */
    interrupted_flag = true;
    thread_wake(waiter_thread);
    host_join(t);
    interrupted_flag = false;
    ok(result == -EINTR && waitq_empty(&queue), "a signal that comes later");
    struct mutex m = MUTEX_INIT;
    ok(mutex_trylock(&m) && !mutex_trylock(&m) && mutex_held(&m), "trylock");
    mutex_unlock(&m);
    ok(!mutex_held(&m), "nobody's");
}

int main(void)
{
    alarm(900);
    test_contention();
    test_short();
    test_order();
    test_waitq();
    test_edges();
    return done();
}
