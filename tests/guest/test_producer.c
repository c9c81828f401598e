/* Producers and consumers over what threads can talk through. Each message has its producer and number; a consumer of one producer sees them in order,
   and nothing is lost or comes twice. A wait that lasts for 20 s is a lost wake-up and is counted as one: the pair never has that much to do. */
#include "check.h"
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#define PAIRS 4
#define MESSAGES 3000
#define LOST_MS 20000

struct message {
    unsigned from, number;
    unsigned char filling[24];
};

static _Atomic long lost, disorder;

static void make(struct message *m, unsigned from, unsigned number)
{
    m->from = from;
    m->number = number;
    pattern_fill(m->filling, sizeof(m->filling), number, from);
}

static void examine(const struct message *m, unsigned from, unsigned number)
{
    disorder += m->from != from || m->number != number || !pattern_good(m->filling, sizeof(m->filling), number, from);
}

/* False after a wait that was too long. */
static bool ready(int fd, short events)
{
    struct pollfd p = {fd, events, 0};
    if (poll(&p, 1, LOST_MS) == 1)
        return true;
    lost++;
    return false;
}

static void pairs(void *(*producer)(void *), void *(*consumer)(void *))
{
    pthread_t t[2 * PAIRS];
    lost = disorder = 0;
    for (long i = 0; i < PAIRS; i++) {
        t[2 * i] = start(consumer, (void *)i);
        t[2 * i + 1] = start(producer, (void *)i);
    }
    for (int i = 0; i < 2 * PAIRS; i++)
        pthread_join(t[i], NULL);
    equal(lost, 0, "no lost wake-up");
    equal(disorder, 0, "all messages whole and in order");
}

/* Pipes and sockets: half of the pairs block in read and write, half wait in poll before a call that does not block. */
static int ends[PAIRS][2];

static bool transfer(int fd, void *data, size_t size, bool out, bool polls)
{
    for (size_t done = 0; done < size;) {
        if (polls && !ready(fd, out ? POLLOUT : POLLIN))
            return false;
        ssize_t n = out ? write(fd, (char *)data + done, size - done) : read(fd, (char *)data + done, size - done);
        if (n <= 0 && !(n < 0 && (errno == EAGAIN || errno == EINTR)))
            return false;
        done += n > 0 ? (size_t)n : 0;
    }
    return true;
}

static void *stream_producer(void *number)
{
    for (unsigned i = 0; i < MESSAGES; i++) {
        struct message m;
        make(&m, (unsigned)(long)number, i);
        if (!transfer(ends[(long)number][1], &m, sizeof(m), true, (long)number % 2))
            break;
    }
    return NULL;
}

static void *stream_consumer(void *number)
{
    for (unsigned i = 0; i < MESSAGES; i++) {
        struct message m;
        if (!transfer(ends[(long)number][0], &m, sizeof(m), false, (long)number % 2)) {
            disorder++;
            break;
        }
        examine(&m, (unsigned)(long)number, i);
    }
    return NULL;
}

static void streams(int (*make_pair)(int *))
{
    for (int i = 0; i < PAIRS; i++) {
        if (!equal(make_pair(ends[i]), 0, "pair %d", i))
            return;
        for (int side = 0; side < 2 && i % 2; side++)
            fcntl(ends[i][side], F_SETFL, O_NONBLOCK);
    }
    pairs(stream_producer, stream_consumer);
    for (int i = 0; i < PAIRS; i++)
        close(ends[i][0]), close(ends[i][1]);
}

static int small_pipe(int *fd)
{
    int error = pipe(fd);
    if (!error)
        (void)fcntl(fd[1], F_SETPIPE_SZ, 4096); /* so that it is full now and then */
    return error;
}

static int stream_pair(int *fd) { return socketpair(AF_UNIX, SOCK_STREAM, 0, fd); }
static int packet_pair(int *fd) { return socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fd); }

static void pipes(void) { streams(small_pipe); }
static void stream_sockets(void) { streams(stream_pair); }
static void packet_sockets(void) { streams(packet_pair); }

/* Many producers and consumers on one pipe: a message is at most PIPE_BUF, so it is never torn apart. */
static int shared[2];
static _Atomic unsigned char seen[PAIRS][MESSAGES];

static void *shared_producer(void *number)
{
    for (unsigned i = 0; i < MESSAGES; i++) {
        struct message m;
        make(&m, (unsigned)(long)number, i);
        disorder += write(shared[1], &m, sizeof(m)) != sizeof(m);
    }
    return NULL;
}

static void *shared_consumer(void *unused)
{
    for (unsigned i = 0; i < MESSAGES; i++) {
        struct message m;
        if (!ready(shared[0], POLLIN) || read(shared[0], &m, sizeof(m)) != sizeof(m) || m.from >= PAIRS || m.number >= MESSAGES) {
            disorder++;
            continue;
        }
        examine(&m, m.from, m.number);
        seen[m.from][m.number]++;
    }
    return NULL;
}

static void one_pipe_for_all(void)
{
    long not_once = 0;
    if (!equal(small_pipe(shared), 0, "a pipe"))
        return;
    memset((void *)seen, 0, sizeof(seen));
    pairs(shared_producer, shared_consumer);
    for (int i = 0; i < PAIRS; i++)
        for (int j = 0; j < MESSAGES; j++)
            not_once += seen[i][j] != 1;
    equal(not_once, 0, "each message came once");
    close(shared[0]), close(shared[1]);
}

/* A ring of four places between two futexes. The counts only grow; each side sleeps on the other's. */
#define PLACES 4u
static struct ring {
    _Atomic unsigned put, taken;
    struct message place[PLACES];
} rings[PAIRS];

static bool wait_while(_Atomic unsigned *word, unsigned value)
{
    struct timespec limit = {LOST_MS / 1000, 0};
    while (*word == value) {
        if (syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, &limit, NULL, 0) < 0 && errno == ETIMEDOUT && *word == value) {
            lost++;
            return false;
        }
    }
    return true;
}

static void publish(_Atomic unsigned *word)
{
    (*word)++;
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static void *ring_producer(void *number)
{
    struct ring *r = &rings[(long)number];
    for (unsigned i = 0; i < MESSAGES; i++) {
        if (i >= PLACES && !wait_while(&r->taken, i - PLACES))
            break;
        make(&r->place[i % PLACES], (unsigned)(long)number, i);
        publish(&r->put);
    }
    return NULL;
}

static void *ring_consumer(void *number)
{
    struct ring *r = &rings[(long)number];
    for (unsigned i = 0; i < MESSAGES; i++) {
        if (!wait_while(&r->put, i))
            break;
        examine(&r->place[i % PLACES], (unsigned)(long)number, i);
        publish(&r->taken);
    }
    return NULL;
}

static void futexes(void)
{
    memset(rings, 0, sizeof(rings));
    pairs(ring_producer, ring_consumer);
}

/* An eventfd each way: a semaphore of messages that are there, a counter of places that are free. */
static int there[PAIRS], room[PAIRS];
static struct message box[PAIRS][PLACES];

static void *event_producer(void *number)
{
    long self = (long)number;
    uint64_t one = 1, got, free_places = PLACES;
    for (unsigned i = 0; i < MESSAGES; i++) {
        if (!free_places) {
            if (!ready(room[self], POLLIN) || read(room[self], &got, 8) != 8)
                break;
            free_places = got;
        }
        free_places--;
        make(&box[self][i % PLACES], (unsigned)self, i);
        disorder += write(there[self], &one, 8) != 8;
    }
    return NULL;
}

static void *event_consumer(void *number)
{
    long self = (long)number;
    uint64_t one = 1, got;
    for (unsigned i = 0; i < MESSAGES; i++) {
        if (!ready(there[self], POLLIN) || read(there[self], &got, 8) != 8) {
            disorder++;
            break;
        }
        disorder += got != 1;
        examine(&box[self][i % PLACES], (unsigned)self, i);
        disorder += write(room[self], &one, 8) != 8;
    }
    return NULL;
}

static void eventfds(void)
{
    for (int i = 0; i < PAIRS; i++) {
        there[i] = eventfd(0, EFD_SEMAPHORE);
        room[i] = eventfd(0, 0);
        if (!check(there[i] >= 0 && room[i] >= 0, "eventfds %d", i))
            return;
    }
    pairs(event_producer, event_consumer);
    for (int i = 0; i < PAIRS; i++)
        close(there[i]), close(room[i]);
}

int main(void)
{
    run(pipes);
    run(one_pipe_for_all);
    run(stream_sockets);
    run(packet_sockets);
    run(futexes);
    run(eventfds);
    return 0;
}
