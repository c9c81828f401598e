/* SOURCES: tests/unit/host/host.c */
/* SANITIZE: thread */
/* The rings under ThreadSanitizer, with delays before every atomic operation: nothing lost, nothing twice, in order, no wake-up lost; a full and an empty ring; and a
   producer that stops half way. */
#include <sched/thread.h>
#include "delays.h"
#include <kernel/ring_mpsc.h>
#include <kernel/ring_spsc.h>

#include "host/host.h"
#include "tap.h"

unsigned alarm(unsigned seconds);

#define PRODUCERS 6
#define EACH 20000l

struct element {
    uint64_t producer, number, check;
};
static struct element element(uint64_t producer, uint64_t number)
{
    return (struct element){producer, number, producer * 7919 ^ ~number};
}
static bool whole(const struct element *e) { return e->check == (e->producer * 7919 ^ ~e->number); }

RING_SPSC(spsc, struct element, 8);
RING_MPSC(mpsc, struct element, 8);
RING_SPSC(one, int, 1);

static struct thread *_Atomic consumer_thread;
static _Atomic long refused, sleeps;

static void spsc_producer(void *arg)
{
    for (long i = 0; i < EACH * 3; i++) {
        struct element e = element(0, (uint64_t)i);
        while (!ring_spsc_put(&spsc, &e)) {
            refused++;
            sched_yield();
        }
        thread_wake(consumer_thread);
    }
}

static bool spsc_good = true;
static void spsc_consumer(void *arg)
{
    struct element e;
    for (long i = 0; i < EACH * 3;) {
        if (ring_spsc_take(&spsc, &e)) {
            spsc_good = spsc_good && whole(&e) && e.number == (uint64_t)i;
            i++;
            continue;
        }
        thread_wait_prepare();
        if (!ring_spsc_empty(&spsc)) {
            thread_wait_cancel();
        } else {
            sleeps++;
            thread_wait();
        }
    }
    spsc_good = spsc_good && !ring_spsc_take(&spsc, &e) && ring_spsc_empty(&spsc);
}

static void mpsc_producer(void *arg)
{
    for (long i = 0; i < EACH; i++) {
        struct element e = element((uint64_t)(long)arg, (uint64_t)i);
        while (!ring_mpsc_put(&mpsc, &e)) {
            refused++;
            sched_yield();
        }
        thread_wake(consumer_thread);
    }
}

static bool mpsc_good = true;
static void mpsc_consumer(void *arg)
{
    static long next[PRODUCERS];
    struct element e;
    for (long taken = 0; taken < PRODUCERS * EACH;) {
        if (ring_mpsc_take(&mpsc, &e)) {
            mpsc_good = mpsc_good && whole(&e) && e.producer < PRODUCERS && e.number == (uint64_t)next[e.producer]++;
            taken++;
            continue;
        }
        thread_wait_prepare();
        if (!ring_mpsc_empty(&mpsc)) {
            thread_wait_cancel();
        } else {
            sleeps++;
            thread_wait();
        }
    }
    mpsc_good = mpsc_good && !ring_mpsc_take(&mpsc, &e) && ring_mpsc_empty(&mpsc);
}

/* The consumer's thread is there before a producer wakes it. */
static _Atomic bool go;
static void consumer(void *arg)
{
    consumer_thread = thread_current();
    go = true;
    ((void (*)(void *))arg)(NULL);
}

static void run(void (*consume)(void *), void (*produce)(void *), long producers)
{
    struct host_thread *t[PRODUCERS], *c;
    refused = sleeps = 0;
    go = false;
    c = host_spawn(consumer, consume);
    while (!go)
        sched_yield();
    for (long i = 0; i < producers; i++)
        t[i] = host_spawn(produce, (void *)i);
    for (long i = 0; i < producers; i++)
        host_join(t[i]);
    host_join(c);
    printf("# refused %ld times, the consumer slept %ld times\n", (long)refused, (long)sleeps);
}

static void test_edges(void)
{
    struct element e;
    bool good = true;
    int x = 5;
    ok(ring_spsc_put(&one, &x) && !ring_spsc_put(&one, &x) && ring_spsc_take(&one, &x) && !ring_spsc_take(&one, &x), "a ring of one");
    spsc.head = spsc.tail = spsc.head_seen = spsc.tail_seen = UINT32_MAX - 3;
    for (int round = 0; round < 3; round++) {
        for (uint64_t i = 0; i < 8; i++)
            good &= ring_spsc_put(&spsc, &(struct element){i, 0, 0});
        good &= !ring_spsc_put(&spsc, &e);
        for (uint64_t i = 0; i < 8; i++)
            good &= ring_spsc_take(&spsc, &e) && e.producer == i;
        good &= !ring_spsc_take(&spsc, &e);
    }
    ok(good, "full and empty, while the counters wrap");
    mpsc.head = mpsc.tail = UINT32_MAX - 7;
    for (unsigned i = 0; i < 8; i++)
        mpsc.turns[i] = UINT32_MAX - 7;
    for (int round = 0; round < 3; round++) {
        for (uint64_t i = 0; i < 8; i++)
            good &= ring_mpsc_put(&mpsc, &(struct element){i, 0, 0});
        good &= !ring_mpsc_put(&mpsc, &e) && !ring_mpsc_empty(&mpsc);
        for (uint64_t i = 0; i < 8; i++)
            good &= ring_mpsc_take(&mpsc, &e) && e.producer == i;
        good &= !ring_mpsc_take(&mpsc, &e) && ring_mpsc_empty(&mpsc);
    }
    ok(good, "of the ring with many producers, too");
}

/* As ring_mpsc_put, that loses its CPU between claim and completion. */
static void test_stopped_producer(void)
{
    struct element e;
    bool good = true;
    uint32_t n = mpsc.head;
    mpsc.head = n + 1;
    for (uint64_t i = 1; i < 8; i++)
        good &= ring_mpsc_put(&mpsc, &(struct element){i, 0, 0});
    ok(good, "others go on putting behind a producer that stopped half way");
    ok(!ring_mpsc_put(&mpsc, &e), "until the ring is full, and then they are told");
    ok(ring_mpsc_empty(&mpsc) && !ring_mpsc_take(&mpsc, &e), "the consumer finds nothing, and may sleep");
    ((struct element *)ring_mpsc_place(&mpsc, n))->producer = 0;
    ring_mpsc_pass(&mpsc, n, n + 1);
    for (uint64_t i = 0; i < 8; i++)
        good &= ring_mpsc_take(&mpsc, &e) && e.producer == i;
    ok(good && ring_mpsc_empty(&mpsc), "when it goes on, all is there, in order");
}

int main(void)
{
    alarm(900);
    run(spsc_consumer, spsc_producer, 1);
    ok(spsc_good, "one producer: nothing lost, all whole, in order");
    run(mpsc_consumer, mpsc_producer, PRODUCERS);
    ok(mpsc_good, "many producers: nothing lost, all whole, in order for each");
    test_edges();
    test_stopped_producer();
    return done();
}
