/* Threads of one CPU that talk through the kernel's own objects: what a message costs in instructions, where the reader waits for each
   (ping-pong) and where the writer could run ahead of it (stream). */
#include "bench.h"
#include "mark.h"
#include <pthread.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define MESSAGES 10000
#define WARM_UP 500
#define BYTES 16

struct channel {
    int in, out, times;
};

static void take(int fd)
{
    char buf[BYTES];
    if (read(fd, buf, sizeof(buf)) < 0)
        perror("read");
}

static void give(int fd)
{
    static const char buf[BYTES] = {1};
    if (write(fd, buf, sizeof(buf)) < 0)
        perror("write");
}

static void *echo(void *arg)
{
    const struct channel *c = arg;
    for (int i = 0; i < c->times; i++) {
        take(c->in);
        give(c->out);
    }
    return NULL;
}

static void ping_pong(const struct channel *mine, const struct channel *theirs)
{
    pthread_t t;
    pthread_create(&t, NULL, echo, (void *)theirs);
    for (int i = 0; i < mine->times; i++) {
        give(mine->out);
        take(mine->in);
    }
    pthread_join(t, NULL);
}

static void *drain(void *arg)
{
    const struct channel *c = arg;
    for (int i = 0; i < c->times; i++)
        take(c->in);
    return NULL;
}

static void stream(int in, int out, int times)
{
    pthread_t t;
    struct channel c = {.in = in, .times = times};
    pthread_create(&t, NULL, drain, &c);
    for (int i = 0; i < times; i++)
        give(out);
    pthread_join(t, NULL);
}

void bench_pipe(void)
{
    int there[2], back[2];
    if (pipe(there) < 0 || pipe(back) < 0) {
        unavailable("pipe", "pipe");
        return;
    }
    struct channel mine = {back[0], there[1], WARM_UP}, theirs = {there[0], back[1], WARM_UP};
    ping_pong(&mine, &theirs);
    mine.times = theirs.times = MESSAGES;
    MARK(MARK_PIPE_BEGIN);
    ping_pong(&mine, &theirs);
    MARK(MARK_PIPE_END);
    printf("bench pipe messages=%d\n", 2 * MESSAGES);
}

void bench_stream(void)
{
    int p[2];
    if (pipe(p) < 0) {
        unavailable("stream", "pipe");
        return;
    }
    stream(p[0], p[1], WARM_UP);
    MARK(MARK_STREAM_BEGIN);
    stream(p[0], p[1], MESSAGES);
    MARK(MARK_STREAM_END);
    printf("bench stream messages=%d\n", MESSAGES);
}

void bench_eventfd(void)
{
    int there = eventfd(0, 0), back = eventfd(0, 0);
    if (there < 0 || back < 0) {
        unavailable("eventfd", "eventfd");
        return;
    }
    struct channel mine = {back, there, WARM_UP}, theirs = {there, back, WARM_UP};
    ping_pong(&mine, &theirs);
    mine.times = theirs.times = MESSAGES;
    MARK(MARK_EVENTFD_BEGIN);
    ping_pong(&mine, &theirs);
    MARK(MARK_EVENTFD_END);
    printf("bench eventfd messages=%d\n", 2 * MESSAGES);
}
