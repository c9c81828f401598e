/* TCP on the loopback interface, IPv4 and IPv6. */
#include "check.h"
#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>

struct address {
    socklen_t size;
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    };
};

static int family = AF_INET;

static struct address loopback(int port)
{
    struct address a = {0};
    if (family == AF_INET) {
        a.size = sizeof(a.v4);
        a.v4 = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    } else {
        a.size = sizeof(a.v6);
        a.v6 = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    }
    return a;
}

static struct address name_of(int fd)
{
    struct address a = {.size = sizeof(struct sockaddr_in6)};
    getsockname(fd, &a.any, &a.size);
    return a;
}

static int port_of(int fd)
{
    struct address a = name_of(fd);
    return ntohs(a.v4.sin_port); /* at the same place in both */
}

static int listener(int backlog)
{
    struct address a = loopback(0);
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (fd < 0 || bind(fd, &a.any, a.size) < 0 || listen(fd, backlog) < 0)
        check(false, "a listening socket");
    return fd;
}

static int connect_to(int port)
{
    struct address a = loopback(port);
    int fd = socket(family, SOCK_STREAM, 0);
    if (connect(fd, &a.any, a.size) < 0) {
        int error = errno;
        close(fd);
        errno = error;
        return -1;
    }
    return fd;
}

/* A connected pair: [0] connected, [1] accepted. */
static bool connected(int s[2])
{
    int l = listener(5);
    s[0] = connect_to(port_of(l));
    s[1] = s[0] < 0 ? -1 : accept(l, NULL, NULL);
    close(l);
    if (s[1] < 0)
        check(false, "a connection");
    return s[1] >= 0;
}

static void close_both(int s[2])
{
    close(s[0]);
    close(s[1]);
}

static short polled(int fd, short events, int timeout)
{
    struct pollfd p = {.fd = fd, .events = events};
    return poll(&p, 1, timeout) > 0 ? p.revents : 0;
}

static void reset_on_close(int fd)
{
    struct linger l = {1, 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l));
    close(fd);
}

static void basics(void)
{
    int l = listener(5), port = port_of(l), c, a;
    char b[100] = "";
    check(port > 0, "a port was chosen");
    equal(polled(l, POLLIN, 0), 0, "nobody has connected");
    c = connect_to(port);
    check(c >= 0, "connect");
    equal(polled(l, POLLIN, 60000), POLLIN, "the listener is readable");
    struct address peer = {.size = sizeof(peer.v6)}, name = name_of(c);
    a = accept4(l, &peer.any, &peer.size, SOCK_CLOEXEC);
    check(a >= 0, "accept4");
    check(peer.size == name.size && !memcmp(&peer.v4, &name.v4, sizeof(peer.v4)), "the peer's address");
    equal(fcntl(a, F_GETFD), FD_CLOEXEC, "SOCK_CLOEXEC");
    peer.size = sizeof(peer.v6);
    getpeername(c, &peer.any, &peer.size);
    equal(ntohs(peer.v4.sin_port), port, "getpeername");
    equal(port_of(a), port, "getsockname of the accepted one");
    equal(send(c, "hello", 5, 0), 5, "send");
    equal(recv(a, b, 2, 0), 2, "recv of a part");
    equal(recv(a, b + 2, 3, MSG_PEEK), 3, "MSG_PEEK");
    equal(recv(a, b + 2, 98, 0), 3, "the same again");
    check(!strcmp(b, "hello"), "content");
    fails(recv(a, b, 1, MSG_DONTWAIT), EAGAIN, "MSG_DONTWAIT: nothing");
    equal(write(a, "back", 4), 4, "write");
    int n = 0;
    polled(c, POLLIN, -1);
    ioctl(c, FIONREAD, &n);
    equal(n, 4, "FIONREAD");
    equal(read(c, b, 100), 4, "read");
    struct iovec v[3] = {{"one", 3}, {"", 0}, {"two", 3}};
    struct msghdr m = {.msg_iov = v, .msg_iovlen = 3};
    equal(sendmsg(c, &m, 0), 6, "sendmsg");
    char x[2], y[10];
    struct iovec r[2] = {{x, 2}, {y, 10}};
    struct msghdr rm = {.msg_iov = r, .msg_iovlen = 2};
    equal(recvmsg(a, &rm, 0), 6, "recvmsg");
    check(!memcmp(x, "on", 2) && !memcmp(y, "etwo", 4), "content");
    equal(send(c, "", 0, 0), 0, "nothing");
    close(c);
    equal(recv(a, b, 100, 0), 0, "the end");
    equal(recv(a, b, 100, 0), 0, "again");
    close(a);
    close(l);
    fails(accept(c, NULL, NULL), EBADF, "accept on a closed one");
    c = socket(family, SOCK_STREAM, 0);
    fails(accept(c, NULL, NULL), EINVAL, "accept on one that does not listen");
    fails(send(c, "x", 1, MSG_NOSIGNAL), EPIPE, "send on one that is not connected");
    fails(recv(c, b, 1, 0), ENOTCONN, "recv on one that is not connected");
    fails(getpeername(c, &peer.any, &peer.size), ENOTCONN, "getpeername on it");
    fails(shutdown(c, SHUT_WR), ENOTCONN, "shutdown of it");
    close(c);
    fails(send(0x7fff, "x", 1, 0), EBADF, "no descriptor");
    int null = open("/dev/null", O_RDWR);
    fails(send(null, "x", 1, 0), ENOTSOCK, "no socket");
    close(null);
}

#define TRANSFER (1 << 20)
static void *send_pattern(void *fd)
{
    static __thread unsigned char b[20000];
    for (size_t at = 0; at < TRANSFER;) {
        size_t n = TRANSFER - at < sizeof(b) ? TRANSFER - at : sizeof(b);
        pattern_fill(b, n, at, 3);
        ssize_t w = send((int)(long)fd, b, n, 0);
        if (w <= 0)
            return (void *)at;
        at += (size_t)w;
    }
    shutdown((int)(long)fd, SHUT_WR);
    return (void *)(long)TRANSFER;
}

static bool receive_pattern(int fd)
{
    static __thread unsigned char b[9000];
    size_t at = 0;
    for (;;) {
        ssize_t n = recv(fd, b, sizeof(b), 0);
        if (n <= 0) {
            if (n < 0 || at != TRANSFER)
                note("ended at %zu: %zd, errno %d", at, n, errno);
            return n == 0 && at == TRANSFER;
        }
        if (!pattern_good(b, (size_t)n, at, 3))
            return false;
        at += (size_t)n;
    }
}

static void transfer(void)
{
    int s[2];
    void *sent;
    if (!connected(s))
        return;
    pthread_t t = start(send_pattern, (void *)(long)s[0]);
    check(receive_pattern(s[1]), "1 MB arrives as it was sent");
    pthread_join(t, &sent);
    equal((long)sent, TRANSFER, "all sent");
    t = start(send_pattern, (void *)(long)s[1]); /* the other half is still open */
    check(receive_pattern(s[0]), "and 1 MB back over the half that is open");
    pthread_join(t, &sent);
    close_both(s);
    if (!connected(s))
        return;
    pthread_t u = start(send_pattern, (void *)(long)s[1]);
    t = start(send_pattern, (void *)(long)s[0]);
    static unsigned char b[TRANSFER];
    equal(recv(s[0], b, TRANSFER, MSG_WAITALL), TRANSFER, "both ways at once, MSG_WAITALL");
    check(pattern_good(b, TRANSFER, 0, 3), "content");
    check(receive_pattern(s[1]), "the other way");
    pthread_join(t, NULL);
    pthread_join(u, NULL);
    close_both(s);
}

static void halves(void)
{
    int s[2];
    char c;
    signal(SIGPIPE, SIG_IGN);
    if (!connected(s))
        return;
    equal(shutdown(s[0], SHUT_WR), 0, "SHUT_WR");
    fails(send(s[0], "x", 1, 0), EPIPE, "no more sending");
    equal(polled(s[1], POLLIN | POLLRDHUP, 60000), POLLIN | POLLRDHUP, "the peer: POLLIN and POLLRDHUP");
    equal(polled(s[1], POLLOUT, 0), POLLOUT, "it can still write");
    equal(recv(s[1], &c, 1, 0), 0, "and sees the end");
    equal(send(s[1], "y", 1, 0), 1, "sends");
    equal(recv(s[0], &c, 1, 0), 1, "which arrives");
    equal(shutdown(s[1], SHUT_WR), 0, "the other half");
    check(eventually(polled(s[0], POLLIN | POLLOUT | POLLRDHUP, 0) == (POLLIN | POLLOUT | POLLRDHUP | POLLHUP)), "both closed: POLLHUP as well");
    close_both(s);
    if (!connected(s))
        return;
    equal(shutdown(s[0], SHUT_RD), 0, "SHUT_RD");
    equal(recv(s[0], &c, 1, 0), 0, "reads the end");
    fails(shutdown(s[0], 99), EINVAL, "an unknown half");
    close_both(s);
}

static void resets(void)
{
    int s[2], error = -1;
    char c;
    socklen_t size = sizeof(error);
    signal(SIGPIPE, SIG_IGN);
    if (!connected(s))
        return;
    reset_on_close(s[1]);
    check(eventually(polled(s[0], POLLIN | POLLOUT, 0) & POLLERR), "a reset: POLLERR");
    equal(polled(s[0], POLLIN | POLLOUT | POLLRDHUP, 0), POLLIN | POLLOUT | POLLRDHUP | POLLERR | POLLHUP, "and all others");
    fails(recv(s[0], &c, 1, 0), ECONNRESET, "recv: ECONNRESET");
    equal(recv(s[0], &c, 1, 0), 0, "once, then the end");
    fails(send(s[0], "x", 1, 0), EPIPE, "send: EPIPE");
    close(s[0]);
    if (!connected(s))
        return;
    reset_on_close(s[1]);
    check(eventually(polled(s[0], 0, 0) & POLLERR), "POLLERR is reported unasked");
    equal(getsockopt(s[0], SOL_SOCKET, SO_ERROR, &error, &size), 0, "SO_ERROR");
    equal(error, ECONNRESET, "tells it");
    getsockopt(s[0], SOL_SOCKET, SO_ERROR, &error, &size);
    equal(error, 0, "once");
    close(s[0]);
    if (!connected(s))
        return;
    send(s[0], "unread", 6, 0);
    polled(s[1], POLLIN, -1);
    close(s[1]); /* with data that nobody read: a reset */
    check(eventually(polled(s[0], POLLIN, 0) & POLLERR), "close with unread data resets");
    fails(recv(s[0], &c, 1, 0), ECONNRESET, "recv says so");
    close(s[0]);
}

static int free_port(void)
{
    int l = listener(1), port = port_of(l);
    close(l);
    return port;
}

static void refused(void)
{
    int port = free_port(), error = 0;
    socklen_t size = sizeof(error);
    fails(connect_to(port), ECONNREFUSED, "nobody listens: ECONNREFUSED");
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK, 0);
    struct address a = loopback(port);
    int r = connect(fd, &a.any, a.size);
    if (r < 0 && errno == EINPROGRESS) {
        equal(polled(fd, POLLOUT, -1) & (POLLERR | POLLHUP), POLLERR | POLLHUP, "non-blocking: POLLERR and POLLHUP");
        getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
        equal(error, ECONNREFUSED, "SO_ERROR");
    } else {
        check(r < 0 && errno == ECONNREFUSED, "non-blocking: refused at once");
    }
    close(fd);
    int l = listener(5);
    a = loopback(port_of(l));
    fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK, 0);
    r = connect(fd, &a.any, a.size);
    check(r == 0 || errno == EINPROGRESS, "non-blocking connect");
    equal(polled(fd, POLLOUT, -1), POLLOUT, "becomes writable");
    getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
    equal(error, 0, "without an error");
    if (r < 0)
        equal(connect(fd, &a.any, a.size), 0, "a second time: done");
    fails(connect(fd, &a.any, a.size), EISCONN, "and once more: EISCONN");
    char c;
    fails(recv(fd, &c, 1, 0), EAGAIN, "recv: EAGAIN");
    close(fd);
    fd = accept(l, NULL, NULL);
    check(fd >= 0, "accepted");
    close(fd);
    int flags = fcntl(l, F_GETFL);
    fcntl(l, F_SETFL, flags | O_NONBLOCK);
    fails(accept(l, NULL, NULL), EAGAIN, "accept: EAGAIN");
    close(l);
}

static void binding(void)
{
    int l = listener(5), on = 1;
    struct address a = loopback(port_of(l));
    int fd = socket(family, SOCK_STREAM, 0);
    fails(bind(fd, &a.any, a.size), EADDRINUSE, "a port that is taken");
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    fails(bind(fd, &a.any, a.size), EADDRINUSE, "even with SO_REUSEADDR, while somebody listens");
    int c = connect_to(ntohs(a.v4.sin_port)), s = accept(l, NULL, NULL);
    close(s);
    close(l); /* the server's end closed first: TIME-WAIT */
    char byte;
    recv(c, &byte, 1, 0);
    close(c);
    equal(bind(fd, &a.any, a.size), 0, "SO_REUSEADDR in TIME-WAIT");
    equal(listen(fd, 5), 0, "listen");
    fails(bind(fd, &a.any, a.size), EINVAL, "bound twice");
    close(fd);
    fd = socket(family, SOCK_STREAM, 0);
    if (family == AF_INET)
        a.v4.sin_addr.s_addr = htonl(0xc0000201); /* 192.0.2.1: nobody's */
    else
        inet_pton(AF_INET6, "2001:db8::1", &a.v6.sin6_addr);
    fails(bind(fd, &a.any, a.size), EADDRNOTAVAIL, "an address that is not ours");
    fails(bind(fd, &a.any, 2), EINVAL, "a short address");
    close(fd);
    int value = 0;
    socklen_t size = sizeof(value);
    fd = socket(family, SOCK_STREAM, 0);
    equal(getsockopt(fd, SOL_SOCKET, SO_TYPE, &value, &size), 0, "SO_TYPE");
    equal(value, SOCK_STREAM, "stream");
    equal(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)), 0, "TCP_NODELAY");
    getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &value, &size);
    check(value != 0, "kept");
    equal(setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on)), 0, "SO_KEEPALIVE");
    fails(setsockopt(fd, SOL_SOCKET, 9999, &on, sizeof(on)), ENOPROTOOPT, "an unknown option");
    close(fd);
    fails(socket(family, 99, 0), EINVAL, "an unknown type");
    fails(socket(250, SOCK_STREAM, 0), EAFNOSUPPORT, "an unknown family");
}

/* What is set on the listening socket holds for the connections that it accepts. */
static void inherited(void)
{
    int l = listener(5), on = 1, value = 0, idle = 77;
    socklen_t size = sizeof(value);
    equal(setsockopt(l, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)), 0, "TCP_NODELAY on a listener");
    setsockopt(l, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    setsockopt(l, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
    int c = connect_to(port_of(l)), a = accept(l, NULL, NULL);
    getsockopt(a, IPPROTO_TCP, TCP_NODELAY, &value, &size);
    check(value != 0, "TCP_NODELAY is inherited");
    value = 0;
    getsockopt(a, SOL_SOCKET, SO_KEEPALIVE, &value, &size);
    check(value != 0, "SO_KEEPALIVE is inherited");
    getsockopt(a, IPPROTO_TCP, TCP_KEEPIDLE, &value, &size);
    equal(value, 77, "TCP_KEEPIDLE is inherited");
    value = 1;
    getsockopt(c, IPPROTO_TCP, TCP_NODELAY, &value, &size);
    equal(value, 0, "the other end is as it was");
    close(a);
    close(c);
    close(l);
}

static void *send_later(void *fd)
{
    sleep_ms(20);
    return (void *)send((int)(long)fd, "x", 1, 0);
}

static void timeouts(void)
{
    int s[2];
    char b[10];
    struct timeval t = {0, 30000}, got = {0};
    socklen_t size = sizeof(got);
    if (!connected(s))
        return;
    equal(setsockopt(s[0], SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t)), 0, "SO_RCVTIMEO");
    getsockopt(s[0], SOL_SOCKET, SO_RCVTIMEO, &got, &size);
    check(got.tv_sec == 0 && got.tv_usec >= 30000 && got.tv_usec <= 40000, "asked");
    uint64_t before = now_ns();
    fails(recv(s[0], b, 1, 0), EAGAIN, "nothing within 30 ms: EAGAIN");
    check(now_ns() - before >= 29000000, "not early");
    t = (struct timeval){0, 0};
    setsockopt(s[0], SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t));
    pthread_t p = start(send_later, (void *)(long)s[1]);
    equal(recv(s[0], b, 10, 0), 1, "without it: as long as it takes");
    pthread_join(p, NULL);
    p = start(send_later, (void *)(long)s[1]);
    equal(polled(s[0], POLLIN, -1), POLLIN, "poll is woken");
    pthread_join(p, NULL);
    t = (struct timeval){0, 30000};
    setsockopt(s[0], SOL_SOCKET, SO_SNDTIMEO, &t, sizeof(t));
    static char big[1 << 20];
    ssize_t n = 0, total = 0;
    while ((n = send(s[0], big, sizeof(big), 0)) > 0 && total < 64 << 20)
        total += n;
    check(n < 0 && errno == EAGAIN, "SO_SNDTIMEO: EAGAIN when nobody reads (after %zd)", total);
    close_both(s);
}

static void full_buffers(void)
{
    int s[2];
    static char b[65536];
    ssize_t n, sent = 0, got = 0;
    if (!connected(s))
        return;
    fcntl(s[0], F_SETFL, O_NONBLOCK);
    /* What was sent may still be on its way to the receiver's buffer: then there is room again, soon after. */
    short events;
    do {
        while ((n = send(s[0], b, sizeof(b), 0)) > 0)
            sent += n;
        events = polled(s[0], POLLOUT, 0);
    } while (n < 0 && errno == EAGAIN && sent < 256 << 20 && events == POLLOUT);
    check(n < 0 && errno == EAGAIN && sent > 1000, "non-blocking send until nothing fits (%zd)", sent);
    equal(events, 0, "not writable");
    fcntl(s[1], F_SETFL, O_NONBLOCK);
    while (got < sent) {
        n = recv(s[1], b, sizeof(b), 0);
        if (n > 0)
            got += n;
        else if (polled(s[1], POLLIN, 60000) == 0)
            break;
    }
    equal(got, sent, "all can be read");
    equal(polled(s[0], POLLOUT, 60000), POLLOUT, "then it is writable");
    close_both(s);
}

static void flags_by_epoll(void)
{
    int s[2], ep = epoll_create1(0);
    char c;
    if (!connected(s))
        return;
    struct epoll_event e = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET}, got;
    epoll_ctl(ep, EPOLL_CTL_ADD, s[0], &e);
    equal(epoll_wait(ep, &got, 1, -1), 1, "a new connection");
    equal(got.events, EPOLLOUT, "is writable");
    equal(epoll_wait(ep, &got, 1, 0), 0, "edge-triggered: once");
    send(s[1], "x", 1, 0);
    equal(epoll_wait(ep, &got, 1, -1), 1, "data");
    equal(got.events, EPOLLIN | EPOLLOUT, "readable");
    recv(s[0], &c, 1, 0);
    shutdown(s[1], SHUT_WR);
    equal(epoll_wait(ep, &got, 1, -1), 1, "the peer's end");
    equal(got.events, EPOLLIN | EPOLLOUT | EPOLLRDHUP, "EPOLLRDHUP");
    close(s[1]);
    close(s[0]);
    equal(epoll_wait(ep, &got, 1, 0), 0, "closed: nothing");
    close(ep);
}

static _Atomic int served;
static void *echo_server(void *arg)
{
    int l = (int)(long)arg, ep = epoll_create1(0), open_count = 0, n;
    struct epoll_event e = {.events = EPOLLIN, .data.fd = l}, got[64];
    char b[100];
    epoll_ctl(ep, EPOLL_CTL_ADD, l, &e);
    do {
        n = epoll_wait(ep, got, 64, -1);
        for (int i = 0; i < n; i++) {
            int fd = got[i].data.fd;
            if (fd == l) {
                int c = accept4(l, NULL, NULL, SOCK_NONBLOCK);
                if (c >= 0) {
                    e = (struct epoll_event){.events = EPOLLIN, .data.fd = c};
                    epoll_ctl(ep, EPOLL_CTL_ADD, c, &e);
                    open_count++;
                }
                continue;
            }
            ssize_t r = recv(fd, b, sizeof(b), 0);
            if (r > 0) {
                served += send(fd, b, (size_t)r, 0) == r;
            } else {
                close(fd);
                open_count--;
            }
        }
    } while (open_count > 0);
    close(ep);
    return NULL;
}

static void many_connections(void)
{
    enum { MANY = 500 };
    static int c[MANY];
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    int l = listener(511), good = 0, n = 0;
    char b[32], want[32];
    served = 0;
    pthread_t t = start(echo_server, (void *)(long)l);
    while (n < MANY && (c[n] = connect_to(port_of(l))) >= 0)
        n++;
    equal(n, MANY, "500 connections at once");
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < n; i++) {
            snprintf(want, sizeof(want), "%d:%d", round, i);
            send(c[i], want, sizeof(want), 0);
        }
        for (int i = 0; i < n; i++) {
            snprintf(want, sizeof(want), "%d:%d", round, i);
            good += recv(c[i], b, sizeof(b), MSG_WAITALL) == sizeof(b) && !strcmp(b, want);
        }
    }
    equal(good, 3 * MANY, "each is answered three times");
    for (int i = 0; i < n; i++)
        close(c[i]);
    pthread_join(t, NULL);
    close(l);
}

static void coming_and_going(void)
{
    int l = listener(16), port = port_of(l), good = 0;
    for (int i = 0; i < 300; i++) {
        char x = 0;
        int c = connect_to(port), s = accept(l, NULL, NULL);
        good += c >= 0 && s >= 0 && send(c, &(char){(char)i}, 1, 0) == 1 && recv(s, &x, 1, 0) == 1 && x == (char)i;
        close(i & 1 ? c : s);
        close(i & 1 ? s : c);
    }
    equal(good, 300, "300 connections one after the other");
    close(l);
}

static void *close_it(void *fd)
{
    sleep_ms(20);
    shutdown((int)(long)fd, SHUT_RDWR);
    return NULL;
}

static void woken_by_shutdown(void)
{
    int s[2];
    char c;
    if (!connected(s))
        return;
    pthread_t t = start(close_it, (void *)(long)s[0]);
    equal(recv(s[0], &c, 1, 0), 0, "shutdown by another thread ends a blocked recv");
    pthread_join(t, NULL);
    close_both(s);
    int l = listener(5);
    t = start(close_it, (void *)(long)l);
    fails(accept(l, NULL, NULL), EINVAL, "and a blocked accept");
    pthread_join(t, NULL);
    close(l);
}

static void names(void)
{
    struct addrinfo hints = {.ai_flags = AI_NUMERICHOST, .ai_socktype = SOCK_STREAM}, *r = NULL;
    equal(getaddrinfo("127.0.0.1", "80", &hints, &r), 0, "getaddrinfo of a number");
    check(r && r->ai_family == AF_INET && ((struct sockaddr_in *)r->ai_addr)->sin_port == htons(80), "its result");
    freeaddrinfo(r);
    equal(getaddrinfo("::1", "443", &hints, &r), 0, "of an IPv6 address");
    check(r && r->ai_family == AF_INET6, "its result");
    char host[100], service[20];
    equal(getnameinfo(r->ai_addr, r->ai_addrlen, host, sizeof(host), service, sizeof(service), NI_NUMERICHOST | NI_NUMERICSERV), 0, "getnameinfo");
    check(!strcmp(host, "::1") && !strcmp(service, "443"), "its result");
    freeaddrinfo(r);
    check(getaddrinfo("no number", "80", &hints, &r) != 0, "of no number");
    hints.ai_flags = 0;
    hints.ai_family = AF_INET;
    equal(getaddrinfo("localhost", NULL, &hints, &r), 0, "localhost");
    freeaddrinfo(r);
}

static void all_of(int f)
{
    family = f;
    run(basics);
    run(transfer);
    run(halves);
    run(resets);
    run(refused);
    run(binding);
    run(inherited);
    run(timeouts);
    run(full_buffers);
    run(flags_by_epoll);
    run(many_connections);
    run(coming_and_going);
    run(woken_by_shutdown);
}

int main(void)
{
    all_of(AF_INET);
    int fd = socket(AF_INET6, SOCK_STREAM, 0);
    family = AF_INET6;
    struct address a = loopback(0);
    bool ipv6 = fd >= 0 && bind(fd, &a.any, a.size) == 0;
    close(fd);
    if (ipv6 || on_singlet())
        all_of(AF_INET6);
    else
        note("no IPv6 on this machine");
    run(names);
    return 0;
}
