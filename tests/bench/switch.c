/* What it costs in instructions to hand the CPU over, to wake a thread elsewhere, to make a thread. The plugin counts; the lines that are printed
   only say how often the thing was done. */
#include "bench.h"
#include "mark.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#define HANDOVERS 20000 /* by each of the two */
#define CREATES 1000
#define WAKES 200
#define ASLEEP_NS 4000000u /* after that the sleeper's CPU is halted, however it polls before */

static _Atomic int turn[2];

static void hand_over(int self, int times)
{
    for (int i = 0; i < times; i++) {
        while (!turn[self])
            futex_wait(&turn[self], 0);
        turn[self] = 0;
        turn[!self] = 1;
        futex_wake(&turn[!self], 1);
    }
}

static void *other(void *times)
{
    hand_over(1, (int)(long)times);
    return NULL;
}

static void ping_pong(int times)
{
    pthread_t t;
    turn[0] = 1;
    turn[1] = 0;
    pthread_create(&t, NULL, other, (void *)(long)times);
    hand_over(0, times);
    pthread_join(t, NULL);
}

void bench_handover(void)
{
    if (cpu_count > 1)
        pin(0, 0);
    ping_pong(500); /* once without counting: code is translated, memory is there */
    for (int i = 0; i < 16; i++) {
        MARK(MARK_EMPTY_BEGIN);
        MARK(MARK_EMPTY_END);
    }
    MARK(MARK_HANDOVER_BEGIN);
    ping_pong(HANDOVERS);
    MARK(MARK_HANDOVER_END);
    printf("bench handover switches=%d\n", 2 * HANDOVERS);
}

static void *nothing(void *n) { return n; }

static void create(int times)
{
    for (int i = 0; i < times; i++) {
        pthread_t t;
        if (pthread_create(&t, NULL, nothing, NULL) == 0)
            pthread_join(t, NULL);
    }
}

void bench_create(void)
{
    create(100);
    MARK(MARK_CREATE_BEGIN);
    create(CREATES);
    MARK(MARK_CREATE_END);
    printf("bench create threads=%d\n", CREATES);
}

static _Atomic int go, awake;

static void *sleeper(void *n)
{
    for (int i = 0; i < WAKES; i++) {
        while (!go)
            futex_wait(&go, 0);
        MARK(MARK_AWAKE);
        go = 0;
        awake++;
    }
    return n;
}

void bench_wake(void)
{
    pthread_t t;
    if (!pin(0, 1) || !pin(0, 0)) {
        unavailable("wake", "affinity");
        return;
    }
    pin(0, 1); /* the sleeper inherits it */
    pthread_create(&t, NULL, sleeper, NULL);
    pin(0, 0);
    for (int i = 0; i < 16; i++) {
        MARK(MARK_EMPTY_BEGIN);
        MARK(MARK_EMPTY_END);
    }
    for (int i = 0; i < WAKES; i++) {
        sleep_ns(ASLEEP_NS);
        MARK(MARK_WAKE);
        go = 1;
        futex_wake(&go, 1);
        MARK(MARK_WAKER_DONE);
        while (awake == i)
            sleep_ns(ASLEEP_NS);
    }
    pthread_join(t, NULL);
    unpin(0);
    printf("bench wake wakes=%d\n", WAKES);
}
