/* SOURCES: tests/unit/host/host.c */
/* SANITIZE: thread */
/* Work left with the holder of net_lock, by many threads, with delays before every atomic operation, under ThreadSanitizer: each piece is done once, under the lock, in its
   thread's order, and none is left lying when all is quiet. */
#include <asm/errno.h>
#include <kernel/clock.h>
#include <kernel/log.h>
#include <mm/stack_probe.h>
#include <sched/lockstat.h>
#include <sched/mutex.h>
#include <sched/thread.h>
#include <sched/waitq.h>
#include "delays.h"

#include "../../sched/lockstat.c"
#include "../../sched/mutex.c"
#include "../../sched/waitq.c"

#include "../../net/posted.c"

#include "host/host.h"
#include "tap.h"

unsigned alarm(unsigned seconds);

#define POSTERS 4
#define HOLDERS 2
#define ROUNDS 4000
#define AHEAD 4u

struct piece {
    struct net_work work;
    unsigned poster, number;
    _Atomic bool free;
};

static struct piece pieces[POSTERS][AHEAD];
/* Protected by net_lock: TSan sees a mistake. */
static unsigned next_of[POSTERS];
static unsigned long did, settled, disorder;
static _Atomic unsigned waits;

void net_before_release(void) { settled++; }

static void work(struct net_work *w)
{
    struct piece *p = (struct piece *)w;

    if (!mutex_held(&net_lock) || p->number != next_of[p->poster])
        disorder++;
    next_of[p->poster] = p->number + 1;
    did++;
    atomic_store_explicit(&p->free, true, memory_order_release);
}

static void poster(void *arg)
{
    unsigned me = (unsigned)(long)arg;

    for (unsigned i = 0; i < ROUNDS; i++) {
        struct piece *p = &pieces[me][i % AHEAD];
        while (!atomic_load_explicit(&p->free, memory_order_acquire))
            host_yield();
        atomic_store_explicit(&p->free, false, memory_order_relaxed);
        p->work.fn = work;
        p->poster = me;
        p->number = i;
        net_post(&p->work);
    }
}

static void holder(void *arg)
{
    for (unsigned i = 0; i < ROUNDS; i++) {
        mutex_lock(&net_lock);
        settled++;
        if (delay_random() % 4 == 0)
            net_look_posted();
        net_unlock();
        if (delay_random() % 8 == 0)
            host_yield();
    }
}

/* As net_wait: releases the lock without net_unlock. */
static void waiter(void *arg)
{
    struct waitq q = WAITQ_INIT(q);

    for (unsigned i = 0; i < ROUNDS / 40; i++) {
        mutex_lock(&net_lock);
        if (waitq_wait_then(&q, &net_lock, clock_monotonic_ns() + 50000, false, net_unlocked) == -ETIMEDOUT)
            atomic_fetch_add_explicit(&waits, 1, memory_order_relaxed);
        net_unlock();
    }
}

/* One piece, one holder: when both are through, it is done. */
static _Atomic unsigned begun;
static void together(void)
{
    atomic_fetch_add_explicit(&begun, 1, memory_order_relaxed);
    while (atomic_load_explicit(&begun, memory_order_relaxed) % 2 != 0)
        host_yield();
}
static void linger(void)
{
    for (uint64_t i = delay_random() % 300; i > 0; i--)
        __asm__ volatile("");
}
static void post_one(void *arg)
{
    together();
    linger();
    net_post(&((struct piece *)arg)->work);
}
static void hold_once(void *arg)
{
    together();
    mutex_lock(&net_lock);
    linger();
    net_unlock();
}
static void wait_once(void *arg)
{
    struct waitq q = WAITQ_INIT(q);

    together();
    mutex_lock(&net_lock);
    linger();
    (void)waitq_wait_then(&q, &net_lock, clock_monotonic_ns() + 100000, false, net_unlocked);
    linger();
    net_unlock();
}

static void left_lying(void (*other)(void *), const char *name)
{
    unsigned long lost = 0;

    for (unsigned i = 0; i < 6000; i++) {
        struct piece p = {.work.fn = work};
        next_of[0] = 0;
        struct host_thread *a = host_spawn(post_one, &p), *b = host_spawn(other, NULL);
        host_join(a);
        host_join(b);
        lost += !atomic_load_explicit(&p.free, memory_order_acquire);
        if (net_posted) {
            mutex_lock(&net_lock);
            net_unlock();
        }
    }
    ok(lost == 0, name);
}

int main(void)
{
    struct host_thread *t[POSTERS + HOLDERS + 1];
    unsigned n = 0;

    alarm(900);
    for (unsigned i = 0; i < POSTERS; i++)
        for (unsigned k = 0; k < AHEAD; k++)
            pieces[i][k].free = true;
    for (unsigned i = 0; i < POSTERS; i++)
        t[n++] = host_spawn(poster, (void *)(long)i);
    for (unsigned i = 0; i < HOLDERS; i++)
        t[n++] = host_spawn(holder, NULL);
    t[n++] = host_spawn(waiter, NULL);
    while (n > 0)
        host_join(t[--n]);
    ok(did == POSTERS * ROUNDS, "each piece is done once");
    ok(disorder == 0, "under the lock, and in its thread's order");
    ok(net_posted == NULL && !mutex_held(&net_lock), "none is left, and the lock is free");
    ok(waits > 0, "some waited meanwhile");
    left_lying(hold_once, "whoever releases sees it");
    left_lying(wait_once, "and who releases by waiting");
    return done();
}
