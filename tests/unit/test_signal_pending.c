/* SOURCES: kernel/linux/signal_pending.c tests/unit/host/host.c */
/* SANITIZE: thread */
/* Pending signals: order and information, then many threads that send, take and withdraw at once.
   Each queued one that was sent is taken once or withdrawn, no plain one is lost, and the bits say
   what there is. */
#include <kernel/signal_pending.h>
#include <stdatomic.h>

#include "host/host.h"
#include "tap.h"

unsigned alarm(unsigned seconds);

#define BIT(sig) (1ull << ((sig)-1))
#define ALL UINT64_MAX

static struct signal_pending set;

static void test_one(void)
{
    siginfo_t info;
    struct queued_signal a = {.info = {.si_signo = 34, .si_code = SI_TIMER}}, b = a,
                         c = {.info = {.si_signo = 14, .si_code = SI_TIMER}};
    a.info.si_int = 1, b.info.si_int = 2, c.info.si_int = 3;
    signal_pending_init(&set);
    ok(signal_pending_take(&set, ALL, &info) == 0 && !set.any, "nothing");
    signal_pending_add(&set, 10, SI_USER);
    signal_pending_add(&set, 10, SI_USER);
    ok(set.any == BIT(10) && signal_pending_take(&set, ~BIT(10), &info) == 0,
       "not one outside of the set");
    ok(signal_pending_take(&set, ALL, &info) == 10 && info.si_code == SI_USER && info.si_pid == 1 &&
           !set.any,
       "a plain one, once");
    signal_pending_add(&set, 10, SI_TKILL);
    ok(signal_pending_take(&set, ALL, &info) == 10 && info.si_code == SI_TKILL,
       "si_code is the last sender's");
    signal_pending_add(&set, 14, SI_KERNEL);
    signal_pending_queue(&set, &a);
    signal_pending_queue(&set, &b);
    signal_pending_queue(&set, &a);
    signal_pending_queue(&set, &c);
    ok(set.any == (BIT(14) | BIT(34)), "bits of both kinds");
    ok(signal_pending_take(&set, ALL, &info) == 14 && info.si_code == SI_KERNEL && info.si_pid == 0,
       "the plain one first");
    ok(signal_pending_take(&set, ALL, &info) == 14 && info.si_int == 3 && set.any == BIT(34),
       "then the queued one of its number");
    ok(signal_pending_take(&set, ALL, &info) == 34 && info.si_int == 1 && set.any == BIT(34),
       "others in the order of their arrival");
    signal_pending_withdraw(&a);
    signal_pending_withdraw(&b);
    ok(!set.any && signal_pending_take(&set, ALL, &info) == 0, "withdrawn");
}

#define THREADS 4
#define EACH 16
#define ROUNDS 20000
static struct queued_signal queued[THREADS][EACH];
static _Atomic long sent, taken, plain_taken;
static _Atomic bool plain_sent, bad;
static _Atomic int running;

/* Each sends its own; one is sent again only when it was taken, as by a timer that was told. The
 * first is withdrawn each time, unless it was taken just then. */
static _Atomic bool out[THREADS][EACH];

static void sender(void *arg)
{
    long me = (long)arg;
    uint64_t r = (uint64_t)me * 0x9e3779b97f4a7c15u + host_seed();
    for (int i = 0; i < ROUNDS; i++) {
        r = r * 6364136223846793005u + 1442695040888963407u;
        int k = (int)(r >> 40) % EACH;
        if (k == 0) {
            signal_pending_queue(&set, &queued[me][0]);
            if ((r >> 50) % 2)
                host_yield();
            signal_pending_withdraw(&queued[me][0]);
            if (queued[me][0].on)
                atomic_store(&bad, true);
        } else if (!atomic_exchange(&out[me][k], true)) {
            atomic_fetch_add(&sent, 1);
            signal_pending_queue(&set, &queued[me][k]);
        }
        if ((r >> 30) % 16 == 0) {
            atomic_store(&plain_sent, true);
            signal_pending_add(&set, 50, SI_USER);
        }
        if ((r >> 20) % 32 == 0)
            host_yield();
    }
    atomic_fetch_sub(&running, 1);
}

static void taker(void *arg)
{
    siginfo_t info;
    for (;;) {
        bool last = atomic_load(&running) == 0;
        int sig = signal_pending_take(&set, ALL, &info);
        if (!sig && last)
            break;
        if (!sig) {
            host_yield();
        } else if (sig == 50) {
            atomic_fetch_add(&plain_taken, 1);
        } else {
            int me = info.si_int / EACH, k = info.si_int % EACH;
            if (sig != 34 + k % 3)
                atomic_store(&bad, true);
            if (k && atomic_exchange(&out[me][k], false))
                atomic_fetch_add(&taken, 1);
            else if (k)
                atomic_store(&bad, true);
        }
    }
}

static void test_many(void)
{
    struct host_thread *t[THREADS + 2];
    signal_pending_init(&set);
    running = THREADS;
    for (long i = 0; i < THREADS; i++)
        for (int k = 0; k < EACH; k++) {
            queued[i][k].info.si_signo = 34 + k % 3;
            queued[i][k].info.si_code = SI_TIMER;
            queued[i][k].info.si_int = (int)i * EACH + k;
        }
    for (long i = 0; i < THREADS; i++)
        t[i] = host_spawn(sender, (void *)i);
    for (int i = 0; i < 2; i++)
        t[THREADS + i] = host_spawn(taker, NULL);
    for (int i = 0; i < THREADS + 2; i++)
        host_join(t[i]);
    printf("# %ld sent, %ld taken, %ld plain\n", (long)sent, (long)taken, (long)plain_taken);
    ok(!bad, "each with its own information, and nowhere after it was withdrawn");
    ok(sent == taken && taken > 0, "each that was sent is taken, once");
    ok((plain_taken > 0) == plain_sent && !set.any, "no plain one is lost, and nothing is left");
}

int main(void)
{
    alarm(900);
    test_one();
    test_many();
    return done();
}
