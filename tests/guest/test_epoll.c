/* epoll: level, edge, one shot; many descriptors, nesting, changes while something is ready, several waiters. */
#include "check.h"
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

static int ep;

static int add(int fd, uint32_t events)
{
    struct epoll_event e = {.events = events, .data.u64 = 0x1234567800000000u + (unsigned)fd};
    return epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e);
}

static int change(int fd, uint32_t events)
{
    struct epoll_event e = {.events = events, .data.u64 = 0x1234567800000000u + (unsigned)fd};
    return epoll_ctl(ep, EPOLL_CTL_MOD, fd, &e);
}

/* The events of the one descriptor that is ready, or -1. */
static int one(int timeout)
{
    struct epoll_event e[4];
    int n = epoll_wait(ep, e, 4, timeout);
    return n == 1 ? (int)e[0].events : n == 0 ? 0 : -1;
}

static void level(void)
{
    int p[2];
    char b[10];
    ep = epoll_create1(EPOLL_CLOEXEC);
    check(ep >= 0, "epoll_create1");
    if (pipe2(p, O_NONBLOCK) < 0)
        return;
    equal(add(p[0], EPOLLIN), 0, "add");
    fails(add(p[0], EPOLLIN), EEXIST, "twice");
    equal(one(0), 0, "nothing yet");
    uint64_t before = now_ns();
    equal(one(20), 0, "nothing within 20 ms");
    check(now_ns() - before >= 20000000, "not early");
    write(p[1], "abc", 3);
    struct epoll_event e;
    equal(epoll_wait(ep, &e, 1, -1), 1, "ready");
    check(e.events == EPOLLIN && e.data.u64 == 0x1234567800000000u + (unsigned)p[0], "events and data");
    equal(one(0), EPOLLIN, "still ready");
    read(p[0], b, 2);
    equal(one(0), EPOLLIN, "still, while there is something");
    read(p[0], b, 10);
    equal(one(0), 0, "not any more");
    equal(change(p[0], 0), 0, "no events wanted");
    write(p[1], "x", 1);
    equal(one(0), 0, "so none are reported");
    equal(change(p[0], EPOLLIN), 0, "changed");
    equal(one(0), EPOLLIN, "reported at once");
    equal(epoll_ctl(ep, EPOLL_CTL_DEL, p[0], NULL), 0, "removed while ready");
    equal(one(0), 0, "and is gone");
    fails(epoll_ctl(ep, EPOLL_CTL_DEL, p[0], NULL), ENOENT, "removed twice");
    fails(change(p[0], EPOLLIN), ENOENT, "changed when not there");
    fails(add(9999, EPOLLIN), EBADF, "a descriptor that is none");
    fails(add(ep, EPOLLIN), EINVAL, "itself");
    fails(epoll_wait(ep, &e, 0, 0), EINVAL, "no room for events");
    int file = open("plain", O_CREAT | O_RDWR, 0600);
    fails(add(file, EPOLLIN), EPERM, "a regular file");
    close(file);
    add(p[0], EPOLLIN);
    close(p[1]);
    equal(one(0), EPOLLIN | EPOLLHUP, "no writer: EPOLLHUP, and what is left");
    close(p[0]);
    equal(one(0), 0, "a closed descriptor leaves by itself");
    close(ep);
}

static void edge(void)
{
    int p[2];
    char b[10];
    ep = epoll_create1(0);
    if (pipe2(p, O_NONBLOCK) < 0)
        return;
    add(p[0], EPOLLIN | EPOLLET);
    write(p[1], "abc", 3);
    equal(one(0), EPOLLIN, "ready once");
    equal(one(0), 0, "and not again");
    write(p[1], "d", 1);
    equal(one(0), EPOLLIN, "again with new data");
    read(p[0], b, 1);
    equal(one(0), 0, "not by reading a part");
    read(p[0], b, 10);
    write(p[1], "e", 1);
    equal(one(0), EPOLLIN, "again after it was empty");
    change(p[0], EPOLLIN | EPOLLET);
    equal(one(0), EPOLLIN, "MOD arms it again");
    close(p[1]);
    equal(one(0), EPOLLIN | EPOLLHUP, "hang-up is an edge");
    close(p[0]);
    int s[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, s) < 0)
        return;
    add(s[0], EPOLLIN | EPOLLOUT | EPOLLET);
    equal(one(0), EPOLLOUT, "writable at once");
    equal(one(0), 0, "once");
    write(s[1], "x", 1);
    equal(one(0), EPOLLIN | EPOLLOUT, "data: all that is true is reported");
    close(s[0]);
    close(s[1]);
    close(ep);
}

static void one_shot(void)
{
    int fd = eventfd(1, EFD_NONBLOCK);
    ep = epoll_create1(0);
    add(fd, EPOLLIN | EPOLLONESHOT);
    equal(one(0), EPOLLIN, "once");
    equal(one(0), 0, "then silent");
    uint64_t v = 1;
    write(fd, &v, 8);
    equal(one(0), 0, "even with news");
    change(fd, EPOLLIN | EPOLLONESHOT);
    equal(one(0), EPOLLIN, "until it is armed again");
    close(fd);
    close(ep);
}

#define MANY 600
static void many(void)
{
    static int fds[MANY];
    static struct epoll_event events[MANY];
    static char seen[MANY];
    uint64_t v = 1;
    ep = epoll_create1(0);
    for (int i = 0; i < MANY; i++) {
        struct epoll_event e = {.events = EPOLLIN, .data.u32 = (uint32_t)i};
        fds[i] = eventfd(0, EFD_NONBLOCK);
        if (fds[i] < 0 || epoll_ctl(ep, EPOLL_CTL_ADD, fds[i], &e) < 0) {
            check(false, "descriptor %d", i);
            return;
        }
    }
    equal(epoll_wait(ep, events, MANY, 0), 0, "600 descriptors, none ready");
    for (int i = 0; i < MANY; i += 3)
        write(fds[i], &v, 8);
    int n = epoll_wait(ep, events, MANY, 0), good = 0;
    equal(n, MANY / 3, "a third is ready");
    for (int i = 0; i < n; i++)
        good += events[i].data.u32 % 3 == 0 && !seen[events[i].data.u32]++;
    equal(good, MANY / 3, "the right ones, each once");
    memset(seen, 0, sizeof(seen));
    int distinct = 0;
    for (int k = 0; k < MANY / 30; k++) { /* 10 at a time: level-triggered ones take turns */
        n = epoll_wait(ep, events, 10, 0);
        for (int i = 0; i < n; i++)
            distinct += !seen[events[i].data.u32]++;
    }
    equal(distinct, MANY / 3, "a short array: all get their turn");
    for (int i = 0; i < MANY; i += 6)
        epoll_ctl(ep, EPOLL_CTL_DEL, fds[i], NULL);
    equal(epoll_wait(ep, events, MANY, 0), MANY / 6, "half of them deleted while ready");
    for (int i = 0; i < MANY; i++)
        close(fds[i]);
    equal(epoll_wait(ep, events, MANY, 0), 0, "all closed");
    close(ep);
}

static void nested(void)
{
    int inner = epoll_create1(0), fd = eventfd(0, EFD_NONBLOCK);
    struct epoll_event e = {.events = EPOLLIN};
    uint64_t v = 1;
    ep = epoll_create1(0);
    equal(epoll_ctl(inner, EPOLL_CTL_ADD, fd, &e), 0, "an epoll");
    equal(add(inner, EPOLLIN), 0, "in an epoll");
    equal(one(0), 0, "nothing");
    write(fd, &v, 8);
    equal(one(0), EPOLLIN, "ready through two");
    read(fd, &v, 8);
    equal(one(0), 0, "and not");
    struct epoll_event loop = {.events = EPOLLIN};
    fails(epoll_ctl(inner, EPOLL_CTL_ADD, ep, &loop), ELOOP, "no circles");
    close(inner);
    close(fd);
    close(ep);
}

static void *write_later(void *fd)
{
    uint64_t v = 1;
    sleep_ms(10);
    return (void *)write((int)(long)fd, &v, 8);
}

static void *add_ready(void *fd)
{
    sleep_ms(10);
    return (void *)(long)add((int)(long)fd, EPOLLIN);
}

static void waking(void)
{
    int fd = eventfd(0, EFD_NONBLOCK), ready = eventfd(1, EFD_NONBLOCK);
    ep = epoll_create1(0);
    add(fd, EPOLLIN);
    for (int i = 0; i < 2; i++) {
        pthread_t t = start(write_later, (void *)(long)fd);
        equal(one(i ? 60000 : -1), EPOLLIN, "a write wakes epoll_wait%s", i ? " with a timeout" : "");
        pthread_join(t, NULL);
        uint64_t v;
        read(fd, &v, 8);
    }
    pthread_t t = start(add_ready, (void *)(long)ready);
    equal(one(-1), EPOLLIN, "adding something ready wakes it");
    pthread_join(t, NULL);
    close(fd);
    close(ready);
    close(ep);
}

/* Several threads wait on one epoll; each message is to be taken exactly once. */
static int channel[2];
static _Atomic int taken;
static void *serve(void *n)
{
    struct epoll_event e;
    char c;
    for (;;) {
        if (epoll_wait(ep, &e, 1, -1) != 1)
            continue;
        while (read(channel[0], &c, 1) == 1) {
            if (c == 'q')
                return NULL;
            taken++;
        }
        struct epoll_event again = {.events = EPOLLIN | EPOLLONESHOT};
        epoll_ctl(ep, EPOLL_CTL_MOD, channel[0], &again);
    }
    return n;
}

static void concurrent(void)
{
    pthread_t t[4];
    if (pipe2(channel, O_NONBLOCK) < 0)
        return;
    ep = epoll_create1(0);
    add(channel[0], EPOLLIN | EPOLLONESHOT);
    for (int i = 0; i < 4; i++)
        t[i] = start(serve, NULL);
    for (int i = 0; i < 500; i++) {
        write(channel[1], "x", 1);
        if (i % 10 == 0)
            sched_yield();
    }
    check(eventually(taken == 500), "500 messages to 4 waiters");
    for (int i = 0; i < 4; i++) {
        write(channel[1], "q", 1);
        struct epoll_event again = {.events = EPOLLIN | EPOLLONESHOT};
        sleep_ms(2);
        epoll_ctl(ep, EPOLL_CTL_MOD, channel[0], &again);
    }
    for (int i = 0; i < 4; i++) {
        struct timespec limit;
        do {
            struct epoll_event again = {.events = EPOLLIN | EPOLLONESHOT};
            epoll_ctl(ep, EPOLL_CTL_MOD, channel[0], &again);
            clock_gettime(CLOCK_REALTIME, &limit);
            limit.tv_sec += 1;
        } while (pthread_timedjoin_np(t[i], NULL, &limit) == ETIMEDOUT);
    }
    equal(taken, 500, "each exactly once");
    close(channel[0]);
    close(channel[1]);
    close(ep);
}

static void duplicates(void)
{
    int fd = eventfd(1, EFD_NONBLOCK), copy = dup(fd);
    struct epoll_event e[4];
    ep = epoll_create1(0);
    add(fd, EPOLLIN);
    equal(add(copy, EPOLLIN), 0, "a duplicate is another entry");
    equal(epoll_wait(ep, e, 4, 0), 2, "both are ready");
    close(copy);
    /* The open file is still there by fd, so Linux goes on reporting the entry of the closed copy. */
    close(fd);
    equal(epoll_wait(ep, e, 4, 0), 0, "both closed");
    close(ep);
}

int main(void)
{
    run(level);
    run(edge);
    run(one_shot);
    run(many);
    run(nested);
    run(waking);
    run(concurrent);
    run(duplicates);
    return 0;
}
