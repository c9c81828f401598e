/* SOURCES: tests/unit/host/host.c */
/* SANITIZE: thread */
/* The table of lock statistics: many threads record the same and different pairs at once, with delays, while another reads. */
#include <sched/lockstat.h>
#include "delays.h"

#include "../../sched/lockstat.c"

#include "host/host.h"
#include "tap.h"

#define THREADS 6
#define ROUNDS 6000
#define PAIRS 40

static char mutexes[8], sites[PAIRS];
static _Atomic bool ended, torn;

static const void *mutex_of(unsigned pair) { return &mutexes[pair % 8]; }

static void recorder(void *arg)
{
    for (unsigned i = 0; i < ROUNDS; i++) {
        unsigned pair = (unsigned)(delay_random() % PAIRS);
        lock_stat_record(mutex_of(pair), &sites[pair], pair + i % 10);
    }
}

static void reader(void *arg)
{
    static struct lock_stat out[LOCK_STAT_MAX];
    uint64_t none;
    while (!ended) {
        unsigned n = lock_stat_read(out, LOCK_STAT_MAX, &none);
        for (unsigned i = 0; i < n; i++) {
            size_t pair = (size_t)((const char *)out[i].site - sites);
            if (n > PAIRS || pair >= PAIRS || out[i].mutex != mutex_of((unsigned)pair) || out[i].longest_ns >= pair + 10)
                torn = true;
        }
    }
}

static void test_threads(void)
{
    static struct lock_stat out[LOCK_STAT_MAX];
    struct host_thread *t[THREADS], *r = host_spawn(reader, NULL);
    uint64_t none, sum = 0;
    for (int i = 0; i < THREADS; i++)
        t[i] = host_spawn(recorder, NULL);
    for (int i = 0; i < THREADS; i++)
        host_join(t[i]);
    ended = true;
    host_join(r);
    unsigned n = lock_stat_read(out, LOCK_STAT_MAX, &none);
    bool ordered = true, right = true;
    for (unsigned i = 0; i < n; i++) {
        uint64_t pair = (uint64_t)((const char *)out[i].site - sites);
        sum += out[i].contended;
        ordered = ordered && (i == 0 || out[i - 1].total_ns >= out[i].total_ns);
        right = right && out[i].longest_ns >= pair && out[i].longest_ns < pair + 10 && out[i].total_ns >= pair * out[i].contended &&
                out[i].total_ns < (pair + 10) * out[i].contended;
    }
    ok(n == PAIRS && !none, "one entry for each pair");
    ok(sum == THREADS * ROUNDS, "no acquisition is lost");
    ok(ordered && right, "totals and longest waits, the longest total first");
    ok(!torn, "a reader sees whole entries");
    ok(lock_stat_read(out, 5, &none) == 5 && out[4].total_ns <= out[0].total_ns, "the first five");
    uint64_t top = out[0].total_ns;
    lock_stat_read(out, LOCK_STAT_MAX, &none);
    ok(out[0].total_ns == top, "are the same as the first of all");
}

static void test_full(void)
{
    static struct lock_stat out[LOCK_STAT_MAX];
    static char many[4 * LOCK_STAT_MAX];
    uint64_t none, sum = 0;
    for (size_t i = 0; i < sizeof(many); i++)
        lock_stat_record(&mutexes[0], &many[i], 1);
    unsigned n = lock_stat_read(out, LOCK_STAT_MAX, &none);
    for (unsigned i = 0; i < n; i++)
        sum += out[i].contended;
    ok(n <= LOCK_STAT_MAX && none > 0 && sum + none == THREADS * ROUNDS + sizeof(many), "a full table counts what it has no room for");
}

int main(void)
{
    test_threads();
    test_full();
    return done();
}
