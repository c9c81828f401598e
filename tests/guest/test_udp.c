/* UDP on the loopback interface, and local sockets. */
#include "check.h"
#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/time.h>
#include <sys/un.h>

static struct sockaddr_in to(int port)
{
    return (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static int bound(int *port)
{
    struct sockaddr_in a = to(0);
    socklen_t size = sizeof(a);
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    if (bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
        check(false, "bind");
    getsockname(fd, (struct sockaddr *)&a, &size);
    *port = ntohs(a.sin_port);
    return fd;
}

static short polled(int fd, short events, int timeout)
{
    struct pollfd p = {.fd = fd, .events = events};
    return poll(&p, 1, timeout) > 0 ? p.revents : 0;
}

static void datagrams(void)
{
    int pa, pb, a = bound(&pa), b = bound(&pb);
    struct sockaddr_in peer = to(pb), from;
    socklen_t size = sizeof(from);
    char buffer[100] = "";
    equal(polled(b, POLLIN | POLLOUT, 0), POLLOUT, "writable, nothing to read");
    equal(sendto(a, "first", 5, 0, (struct sockaddr *)&peer, sizeof(peer)), 5, "sendto");
    equal(sendto(a, "second one", 10, 0, (struct sockaddr *)&peer, sizeof(peer)), 10, "another");
    equal(sendto(a, "", 0, 0, (struct sockaddr *)&peer, sizeof(peer)), 0, "an empty one");
    equal(polled(b, POLLIN, -1), POLLIN, "readable");
    equal(recvfrom(b, buffer, 3, MSG_PEEK, (struct sockaddr *)&from, &size), 3, "MSG_PEEK");
    equal(recvfrom(b, buffer, 100, 0, (struct sockaddr *)&from, &size), 5, "recvfrom");
    check(!memcmp(buffer, "first", 5) && ntohs(from.sin_port) == pa && from.sin_addr.s_addr == htonl(INADDR_LOOPBACK), "content and sender");
    struct iovec v = {buffer, 4};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};
    equal(recvmsg(b, &m, 0), 4, "too long for the buffer: cut off");
    check(m.msg_flags & MSG_TRUNC && !memcmp(buffer, "seco", 4), "MSG_TRUNC");
    equal(recv(b, buffer, 100, 0), 0, "the rest is gone; the empty one");
    fails(recv(b, buffer, 100, MSG_DONTWAIT), EAGAIN, "no more");
    sendto(a, "0123456789", 10, 0, (struct sockaddr *)&peer, sizeof(peer));
    polled(b, POLLIN, -1);
    equal(recv(b, buffer, 4, MSG_TRUNC), 10, "MSG_TRUNC as a flag: the real length");
    fails(send(a, "x", 1, 0), EDESTADDRREQ, "send without a peer");
    equal(connect(a, (struct sockaddr *)&peer, sizeof(peer)), 0, "connect");
    equal(send(a, "c", 1, 0), 1, "send");
    equal(recv(b, buffer, 10, 0), 1, "arrives");
    int pc, c = bound(&pc);
    struct sockaddr_in me = to(pa);
    sendto(c, "stranger", 8, 0, (struct sockaddr *)&me, sizeof(me));
    sendto(b, "friend", 6, 0, (struct sockaddr *)&me, sizeof(me));
    equal(recv(a, buffer, 100, 0), 6, "a connected one hears its peer only");
    close(b);
    send(a, "anybody?", 8, 0);
    struct timeval limit = {on_singlet() ? 1 : 60, 0}, none = {0, 0};
    setsockopt(a, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    ssize_t r = recv(a, buffer, 1, 0);
    /* Singlet does not hand ICMP errors to UDP sockets. */
    check(r < 0 && errno == (on_singlet() ? EAGAIN : ECONNREFUSED), "a closed port: ECONNREFUSED");
    setsockopt(a, SOL_SOCKET, SO_RCVTIMEO, &none, sizeof(none));
    peer = (struct sockaddr_in){.sin_family = AF_UNSPEC};
    equal(connect(a, (struct sockaddr *)&peer, sizeof(peer)), 0, "no longer connected");
    fails(send(a, "x", 1, 0), EDESTADDRREQ, "no peer again");
    static char big[70000];
    me = to(pc);
    fails(sendto(a, big, 70000, 0, (struct sockaddr *)&me, sizeof(me)), EMSGSIZE, "too long: EMSGSIZE");
    pattern_fill(big, 30000, 0, 1);
    equal(sendto(a, big, 30000, 0, (struct sockaddr *)&me, sizeof(me)), 30000, "30,000 bytes");
    memset(big, 0, sizeof(big));
    equal(recv(c, big, sizeof(big), 0), 30000, "arrive as one");
    check(pattern_good(big, 30000, 0, 1), "content");
    close(a);
    close(c);
}

static void ipv6(void)
{
    struct sockaddr_in6 a = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    socklen_t size = sizeof(a);
    char b[10];
    int s = socket(AF_INET6, SOCK_DGRAM, 0);
    if (s < 0 || bind(s, (struct sockaddr *)&a, sizeof(a)) < 0) {
        if (on_singlet())
            check(false, "bind to ::1");
        else
            skip("no IPv6 on this machine");
        return;
    }
    getsockname(s, (struct sockaddr *)&a, &size);
    equal(sendto(s, "six", 3, 0, (struct sockaddr *)&a, sizeof(a)), 3, "to oneself");
    equal(recv(s, b, 10, 0), 3, "arrives");
    close(s);
}

static void local_stream(void)
{
    int s[2];
    char b[20] = "";
    signal(SIGPIPE, SIG_IGN);
    equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s), 0, "socketpair");
    equal(write(s[0], "one", 3) + write(s[0], "two", 3), 6, "two writes");
    equal(read(s[1], b, 20), 6, "a stream has no borders");
    equal(write(s[1], "back", 4), 4, "the other way");
    equal(recv(s[0], b, 2, MSG_PEEK), 2, "MSG_PEEK");
    equal(read(s[0], b, 20), 4, "read");
    shutdown(s[0], SHUT_WR);
    equal(read(s[1], b, 1), 0, "SHUT_WR: the end");
    equal(write(s[1], "x", 1), 1, "the other half is open");
    equal(read(s[0], b, 1), 1, "read");
    close(s[0]);
    fails(write(s[1], "x", 1), EPIPE, "closed: EPIPE");
    check(polled(s[1], POLLIN, 0) & POLLHUP, "POLLHUP");
    close(s[1]);
}

static void local_datagram(void)
{
    int s[2];
    char b[20];
    equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, s), 0, "socketpair");
    equal(write(s[0], "one", 3) + write(s[0], "second", 6), 9, "two datagrams");
    equal(read(s[1], b, 20), 3, "the first");
    equal(read(s[1], b, 2), 2, "a part of the second");
    fails(recv(s[1], b, 20, MSG_DONTWAIT), EAGAIN, "whose rest is gone");
    close(s[0]);
    close(s[1]);
    if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, s) == 0) {
        equal(write(s[0], "abc", 3) + write(s[0], "de", 2), 5, "seqpacket: two");
        equal(read(s[1], b, 20), 3, "have borders");
        close(s[0]);
        equal(read(s[1], b, 20), 2, "the second");
        equal(read(s[1], b, 20), 0, "and an end");
        close(s[1]);
    }
}

static void local_names(void)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX, .sun_path = "socket"}, from;
    socklen_t size = sizeof(from);
    char b[10];
    int l = socket(AF_UNIX, SOCK_STREAM, 0), c = socket(AF_UNIX, SOCK_STREAM, 0);
    fails(connect(c, (struct sockaddr *)&a, sizeof(a)), ENOENT, "connect to no file");
    equal(bind(l, (struct sockaddr *)&a, sizeof(a)), 0, "bind to a name");
    fails(connect(c, (struct sockaddr *)&a, sizeof(a)), ECONNREFUSED, "connect to one that does not listen");
    equal(listen(l, 5), 0, "listen");
    equal(connect(c, (struct sockaddr *)&a, sizeof(a)), 0, "connect");
    int s = accept(l, (struct sockaddr *)&from, &size);
    check(s >= 0, "accept");
    equal(write(c, "hello", 5), 5, "write");
    equal(read(s, b, 10), 5, "read");
    int other = socket(AF_UNIX, SOCK_STREAM, 0);
    fails(bind(other, (struct sockaddr *)&a, sizeof(a)), EADDRINUSE, "a name that is there");
    close(other), close(s), close(c), close(l);
    c = socket(AF_UNIX, SOCK_STREAM, 0);
    /* On Singlet names of local sockets are no files, and end with their owner. */
    fails(connect(c, (struct sockaddr *)&a, sizeof(a)), on_singlet() ? ENOENT : ECONNREFUSED, "its owner is gone");
    close(c);
    check((unlink("socket") == 0) != on_singlet(), "its file");
}

static void *write_much(void *fd)
{
    static unsigned char b[1 << 18];
    pattern_fill(b, sizeof(b), 0, 5);
    return (void *)write((int)(long)fd, b, sizeof(b));
}

static void local_blocking(void)
{
    int s[2];
    static unsigned char b[1 << 18];
    size_t at = 0;
    void *n;
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, s) < 0)
        return;
    pthread_t t = start(write_much, (void *)(long)s[0]);
    while (at < sizeof(b)) {
        ssize_t r = read(s[1], b + at, 5000);
        if (r <= 0)
            break;
        at += (size_t)r;
    }
    pthread_join(t, &n);
    check(at == sizeof(b) && pattern_good(b, at, 0, 5) && n == (void *)sizeof(b), "256 KB through a local socket");
    close(s[0]);
    close(s[1]);
}

int main(void)
{
    run(datagrams);
    run(ipv6);
    run(local_stream);
    run(local_datagram);
    run(local_names);
    run(local_blocking);
    return 0;
}
