/* SOURCES: net/address.c net/checksum.c net/configure.c net/ifioctl.c net/interface.c net/isn.c net/memory.c net/msg.c net/netbuf.c net/socket.c net/sockopt.c net/tcp_fast.c net/tcp_hash.c net/posted.c net/tcp_receive.c net/tcp_send.c net/tcp_socket.c net/timers.c net/udp_socket.c net/unix_socket.c build/lwip/src/core/def.c build/lwip/src/core/inet_chksum.c build/lwip/src/core/ip.c build/lwip/src/core/netif.c build/lwip/src/core/pbuf.c build/lwip/src/core/tcp.c build/lwip/src/core/tcp_in.c build/lwip/src/core/tcp_out.c build/lwip/src/core/udp.c build/lwip/src/core/ipv4/dhcp.c build/lwip/src/core/ipv4/etharp.c build/lwip/src/core/ipv4/icmp.c build/lwip/src/core/ipv4/igmp.c build/lwip/src/core/ipv4/ip4.c build/lwip/src/core/ipv4/ip4_addr.c build/lwip/src/core/ipv4/ip4_frag.c build/lwip/src/core/ipv6/ethip6.c build/lwip/src/core/ipv6/icmp6.c build/lwip/src/core/ipv6/inet6.c build/lwip/src/core/ipv6/ip6.c build/lwip/src/core/ipv6/ip6_addr.c build/lwip/src/core/ipv6/ip6_frag.c build/lwip/src/core/ipv6/mld6.c build/lwip/src/core/ipv6/nd6.c build/lwip/src/netif/ethernet.c fs/poll.c tests/unit/host/net.c */
/* CFLAGS: -Inet -isystem build/lwip/src/include -isystem net/lwip_libc */
/* The network stack against a scripted client on a simulated wire: echo of streams with loss, duplication and reordering; many
   connections; floods of SYN; mutated frames; no memory; loopback, UDP and AF_UNIX sockets; the connection table. */
#include "tap.h"

#include "../../net/stack.c"

#include "host/net_sim.h"
#include "net_peer.h"
#include "../../net/tcp_hash.h"

#include <kernel/errptr.h>
#include <kernel/string.h>
#include <linux/in.h>
#undef IP_HDRINCL
#include <lwip/dhcp.h>
#include <lwip/igmp.h>
#include <lwip/init.h>
#include <lwip/pbuf.h>
#include <lwip/priv/tcp_priv.h>
#include <lwip/udp.h>

/* lwIP's own checks at compile time what are variables here. */
void lwip_init(void)
{
    netif_init();
    udp_init();
    tcp_init();
    igmp_init();
}

#define ECHO_PORT 7

struct conn {
    struct file *f;
    uint8_t pending[4096];
    size_t from, to;
    bool eof, done;
};
static struct conn conns[PEERS_MAX];
static unsigned conn_count;
static struct file *listener;
static size_t bulk_bytes;

static void step(uint64_t ns)
{
    sim_now += ns;
    peers_run();
    net_poll();
    if (sent_count >= device_queue) { /* the interrupt that a full queue asks for */
        net_acquire();
        dev_poll(&device, 0);
        mutex_unlock(&net_lock);
    }
}
static unsigned long slept;
void sim_idle(void)
{
    slept++;
    step(1000000);
}

static struct sockaddr_in address(uint32_t ip, uint16_t port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = __builtin_bswap16(port)};
    a.sin_addr.s_addr = ip;
    return a;
}

static struct file *tcp(int flags) { return socket_create(AF_INET, SOCK_STREAM, 0, flags); }

static ssize_t rw(struct file *f, bool send, void *buf, size_t n, int flags)
{
    struct iovec iov = {buf, n};
    struct net_msg m = {.iov = &iov, .iov_count = 1, .length = n, .flags = flags};
    return send ? socket_send(f, &m) : socket_recv(f, &m);
}

/* With chance net_lock is somebody else's just then: what can go on without it, does. */
static bool busy;
static unsigned long went_on;
static ssize_t rw_busy(struct file *f, bool send, void *buf, size_t n)
{
    struct socket *so = f->priv;
    struct iovec iov = {buf, n};
    struct net_msg m = {.iov = &iov, .iov_count = 1, .length = n, .flags = MSG_NOSIGNAL};
    ssize_t r = 0;

    if (busy && random_u64() % 3 != 0) {
        net_acquire();
        r = send ? tcp_send_post(so, &m) : tcp_recv_quick(so, &m, true);
        if (random_u64() % 2 == 0) {
            net_release();
        } else { /* as if the holder had looked just before */
            mutex_unlock(&net_lock);
            if (random_u64() % 2 == 0)
                net_unlocked();
        }
        went_on += r > 0;
    }
    return r != 0 ? r : rw(f, send, buf, n, MSG_NOSIGNAL);
}

static struct file *listen_on(uint16_t port, int backlog)
{
    struct file *f = tcp(04000);
    struct sockaddr_in a = address(0, port);
    int one = 1;

    socket_option_set(f, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (socket_bind(f, &a, sizeof(a)) != 0 || socket_listen(f, backlog) != 0)
        panic("test: listen");
    return f;
}

/* The echo application: one pass over everything. */
static void echo_run(void)
{
    struct file *f;

    while (conn_count < PEERS_MAX && socket_accept(listener, NULL, NULL, 04000, &f) == 0)
        conns[conn_count++] = (struct conn){.f = f};
    for (unsigned i = 0; i < conn_count; i++) {
        struct conn *c = &conns[i];
        ssize_t n;
        if (c->f == NULL)
            continue;
        if (c->from == c->to && !c->eof) {
            n = rw_busy(c->f, false, c->pending, busy ? 1 + random_u64() % 700 : sizeof(c->pending));
            c->from = 0;
            c->to = n > 0 ? (size_t)n : 0;
            c->eof = n == 0 || (n < 0 && n != -EAGAIN);
        }
        if (c->from < c->to) {
            n = rw_busy(c->f, true, c->pending + c->from, c->to - c->from);
            if (n > 0)
                c->from += (size_t)n;
            else if (n != -EAGAIN)
                c->eof = true, c->from = c->to;
        }
        if (c->eof && c->from == c->to) {
            file_put(c->f);
            c->f = NULL;
        }
    }
}

static void run_until(uint64_t limit_ns, bool (*finished)(void))
{
    uint64_t end = sim_now + limit_ns;

    while (sim_now < end && !finished()) {
        step(200000);
        echo_run();
    }
}

static bool all_received(void)
{
    for (unsigned i = 0; i < peers_used; i++) {
        if (peers[i].state != P_RESET && peers[i].received != peers[i].to_send)
            return false;
    }
    return true;
}
static bool all_done(void)
{
    for (unsigned i = 0; i < peers_used; i++) {
        if (peers[i].state != P_DONE && peers[i].state != P_RESET)
            return false;
    }
    return true;
}
static bool never(void) { return false; }

static void settle(uint64_t ns) { run_until(ns, never); }
/* For TCP's long timers. */
static void settle_long(uint64_t ns)
{
    for (uint64_t end = sim_now + ns; sim_now < end;)
        step(50 * NS_PER_MS);
}

static void drop_all(void)
{
    for (unsigned i = 0; i < conn_count; i++) {
        if (conns[i].f != NULL)
            file_put(conns[i].f);
    }
    conn_count = 0;
}

static uint16_t next_port = 20000;
static void echo_test(const char *name, unsigned n, uint32_t bytes, bool timestamps)
{
    bool good = true, fin = true;
    unsigned long bad = bad_checksums;

    peers_used = n;
    conn_count = 0;
    for (unsigned i = 0; i < n; i++) {
        peer_open(&peers[i], next_port++, ECHO_PORT);
        peers[i].timestamps = timestamps;
        peers[i].to_send = bytes;
    }
    run_until(600 * NS_PER_SEC, all_received);
    for (unsigned i = 0; i < n; i++) {
        good = good && peers[i].received == bytes && !peers[i].corrupt;
        peer_close(&peers[i]);
    }
    ok(good, name);
    run_until(60 * NS_PER_SEC, all_done);
    for (unsigned i = 0; i < n; i++)
        fin = fin && peers[i].state == P_DONE;
    ok(fin && bad == bad_checksums, "  closed in both directions, all checksums right");
    settle(2 * NS_PER_SEC);
    for (unsigned i = 0; i < conn_count; i++) {
        if (conns[i].f != NULL)
            fin = false;
    }
    ok(fin, "  the application saw every end");
}

static void test_echo(void)
{
    echo_test("echo, one connection, 100 bytes", 1, 100, true);
    echo_test("echo, no timestamps", 1, 5000, false);
    echo_test("echo, 1 MB", 1, 1 << 20, true);
    echo_test("echo, 500 connections", 500, 3000, true);
    loss_percent = 5;
    dup_percent = 3;
    jitter_us = 2000;
    echo_test("echo with loss, duplicates, reordering", 20, 60000, true);
    device_checks = false;
    echo_test("the same with checksums in software", 10, 30000, true);
    device_checks = true;
    device_queue = 4;
    echo_test("the same with a transmit queue of 4", 10, 30000, true);
    device_queue = 4096;
    loss_percent = dup_percent = jitter_us = 0;
}

static void test_busy(void)
{
    busy = true;
    echo_test("echo while others hold the lock", 50, 30000, true);
    loss_percent = 5;
    jitter_us = 2000;
    echo_test("the same with loss and reordering", 20, 30000, true);
    loss_percent = jitter_us = 0;
    ok(went_on > 1000, "  short messages do not wait for it");
    printf("# %lu\n", went_on);
    busy = false;
}

/* The guest sends, the other end keeps what comes out of order, so its acknowledgements jump over what was sent twice. */
static void bulk_run(void)
{
    struct sockaddr_in from;
    uint8_t buf[1448];
    struct file *f;
    uint32_t len = sizeof(from);

    while (conn_count < PEERS_MAX && socket_accept(listener, &from, &len, 04000, &f) == 0)
        conns[conn_count++] = (struct conn){.f = f, .to = (size_t)__builtin_bswap16(from.sin_port)};
    for (unsigned i = 0; i < conn_count; i++) {
        struct conn *c = &conns[i];
        size_t n = MIN(sizeof(buf), bulk_bytes - c->from);
        ssize_t sent = 1;
        while (n != 0 && sent > 0) {
            for (size_t k = 0; k < n; k++)
                buf[k] = pattern((uint16_t)c->to, (uint32_t)(c->from + k));
            sent = rw(c->f, true, buf, n, MSG_NOSIGNAL);
            if (sent > 0)
                c->from += (size_t)sent;
            n = MIN(sizeof(buf), bulk_bytes - c->from);
        }
    }
}

/* A client that waits believes itself connected when only its last packet of the handshake is lost, and the guest gives up after six tries: it tries again. */
static void bulk_reopen(unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        bool accepted = false;
        for (unsigned k = 0; k < conn_count; k++)
            accepted = accepted || conns[k].to == peers[i].port;
        if (accepted)
            continue;
        peer_open(&peers[i], next_port++, ECHO_PORT);
        peers[i].keeps_early = true;
    }
}

static void bulk_test(const char *name, unsigned n, uint32_t bytes, unsigned loss)
{
    uint64_t start = sim_now, end = sim_now + 3600 * NS_PER_SEC;
    uint64_t reopen = sim_now + 200 * NS_PER_SEC;
    bool good = true;

    peers_used = n;
    conn_count = 0;
    bulk_bytes = bytes;
    loss_percent = loss;
    for (unsigned i = 0; i < n; i++) {
        peer_open(&peers[i], next_port++, ECHO_PORT);
        peers[i].keeps_early = true;
    }
    for (bool finished = false; sim_now < end && !finished;) {
        step(200000);
        bulk_run();
        if (sim_now > reopen) {
            bulk_reopen(n);
            reopen = sim_now + 200 * NS_PER_SEC;
        }
        finished = true;
        for (unsigned i = 0; i < n; i++)
            finished = finished && peers[i].received == bytes;
    }
    loss_percent = 0;
    for (unsigned i = 0; i < n; i++)
        good = good && peers[i].received == bytes && !peers[i].corrupt;
    ok(good, name);
    printf("# %llu ms\n", (unsigned long long)((sim_now - start) / NS_PER_MS));
    drop_all();
    peers_used = 0;
    memset(peers, 0, sizeof(peers));
    settle_long(300 * NS_PER_SEC);
}

static void test_loss(void)
{
    bulk_test("1 MB to each of 20, one packet in a hundred lost", 20, 1 << 20, 1);
    bulk_test("1 MB to each of 20, one packet in twenty lost", 20, 1 << 20, 5);
    bulk_test("200 kB to each of 20, one packet in five lost", 20, 200000, 20);
}

static void test_table(void)
{
    settle_long(1800 * NS_PER_SEC);
    ok(tcp_hash_count() == 0, "no connection is left in the table");
    ok(tcp_active_pcbs == NULL && tcp_tw_pcbs == NULL, "nor on lwIP's lists");
}

static void test_loopback(void)
{
    struct file *l = listen_on(99, 5), *c = tcp(0), *s = NULL;
    struct sockaddr_in a = address(0x0100007f, 99);
    static uint8_t buf[100000], back[100000];
    size_t got = 0;
    uint32_t len = sizeof(a);

    ok(socket_connect(c, &a, sizeof(a)) == 0, "connect over loopback");
    ok(socket_accept(l, &a, &len, 04000, &s) == 0 && a.sin_addr.s_addr == 0x0100007f, "accept over loopback, with the address");
    random_bytes(buf, sizeof(buf));
    ok(rw(c, true, buf, 1000, 0) == 1000 && rw(s, false, back, 500, MSG_PEEK) == 500 && rw(s, false, back, 2000, 0) == 1000 &&
           memcmp(buf, back, 1000) == 0, "1000 bytes, peeked and read");
    ok(rw(s, false, back, 10, 0) == -EAGAIN, "then nothing");
    struct iovec iov = {buf, 9};
    struct net_msg m = {.iov = &iov, .iov_count = 1, .length = 9};
    unsigned long before = slept;
    while (net_poll()) /* no timer is due now */
        ;
    net_acquire();
    bool left = tcp_send_post(s->priv, &m) == 9;
    mutex_unlock(&net_lock); /* whoever held it has just looked */
    ok(left && rw(c, false, back, 100, 0) == 9 && slept == before, "what the reader itself has to deliver is not slept for");
    for (size_t put = 0; got < sizeof(buf);) {
        ssize_t n = put < sizeof(buf) ? rw(c, true, buf + put, sizeof(buf) - put, MSG_DONTWAIT) : 0;
        put += n > 0 ? (size_t)n : 0;
        n = rw(s, false, back + got, sizeof(back) - got, 0);
        got += n > 0 ? (size_t)n : 0;
        step(1000000);
    }
    ok(memcmp(buf, back, sizeof(buf)) == 0, "100,000 bytes");
    ok(socket_shutdown(c, SHUT_WR) == 0 && rw(s, false, back, 10, 0) == 0, "end of file after shutdown");
    ok((s->ops->poll(s) & (EPOLLIN | EPOLLRDHUP | EPOLLHUP)) == (EPOLLIN | EPOLLRDHUP), "polls IN and RDHUP");
    ok(rw(c, true, buf, 1, 0) == -EPIPE && sim_signals == 1, "EPIPE and SIGPIPE after shutdown");
    ok(rw(s, true, buf, 7, 0) == 7 && rw(c, false, back, 100, 0) == 7, "the other direction still works");
    file_put(s);
    ok(rw(c, false, back, 10, 0) == 0, "end of file after close");
    file_put(c);
    c = tcp(04000);
    a = address(0x0100007f, 98);
    ok(socket_connect(c, &a, sizeof(a)) == -EINPROGRESS, "non-blocking connect");
    step(1000000);
    ok((c->ops->poll(c) & (EPOLLERR | EPOLLHUP | EPOLLOUT)) == (EPOLLERR | EPOLLHUP | EPOLLOUT), "polls ERR, HUP, OUT when refused");
    int e = 0;
    len = sizeof(e);
    ok(socket_option_get(c, SOL_SOCKET, SO_ERROR, &e, &len) == 0 && e == ECONNREFUSED, "SO_ERROR says ECONNREFUSED");
    file_put(c);
    file_put(l);
}

static void test_udp(void)
{
    struct file *a = socket_create(AF_INET, SOCK_DGRAM, 0, 04000), *b = socket_create(AF_INET, SOCK_DGRAM, 0, 04000);
    struct sockaddr_in to = address(0x0100007f, 5000), from;
    char buf[3000], back[3000];
    struct iovec iov = {buf, 3000};
    struct net_msg m = {.iov = &iov, .iov_count = 1, .length = 3000, .name = &to, .name_length = sizeof(to)};

    memset(buf, 'x', sizeof(buf));
    ok(socket_bind(b, &to, sizeof(to)) == 0 && socket_send(a, &m) == 3000, "UDP: send");
    iov.iov_base = back;
    iov.iov_len = m.length = 100;
    m = (struct net_msg){.iov = &iov, .iov_count = 1, .length = 100, .name = &from, .name_length = sizeof(from)};
    ok(socket_recv(b, &m) == 100 && (m.flags & MSG_TRUNC) && from.sin_addr.s_addr == 0x0100007f, "UDP: truncated, with the source");
    ok(rw(b, false, back, 100, 0) == -EAGAIN, "UDP: the rest is gone");
    file_put(a);
    file_put(b);
}

static void test_unix(void)
{
    struct file *p[2];
    static char big[300000], back[300000];
    ssize_t n;

    ok(socket_pair(SOCK_STREAM, 04000, p) == 0, "socketpair");
    n = rw(p[0], true, big, sizeof(big), 0);
    ok(n > 0 && n < (ssize_t)sizeof(big) && !(p[0]->ops->poll(p[0]) & EPOLLOUT), "fills up");
    ok(rw(p[1], false, back, sizeof(back), 0) == n && (p[0]->ops->poll(p[0]) & EPOLLOUT), "empties");
    file_put(p[0]);
    ok(rw(p[1], false, back, 1, 0) == 0 && (p[1]->ops->poll(p[1]) & EPOLLHUP), "end of file and HUP");
    file_put(p[1]);
    ok(socket_pair(SOCK_DGRAM, 04000, p) == 0 && rw(p[0], true, big, 10, 0) == 10 && rw(p[0], true, big, 20, 0) == 20 &&
           rw(p[1], false, back, 100, 0) == 10 && rw(p[1], false, back, 100, 0) == 20, "datagrams keep their bounds");
    file_put(p[0]);
    file_put(p[1]);
}

static void test_syn_flood(void)
{
    struct peer flood = {.guest_port = ECHO_PORT, .window = 65535};
    unsigned long count = 0;

    for (unsigned i = 0; i < 20000; i++) {
        flood.port = (uint16_t)(i % 18000 + 1024);
        flood.iss = i;
        peer_emit(&flood, 2, i, 0);
        if (i % 64 == 0) {
            step(100000);
            wire_clear(&to_peer); /* the addresses do not answer */
        }
    }
    for (struct tcp_pcb *p = tcp_active_pcbs; p != NULL; p = p->next)
        count++;
    ok(count <= 4096, "a flood of SYN is bounded");
    echo_test("echo after a flood of SYN", 5, 1000, true);
    settle_long(70 * NS_PER_SEC);
}

static void mutate(uint8_t *f, unsigned *len)
{
    unsigned n = 1 + next_random() % 4;

    while (n-- > 0)
        f[12 + next_random() % (*len - 12)] = (uint8_t)next_random();
    if (next_random() % 4 == 0)
        *len = 1 + next_random() % *len;
}

static void fix_ip_sum(uint8_t *f, unsigned len)
{
    if (len < 34 || next_random() % 8 == 0)
        return;
    put16(f + 24, 0);
    put16(f + 24, ~sum16(f + 14, 20, 0) & 0xffff);
}

static void test_fuzz(void)
{
    peers_used = 50;
    conn_count = 0;
    for (unsigned i = 0; i < 50; i++) {
        peer_open(&peers[i], next_port++, ECHO_PORT);
        peers[i].to_send = 1 << 20;
    }
    settle(20000000);
    for (unsigned i = 0; i < 60000; i++) {
        if (to_guest.count > 0) {
            struct frame *f = &to_guest.queue[next_random() % to_guest.count];
            if (next_random() % 3 == 0 && f->len > 20) {
                mutate(f->data, &f->len);
                fix_ip_sum(f->data, f->len);
            }
        } else {
            uint8_t junk[1500];
            unsigned len = 1 + next_random() % 1500;
            random_bytes(junk, len);
            memcpy(junk, guest_mac, 6);
            if (len > 40)
                put16(junk + 12, next_random() % 3 == 0 ? 0x800 : next_random() % 2 ? 0x86dd : 0x806);
            wire_put(&to_guest, junk, len);
        }
        step(100000);
        if (i % 8 == 0)
            echo_run();
        if (i % 200 == 0 && peers[i / 200 % 50].state >= P_DONE) {
            peer_open(&peers[i / 200 % 50], next_port++, ECHO_PORT);
            peers[i / 200 % 50].to_send = 1 << 20;
        }
        if (conn_count > PEERS_MAX - 10) {
            unsigned k = 0;
            for (unsigned j = 0; j < conn_count; j++) {
                if (conns[j].f != NULL)
                    conns[k++] = conns[j];
            }
            conn_count = k;
        }
    }
    ok(true, "60,000 frames with mutations");
    drop_all();
    peers_used = 0;
    memset(peers, 0, sizeof(peers));
    settle_long(1800 * NS_PER_SEC);
    echo_test("echo after them", 10, 10000, true);
}

static void test_no_memory(void)
{
    peers_used = 50;
    conn_count = 0;
    loss_percent = 2;
    for (unsigned i = 0; i < 50; i++) {
        peer_open(&peers[i], next_port++, ECHO_PORT);
        peers[i].to_send = 100000;
    }
    sim_alloc_fail = 20;
    run_until(100 * NS_PER_SEC, all_received);
    sim_alloc_fail = 0;
    ok(true, busy ? "one allocation in twenty fails, and the lock is busy" : "one allocation in twenty fails");
    drop_all();
    memset(peers, 0, sizeof(peers));
    peers_used = 0;
    loss_percent = 0;
    settle_long(1800 * NS_PER_SEC);
    echo_test("echo after that", 10, 10000, true);
}

static bool peer_has(void) { return peers[0].received == peers[0].to_send; }

/* A message that was left and for which there is no room is held: it comes later, before what is sent next and before the end. */
static void test_held(void)
{
    static uint8_t data[600];
    struct file *f;
    struct socket *so;
    uint32_t taken;

    peers_used = 1;
    conn_count = 0;
    peer_open(&peers[0], next_port++, ECHO_PORT);
    peers[0].to_send = 0;
    while (socket_accept(listener, NULL, NULL, 04000, &f) != 0)
        step(200000);
    so = f->priv;
    for (unsigned round = 0; round < 2; round++) {
        struct iovec iov = {data, sizeof(data)};
        struct net_msg m = {.iov = &iov, .iov_count = 1, .length = sizeof(data), .flags = MSG_NOSIGNAL};
        for (unsigned i = 0; i < sizeof(data); i++)
            data[i] = pattern(peers[0].port, round * 1200 + i);
        net_acquire();
        ok(tcp_send_post(so, &m) == 600, "a message is left");
        ok(tcp_send_post(so, &m) == 0, "one at a time");
        taken = so->tcp.pcb->snd_buf - 100;
        so->tcp.pcb->snd_buf -= taken;
        net_release();
        ok(so->tcp.held != NULL && !(f->ops->poll(f) & EPOLLOUT) && rw(f, true, data, 10, MSG_NOSIGNAL) == -EAGAIN,
           "without room it is held, and nothing overtakes it");
        so->tcp.pcb->snd_buf += taken;
        peers[0].to_send = round * 1200 + 600;
        if (round == 0) {
            for (unsigned i = 0; i < sizeof(data); i++)
                data[i] = pattern(peers[0].port, 600 + i);
            ok(rw(f, true, data, 600, MSG_NOSIGNAL) == 600, "what is sent later goes behind it");
            peers[0].to_send = 1200;
        } else {
            file_put(f);
        }
        run_until(60 * NS_PER_SEC, peer_has);
        ok(peer_has() && !peers[0].corrupt, round == 0 ? "  all of it came, in order" : "  it came before the end of a closed connection");
    }
    settle_long(10 * NS_PER_SEC);
    ok(peers[0].state != P_RESET, "  which was not reset");
    memset(peers, 0, sizeof(peers));
    peers_used = 0;
    settle_long(300 * NS_PER_SEC);
}

int main(void)
{
    static const ip4_addr_t ip = {GUEST_IP}, mask = {0x00ffffff}, gw = {PEER_IP};
    long held;

    net_init();
    device_start(NETDEV_F_CSUM_TX | NETDEV_F_CSUM_RX);
    net_acquire();
    dhcp_release_and_stop(&interfaces->netif);
    netif_set_addr(&interfaces->netif, &ip, &mask, &gw);
    net_release();
    listener = listen_on(ECHO_PORT, 1000);
    settle(5 * NS_PER_SEC);
    wire_clear(&to_peer);

    test_loopback();
    test_udp();
    test_unix();
    echo_test("warm up", 500, 3000, true);
    test_table();
    held = sim_allocated;
    test_echo();
    test_busy();
    test_loss();
    test_table();
    test_syn_flood();
    test_fuzz();
    test_no_memory();
    busy = true;
    test_no_memory();
    busy = false;
    test_held();
    test_table();
    ok(sim_allocated <= held + 600, "memory in use is where it was, but for free lists");
    return done();
}
