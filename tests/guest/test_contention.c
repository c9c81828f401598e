/* Many threads at the same lock, for each kind of lock: what it protects stays whole, and nobody is left asleep. The threads yield now and then
   inside, so that there is contention on one CPU as well. */
#include "check.h"
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>

#define THREADS 8

static void together(void *(*function)(void *), int threads)
{
    pthread_t t[32];
    for (long i = 0; i < threads; i++)
        t[i] = start(function, (void *)i);
    for (int i = 0; i < threads; i++)
        pthread_join(t[i], NULL);
}

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static long counter, mirror;
static _Atomic long torn;

#define MUTEX_ROUNDS 5000
static void *locker(void *number)
{
    for (long i = 0; i < MUTEX_ROUNDS; i++) {
        if (i % 5 == 4)
            while (pthread_mutex_trylock(&mutex))
                sched_yield();
        else
            pthread_mutex_lock(&mutex);
        torn += counter != mirror;
        counter++;
        if (i % 64 == (long)number)
            sched_yield();
        mirror++;
        pthread_mutex_unlock(&mutex);
    }
    return NULL;
}

static void mutual_exclusion(void)
{
    counter = mirror = torn = 0;
    together(locker, THREADS);
    equal(counter, THREADS * MUTEX_ROUNDS, "each of %d threads counted %d times", THREADS, MUTEX_ROUNDS);
    equal(torn, 0, "nobody saw a half-done change");
}

#define TIMED_ROUNDS 300
static _Atomic long timed_out;
static void *timed_locker(void *number)
{
    for (long i = 0; i < TIMED_ROUNDS; i++) {
        struct timespec at;
        clock_gettime(CLOCK_REALTIME, &at);
        at.tv_nsec += 200000 * (long)number; /* thread 0 gives up at once */
        if (at.tv_nsec >= 1000000000)
            at.tv_sec++, at.tv_nsec -= 1000000000;
        int error = pthread_mutex_timedlock(&mutex, &at);
        if (error == ETIMEDOUT) {
            timed_out++;
            continue;
        }
        torn += error || counter != mirror;
        counter++;
        if (i % 16 == 0)
            sleep_ms(1);
        mirror++;
        pthread_mutex_unlock(&mutex);
    }
    return NULL;
}

static void giving_up(void)
{
    counter = mirror = torn = timed_out = 0;
    together(timed_locker, THREADS);
    equal(counter + timed_out, THREADS * TIMED_ROUNDS, "each attempt ended in the lock or in ETIMEDOUT (%ld)", (long)timed_out);
    equal(torn, 0, "nobody saw a half-done change");
    equal(pthread_mutex_trylock(&mutex), 0, "the mutex is free in the end");
    pthread_mutex_unlock(&mutex);
}

#define ITEMS 4000
#define ROOM 4
static pthread_cond_t not_empty = PTHREAD_COND_INITIALIZER, not_full = PTHREAD_COND_INITIALIZER;
static int in_store;
static long put_sum, got_sum, got_count;

static void *putter(void *number)
{
    for (long i = 0; i < ITEMS; i++) {
        pthread_mutex_lock(&mutex);
        while (in_store == ROOM)
            pthread_cond_wait(&not_full, &mutex);
        torn += in_store < 0 || in_store >= ROOM;
        in_store++;
        put_sum++;
        pthread_cond_signal(&not_empty);
        pthread_mutex_unlock(&mutex);
    }
    return number;
}

static void *getter(void *number)
{
    for (long i = 0; i < ITEMS; i++) {
        pthread_mutex_lock(&mutex);
        while (in_store == 0)
            pthread_cond_wait(&not_empty, &mutex);
        torn += in_store <= 0 || in_store > ROOM;
        in_store--;
        got_sum++;
        pthread_cond_signal(&not_full);
        pthread_mutex_unlock(&mutex);
    }
    return number;
}

static void *either(void *number) { return (long)number % 2 ? putter(number) : getter(number); }

static void condition_variables(void)
{
    in_store = 0;
    put_sum = got_sum = got_count = torn = 0;
    together(either, THREADS);
    equal(put_sum, THREADS / 2 * ITEMS, "all items were put");
    equal(got_sum, put_sum, "and taken");
    equal(torn, 0, "the store never held less than none or more than %d", ROOM);
}

#define BROADCASTS 200
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int generation, arrived;

static void *follower(void *number)
{
    for (int i = 0; i < BROADCASTS; i++) {
        pthread_mutex_lock(&mutex);
        int mine = generation;
        if (++arrived == THREADS) {
            arrived = 0;
            generation++;
            pthread_cond_broadcast(&changed);
        } else {
            while (mine == generation)
                pthread_cond_wait(&changed, &mutex);
        }
        torn += generation != i + 1;
        pthread_mutex_unlock(&mutex);
    }
    return number;
}

static void broadcasts(void)
{
    generation = arrived = 0;
    torn = 0;
    together(follower, THREADS);
    equal(generation, BROADCASTS, "%d broadcasts", BROADCASTS);
    equal(torn, 0, "each reached all, and nobody ran ahead");
}

#define PHASES 200
static pthread_barrier_t barrier;
static _Atomic int phase_of[THREADS];
static _Atomic long serial;

static void *phased(void *number)
{
    for (int i = 1; i <= PHASES; i++) {
        phase_of[(long)number] = i;
        serial += pthread_barrier_wait(&barrier) == PTHREAD_BARRIER_SERIAL_THREAD;
        for (int other = 0; other < THREADS; other++)
            torn += phase_of[other] != i;
        pthread_barrier_wait(&barrier);
    }
    return NULL;
}

static void barriers(void)
{
    torn = serial = 0;
    pthread_barrier_init(&barrier, NULL, THREADS);
    together(phased, THREADS);
    pthread_barrier_destroy(&barrier);
    equal(torn, 0, "behind the barrier all are in the same phase");
    equal(serial, PHASES, "one thread of each phase is told so");
}

#define RW_ROUNDS 2000
static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
static _Atomic int readers, most_readers;

/* Inside with another reader, however late that one is. */
static void meet_inside(void)
{
    struct timespec moment = {.tv_nsec = 1000000};
    pthread_rwlock_rdlock(&rwlock);
    int now = ++readers;
    for (int i = 0; i < 5000 && most_readers < 2; i++) {
        if (now > 1 || readers > 1)
            most_readers = 2;
        else
            nanosleep(&moment, NULL);
    }
    readers--;
    pthread_rwlock_unlock(&rwlock);
}

static void *reader_writer(void *number)
{
    meet_inside();
    for (long i = 0; i < RW_ROUNDS; i++) {
        if (i % 10 == (long)number % 10) {
            pthread_rwlock_wrlock(&rwlock);
            torn += readers != 0;
            counter++;
            if (i % 100 == 0)
                sched_yield();
            mirror++;
        } else {
            pthread_rwlock_rdlock(&rwlock);
            int now = ++readers;
            if (now > most_readers)
                most_readers = now;
            torn += counter != mirror;
            if (i % 50 == 0)
                sched_yield();
            torn += counter != mirror;
            readers--;
        }
        pthread_rwlock_unlock(&rwlock);
    }
    return NULL;
}

static void reader_writer_locks(void)
{
    counter = mirror = torn = readers = most_readers = 0;
    together(reader_writer, THREADS);
    equal(counter, THREADS * RW_ROUNDS / 10, "all writers wrote");
    equal(torn, 0, "no reader saw a half-done change, no writer a reader");
    check(most_readers > 1, "readers were inside together (%d)", (int)most_readers);
}

#define TOKENS 3
#define SEM_ROUNDS 2000
static sem_t tokens;
static _Atomic int inside;

static void *taker(void *number)
{
    for (long i = 0; i < SEM_ROUNDS; i++) {
        while (sem_wait(&tokens) < 0)
            ;
        torn += ++inside > TOKENS;
        if (i % 64 == (long)number)
            sched_yield();
        inside--;
        sem_post(&tokens);
    }
    return NULL;
}

static void semaphores(void)
{
    int value = 0;
    torn = inside = 0;
    sem_init(&tokens, 0, TOKENS);
    together(taker, THREADS);
    sem_getvalue(&tokens, &value);
    equal(torn, 0, "never more than %d inside", TOKENS);
    equal(value, TOKENS, "all tokens are back");
    sem_destroy(&tokens);
}

#define ONCES 100
static pthread_once_t once[ONCES];
static _Atomic long once_runs;
static void once_function(void)
{
    once_runs++;
    sched_yield();
}

static void *once_caller(void *number)
{
    for (int i = 0; i < ONCES; i++) {
        pthread_once(&once[i], once_function);
        torn += once_runs < i + 1;
    }
    return number;
}

static void onces(void)
{
    torn = once_runs = 0;
    for (int i = 0; i < ONCES; i++)
        once[i] = (pthread_once_t)PTHREAD_ONCE_INIT;
    together(once_caller, THREADS);
    equal(once_runs, ONCES, "each once");
    equal(torn, 0, "and done when pthread_once returns");
}

/* Each thread holds one of two locks at a time, in an order that all keep; transfers leave the sum alone. */
#define ACCOUNTS 4
#define TRANSFERS 3000
static pthread_mutex_t account_lock[ACCOUNTS];
static long account[ACCOUNTS];

static void *transferrer(void *number)
{
    unsigned seed = (unsigned)(long)number + 1;
    for (int i = 0; i < TRANSFERS; i++) {
        seed = seed * 1103515245 + 12345;
        unsigned a = seed >> 16 & 3, b = seed >> 20 & 3, low = a < b ? a : b, high = a < b ? b : a;
        if (a == b)
            continue;
        pthread_mutex_lock(&account_lock[low]);
        pthread_mutex_lock(&account_lock[high]);
        account[a]--;
        if (i % 100 == 0)
            sched_yield();
        account[b]++;
        pthread_mutex_unlock(&account_lock[high]);
        pthread_mutex_unlock(&account_lock[low]);
    }
    return NULL;
}

static void transfers(void)
{
    long sum = 0;
    for (int i = 0; i < ACCOUNTS; i++) {
        pthread_mutex_init(&account_lock[i], NULL);
        account[i] = 1000;
    }
    together(transferrer, THREADS);
    for (int i = 0; i < ACCOUNTS; i++)
        sum += account[i];
    equal(sum, 1000 * ACCOUNTS, "the sum over all accounts");
}

int main(void)
{
    run(mutual_exclusion);
    run(giving_up);
    run(condition_variables);
    run(broadcasts);
    run(barriers);
    run(reader_writer_locks);
    run(semaphores);
    run(onces);
    run(transfers);
    return 0;
}
