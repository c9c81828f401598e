/* Mappings that one thread takes away while others use them. When munmap or mprotect has returned, no CPU may still use what it remembers of
   the old mapping: after the flag is set, each reader's access must fault, and a writer's must not change memory. */
#include "check.h"
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>

#define READERS 3
#define ROUNDS 60
#define PAGE 4096u

static __thread sigjmp_buf way_out;
static __thread volatile sig_atomic_t guarded;
static unsigned char *_Atomic page; /* NULL: wait for the next round */
static _Atomic unsigned round_number, gone;
static _Atomic int in_round, done;
static _Atomic long stale, faults, foreign;
static _Atomic bool stop;
static bool writes;

static void on_fault(int sig)
{
    if (!guarded) {
        signal(sig, SIG_DFL);
        return;
    }
    siglongjmp(way_out, 1);
}

/* One access; false if it faulted. */
static bool touch(volatile unsigned char *p, unsigned char *value)
{
    bool good = false;
    guarded = 1;
    if (!sigsetjmp(way_out, 1)) {
        if (writes)
            *p = 1;
        else
            *value = *p;
        good = true;
    }
    guarded = 0;
    return good;
}

/* Touches the page until it has faulted, which must happen at the first access after the flag. */
static void *user(void *unused)
{
    for (unsigned round = 1;; round++) {
        while (round_number < round && !stop)
            sched_yield();
        if (stop)
            return NULL;
        unsigned char *p = page, value = 0;
        in_round++;
        for (;;) {
            bool after = gone == round;
            if (!touch(p, &value)) {
                faults++;
                break;
            }
            foreign += !writes && value != 0x5a;
            if (after) {
                stale++;
                break;
            }
        }
        done++;
    }
}

static unsigned char *fresh(void)
{
    unsigned char *p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        return NULL;
    memset(p, 0x5a, PAGE);
    return p;
}

static void take_away(int protection, int rounds)
{
    pthread_t t[READERS];
    struct sigaction action = {.sa_handler = on_fault}, old;
    sigaction(SIGSEGV, &action, &old);
    round_number = gone = 0;
    stale = faults = foreign = 0;
    stop = false;
    for (int i = 0; i < READERS; i++)
        t[i] = start(user, NULL);
    int bad = 0;
    for (unsigned round = 1; round <= (unsigned)rounds && !bad; round++) {
        in_round = done = 0;
        unsigned char *p = fresh();
        if (!p) {
            bad++;
            break;
        }
        page = p;
        round_number = round;
        bad += !eventually(in_round == READERS);
        bad += protection < 0 ? munmap(p, PAGE) != 0 : mprotect(p, PAGE, protection) != 0;
        gone = round;
        bad += !eventually(done == READERS);
        if (protection >= 0)
            munmap(p, PAGE);
    }
    stop = true;
    for (int i = 0; i < READERS; i++)
        pthread_join(t[i], NULL);
    sigaction(SIGSEGV, &old, NULL);
    equal(bad, 0, "%d rounds", rounds);
    equal(stale, 0, "no access succeeded after the call had returned");
    equal(faults, rounds * READERS, "each thread's last access faulted");
    equal(foreign, 0, "what was read before was the page's own");
}

static void unmapped_for_readers(void)
{
    writes = false;
    take_away(-1, ROUNDS);
}
static void unmapped_for_writers(void)
{
    writes = true;
    take_away(-1, ROUNDS);
}
static void protected_from_readers(void)
{
    writes = false;
    take_away(PROT_NONE, ROUNDS);
}
static void protected_from_writers(void)
{
    writes = true;
    take_away(PROT_READ, ROUNDS);
}

/* Memory that is given back and mapped again by others must never be seen through an old mapping: each thread's memory holds its own number
   only. MADV_DONTNEED in between makes it zero. */
#define CHURNERS 4
static void *churn(void *number)
{
    unsigned char self = (unsigned char)((long)number + 1);
    for (int i = 0; i < 150; i++) {
        size_t size = (size_t)(1 + i % 7) * PAGE;
        unsigned char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (p == MAP_FAILED) {
            foreign++;
            break;
        }
        for (size_t at = 0; at < size; at += 512)
            foreign += p[at] != 0;
        memset(p, self, size);
        sched_yield();
        for (size_t at = 0; at < size; at += 512)
            foreign += p[at] != self;
        if (i % 3 == 0) {
            madvise(p, size, MADV_DONTNEED);
            for (size_t at = 0; at < size; at += 512)
                foreign += p[at] != 0;
        }
        munmap(p, size);
    }
    return NULL;
}

static void churning(void)
{
    pthread_t t[CHURNERS];
    foreign = 0;
    for (long i = 0; i < CHURNERS; i++)
        t[i] = start(churn, (void *)i);
    for (int i = 0; i < CHURNERS; i++)
        pthread_join(t[i], NULL);
    equal(foreign, 0, "memory of %d threads that map and unmap is never mixed up", CHURNERS);
}

/* The page is made read-only and writable again while a writer goes on; while it is read-only it does not change. */
static _Atomic long attempts;
static void *persistent_writer(void *at)
{
    unsigned char value;
    while (!stop) {
        touch(at, &value);
        attempts++;
    }
    return NULL;
}

static void read_only_means_it(void)
{
    struct sigaction action = {.sa_handler = on_fault}, old;
    unsigned char *p = fresh();
    long changed = 0, bad = 0;
    if (!check(p != NULL, "a page"))
        return;
    sigaction(SIGSEGV, &action, &old);
    writes = true;
    stop = false;
    attempts = 0;
    pthread_t t = start(persistent_writer, p);
    for (int i = 0; i < 100; i++) {
        bad += mprotect(p, PAGE, PROT_READ | PROT_WRITE) != 0;
        p[0] = 0x5a;
        bad += mprotect(p, PAGE, PROT_READ) != 0;
        unsigned char before = *(volatile unsigned char *)p;
        long from = attempts;
        bad += !eventually(attempts > from + 2);
        changed += *(volatile unsigned char *)p != before;
    }
    stop = true;
    pthread_join(t, NULL);
    sigaction(SIGSEGV, &old, NULL);
    munmap(p, PAGE);
    equal(bad, 0, "100 changes of protection");
    equal(changed, 0, "a read-only page stays as it is");
}

int main(void)
{
    run(unmapped_for_readers);
    run(unmapped_for_writers);
    run(protected_from_readers);
    run(protected_from_writers);
    run(churning);
    run(read_only_means_it);
    return 0;
}
