/* Pipes: blocking both ways, non-blocking, atomic writes, ends that are closed. */
#include "check.h"
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/ioctl.h>
#include <sys/uio.h>

static void basics(void)
{
    int p[2];
    char b[16] = "";
    equal(pipe2(p, O_CLOEXEC), 0, "pipe2");
    equal(write(p[1], "hello", 5), 5, "write");
    int n = 0;
    ioctl(p[0], FIONREAD, &n);
    equal(n, 5, "FIONREAD");
    equal(read(p[0], b, 2), 2, "a part");
    equal(read(p[0], b + 2, 14), 3, "the rest");
    check(!strcmp(b, "hello"), "the content");
    equal(write(p[1], b, 0), 0, "nothing");
    fails(lseek(p[0], 0, SEEK_SET), ESPIPE, "cannot seek");
    fails(write(p[0], b, 1), EBADF, "cannot write to the reading end");
    fails(read(p[1], b, 1), EBADF, "cannot read from the writing end");
    equal(write(p[1], "x", 1), 1, "one more");
    close(p[1]);
    equal(read(p[0], b, 16), 1, "what was written before the end was closed");
    equal(read(p[0], b, 16), 0, "then the end");
    close(p[0]);
    fails(pipe2(p, 0x40000000), EINVAL, "unknown flags");
}

static void non_blocking(void)
{
    int p[2];
    static char big[65536];
    char c;
    if (pipe2(p, O_NONBLOCK) < 0)
        return;
    fails(read(p[0], &c, 1), EAGAIN, "empty: EAGAIN");
    struct pollfd f[2] = {{p[0], POLLIN, 0}, {p[1], POLLOUT, 0}};
    equal(poll(f, 2, 0), 1, "poll: one is ready");
    equal(f[1].revents, POLLOUT, "the writing end");
    long total = 0, n;
    while ((n = write(p[1], big, 4096)) > 0)
        total += n;
    check(n == -1 && errno == EAGAIN, "full: EAGAIN");
    equal(total, 65536, "after 64 KB");
    equal(poll(f, 2, 0), 1, "poll: one is ready");
    equal(f[0].revents, POLLIN, "the reading end");
    equal(f[1].revents, 0, "the writing end is not");
    read(p[0], big, 100);
    fails(write(p[1], big, PIPE_BUF), EAGAIN, "no room for PIPE_BUF: nothing is written");
    read(p[0], big, 4096 - 100);
    equal(write(p[1], big, PIPE_BUF), PIPE_BUF, "room");
    close(p[0]);
    signal(SIGPIPE, SIG_IGN);
    fails(write(p[1], big, 1), EPIPE, "no reader: EPIPE");
    equal(poll(f + 1, 1, 0), 1, "poll");
    check(f[1].revents & POLLERR, "POLLERR");
    close(p[1]);
    if (pipe(p) < 0)
        return;
    close(p[1]);
    f[0] = (struct pollfd){p[0], POLLIN, 0};
    poll(f, 1, 0);
    equal(f[0].revents, POLLHUP, "no writer: POLLHUP");
    close(p[0]);
}

#define TRANSFER (1 << 20)
static void *write_much(void *fd)
{
    static unsigned char b[30000];
    size_t at = 0;
    while (at < TRANSFER) {
        size_t n = TRANSFER - at < sizeof(b) ? TRANSFER - at : sizeof(b);
        pattern_fill(b, n, at, 1);
        ssize_t w = write((int)(long)fd, b, n);
        if (w != (ssize_t)n)
            return NULL;
        at += n;
    }
    close((int)(long)fd);
    return (void *)1;
}

static void blocking(void)
{
    int p[2];
    static unsigned char b[7000];
    size_t at = 0;
    bool good = true;
    void *result;
    if (pipe(p) < 0)
        return;
    pthread_t t = start(write_much, (void *)(long)p[1]);
    for (;;) {
        ssize_t n = read(p[0], b, sizeof(b));
        if (n <= 0)
            break;
        good = good && pattern_good(b, (size_t)n, at, 1);
        at += (size_t)n;
    }
    pthread_join(t, &result);
    check(result != NULL, "blocking writes are complete");
    equal(at, TRANSFER, "1 MB through a pipe");
    check(good, "content");
    close(p[0]);
}

/* Several writers of PIPE_BUF bytes: never interleaved. */
static void *write_records(void *arg)
{
    char b[PIPE_BUF];
    int *a = arg;
    memset(b, a[1], sizeof(b));
    for (int i = 0; i < 50; i++)
        if (write(a[0], b, sizeof(b)) != PIPE_BUF)
            break;
    return NULL;
}

static void atomic_writes(void)
{
    int p[2], args[3][2];
    pthread_t t[3];
    int mixed = 0, records = 0;
    char b[PIPE_BUF];
    if (pipe(p) < 0)
        return;
    for (int i = 0; i < 3; i++) {
        args[i][0] = p[1], args[i][1] = 'a' + i;
        t[i] = start(write_records, args[i]);
    }
    for (; records < 150; records++) {
        for (size_t n = 0; n < sizeof(b);) {
            ssize_t r = read(p[0], b + n, sizeof(b) - n);
            if (r <= 0)
                break;
            n += (size_t)r;
        }
        for (size_t i = 1; i < sizeof(b); i++)
            mixed += b[i] != b[0];
    }
    for (int i = 0; i < 3; i++)
        pthread_join(t[i], NULL);
    equal(mixed, 0, "writes of PIPE_BUF bytes are atomic");
    struct iovec v[3] = {{"ab", 2}, {"", 0}, {"cde", 3}};
    equal(writev(p[1], v, 3), 5, "writev");
    equal(read(p[0], b, 10), 5, "its bytes");
    check(!memcmp(b, "abcde", 5), "in order");
    close(p[0]);
    close(p[1]);
}

static void *close_later(void *fd)
{
    sleep_ms(10);
    close((int)(long)fd);
    return NULL;
}

static void closed_while_waiting(void)
{
    int p[2];
    char c;
    static char big[100000];
    if (pipe(p) < 0)
        return;
    pthread_t t = start(close_later, (void *)(long)p[1]);
    equal(read(p[0], &c, 1), 0, "a blocked read ends when the last writer closes");
    pthread_join(t, NULL);
    close(p[0]);
    if (pipe(p) < 0)
        return;
    signal(SIGPIPE, SIG_IGN);
    t = start(close_later, (void *)(long)p[0]);
    ssize_t n = write(p[1], big, sizeof(big));
    check(n == 65536 || (n == -1 && errno == EPIPE), "a blocked write ends when the last reader closes (%zd)", n);
    pthread_join(t, NULL);
    close(p[1]);
}

int main(void)
{
    run(basics);
    run(non_blocking);
    run(blocking);
    run(atomic_writes);
    run(closed_while_waiting);
    return 0;
}
