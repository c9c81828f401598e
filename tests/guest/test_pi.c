/* Futexes with priority inheritance, futex(2): the word holds the owner's id and a bit for waiters; the kernel hands it over. By raw calls, and as
   mutexes of PTHREAD_PRIO_INHERIT. */
#include "check.h"
#include <linux/futex.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/syscall.h>

#define THREADS 6
#define ROUNDS 500

static _Atomic unsigned word;
static long counter, mirror;
static _Atomic long wrong;
static _Atomic int ready;

static unsigned tid_of_caller(void) { return (unsigned)syscall(SYS_gettid); }
static long futex(_Atomic unsigned *at, int op, unsigned value, const void *timeout, _Atomic unsigned *at2, unsigned value3)
{
    return syscall(SYS_futex, at, op, value, timeout, at2, value3);
}

static void lock(void)
{
    unsigned free_word = 0;
    if (!atomic_compare_exchange_strong(&word, &free_word, tid_of_caller()))
        while (futex(&word, FUTEX_LOCK_PI_PRIVATE, 0, NULL, NULL, 0) && errno == EINTR)
            ;
}
static void unlock(void)
{
    unsigned mine = tid_of_caller();
    if (!atomic_compare_exchange_strong(&word, &mine, 0))
        wrong += futex(&word, FUTEX_UNLOCK_PI_PRIVATE, 0, NULL, NULL, 0) != 0;
}

static void *contender(void *number)
{
    for (int i = 0; i < ROUNDS; i++) {
        lock();
        wrong += (word & FUTEX_TID_MASK) != tid_of_caller() || counter != mirror;
        counter++;
        if (i % 8 == (long)number)
            sched_yield();
        mirror++;
        unlock();
    }
    return NULL;
}

static void contention(void)
{
    pthread_t t[THREADS];
    counter = mirror = wrong = 0;
    for (long i = 0; i < THREADS; i++)
        t[i] = start(contender, (void *)i);
    for (int i = 0; i < THREADS; i++)
        pthread_join(t[i], NULL);
    equal(counter, THREADS * ROUNDS, "%d threads, %d rounds each", THREADS, ROUNDS);
    equal(wrong, 0, "the owner's id was in the word, and nobody else was inside");
    equal(word, 0, "the word is 0 in the end");
}

static void *holder(void *unused)
{
    lock();
    ready = 1;
    eventually(ready == 2);
    unlock();
    return NULL;
}

static void errors(void)
{
    word = tid_of_caller();
    fails(futex(&word, FUTEX_LOCK_PI_PRIVATE, 0, NULL, NULL, 0), EDEADLK, "one's own word again");
    fails(futex(&word, FUTEX_TRYLOCK_PI_PRIVATE, 0, NULL, NULL, 0), EDEADLK, "the same by trying");
    equal(futex(&word, FUTEX_UNLOCK_PI_PRIVATE, 0, NULL, NULL, 0), 0, "unlock by the kernel");
    equal(word, 0, "leaves 0");
    fails(futex(&word, FUTEX_UNLOCK_PI_PRIVATE, 0, NULL, NULL, 0), EPERM, "unlock of what is not locked");
    equal(futex(&word, FUTEX_TRYLOCK_PI_PRIVATE, 0, NULL, NULL, 0), 0, "trylock of a free word");
    equal(word, tid_of_caller(), "it is the caller's");
    equal(futex(&word, FUTEX_UNLOCK_PI_PRIVATE, 0, NULL, NULL, 0), 0, "and free again");
    word = 0x3fffffff;
    fails(futex(&word, FUTEX_LOCK_PI_PRIVATE, 0, NULL, NULL, 0), ESRCH, "an owner that is not there");
    word = 0;

    ready = 0;
    pthread_t t = start(holder, NULL);
    eventually(ready == 1);
    struct timespec at;
    clock_gettime(CLOCK_REALTIME, &at);
    at.tv_sec += at.tv_nsec >= 980000000;
    at.tv_nsec = (at.tv_nsec + 20000000) % 1000000000;
    fails(futex(&word, FUTEX_LOCK_PI_PRIVATE, 0, &at, NULL, 0), ETIMEDOUT, "a time-out");
    fails(futex(&word, FUTEX_TRYLOCK_PI_PRIVATE, 0, NULL, NULL, 0), EAGAIN, "trylock of another's");
    fails(futex(&word, FUTEX_UNLOCK_PI_PRIVATE, 0, NULL, NULL, 0), EPERM, "unlock of another's");
    ready = 2;
    pthread_join(t, NULL);
    equal(word & FUTEX_TID_MASK, 0, "free in the end");
    word = 0;
}

/* A condition variable by hand: waiters on one word are moved to a PI word, and come out as its owners. */
static _Atomic unsigned signal_word;
static void *waits_for_requeue(void *unused)
{
    ready++;
    long result = futex(&signal_word, FUTEX_WAIT_REQUEUE_PI_PRIVATE, 0, NULL, &word, 0);
    wrong += result != 0 || (word & FUTEX_TID_MASK) != tid_of_caller();
    if (!result)
        unlock();
    return NULL;
}

static void requeue(void)
{
    pthread_t t[4];
    word = signal_word = 0;
    wrong = ready = 0;
    for (int i = 0; i < 4; i++)
        t[i] = start(waits_for_requeue, NULL);
    eventually(ready == 4);
    fails(futex(&signal_word, FUTEX_CMP_REQUEUE_PI_PRIVATE, 1, (void *)10l, &word, 1), EAGAIN, "another value");
    long moved = 0;
    for (int i = 0; moved < 4 && i < 60000; i++) {
        long n = futex(&signal_word, FUTEX_CMP_REQUEUE_PI_PRIVATE, 1, (void *)10l, &word, 0);
        moved += n > 0 ? n : 0;
        sleep_ms(1);
    }
    for (int i = 0; i < 4; i++)
        pthread_join(t[i], NULL);
    equal(moved, 4, "four waiters woken or moved");
    equal(wrong, 0, "each woke as the owner");
}

static pthread_mutex_t mutex;
static void *mutex_user(void *number)
{
    for (int i = 0; i < ROUNDS; i++) {
        wrong += pthread_mutex_lock(&mutex) != 0 || counter != mirror;
        counter++;
        if (i % 8 == (long)number)
            sched_yield();
        mirror++;
        wrong += pthread_mutex_unlock(&mutex) != 0;
    }
    return NULL;
}

static void mutexes(void)
{
    pthread_t t[THREADS];
    pthread_mutexattr_t attr;
    pthread_mutexattr_init(&attr);
    if (!equal(pthread_mutexattr_setprotocol(&attr, PTHREAD_PRIO_INHERIT), 0, "PTHREAD_PRIO_INHERIT"))
        return;
    pthread_mutex_init(&mutex, &attr);
    counter = mirror = wrong = 0;
    for (long i = 0; i < THREADS; i++)
        t[i] = start(mutex_user, (void *)i);
    for (int i = 0; i < THREADS; i++)
        pthread_join(t[i], NULL);
    equal(counter, THREADS * ROUNDS, "%d threads, %d rounds each", THREADS, ROUNDS);
    equal(wrong, 0, "nobody saw a half-done change");
    pthread_mutex_destroy(&mutex);
}

/* All on one CPU: low holds the mutex, high waits for it, middle would run for ever. Only with inheritance does low get to unlock. */
static _Atomic bool high_done;
static _Atomic int stage;

static int become(int priority)
{
    struct sched_param param = {.sched_priority = priority};
    return pthread_setschedparam(pthread_self(), SCHED_FIFO, &param);
}

static void *low(void *unused)
{
    wrong += become(1) != 0;
    pthread_mutex_lock(&mutex);
    stage = 1;
    while (stage < 2)
        sleep_ms(1);
    uint64_t until = now_ns() + 20000000;
    while (now_ns() < until)
        ;
    pthread_mutex_unlock(&mutex);
    return NULL;
}

static void *high(void *unused)
{
    wrong += become(30) != 0;
    stage = 2;
    pthread_mutex_lock(&mutex);
    high_done = true;
    pthread_mutex_unlock(&mutex);
    return NULL;
}

static void *middle(void *unused)
{
    wrong += become(20) != 0;
    uint64_t until = now_ns() + 600000000; /* below what Linux gives real-time threads of a second */
    while (!high_done && now_ns() < until)
        ;
    return (void *)(long)high_done;
}

static void inheritance(void)
{
    pthread_mutexattr_t attr;
    cpu_set_t all, one;
    void *in_time;
    pthread_mutexattr_init(&attr);
    pthread_mutexattr_setprotocol(&attr, PTHREAD_PRIO_INHERIT);
    pthread_mutex_init(&mutex, &attr);
    sched_getaffinity(0, sizeof(all), &all);
    CPU_ZERO(&one);
    for (int i = 0; i < CPU_SETSIZE && !CPU_COUNT(&one); i++)
        if (CPU_ISSET(i, &all))
            CPU_SET(i, &one);
    sched_setaffinity(0, sizeof(one), &one); /* the others inherit it */
    wrong = stage = 0;
    high_done = false;
    pthread_t l = start(low, NULL);
    eventually(stage == 1);
    pthread_t h = start(high, NULL);
    eventually(stage == 2);
    pthread_t m = start(middle, NULL);
    pthread_join(m, &in_time);
    pthread_join(h, NULL);
    pthread_join(l, NULL);
    sched_setaffinity(0, sizeof(all), &all);
    equal(wrong, 0, "priorities 1, 20, 30");
    check(in_time, "the lowest runs on before the middle one while the highest waits for it");
    pthread_mutex_destroy(&mutex);
}

int main(void)
{
    if (!on_singlet() && become(1))
        return 0; /* not allowed to have priorities */
    struct sched_param normal = {0};
    pthread_setschedparam(pthread_self(), SCHED_OTHER, &normal);
    run(contention);
    run(errors);
    run(requeue);
    run(mutexes);
    run(inheritance);
    return 0;
}
