/* Storms of threads: thread-local storage of each is its own, joined and detached threads go away, cancelled ones clean up. Several threads make
   threads at the same time. */
#include "check.h"
#include <sched.h>
#include <stdatomic.h>

#define MAKERS 4
#define ROUNDS 60
#define WAVE 5

static __thread long plain = 17;
static __thread char block[3000];
static __thread long zeroed[16];
static pthread_key_t key;
static _Atomic long wrong, destroyed, ended;

static void destructor(void *value)
{
    wrong += !pattern_good(value, 64, 0, 5);
    free(value);
    destroyed++;
}

static bool tls_is_fresh(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(zeroed); i++)
        if (zeroed[i])
            return false;
    return plain == 17 && !block[0] && !block[sizeof(block) - 1] && !pthread_getspecific(key);
}

static void *tls_user(void *number)
{
    unsigned seed = (unsigned)(long)number;
    wrong += !tls_is_fresh();
    pattern_fill(block, sizeof(block), 0, seed);
    plain = (long)number;
    zeroed[3] = (long)number;
    unsigned char *mine = malloc(64);
    if (mine)
        pattern_fill(mine, 64, 0, 5);
    pthread_setspecific(key, mine);
    for (int i = 0; i < 3; i++) {
        sched_yield();
        wrong += plain != (long)number || zeroed[3] != (long)number || !pattern_good(block, sizeof(block), 0, seed) ||
                 pthread_getspecific(key) != mine;
    }
    ended++;
    return number;
}

static void *joining_maker(void *number)
{
    for (int round = 0; round < ROUNDS; round++) {
        pthread_t t[WAVE];
        for (long i = 0; i < WAVE; i++)
            t[i] = start(tls_user, (void *)((long)number * 100 + i + 1));
        for (long i = 0; i < WAVE; i++) {
            void *result;
            wrong += pthread_join(t[i], &result) || result != (void *)((long)number * 100 + i + 1);
        }
    }
    return NULL;
}

static void makers(void *(*function)(void *))
{
    pthread_t t[MAKERS];
    for (long i = 0; i < MAKERS; i++)
        t[i] = start(function, (void *)i);
    for (int i = 0; i < MAKERS; i++)
        pthread_join(t[i], NULL);
}

static void joined(void)
{
    wrong = destroyed = ended = 0;
    makers(joining_maker);
    equal(wrong, 0, "each thread's storage is fresh at first and its own");
    equal(ended, MAKERS * ROUNDS * WAVE, "%d threads by %d makers", MAKERS * ROUNDS * WAVE, MAKERS);
    equal(destroyed, MAKERS * ROUNDS * WAVE, "each had its destructor run");
}

static void *detaching_maker(void *number)
{
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    for (int i = 0; i < ROUNDS * WAVE; i++) {
        pthread_t t;
        bool by_attribute = i % 2;
        while (pthread_create(&t, by_attribute ? &attr : NULL, tls_user, (void *)(long)(i + 1)))
            sleep_ms(1); /* those before are still ending */
        if (!by_attribute)
            pthread_detach(t);
    }
    return number;
}

static void detached(void)
{
    wrong = destroyed = ended = 0;
    makers(detaching_maker);
    check(eventually(destroyed == MAKERS * ROUNDS * WAVE), "%d detached threads end by themselves (%ld)", MAKERS * ROUNDS * WAVE,
          (long)destroyed);
    equal(wrong, 0, "each thread's storage is fresh at first and its own");
}

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t never = PTHREAD_COND_INITIALIZER;
static _Atomic long cleaned, ready;
static int idle_pipe[2];

static void clean(void *held)
{
    cleaned++;
    if (held)
        pthread_mutex_unlock(held);
}

/* Four kinds of victims: asleep in a condition variable, in read(), in a sleep; and running, asking now and then. */
static void *victim(void *kind)
{
    char c;
    bool holds = (long)kind == 0;
    if (holds)
        pthread_mutex_lock(&mutex);
    pthread_cleanup_push(clean, holds ? &mutex : NULL);
    ready++;
    for (;;) {
        switch ((long)kind) {
        case 0: pthread_cond_wait(&never, &mutex); break;
        case 1: wrong += read(idle_pipe[0], &c, 1) >= 0; break;
        case 2: sleep_ms(60000); break;
        default: pthread_testcancel();
        }
    }
    pthread_cleanup_pop(0);
    return NULL;
}

#define CANCEL_ROUNDS 25
static void *canceller(void *number)
{
    for (int round = 0; round < CANCEL_ROUNDS; round++) {
        pthread_t t[4];
        for (long kind = 0; kind < 4; kind++)
            t[kind] = start(victim, (void *)kind);
        if (round % 2)
            sched_yield(); /* else most are cancelled before they have begun */
        for (int kind = 0; kind < 4; kind++)
            wrong += pthread_cancel(t[kind]) != 0;
        for (int kind = 0; kind < 4; kind++) {
            void *result;
            wrong += pthread_join(t[kind], &result) || result != PTHREAD_CANCELED;
        }
    }
    return number;
}

static void cancelled(void)
{
    if (!equal(pipe(idle_pipe), 0, "a pipe that nothing comes through"))
        return;
    wrong = cleaned = ready = 0;
    makers(canceller);
    equal(wrong, 0, "%d threads cancelled and joined", MAKERS * CANCEL_ROUNDS * 4);
    equal(cleaned, ready, "each that had begun cleaned up");
    equal(pthread_mutex_trylock(&mutex), 0, "the mutex of the waits is free");
    pthread_mutex_unlock(&mutex);
    close(idle_pipe[0]), close(idle_pipe[1]);
}

int main(void)
{
    pthread_key_create(&key, destructor);
    run(joined);
    run(detached);
    run(cancelled);
    pthread_key_delete(key);
    return 0;
}
