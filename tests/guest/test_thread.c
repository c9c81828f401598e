/* Threads: creating, joining, detaching, many at once, stacks, return values, thread-specific data. */
#include "check.h"
#include <limits.h>
#include <semaphore.h>
#include <stdatomic.h>

static void *add_one(void *n) { return (char *)n + 1; }

static void sequential(void)
{
    int good = 0;
    for (long i = 0; i < 200; i++) {
        void *result = NULL;
        if (pthread_join(start(add_one, (void *)i), &result) == 0 && result == (void *)(i + 1))
            good++;
    }
    equal(good, 200, "200 threads one after the other, results");
}

static sem_t go;
static _Atomic int arrived;

static void *arrive_and_wait(void *n)
{
    char stack[4096];
    memset(stack, (int)(long)n, sizeof(stack));
    arrived++;
    sem_wait(&go);
    for (size_t i = 0; i < sizeof(stack); i++)
        if (stack[i] != (char)(long)n)
            return NULL;
    return n;
}

static void at_once(void)
{
    pthread_t t[50];
    int good = 0;
    sem_init(&go, 0, 0);
    arrived = 0;
    for (long i = 0; i < 50; i++)
        t[i] = start(arrive_and_wait, (void *)(i + 1));
    check(eventually(arrived == 50), "50 threads run at once");
    for (int i = 0; i < 50; i++)
        sem_post(&go);
    for (long i = 0; i < 50; i++) {
        void *result;
        pthread_join(t[i], &result);
        good += result == (void *)(i + 1);
    }
    equal(good, 50, "each kept its stack and result");
}

static void *count_arrival(void *n)
{
    arrived++;
    return n;
}

static void detached(void)
{
    arrived = 0;
    for (int i = 0; i < 50; i++)
        equal(pthread_detach(start(count_arrival, NULL)), 0, "pthread_detach %d", i);
    check(eventually(arrived == 50), "50 detached threads ran");
    pthread_attr_t a;
    pthread_t t;
    pthread_attr_init(&a);
    pthread_attr_setdetachstate(&a, PTHREAD_CREATE_DETACHED);
    equal(pthread_create(&t, &a, count_arrival, NULL), 0, "created detached");
    pthread_attr_destroy(&a);
    check(eventually(arrived == 51), "it ran");
}

static void *deep(void *size)
{
    volatile char *p = __builtin_alloca((size_t)size);
    for (size_t i = 0; i < (size_t)size; i += 4096)
        p[i] = 1;
    return (void *)1;
}

static void stack_size(void)
{
    pthread_attr_t a;
    pthread_t t;
    void *result = NULL;
    size_t size = 0;
    pthread_attr_init(&a);
    equal(pthread_attr_setstacksize(&a, 4 << 20), 0, "a stack of 4 MB");
    pthread_attr_getstacksize(&a, &size);
    equal(size, 4 << 20, "pthread_attr_getstacksize");
    equal(pthread_create(&t, &a, deep, (void *)(3ul << 20)), 0, "create");
    pthread_join(t, &result);
    check(result != NULL, "3 MB of it used");
    pthread_attr_destroy(&a);
    static char own[256 << 10] __attribute__((aligned(4096)));
    pthread_attr_init(&a);
    pthread_attr_setstack(&a, own, sizeof(own));
    result = NULL;
    equal(pthread_create(&t, &a, deep, (void *)(64ul << 10)), 0, "a stack of the program's");
    pthread_join(t, &result);
    check(result != NULL, "used");
    pthread_attr_destroy(&a);
}

static __thread int tls_value = 42;
static __thread char tls_zero[1000];
static pthread_key_t key_a, key_b;
static _Atomic int destroyed_a, destroyed_b, rounds;

static void destroy_a(void *value) { destroyed_a += (int)(long)value; }
static void destroy_b(void *value)
{
    destroyed_b++;
    if (++rounds < 2) /* set again in the destructor: called again */
        pthread_setspecific(key_b, value);
}

static void *use_tls(void *n)
{
    bool good = tls_value == 42 && !tls_zero[0] && !tls_zero[999] && pthread_getspecific(key_a) == NULL;
    tls_value = (int)(long)n;
    memset(tls_zero, (int)(long)n, sizeof(tls_zero));
    pthread_setspecific(key_a, n);
    for (int i = 0; i < 20; i++) {
        sched_yield();
        good = good && tls_value == (int)(long)n && tls_zero[500] == (char)(long)n && pthread_getspecific(key_a) == n;
    }
    return (void *)(long)good;
}

static void *use_key_b(void *n)
{
    pthread_setspecific(key_b, n);
    return NULL;
}

static void own_data(void)
{
    pthread_t t[8];
    long good = 0;
    equal(pthread_key_create(&key_a, destroy_a), 0, "pthread_key_create");
    equal(pthread_key_create(&key_b, destroy_b), 0, "another one");
    tls_value = 7;
    for (long i = 0; i < 8; i++)
        t[i] = start(use_tls, (void *)(i + 1));
    for (int i = 0; i < 8; i++) {
        void *result;
        pthread_join(t[i], &result);
        good += (long)result;
    }
    equal(good, 8, "__thread variables and keys are each thread's own");
    equal(tls_value, 7, "and the main thread's");
    equal(destroyed_a, 36, "destructors ran with their values");
    pthread_join(start(use_key_b, (void *)1), NULL);
    equal(destroyed_b, 2, "a destructor that sets the value again runs again");
    pthread_key_delete(key_a);
    pthread_key_delete(key_b);
}

static pthread_once_t once = PTHREAD_ONCE_INIT;
static _Atomic int once_calls;

static void initialise(void)
{
    sleep_ms(5);
    once_calls++;
}

static void *call_once(void *n)
{
    pthread_once(&once, initialise);
    return (void *)(long)once_calls;
}

static void once_only(void)
{
    pthread_t t[6];
    long good = 0;
    for (int i = 0; i < 6; i++)
        t[i] = start(call_once, NULL);
    for (int i = 0; i < 6; i++) {
        void *result;
        pthread_join(t[i], &result);
        good += result == (void *)1;
    }
    equal(good, 6, "pthread_once called it once, and all waited for it");
}

static void *exit_inside(void *n)
{
    pthread_exit((void *)99);
    return NULL;
}

static void identity(void)
{
    void *result = NULL;
    pthread_join(start(exit_inside, NULL), &result);
    equal((long)result, 99, "pthread_exit's value");
    check(pthread_equal(pthread_self(), pthread_self()), "pthread_equal");
    equal(gettid(), getpid(), "the main thread's id is the process's");
    char name[16] = "";
    pthread_setname_np(pthread_self(), "renamed");
    pthread_getname_np(pthread_self(), name, sizeof(name));
    check(!strcmp(name, "renamed"), "a thread's name");
}

int main(void)
{
    run(sequential);
    run(at_once);
    run(detached);
    run(stack_size);
    run(own_data);
    run(once_only);
    run(identity);
    return 0;
}
