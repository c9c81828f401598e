/* SOURCES: fs/epoll.c fs/poll.c fs/poll_wait.c fs/fd.c fs/file.c tests/unit/host/host.c */
/* epoll and poll on files whose readiness the test controls: the modes, nesting, closing; then threads that produce and consume through one
   epoll, where a lost wake-up shows as a timeout. */
#include <asm/errno.h>
#include <fs/epoll.h>
#include <fs/poll_wait.h>
#include <kernel/clock.h>
#include <mm/kmem.h>
#include <sched/waitq.h>
#include "host/host.h"
#include "tap.h"

/* A counter that is readable while it is not zero. */
struct bell {
    _Atomic long count;
};

static uint32_t bell_poll(struct file *f)
{
    return EPOLLOUT | (atomic_load(&((struct bell *)f->priv)->count) > 0 ? EPOLLIN : 0);
}
static void bell_release(struct file *f) { kfree(f->priv); }
static const struct file_ops bell_ops = {.poll = bell_poll, .release = bell_release};
static const struct file_ops plain_ops = {0};

static struct file *bell_new(void)
{
    struct bell *b = kzalloc(sizeof(*b));
    return file_new(&bell_ops, 2, b);
}
static void ring(struct file *f)
{
    atomic_fetch_add(&((struct bell *)f->priv)->count, 1);
    poll_source_notify(&f->poll_source, EPOLLIN);
}
/* Takes one ring; false when there is none. */
static bool take(struct file *f)
{
    struct bell *b = f->priv;
    long n = atomic_load(&b->count);
    while (n > 0)
        if (atomic_compare_exchange_weak(&b->count, &n, n - 1))
            return true;
    return false;
}

static int control(struct file *ep, int op, struct file *f, int fd, uint32_t events)
{
    struct epoll_event e = {.events = events, .data = (uint64_t)fd};
    return epoll_control(ep, op, f, fd, &e);
}

static struct epoll_event got[64];
static int wait_now(struct file *ep) { return epoll_collect(ep, got, 64, 0); }

static void test_modes(void)
{
    struct file *ep = epoll_new(), *f = bell_new();
    ok(control(ep, EPOLL_CTL_ADD, f, 5, EPOLLIN) == 0 && wait_now(ep) == 0, "not ready");
    ring(f);
    ok(wait_now(ep) == 1 && got[0].data == 5 && got[0].events == EPOLLIN, "level: ready");
    ok(wait_now(ep) == 1 && wait_now(ep) == 1, "level: still ready");
    take(f);
    ok(wait_now(ep) == 0, "level: not ready any more");
    ok(control(ep, EPOLL_CTL_ADD, f, 5, EPOLLIN) == -EEXIST, "added twice");
    ok(control(ep, EPOLL_CTL_ADD, f, 6, EPOLLOUT) == 0 && wait_now(ep) == 1 && got[0].data == 6, "the same file by another number");
    ok(control(ep, EPOLL_CTL_DEL, f, 6, 0) == 0 && wait_now(ep) == 0, "removed while queued");
    ok(control(ep, EPOLL_CTL_DEL, f, 6, 0) == -ENOENT && control(ep, EPOLL_CTL_MOD, f, 6, 0) == -ENOENT, "nothing to remove or change");

    ok(control(ep, EPOLL_CTL_MOD, f, 5, EPOLLIN | EPOLLET) == 0, "edge");
    ring(f);
    ok(wait_now(ep) == 1 && wait_now(ep) == 0, "edge: once");
    ring(f);
    ok(wait_now(ep) == 1, "edge: again after another event");
    take(f);
    take(f);

    ok(control(ep, EPOLL_CTL_MOD, f, 5, EPOLLIN | EPOLLONESHOT) == 0, "one-shot");
    ring(f);
    ok(wait_now(ep) == 1 && wait_now(ep) == 0, "one-shot: once");
    ring(f);
    ok(wait_now(ep) == 0, "one-shot: silent until armed again");
    ok(control(ep, EPOLL_CTL_MOD, f, 5, EPOLLIN | EPOLLONESHOT) == 0 && wait_now(ep) == 1, "one-shot: armed again, ready at once");

    ok(control(ep, EPOLL_CTL_MOD, f, 5, EPOLLIN | EPOLLOUT) == 0 && wait_now(ep) == 1 && got[0].events == (EPOLLIN | EPOLLOUT), "both events");
    uint64_t before = clock_monotonic_ns();
    struct file *empty = epoll_new();
    ok(epoll_collect(empty, got, 1, before + 20 * NS_PER_MS) == 0 && clock_monotonic_ns() >= before + 20 * NS_PER_MS, "timeout");
    file_put(empty);
    file_put(f);
    ok(wait_now(ep) == 0, "a released file takes its items along");
    struct file *plain = file_new(&plain_ops, 0, NULL);
    ok(control(ep, EPOLL_CTL_ADD, plain, 1, EPOLLIN) == -EPERM, "a file that can not be polled");
    ok(control(ep, EPOLL_CTL_ADD, ep, 1, EPOLLIN) == -EINVAL, "itself");
    file_put(plain);
    file_put(ep);
}

static void test_fair(void)
{
    struct file *ep = epoll_new(), *f[10];
    unsigned seen = 0;
    for (int i = 0; i < 10; i++) {
        f[i] = bell_new();
        control(ep, EPOLL_CTL_ADD, f[i], i, EPOLLIN);
        ring(f[i]);
    }
    bool order = true;
    for (int round = 0; round < 4; round++) {
        int n = epoll_collect(ep, got, 3, 0);
        for (int i = 0; i < n; i++) {
            order &= round == 3 || got[i].data == (uint64_t)(round * 3 + i);
            seen |= 1u << got[i].data;
        }
    }
    ok(seen == 1023 && order, "more ready files than fit are served in turn, in order of arrival");
    for (int i = 0; i < 10; i++)
        file_put(f[i]);
    file_put(ep);
}

static void test_nested(void)
{
    struct file *inner = epoll_new(), *outer = epoll_new(), *f = bell_new();
    ok(control(outer, EPOLL_CTL_ADD, inner, 3, EPOLLIN) == 0 && control(inner, EPOLL_CTL_ADD, f, 4, EPOLLIN) == 0, "nested");
    ok(wait_now(outer) == 0, "nested: not ready");
    ring(f);
    ok(wait_now(outer) == 1 && got[0].data == 3 && wait_now(inner) == 1, "nested: ready through both");
    take(f);
    ok(wait_now(outer) == 0, "nested: not ready any more");
    ok(control(inner, EPOLL_CTL_ADD, outer, 9, EPOLLIN) == -ELOOP, "a loop is refused");
    struct file *chain[8];
    int r = 0;
    for (int i = 0; i < 8; i++)
        chain[i] = epoll_new();
    for (int i = 6; i >= 0 && r == 0; i--)
        r = control(chain[i], EPOLL_CTL_ADD, chain[i + 1], i, EPOLLIN);
    ok(r == -ELOOP, "so is nesting too deep");
    for (int i = 0; i < 8; i++)
        file_put(chain[i]);
    file_put(inner);
    ring(f);
    ok(wait_now(outer) == 0, "nested: the inner one is gone");
    file_put(f);
    file_put(outer);
}

static void test_memory(void)
{
    uint64_t before = host_allocated();
    struct file *ep = NULL, *f = bell_new();
    for (unsigned n = 1; n < 4; n++) {
        host_fail_allocation(n);
        ep = epoll_new();
        if (ep) {
            int r = control(ep, EPOLL_CTL_ADD, f, 1, EPOLLIN);
            ok(r == 0 || r == -ENOMEM, "no memory for an item");
            file_put(ep);
        }
    }
    host_fail_allocation(0);
    file_put(f);
    ok(host_allocated() <= before, "nothing is lost when memory runs out");
}

/* ---- stress ---- */

#define BELLS 16
#define PRODUCERS 3
#define CONSUMERS 3
#define RINGS 40000

static struct file *stress_ep, *bells[BELLS];
static _Atomic long consumed, produced;
static _Atomic int timeouts;
static uint32_t stress_flags;

static void produce(void *arg)
{
    uint64_t r = (uint64_t)arg + 1;
    for (int i = 0; i < RINGS; i++) {
        r = r * 6364136223846793005ull + 1442695040888963407ull;
        ring(bells[(r >> 33) % BELLS]);
        atomic_fetch_add(&produced, 1);
        if ((r >> 50) % 64 == 0)
            host_yield();
        if ((r >> 45) % 512 == 0)
            while (atomic_load(&consumed) < atomic_load(&produced) - 64)
                host_yield();
    }
}

static void consume(void *arg)
{
    struct epoll_event e[4];
    while (atomic_load(&consumed) < (long)PRODUCERS * RINGS) {
        int n = epoll_collect(stress_ep, e, 4, clock_monotonic_ns() + 5 * NS_PER_SEC);
        if (n == 0)
            atomic_fetch_add(&timeouts, 1);
        for (int i = 0; i < n; i++) {
            struct file *f = bells[e[i].data];
            long took = 0;
            /* Edge and one-shot: until empty. Level: one is enough, the rest comes back. */
            while (take(f) && ++took && stress_flags)
                ;
            long all = atomic_fetch_add(&consumed, took) + took;
            if (stress_flags & EPOLLONESHOT)
                control(stress_ep, EPOLL_CTL_MOD, f, (int)e[i].data, EPOLLIN | stress_flags);
            if (all == (long)PRODUCERS * RINGS) /* the last one: wake all the others */
                for (int k = 0; k < BELLS; k++)
                    ring(bells[k]);
        }
    }
}

static void stress(uint32_t flags, const char *name)
{
    struct host_thread *t[PRODUCERS + CONSUMERS];
    stress_flags = flags;
    stress_ep = epoll_new();
    consumed = produced = timeouts = 0;
    for (int i = 0; i < BELLS; i++) {
        bells[i] = bell_new();
        control(stress_ep, EPOLL_CTL_ADD, bells[i], i, EPOLLIN | flags);
    }
    for (uint64_t i = 0; i < PRODUCERS; i++)
        t[i] = host_spawn(produce, (void *)i);
    for (int i = 0; i < CONSUMERS; i++)
        t[PRODUCERS + i] = host_spawn(consume, NULL);
    for (int i = 0; i < PRODUCERS + CONSUMERS; i++)
        host_join(t[i]);
    ok(timeouts == 0, name);
    for (int i = 0; i < BELLS; i++)
        file_put(bells[i]);
    file_put(stress_ep);
}

/* Items come and go, and files are closed, while others are notified and collected. */
static _Atomic bool stop;

static void churn(void *arg)
{
    for (int i = 0; i < 20000; i++) {
        struct file *f = bell_new();
        control(stress_ep, EPOLL_CTL_ADD, f, 100 + (int)(uint64_t)arg, EPOLLIN);
        ring(f);
        if (i % 3 == 0)
            control(stress_ep, EPOLL_CTL_DEL, f, 100 + (int)(uint64_t)arg, 0);
        file_put(f);
    }
}

static void collect_forever(void *arg)
{
    struct epoll_event e[8];
    while (!atomic_load(&stop))
        epoll_collect(stress_ep, e, 8, clock_monotonic_ns() + NS_PER_MS);
}

static void test_churn(void)
{
    struct host_thread *t[4];
    stress_ep = epoll_new();
    for (uint64_t i = 0; i < 2; i++)
        t[i] = host_spawn(churn, (void *)i);
    for (int i = 2; i < 4; i++)
        t[i] = host_spawn(collect_forever, NULL);
    host_join(t[0]);
    host_join(t[1]);
    atomic_store(&stop, true);
    host_join(t[2]);
    host_join(t[3]);
    file_put(stress_ep);
    ok(true, "items come and go under a collector");
}

static int poll_fds[2];
static void ring_later(void *arg)
{
    for (int i = 0; i < 2000; i++) {
        ring(arg);
        while (atomic_load(&((struct bell *)((struct file *)arg)->priv)->count) > 0)
            host_yield();
    }
}

static void test_poll(void)
{
    struct file *f = bell_new(), *g = bell_new();
    poll_fds[0] = fd_install(file_get(f), 0, false);
    poll_fds[1] = fd_install(file_get(g), 0, false);
    struct pollfd p[8] = {{poll_fds[0], POLLIN, 0}, {poll_fds[1], POLLIN | POLLOUT, 0}, {-1, POLLIN, 7}, {999, POLLIN, 0}};
    ok(poll_wait(p, 3, 0) == 1 && p[0].revents == 0 && p[1].revents == POLLOUT && p[2].revents == 0, "poll: what is ready");
    ok(poll_wait(p, 4, 0) == 2 && p[3].revents == POLLNVAL, "poll: a closed descriptor");
    p[1].events = POLLIN;
    ok(poll_wait(p, 2, clock_monotonic_ns() + 10 * NS_PER_MS) == 0, "poll: timeout");
    for (int i = 2; i < 8; i++)
        p[i] = (struct pollfd){-1, 0, 0};
    struct host_thread *t = host_spawn(ring_later, f);
    bool right = true;
    for (int i = 0; i < 2000; i++) {
        right &= poll_wait(p, i % 2 ? 8 : 2, clock_monotonic_ns() + 5 * NS_PER_SEC) == 1 && p[0].revents == POLLIN;
        take(f);
    }
    host_join(t);
    ok(right, "poll: no wake-up is lost");
    fd_close(poll_fds[0]);
    fd_close(poll_fds[1]);
    file_put(f);
    file_put(g);
}

int main(void)
{
    test_modes();
    test_fair();
    test_nested();
    test_memory();
    test_poll();
    stress(0, "stress: level");
    stress(EPOLLET, "stress: edge");
    stress(EPOLLONESHOT, "stress: one-shot");
    test_churn();
    return done();
}
