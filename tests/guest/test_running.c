/* Signals to threads that run: a thread in a loop without calls is reached, wherever it runs, and its registers are as they were. */
#include "check.h"
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>

#define THREADS 4
#define SIGNALS 50

static _Atomic bool stop;
static _Atomic int running;
static __thread _Atomic int *mine;
static _Atomic int received[THREADS];
static _Atomic long damaged;

static void count(int sig) { (*mine)++; }

/* No call in the loop, and values in general and vector registers over the signals. */
static void *busy(void *number)
{
    mine = &received[(long)number];
    unsigned long a = 1, b = 2, c = 3;
    double x = 1.5, y = 0.25;
    running++;
    while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
        a = a * 6364136223846793005u + 1;
        b += a - a;
        c ^= b ^ 2;
        x += y;
        x -= y;
        __asm__ volatile("" : "+r"(a), "+r"(b), "+r"(c), "+x"(x), "+x"(y));
    }
    damaged += b != 2 || c != 3 || x != 1.5 || y != 0.25;
    return NULL;
}

static void to_busy_loops(void)
{
    pthread_t t[THREADS];
    struct sigaction action = {.sa_handler = count}, old;
    sigaction(SIGUSR1, &action, &old);
    stop = false;
    running = 0;
    damaged = 0;
    for (long i = 0; i < THREADS; i++) {
        received[i] = 0;
        t[i] = start(busy, (void *)i);
    }
    eventually(running == THREADS);
    int late = 0;
    for (int n = 1; n <= SIGNALS; n++) {
        for (int i = 0; i < THREADS; i++)
            pthread_kill(t[i], SIGUSR1);
        for (int i = 0; i < THREADS; i++)
            late += !eventually(received[i] == n);
        if (late)
            break;
    }
    stop = true;
    for (int i = 0; i < THREADS; i++)
        pthread_join(t[i], NULL);
    equal(late, 0, "%d signals reached each of %d busy loops", SIGNALS, THREADS);
    equal(damaged, 0, "the loops did not notice");
    sigaction(SIGUSR1, &old, NULL);
}

static __thread sigjmp_buf way_out;
static _Atomic int left;
static void leave(int sig) { siglongjmp(way_out, 1); }

static void *endless(void *unused)
{
    if (!sigsetjmp(way_out, 1)) {
        running++;
        for (;;)
            __asm__ volatile("");
    }
    left++;
    return NULL;
}

static void out_of_a_loop(void)
{
    struct sigaction action = {.sa_handler = leave}, old;
    sigaction(SIGUSR2, &action, &old);
    left = 0;
    for (int round = 0; round < 20; round++) {
        running = 0;
        pthread_t t = start(endless, NULL);
        eventually(running == 1);
        pthread_kill(t, SIGUSR2);
        pthread_join(t, NULL);
    }
    equal(left, 20, "a handler that jumps takes a thread out of an endless loop");
    sigaction(SIGUSR2, &old, NULL);
}

/* Threads that send each other signals while all of them run and sleep. */
static pthread_t crowd[THREADS];
static _Atomic int sent;

static void *sender(void *number)
{
    mine = &received[(long)number];
    running++;
    eventually(running == THREADS);
    for (int i = 0; i < 200; i++) {
        pthread_kill(crowd[(unsigned)(i + (long)number + 1) % THREADS], SIGUSR1);
        sent++;
        if (i % 20 == 0)
            sleep_ms(1);
    }
    eventually(sent == THREADS * 200);
    return NULL;
}

static void crossfire(void)
{
    struct sigaction action = {.sa_handler = count, .sa_flags = SA_RESTART}, old;
    sigaction(SIGUSR1, &action, &old);
    running = sent = 0;
    for (int i = 0; i < THREADS; i++)
        received[i] = 0;
    for (long i = 0; i < THREADS; i++)
        crowd[i] = start(sender, (void *)i);
    for (int i = 0; i < THREADS; i++)
        pthread_join(crowd[i], NULL);
    for (int i = 0; i < THREADS; i++)
        check(received[i] > 0, "thread %d got signals from all sides (%d)", i, (int)received[i]);
    sigaction(SIGUSR1, &old, NULL);
}

int main(void)
{
    run(to_busy_loops);
    run(out_of_a_loop);
    run(crossfire);
    return 0;
}
