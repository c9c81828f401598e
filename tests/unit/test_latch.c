/* SOURCES: tests/unit/host/host.c */
/* SANITIZE: thread */
/* The latch under ThreadSanitizer, with delays before every atomic operation: what a reader got belongs to one update, and never to an older one than before; a
   writer that stops half way stops no reader. */
#include <sched/mutex.h>
#include "delays.h"
#include <kernel/latch.h>

#include "host/host.h"
#include "tap.h"

unsigned alarm(unsigned seconds);

#define READERS 6
#define WRITERS 2
#define UPDATES 20000
#define WORDS 5

static struct latch latch;
static _Atomic uint64_t copy[2][WORDS];
static struct mutex lock = MUTEX_INIT;
static uint64_t updates; /* lock */
static _Atomic int writing = WRITERS;
static _Atomic bool torn, older;
static _Atomic long reads, repeated;

static uint64_t word(uint64_t update, unsigned i) { return update * (2 * i + 1) ^ i; }

static void put(uint64_t update, unsigned from, unsigned to)
{
    uint32_t n = latch_write(&latch);
    for (unsigned i = from; i < to; i++)
        latch_put(&copy[n & 1][i], word(update, i));
    if (to == WORDS)
        latch_publish(&latch, n);
}

/* The update that was read. */
static uint64_t take(void)
{
    uint64_t w[WORDS];
    uint32_t n;
    for (;;) {
        n = latch_read(&latch);
        for (unsigned i = 0; i < WORDS; i++)
            w[i] = latch_get(&copy[n & 1][i]);
        if (!latch_changed(&latch, n))
            break;
        repeated++;
    }
    for (unsigned i = 0; i < WORDS; i++)
        if (w[i] != word(w[0], i))
            torn = true;
    reads++;
    return w[0];
}

static void reader(void *arg)
{
    uint64_t before = 0;
    while (writing) {
        uint64_t now = take();
        if (now < before)
            older = true;
        before = now;
    }
}

static void writer(void *arg)
{
    for (int i = 0; i < UPDATES; i++) {
        mutex_lock(&lock);
        put(++updates, 0, WORDS);
        mutex_unlock(&lock);
    }
    writing--;
}

static _Atomic int done_reading;
static void read_some(void *arg)
{
    for (int i = 0; i < 2000; i++)
        if (take() != updates)
            torn = true;
    done_reading++;
}

static void test_stopped_writer(void)
{
    struct host_thread *t[READERS];
    long before = repeated;
    for (unsigned stop = 0; stop < WORDS; stop++) { /* half way: `stop` words are written, and nobody goes on */
        put(updates + 1, 0, stop);
        for (int i = 0; i < READERS; i++)
            t[i] = host_spawn(read_some, NULL);
        for (int i = 0; i < READERS; i++)
            host_join(t[i]);
        put(++updates, stop, WORDS);
    }
    ok(done_reading == READERS * (int)WORDS && !torn, "a writer that stops half way stops no reader");
    ok(repeated == before, "nor does one read twice for it");
    ok(take() == updates, "when it goes on, all see what it wrote");
}

int main(void)
{
    struct host_thread *t[READERS + WRITERS];
    alarm(900);
    put(0, 0, WORDS);
    for (int i = 0; i < READERS + WRITERS; i++)
        t[i] = host_spawn(i < READERS ? reader : writer, NULL);
    for (int i = 0; i < READERS + WRITERS; i++)
        host_join(t[i]);
    printf("# %ld reads, %ld repeated\n", (long)reads, (long)repeated);
    ok(!torn, "what is read together was written together");
    ok(!older, "and is never older than what was read before");
    ok(repeated > 0, "readers met finished updates");
    ok(take() == (uint64_t)WRITERS * UPDATES, "no update is lost");
    test_stopped_writer();
    return done();
}
