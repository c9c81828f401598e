/* SOURCES: tests/unit/host/host.c */
/* SANITIZE: thread */
/* The reader-writer lock with many threads that change their CPU at random, delays before every atomic operation, under ThreadSanitizer: exclusion, readers side by side, no
   lost wake-up of a writer, nobody starved. A hang is a failure by alarm. */
#include <asm/errno.h>
#include <kernel/clock.h>
#include <mm/stack_probe.h>
#include <sched/lockstat.h>
#include <sched/rwlock.h>
#include <sched/thread.h>
#include "delays.h"

#include "../../sched/lockstat.c"
#include "../../sched/mutex.c"
#include "../../sched/rwlock.c"

#include "host/host.h"
#include "tap.h"

unsigned alarm(unsigned seconds);

#define CPUS 4
#define READERS 6
#define WRITERS 2
#define READS 6000
#define WRITES 2000

RWLOCK_DEFINE(lock);
static long first, second; /* protected by lock, always equal outside of writers */
static _Atomic int readers_inside, writers_inside, most_readers;
static _Atomic bool broken;

/* As if the scheduler had moved the thread. */
static void migrate(void) { percpu()->id = (unsigned)(delay_random() % CPUS); }

static unsigned sum(void)
{
    unsigned n = 0;
    for (int i = 0; i < PERCPU_MAX; i++)
        n += lock.counts[i].readers;
    return n;
}

static void reader(void *arg)
{
    for (int i = 0; i < READS; i++) {
        migrate();
        rwlock_read_lock(&lock);
        int n = atomic_fetch_add(&readers_inside, 1) + 1;
        if (n > most_readers)
            most_readers = n;
        long seen = first;
        if (delay_random() % 8 == 0)
            sched_yield();
        if (writers_inside || seen != second)
            broken = true;
        atomic_fetch_sub(&readers_inside, 1);
        if (i % 2)
            migrate();
        rwlock_read_unlock(&lock);
    }
}

static void writer(void *arg)
{
    for (int i = 0; i < WRITES; i++) {
        migrate();
        rwlock_write_lock(&lock);
        if (atomic_fetch_add(&writers_inside, 1) != 0 || readers_inside || !rwlock_write_held(&lock))
            broken = true;
        first++;
        if (delay_random() % 4 == 0)
            sched_yield();
        second++;
        atomic_fetch_sub(&writers_inside, 1);
        rwlock_write_unlock(&lock);
        if (delay_random() % 4 == 0)
            usleep(20);
    }
}

static void test_exclusion(void)
{
    struct host_thread *t[READERS + WRITERS];
    for (int i = 0; i < READERS + WRITERS; i++)
        t[i] = host_spawn(i < READERS ? reader : writer, NULL);
    for (int i = 0; i < READERS + WRITERS; i++)
        host_join(t[i]);
    printf("# at most %d readers at a time\n", (int)most_readers);
    ok(!broken, "a writer is alone, and readers see nothing half done");
    ok(first == WRITERS * WRITES && second == first, "no update is lost");
    ok(sum() == 0 && !lock.writer && !lock.draining && lock.mutex.count == 0, "the lock is free at the end");
}

/* ---- one thing at a time ---- */

static _Atomic int inside, stage;

static void meet(void *arg)
{
    migrate();
    rwlock_read_lock(&lock);
    inside++;
    while (inside < READERS) /* all of them are inside at once, or this never ends */
        sched_yield();
    migrate();
    rwlock_read_unlock(&lock);
}

static void test_side_by_side(void)
{
    struct host_thread *t[READERS];
    inside = 0;
    for (int i = 0; i < READERS; i++)
        t[i] = host_spawn(meet, NULL);
    for (int i = 0; i < READERS; i++)
        host_join(t[i]);
    ok(inside == READERS && sum() == 0, "readers are inside together");
}

static void one_writer(void *arg)
{
    stage = 1;
    rwlock_write_lock(&lock);
    stage = 2;
    rwlock_write_unlock(&lock);
}

static void one_reader(void *arg)
{
    percpu()->id = 3;
    rwlock_read_lock(&lock);
    inside = 1;
    rwlock_read_unlock(&lock);
}

static void test_sleeping_reader(void)
{
    percpu()->id = 1;
    rwlock_read_lock(&lock);
    struct host_thread *w = host_spawn(one_writer, NULL);
    while (!lock.writer)
        sched_yield();
    inside = 0;
    struct host_thread *r = host_spawn(one_reader, NULL);
    while (!lock.mutex.incoming)
        sched_yield(); /* the reader has met the writer and waits behind it */
    usleep(5000);
    ok(stage == 1 && inside == 0, "a writer waits for a reader that sleeps, and a later reader for the writer");
    percpu()->id = 2;
    rwlock_read_unlock(&lock);
    host_join(w);
    host_join(r);
    ok(stage == 2 && inside == 1 && sum() == 0, "both get it when the reader leaves, on another CPU than it came on");
}

static _Atomic bool stop;

/* One of the two is inside at any time, so a writer that did not keep new readers out would wait for ever. */
static void relay(void *arg)
{
    while (!stop) {
        migrate();
        rwlock_read_lock(&lock);
        int before = atomic_fetch_add(&inside, 1);
        for (int i = 0; i < 100 && inside == before + 1 && !stop && !lock.writer; i++)
            sched_yield();
        rwlock_read_unlock(&lock);
    }
}

static void test_no_starvation(void)
{
    struct host_thread *t[READERS];
    for (int i = 0; i < READERS; i++)
        t[i] = host_spawn(relay, NULL);
    for (int i = 0; i < 200; i++) {
        rwlock_write_lock(&lock);
        rwlock_write_unlock(&lock);
    }
    stop = true;
    for (int i = 0; i < READERS; i++)
        host_join(t[i]);
    ok(sum() == 0, "a writer gets its turn among readers without a pause");
}

int main(void)
{
    percpu_count = CPUS;
    alarm(900);
    test_exclusion();
    test_side_by_side();
    test_sleeping_reader();
    test_no_starvation();
    return done();
}
