/* Deferred cancellation of blocked threads, clean-up handlers, and threads that do not want to be cancelled. */
#include "check.h"
#include <poll.h>
#include <stdatomic.h>

static int ends[2];
static _Atomic int cleaned, inside;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t never = PTHREAD_COND_INITIALIZER;

static void clean(void *amount) { cleaned += (int)(long)amount; }
static void unlock(void *m)
{
    cleaned++;
    pthread_mutex_unlock(m);
}

static void *in_read(void *n)
{
    char c;
    pthread_cleanup_push(clean, (void *)1);
    pthread_cleanup_push(clean, (void *)10);
    inside = 1;
    if (read(ends[0], &c, 1) < 0)
        return NULL;
    pthread_cleanup_pop(0);
    pthread_cleanup_pop(0);
    return NULL;
}

static void *in_nanosleep(void *n)
{
    pthread_cleanup_push(clean, (void *)11);
    inside = 1;
    sleep(1000);
    pthread_cleanup_pop(0);
    return NULL;
}

static void *in_cond_wait(void *n)
{
    pthread_mutex_lock(&lock);
    pthread_cleanup_push(unlock, &lock);
    inside = 1;
    for (;;)
        pthread_cond_wait(&never, &lock);
    pthread_cleanup_pop(1);
    return NULL;
}

static void *in_poll(void *n)
{
    struct pollfd p = {.fd = ends[0], .events = POLLIN};
    pthread_cleanup_push(clean, (void *)1);
    inside = 1;
    poll(&p, 1, -1);
    pthread_cleanup_pop(0);
    return NULL;
}

static void *in_loop(void *n)
{
    for (;;) {
        inside = 1;
        pthread_testcancel();
    }
    return n;
}

static void *in_join(void *t)
{
    inside = 1;
    pthread_join(*(pthread_t *)t, NULL);
    return NULL;
}

static void cancelled(void *(*function)(void *), const char *name, int cleaning)
{
    for (int wait = 0; wait < 2; wait++) {
        void *result = NULL;
        cleaned = inside = 0;
        pthread_t t = start(function, NULL);
        while (!inside)
            sched_yield();
        if (wait)
            sleep_ms(10); /* so that it does sleep */
        equal(pthread_cancel(t), 0, "pthread_cancel in %s", name);
        pthread_join(t, &result);
        check(result == PTHREAD_CANCELED, "%s: PTHREAD_CANCELED", name);
        equal(cleaned, cleaning, "%s: clean-up", name);
    }
}

static void blocked(void)
{
    if (pipe(ends) < 0)
        return;
    cancelled(in_read, "read", 11);
    cancelled(in_nanosleep, "nanosleep", 11);
    cancelled(in_cond_wait, "pthread_cond_wait", 1);
    equal(pthread_mutex_trylock(&lock), 0, "its mutex is free");
    pthread_mutex_unlock(&lock);
    cancelled(in_poll, "poll", 1);
    cancelled(in_loop, "pthread_testcancel", 0);
}

static void joining(void)
{
    pthread_t sleeper = start(in_nanosleep, NULL);
    inside = 0;
    pthread_t joiner = start(in_join, &sleeper);
    void *result;
    while (!inside)
        sched_yield();
    sleep_ms(5);
    pthread_cancel(joiner);
    pthread_join(joiner, &result);
    check(result == PTHREAD_CANCELED, "pthread_join is a cancellation point");
    pthread_cancel(sleeper);
    pthread_join(sleeper, &result);
    check(result == PTHREAD_CANCELED, "the other thread can still be joined");
}

static _Atomic int may_go;

static void *unwilling(void *n)
{
    char c = 0;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
    inside = 1;
    if (read(ends[0], &c, 1) != 1 || c != 'x')
        return NULL;
    while (!may_go)
        sched_yield();
    inside = 2;
    pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);
    pthread_testcancel();
    return (void *)1;
}

static void disabled(void)
{
    void *result;
    inside = may_go = 0;
    pthread_t t = start(unwilling, NULL);
    while (!inside)
        sched_yield();
    sleep_ms(5);
    pthread_cancel(t);
    if (write(ends[1], "x", 1) != 1)
        return;
    may_go = 1;
    pthread_join(t, &result);
    check(result == PTHREAD_CANCELED && inside == 2, "disabled: only when enabled again");
    close(ends[0]);
    close(ends[1]);
}

int main(void)
{
    run(blocked);
    run(joining);
    run(disabled);
    return 0;
}
