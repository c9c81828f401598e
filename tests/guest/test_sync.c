/* Mutexes of each kind, condition variables, reader-writer locks, barriers, semaphores, and their timeouts. */
#include "check.h"
#include <semaphore.h>
#include <stdatomic.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static long counter;

static struct timespec in_ms(clockid_t clock, unsigned ms)
{
    struct timespec t;
    clock_gettime(clock, &t);
    t.tv_nsec += (long)ms * 1000000;
    t.tv_sec += t.tv_nsec / 1000000000;
    t.tv_nsec %= 1000000000;
    return t;
}

static void *count_20000(void *yield)
{
    for (int i = 0; i < 20000; i++) {
        pthread_mutex_lock(&lock);
        long seen = counter;
        if (yield && i % 64 == 0)
            sched_yield(); /* so that the others do want it */
        counter = seen + 1;
        pthread_mutex_unlock(&lock);
    }
    return NULL;
}

static void contention(void)
{
    for (long yield = 0; yield < 2; yield++) {
        pthread_t t[4];
        counter = 0;
        for (int i = 0; i < 4; i++)
            t[i] = start(count_20000, (void *)yield);
        for (int i = 0; i < 4; i++)
            pthread_join(t[i], NULL);
        equal(counter, 80000, "4 threads x 20,000%s", yield ? ", giving way inside" : "");
    }
}

static void *try_lock(void *m) { return (void *)(long)pthread_mutex_trylock(m); }

static long try_elsewhere(pthread_mutex_t *m)
{
    void *result;
    pthread_join(start(try_lock, m), &result);
    return (long)result;
}

static void kinds(void)
{
    pthread_mutexattr_t a;
    pthread_mutex_t m;
    pthread_mutexattr_init(&a);
    pthread_mutexattr_settype(&a, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(&m, &a);
    equal(pthread_mutex_lock(&m), 0, "recursive: lock");
    equal(pthread_mutex_lock(&m), 0, "recursive: again");
    equal(pthread_mutex_trylock(&m), 0, "recursive: trylock");
    equal(try_elsewhere(&m), EBUSY, "recursive: not for another thread");
    for (int i = 0; i < 3; i++)
        equal(pthread_mutex_unlock(&m), 0, "recursive: unlock %d", i);
    equal(pthread_mutex_unlock(&m), EPERM, "recursive: one too many");
    pthread_mutex_destroy(&m);

    pthread_mutexattr_settype(&a, PTHREAD_MUTEX_ERRORCHECK);
    pthread_mutex_init(&m, &a);
    equal(pthread_mutex_unlock(&m), EPERM, "errorcheck: unlock of a free one");
    equal(pthread_mutex_lock(&m), 0, "errorcheck: lock");
    equal(pthread_mutex_lock(&m), EDEADLK, "errorcheck: again");
    equal(try_elsewhere(&m), EBUSY, "errorcheck: trylock elsewhere");
    equal(pthread_mutex_unlock(&m), 0, "errorcheck: unlock");
    pthread_mutex_destroy(&m);
    pthread_mutexattr_destroy(&a);

    pthread_mutex_init(&m, NULL);
    pthread_mutex_lock(&m);
    equal(try_elsewhere(&m), EBUSY, "normal: trylock elsewhere");
    struct timespec t = in_ms(CLOCK_REALTIME, 20);
    uint64_t before = now_ns();
    equal(pthread_mutex_timedlock(&m, &t), ETIMEDOUT, "normal: timedlock times out");
    check(now_ns() - before >= 19000000, "not early");
    pthread_mutex_unlock(&m);
    equal(pthread_mutex_timedlock(&m, &t), 0, "timedlock of a free one, with a time past");
    pthread_mutex_unlock(&m);
    pthread_mutex_destroy(&m);
}

/* The owner of a robust mutex ends with it locked. */
static void *die_locked(void *m)
{
    pthread_mutex_lock(m);
    return NULL;
}

static void *die_locked_later(void *m)
{
    pthread_mutex_lock(m);
    sleep_ms(30);
    return NULL;
}

static void robust(void)
{
    pthread_mutexattr_t a;
    pthread_mutex_t m;
    pthread_mutexattr_init(&a);
    equal(pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST), 0, "setrobust");
    pthread_mutex_init(&m, &a);
    pthread_join(start(die_locked, &m), NULL);
    equal(pthread_mutex_lock(&m), EOWNERDEAD, "the owner died: lock says so");
    equal(pthread_mutex_consistent(&m), 0, "made consistent");
    equal(pthread_mutex_unlock(&m), 0, "unlock");
    equal(pthread_mutex_lock(&m), 0, "lock again");
    pthread_mutex_unlock(&m);

    pthread_t t = start(die_locked_later, &m);
    int r;
    while ((r = pthread_mutex_trylock(&m)) == 0) { /* until it has it */
        pthread_mutex_unlock(&m);
        sleep_ms(1);
    }
    if (r == EBUSY)
        r = pthread_mutex_lock(&m);
    equal(r, EOWNERDEAD, "the owner dies while somebody waits");
    pthread_join(t, NULL);
    pthread_mutex_unlock(&m); /* without making it consistent */
    equal(pthread_mutex_lock(&m), ENOTRECOVERABLE, "not made consistent: not recoverable");
    pthread_mutex_destroy(&m);
    pthread_mutexattr_destroy(&a);
}

static pthread_cond_t not_empty = PTHREAD_COND_INITIALIZER, not_full = PTHREAD_COND_INITIALIZER;
static int ring[8], ring_used, ring_in, ring_out;

static void put(int value)
{
    pthread_mutex_lock(&lock);
    while (ring_used == 8)
        pthread_cond_wait(&not_full, &lock);
    ring[ring_in++ % 8] = value;
    ring_used++;
    pthread_cond_signal(&not_empty);
    pthread_mutex_unlock(&lock);
}

static void *produce(void *first)
{
    for (int i = 0; i < 2000; i++)
        put((int)(long)first + i);
    return NULL;
}

static void *consume(void *sum)
{
    for (;;) {
        pthread_mutex_lock(&lock);
        while (!ring_used)
            pthread_cond_wait(&not_empty, &lock);
        int value = ring[ring_out++ % 8];
        ring_used--;
        pthread_cond_signal(&not_full);
        pthread_mutex_unlock(&lock);
        if (value < 0)
            return NULL;
        *(long *)sum += value;
    }
}

static void producer_consumer(void)
{
    pthread_t p[3], c[3];
    long sums[3] = {0};
    for (long i = 0; i < 3; i++) {
        c[i] = start(consume, &sums[i]);
        p[i] = start(produce, (void *)(i * 2000));
    }
    for (int i = 0; i < 3; i++)
        pthread_join(p[i], NULL);
    for (int i = 0; i < 3; i++)
        put(-1);
    for (int i = 0; i < 3; i++)
        pthread_join(c[i], NULL);
    equal(sums[0] + sums[1] + sums[2], 6000l * 5999 / 2, "3 producers, 3 consumers, 6000 values: the sum");
}

static _Atomic int waiting, woken;
static bool released;
static pthread_cond_t released_cond = PTHREAD_COND_INITIALIZER;

static void *wait_release(void *n)
{
    pthread_mutex_lock(&lock);
    waiting++;
    while (!released)
        pthread_cond_wait(&released_cond, &lock);
    woken++;
    pthread_mutex_unlock(&lock);
    return n;
}

static void condition(void)
{
    pthread_cond_t c;
    pthread_condattr_t a;
    uint64_t before = now_ns();
    struct timespec t = in_ms(CLOCK_REALTIME, 20);
    pthread_mutex_lock(&lock);
    equal(pthread_cond_timedwait(&released_cond, &lock, &t), ETIMEDOUT, "timedwait times out");
    check(now_ns() - before >= 19000000, "not early");
    pthread_mutex_unlock(&lock);
    pthread_condattr_init(&a);
    equal(pthread_condattr_setclock(&a, CLOCK_MONOTONIC), 0, "a condition on the monotonic clock");
    pthread_cond_init(&c, &a);
    t = in_ms(CLOCK_MONOTONIC, 20);
    before = now_ns();
    pthread_mutex_lock(&lock);
    equal(pthread_cond_timedwait(&c, &lock, &t), ETIMEDOUT, "times out");
    check(now_ns() - before >= 20000000, "not early");
    pthread_mutex_unlock(&lock);
    pthread_cond_destroy(&c);

    pthread_t threads[10];
    for (int i = 0; i < 10; i++)
        threads[i] = start(wait_release, NULL);
    check(eventually(waiting == 10), "10 wait");
    pthread_mutex_lock(&lock);
    released = true;
    pthread_cond_broadcast(&released_cond);
    pthread_mutex_unlock(&lock);
    for (int i = 0; i < 10; i++)
        pthread_join(threads[i], NULL);
    equal(woken, 10, "a broadcast wakes all");
}

static pthread_rwlock_t rw = PTHREAD_RWLOCK_INITIALIZER;
static long rw_a, rw_b;
static _Atomic int torn;

static void *read_pairs(void *n)
{
    for (int i = 0; i < 3000; i++) {
        pthread_rwlock_rdlock(&rw);
        if (rw_a != rw_b)
            torn++;
        pthread_rwlock_unlock(&rw);
    }
    return n;
}

static void *write_pairs(void *n)
{
    for (int i = 0; i < 1000; i++) {
        pthread_rwlock_wrlock(&rw);
        rw_a++;
        if (i % 100 == 0)
            sched_yield();
        rw_b++;
        pthread_rwlock_unlock(&rw);
    }
    return n;
}

static void *try_read_write(void *n)
{
    int r = pthread_rwlock_tryrdlock(&rw), w;
    if (r == 0)
        pthread_rwlock_unlock(&rw);
    w = pthread_rwlock_trywrlock(&rw);
    if (w == 0)
        pthread_rwlock_unlock(&rw);
    return (void *)(long)(r * 1000 + w);
}

static void reader_writer(void)
{
    pthread_t t[5];
    void *result;
    for (int i = 0; i < 5; i++)
        t[i] = start(i < 3 ? read_pairs : write_pairs, NULL);
    for (int i = 0; i < 5; i++)
        pthread_join(t[i], NULL);
    equal(torn, 0, "readers never see half a change");
    equal(rw_a + rw_b, 4000, "no change is lost");
    pthread_rwlock_rdlock(&rw);
    pthread_join(start(try_read_write, NULL), &result);
    equal((long)result, 0 * 1000 + EBUSY, "beside a reader: readers, no writer");
    pthread_rwlock_unlock(&rw);
    pthread_rwlock_wrlock(&rw);
    pthread_join(start(try_read_write, NULL), &result);
    equal((long)result, EBUSY * 1000 + EBUSY, "beside a writer: nobody");
    pthread_rwlock_unlock(&rw);
}

static pthread_barrier_t barrier;
static _Atomic int in_round[20], early, serials;

static void *meet(void *n)
{
    for (int i = 0; i < 20; i++) {
        in_round[i]++;
        int r = pthread_barrier_wait(&barrier);
        if (r == PTHREAD_BARRIER_SERIAL_THREAD)
            serials++;
        if (in_round[i] != 5)
            early++;
    }
    return n;
}

static void barriers(void)
{
    pthread_t t[5];
    pthread_barrier_init(&barrier, NULL, 5);
    for (int i = 0; i < 5; i++)
        t[i] = start(meet, NULL);
    for (int i = 0; i < 5; i++)
        pthread_join(t[i], NULL);
    equal(early, 0, "nobody passes before all are there");
    equal(serials, 20, "one serial thread a round");
    pthread_barrier_destroy(&barrier);
}

static sem_t s;
static void *post_10(void *n)
{
    for (int i = 0; i < 10; i++) {
        sleep_ms(1);
        sem_post(&s);
    }
    return n;
}

static void semaphores(void)
{
    int value;
    equal(sem_init(&s, 0, 2), 0, "sem_init");
    equal(sem_trywait(&s), 0, "trywait");
    equal(sem_wait(&s), 0, "wait");
    fails(sem_trywait(&s), EAGAIN, "trywait of an empty one");
    struct timespec t = in_ms(CLOCK_REALTIME, 20);
    fails(sem_timedwait(&s, &t), ETIMEDOUT, "timedwait");
    pthread_t p = start(post_10, NULL);
    for (int i = 0; i < 10; i++)
        sem_wait(&s);
    pthread_join(p, NULL);
    sem_getvalue(&s, &value);
    equal(value, 0, "10 posts, 10 waits");
    sem_destroy(&s);
}

static pthread_spinlock_t spin;
static void *spin_count(void *n)
{
    for (int i = 0; i < 20000; i++) {
        pthread_spin_lock(&spin);
        counter++;
        pthread_spin_unlock(&spin);
    }
    return n;
}

static void spin_lock(void)
{
    pthread_spin_init(&spin, PTHREAD_PROCESS_PRIVATE);
    counter = 0;
    pthread_t a = start(spin_count, NULL), b = start(spin_count, NULL);
    pthread_join(a, NULL);
    pthread_join(b, NULL);
    equal(counter, 40000, "a spin lock, preempted at any place");
}

int main(void)
{
    run(contention);
    run(kinds);
    run(robust);
    run(producer_consumer);
    run(condition);
    run(reader_writer);
    run(barriers);
    run(semaphores);
    run(spin_lock);
    return 0;
}
