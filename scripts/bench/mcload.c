/* A load generator for memcached's text protocol, in the manner of redis-benchmark.
 *
 *   mcload -h HOST [-p PORT] [-c CONNECTIONS] [-P PIPELINE] [-d BYTES] [-n REQUESTS] [-t get|set]
 *
 * One thread and one epoll. Each connection sends a batch of PIPELINE equal requests, waits for all replies, and
 * starts over; the time of a request is the time of its batch. All replies are known beforehand (the
 * first connection stores the value before anything is measured), so every byte is compared: a wrong byte, a
 * lost connection or an answer too much ends the run with status 1.
 * Prints one line: requests per second, p50 and p99 in milliseconds, requests, seconds.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define KEY "key:000000000001"
#define BUCKETS 10000000 /* microseconds; longer times count as the last */

struct text {
    char *bytes;
    size_t length;
};

struct connection {
    int fd;
    size_t sent, received; /* bytes of the current batch */
    uint64_t began;        /* microseconds */
};

static struct text batch, reply;
static uint32_t histogram[BUCKETS];

__attribute__((noreturn, format(printf, 1, 2))) static void fail(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fputs("mcload: ", stderr);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    exit(1);
}

static uint64_t now_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* `times` copies of the message, with `size` bytes of value and CRLF after its head if size > 0. */
static struct text repeat(int times, const char *message, size_t size, const char *tail)
{
    size_t head = strlen(message), end = strlen(tail), one = head + size + end;
    struct text t = { malloc(one * (size_t)times), one * (size_t)times };

    if (!t.bytes)
        fail("no memory for %zu bytes", t.length);
    for (int i = 0; i < times; i++) {
        char *at = t.bytes + one * (size_t)i;

        memcpy(at, message, head);
        memset(at + head, 'x', size);
        memcpy(at + head + size, tail, end);
    }
    return t;
}

static int dial(const char *host, int port)
{
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (inet_pton(AF_INET, host, &to.sin_addr) != 1)
        fail("%s is not an IPv4 address", host);
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
        fail("connect to %s:%d: %s", host, port, strerror(errno));
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    return fd;
}

static void send_some(struct connection *c)
{
    while (c->sent < batch.length) {
        ssize_t n = send(c->fd, batch.bytes + c->sent, batch.length - c->sent,
                         MSG_DONTWAIT | MSG_NOSIGNAL);

        if (n < 0 && errno == EAGAIN)
            return;
        if (n < 0)
            fail("connection lost while sending: %s", strerror(errno));
        c->sent += (size_t)n;
    }
}

/* Returns 1 once the whole batch is answered. */
static int receive_some(struct connection *c)
{
    static char in[1 << 18];

    for (;;) {
        ssize_t n = recv(c->fd, in, sizeof(in), MSG_DONTWAIT);

        if (n < 0 && errno == EAGAIN)
            return 0;
        if (n <= 0)
            fail("connection lost: %s", n ? strerror(errno) : "closed by the server");
        if (c->received + (size_t)n > reply.length ||
            memcmp(in, reply.bytes + c->received, (size_t)n))
            fail("wrong reply: %.*s", n > 200 ? 200 : (int)n, in);
        c->received += (size_t)n;
        if (c->received == reply.length)
            return 1;
    }
}

static void begin(struct connection *c)
{
    c->sent = c->received = 0;
    c->began = now_us();
    send_some(c);
}

/* Runs `batches` batches over all connections. */
static void run(int epoll, struct connection *all, int count, uint64_t batches)
{
    uint64_t started = 0, done = 0;
    struct epoll_event events[256];

    for (int i = 0; i < count && started < batches; i++, started++)
        begin(&all[i]);
    while (done < batches) {
        int n = epoll_wait(epoll, events, 256, 30000);

        if (n == 0)
            fail("no answer for 30 s (%llu of %llu batches done)", (unsigned long long)done,
                 (unsigned long long)batches);
        for (int i = 0; i < n; i++) {
            struct connection *c = events[i].data.ptr;

            send_some(c);
            if (!receive_some(c))
                continue;
            uint64_t took = now_us() - c->began;
            histogram[took < BUCKETS ? took : BUCKETS - 1]++;
            done++;
            if (started < batches) {
                started++;
                begin(c);
            }
        }
    }
}

static double percentile(uint64_t batches, double share)
{
    uint64_t seen = 0;

    for (uint32_t i = 0; i < BUCKETS; i++) {
        seen += histogram[i];
        if ((double)seen >= share * (double)batches)
            return i / 1000.0;
    }
    return 0;
}

static void store_value(const char *host, int port)
{
    struct connection c = { dial(host, port), 0, 0, 0 };
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = { .events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = &c };

    epoll_ctl(epoll, EPOLL_CTL_ADD, c.fd, &event);
    run(epoll, &c, 1, 1);
    close(c.fd);
    close(epoll);
}

static void set_texts(int is_set, int times, size_t size)
{
    char head[80];

    if (is_set) {
        snprintf(head, sizeof(head), "set " KEY " 0 0 %zu\r\n", size);
        batch = repeat(times, head, size, "\r\n");
        reply = repeat(times, "STORED\r\n", 0, "");
    } else {
        snprintf(head, sizeof(head), "VALUE " KEY " 0 %zu\r\n", size);
        batch = repeat(times, "get " KEY "\r\n", 0, "");
        reply = repeat(times, head, size, "\r\nEND\r\n");
    }
}

int main(int argc, char **argv)
{
    const char *host = NULL, *test = "get";
    int port = 11211, count = 50, pipeline = 1, option;
    uint64_t requests = 100000, size = 3;

    while ((option = getopt(argc, argv, "h:p:c:P:d:n:t:")) != -1) {
        switch (option) {
        case 'h': host = optarg; break;
        case 'p': port = atoi(optarg); break;
        case 'c': count = atoi(optarg); break;
        case 'P': pipeline = atoi(optarg); break;
        case 'd': size = strtoull(optarg, NULL, 0); break;
        case 'n': requests = strtoull(optarg, NULL, 0); break;
        case 't': test = optarg; break;
        default: host = NULL; optind = argc + 1;
        }
    }
    if (!host || optind != argc || count < 1 || pipeline < 1 || requests < 1 || size < 1 ||
        (strcmp(test, "get") && strcmp(test, "set")))
        fail("usage: mcload -h HOST [-p PORT] [-c CONNECTIONS] [-P PIPELINE] [-d BYTES] [-n REQUESTS] "
             "[-t get|set]");

    struct rlimit files = { (rlim_t)count + 64, (rlim_t)count + 64 };
    setrlimit(RLIMIT_NOFILE, &files);
    set_texts(1, 1, size);
    store_value(host, port);
    set_texts(!strcmp(test, "set"), pipeline, size);

    struct connection *all = calloc((size_t)count, sizeof(*all));
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    for (int i = 0; i < count; i++) {
        struct epoll_event event = { .events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = &all[i] };

        all[i].fd = dial(host, port);
        epoll_ctl(epoll, EPOLL_CTL_ADD, all[i].fd, &event);
    }
    memset(histogram, 0, sizeof(histogram));
    uint64_t batches = (requests + (uint64_t)pipeline - 1) / (uint64_t)pipeline, began = now_us();
    run(epoll, all, count, batches);
    double seconds = (double)(now_us() - began) / 1e6;
    printf("rps=%.1f p50=%.3f p99=%.3f requests=%llu seconds=%.3f\n",
           (double)(batches * (uint64_t)pipeline) / seconds, percentile(batches, 0.5),
           percentile(batches, 0.99), (unsigned long long)(batches * (uint64_t)pipeline), seconds);
    return 0;
}
