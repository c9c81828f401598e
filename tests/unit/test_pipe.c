/* SOURCES: fs/pipe.c fs/file.c fs/fd.c fs/poll.c kernel/linux/pipe.c kernel/linux/read_write.c kernel/linux/open.c kernel/linux/eventfd.c fs/vfs.c fs/path.c fs/vnode.c sched/rwlock.c fs/dir_file.c tests/unit/host/host.c */
/* Pipes and eventfds: capacity, atomicity of small writes, ends that close, SIGPIPE; and a stream through a pipe by several threads. */
#include <asm/errno.h>
#include <fs/file.h>
#include <fs/pipe.h>
#include <linux/fcntl.h>
#include "host/host.h"
#include "tap.h"

long sys_pipe2(), sys_read(), sys_write(), sys_close(), sys_eventfd2();

static char buf[100000];

static void test_basics(void)
{
    int fd[2];
    ok(sys_pipe2(fd, O_NONBLOCK) == 0 && fd[0] == 0 && fd[1] == 1, "pipe2");
    ok(sys_read(fd[0], buf, 10ul) == -EAGAIN, "nothing to read");
    ok(sys_read(fd[1], buf, 10ul) == -EBADF && sys_write(fd[0], buf, 10ul) == -EBADF, "wrong ends");
    ok(sys_write(fd[1], buf, 100000ul) == 65536, "a large write fills the pipe");
    ok(sys_write(fd[1], buf, 1ul) == -EAGAIN, "full");
    ok(sys_read(fd[0], buf, 4000ul) == 4000 && sys_write(fd[1], buf, 4096ul) == -EAGAIN, "a small write goes in as a whole or not at all");
    ok(sys_write(fd[1], buf, 5000ul) == 4000, "a large one in part");
    struct file *r = fd_file(fd[0]), *w = fd_file(fd[1]);
    ok(file_poll(w) == 0 && file_poll(r) == (EPOLLIN | EPOLLRDNORM), "poll: full");
    ok(sys_read(fd[0], buf, 100000ul) == 65536 && file_poll(r) == 0 && file_poll(w) == (EPOLLOUT | EPOLLWRNORM), "poll: empty");
    ok(pipe_capacity(r) == 65536, "capacity");
    file_put(w);
    sys_write(fd[1], "rest", 4ul);
    sys_close(fd[1]);
    ok(file_poll(r) & EPOLLHUP && sys_read(fd[0], buf, 10ul) == 4 && sys_read(fd[0], buf, 10ul) == 0, "end of file after the rest");
    file_put(r);
    sys_close(fd[0]);
    sys_pipe2(fd, 0);
    sys_close(fd[0]);
    ok(sys_write(fd[1], buf, 10ul) == -EPIPE && host_signals_sent == 1, "nobody reads: EPIPE and SIGPIPE");
    sys_close(fd[1]);
    for (unsigned n = 1; n < 6; n++) {
        host_fail_allocation(n);
        if (sys_pipe2(fd, 0) == 0) {
            sys_write(fd[1], buf, 10ul);
            host_fail_allocation(0);
            sys_close(fd[0]);
            sys_close(fd[1]);
        }
    }
    host_fail_allocation(0);
    ok(fd_next_open(0) == -1, "no descriptor is left when memory runs out");
}

#define RECORD 100
#define RECORDS 20000
static int stream[2];

/* Records of one byte repeated: one that is mixed was not atomic. */
static void writer(void *arg)
{
    char record[RECORD];
    __builtin_memset(record, (int)(uint64_t)arg, sizeof(record));
    for (int i = 0; i < RECORDS; i++)
        sys_write(stream[1], record, sizeof(record));
}

static void test_stream(void)
{
    struct host_thread *t[3];
    long counts[4] = {0}, got, total = 0;
    bool whole = true;
    sys_pipe2(stream, 0);
    for (uint64_t i = 0; i < 3; i++)
        t[i] = host_spawn(writer, (void *)(i + 1));
    while (total < 3l * RECORD * RECORDS && (got = sys_read(stream[0], buf, (size_t)RECORD)) > 0) {
        whole &= got == RECORD; /* one reader of whole records always finds whole ones */
        for (long i = 1; i < got; i++)
            whole &= buf[i] == buf[0];
        counts[buf[0] & 3]++;
        total += got;
    }
    for (int i = 0; i < 3; i++)
        host_join(t[i]);
    ok(whole && counts[1] == RECORDS && counts[2] == RECORDS && counts[3] == RECORDS, "records of three writers arrive whole");
    sys_close(stream[0]);
    sys_close(stream[1]);
}

static void test_eventfd(void)
{
    uint64_t v = 5, max = UINT64_MAX, most = UINT64_MAX - 1;
    int fd = (int)sys_eventfd2(3, O_NONBLOCK), one = (int)sys_eventfd2(2, O_NONBLOCK | 1);
    ok(sys_read(fd, &v, 8ul) == 8 && v == 3 && sys_read(fd, &v, 8ul) == -EAGAIN, "eventfd: the initial value, then nothing");
    ok(sys_write(fd, &max, 8ul) == -EINVAL && sys_write(fd, &most, 8ul) == 8, "eventfd: the largest value");
    v = 1;
    ok(sys_write(fd, &v, 8ul) == -EAGAIN && sys_read(fd, &v, 8ul) == 8 && v == most, "eventfd: full");
    ok(sys_read(one, &v, 8ul) == 8 && v == 1 && sys_read(one, &v, 8ul) == 8 && sys_read(one, &v, 8ul) == -EAGAIN, "eventfd: semaphore");
    ok(sys_read(fd, &v, 7ul) == -EINVAL, "eventfd: too short a buffer");
    sys_close(fd);
    sys_close(one);
}

int main(void)
{
    test_basics();
    test_stream();
    test_eventfd();
    return done();
}
