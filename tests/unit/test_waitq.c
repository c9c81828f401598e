/* SOURCES: tests/unit/host/host.c */
/* SANITIZE: thread */
/* Wait morphing with many threads, delays before every atomic operation, under ThreadSanitizer: wake-ups that race with time-outs, signals and lockers. Tokens are handed
   out with exactly one wake-up each, so one that is lost, or given to a thread that then reports a time-out, is missing at the end. A hang is a failure by alarm. */
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

#define WAITERS 6
#define TOKENS 4000

static struct mutex lock = MUTEX_INIT;
static struct waitq queue = WAITQ_INIT(queue);
/* Protected by lock. */
static long woken, reported, ended, plain;
static _Atomic bool finished;
static _Atomic long timeouts, signals;
static _Atomic int interrupted;

bool thread_interrupted(void) { return atomic_load(&interrupted) && delay_random() % 4 == 0; }

static void waiter(void *arg)
{
    long kind = (long)arg;
    mutex_lock(&lock);
    while (!finished) {
        uint64_t deadline = kind % 2 ? clock_monotonic_ns() + delay_random() % 60000 : TIME_NEVER;
        int r = waitq_wait(&queue, &lock, deadline, kind % 3 == 0);
        if (!mutex_held(&lock))
            ended = -1000000;
        plain++;
        reported += r == 0;
        timeouts += r == -ETIMEDOUT;
        signals += r == -EINTR;
    }
    ended++;
    mutex_unlock(&lock);
}

static void locker(void *arg)
{
    while (!finished) {
        mutex_lock(&lock);
        plain++;
        mutex_unlock(&lock);
        if (delay_random() % 4 == 0)
            sched_yield();
    }
}

static void test_exactly_once(void)
{
    struct host_thread *t[WAITERS + 2];
    for (long i = 0; i < WAITERS + 2; i++)
        t[i] = host_spawn(i < WAITERS ? waiter : locker, (void *)i);
    while (woken < TOKENS) {
        mutex_lock(&lock);
        int n = waitq_wake(&queue, 1 + (int)(delay_random() % 3));
        woken += n;
        interrupted = delay_random() % 8 == 0;
        mutex_unlock(&lock);
        if (n == 0 || delay_random() % 16 == 0)
            sched_yield();
    }
    mutex_lock(&lock);
    finished = true;
    woken += waitq_wake_all(&queue);
    mutex_unlock(&lock);
    for (int i = 0; i < WAITERS + 2; i++)
        host_join(t[i]);
    printf("# %ld wake-ups, %ld time-outs, %ld signals\n", woken, (long)timeouts, (long)signals);
    ok(reported == woken, "each wake-up is reported by one waiter, and nothing else is");
    ok(ended == WAITERS, "with the mutex held, always");
    ok(waitq_empty(&queue) && lock.count == 0 && !lock.queue && !lock.incoming && lock.handoff == 0, "the queues are empty at the end");
}

/* ---- one thing at a time ---- */

static _Atomic int stage;
static _Atomic int result;
static struct thread *_Atomic sleeper;

static void one_waiter(void *arg)
{
    mutex_lock(&lock);
    sleeper = thread_current();
    stage = 1;
    result = waitq_wait(&queue, &lock, arg ? clock_monotonic_ns() + 2000000 : TIME_NEVER, false);
    stage = 2;
    mutex_unlock(&lock);
}

static struct host_thread *start_waiter(void *arg)
{
    stage = 0;
    struct host_thread *t = host_spawn(one_waiter, arg);
    while (stage != 1)
        sched_yield();
    mutex_lock(&lock); /* it is in the queue */
    return t;
}

static void one_locker(void *arg)
{
    mutex_lock(&lock);
    stage = 3;
    mutex_unlock(&lock);
}

static void test_steps(void)
{
    struct host_thread *t = start_waiter(NULL), *other;
    ok(waitq_wake(&queue, 5) == 1 && lock.count == 2 && waitq_empty(&queue), "a wake-up moves the waiter onto the mutex's queue");
    for (int i = 0; i < 50; i++) {
        thread_wake(sleeper); /* for no reason */
        sched_yield();
    }
    ok(stage == 1, "where it stays as long as the mutex is held, whatever wakes it");
    mutex_unlock(&lock);
    host_join(t);
    ok(stage == 2 && result == 0 && lock.count == 0, "then it has the mutex");

    t = start_waiter(NULL);
    other = host_spawn(one_locker, NULL);
    while (!lock.incoming)
        sched_yield();
    waitq_wake(&queue, 1);
    mutex_unlock(&lock);
    host_join(t);
    host_join(other);
    ok(result == 0 && stage == 2 && lock.count == 0, "who came to the mutex before has it before");

    t = start_waiter(&lock);
    while (lock.count == 1) /* until its time is over and it wants the mutex */
        sched_yield();
    ok(waitq_wake(&queue, 1) == 1, "a waiter whose time is over, but which is not gone, counts as woken");
    mutex_unlock(&lock);
    host_join(t);
    ok(result == 0 && lock.count == 0, "and reports that, not the time-out");
}

int main(void)
{
    alarm(900);
    test_exactly_once();
    test_steps();
    return done();
}
