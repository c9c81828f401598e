/* AF_UNIX: socket pairs, and stream and datagram sockets with names. A name is an entry in a table of this file (a path or an abstract name);
   no node appears in the file system. Data is copied into chunks on the receiver's queue; each chunk is one message for datagram and
   seqpacket sockets. Passing descriptors and credentials is not there: such control messages answer EOPNOTSUPP. */
#include "socket.h"
#include "stack.h"

#include <fs/poll.h>
#include <kernel/string.h>
#include <mm/kmem.h>

#define RX_LIMIT (208u << 10)
#define CHUNK_MAX (32u << 10)

struct unix_chunk {
    STAILQ_ENTRY(unix_chunk) link;
    uint32_t length, at; /* at: bytes read already */
    uint32_t from_length;
    char from[108];
    char data[];
};

static LIST_HEAD(, socket) all = LIST_HEAD_INITIALIZER(all); /* every AF_UNIX socket; net_lock */

void unix_socket_open(struct socket *so)
{
    STAILQ_INIT(&so->local.rx);
    TAILQ_INIT(&so->local.accept_queue);
    LIST_INSERT_HEAD(&all, so, local.all);
}

void unix_socket_join(struct socket *a, struct socket *b)
{
    a->local.peer = b;
    b->local.peer = a;
    a->local.connected = true;
    b->local.connected = true;
}

/* The name in an address: path (up to its first zero byte) or abstract name. */
static int parse(const void *addr, uint32_t len, char name[108], uint32_t *name_length)
{
    uint16_t family;
    uint32_t n;

    if (len < sizeof(family) || len > sizeof(family) + 108)
        return -EINVAL;
    memcpy(&family, addr, sizeof(family));
    if (family != AF_UNIX)
        return -EINVAL;
    n = len - (uint32_t)sizeof(family);
    memset(name, 0, 108);
    memcpy(name, (const char *)addr + sizeof(family), n);
    if (n > 0 && name[0] != '\0')
        n = (uint32_t)strnlen(name, n);
    *name_length = n;
    return 0;
}

static struct socket *find(const char *name, uint32_t n)
{
    struct socket *so;

    LIST_FOREACH(so, &all, local.all) {
        if (so->local.bound && so->local.path_length == n && memcmp(so->local.path, name, n) == 0)
            return so;
    }
    return NULL;
}

static int unix_bind(struct socket *so, const void *addr, uint32_t len)
{
    char name[108];
    uint32_t n;
    int err = parse(addr, len, name, &n);

    if (err != 0)
        return err;
    if (so->local.bound || n == 0)
        return -EINVAL;
    if (find(name, n) != NULL)
        return -EADDRINUSE;
    memcpy(so->local.path, name, sizeof(name));
    so->local.path_length = n;
    so->local.bound = true;
    return 0;
}

static int unix_listen(struct socket *so, int backlog)
{
    if (so->type == SOCK_DGRAM)
        return -EOPNOTSUPP;
    if (!so->local.bound || so->local.connected)
        return -EINVAL;
    so->local.listening = true;
    so->local.backlog = (unsigned)MAX(1, MIN(backlog, 4096));
    return 0;
}

static int unix_connect(struct socket *so, const void *addr, uint32_t len, bool nonblock)
{
    char name[108];
    uint32_t n;
    struct socket *target, *other;
    int err = parse(addr, len, name, &n);

    if (err != 0)
        return err;
    if (so->local.connected && so->type != SOCK_DGRAM)
        return -EISCONN;
    target = find(name, n);
    if (target == NULL)
        return name[0] == '\0' ? -ECONNREFUSED : -ENOENT;
    if (target->type != so->type)
        return -EPROTOTYPE;
    if (so->type == SOCK_DGRAM) {
        so->local.peer = target;
        so->local.connected = true;
        return 0;
    }
    if (!target->local.listening)
        return -ECONNREFUSED;
    if (target->local.queued >= target->local.backlog)
        return nonblock ? -EAGAIN : -ECONNREFUSED;
    other = socket_alloc(AF_UNIX, so->type, 0, &unix_socket_ops);
    if (other == NULL)
        return -ENOBUFS;
    unix_socket_open(other);
    memcpy(other->local.path, target->local.path, sizeof(other->local.path));
    other->local.path_length = target->local.path_length;
    unix_socket_join(so, other);
    TAILQ_INSERT_TAIL(&target->local.accept_queue, other, queued);
    target->local.queued++;
    socket_notify(target, EPOLLIN | EPOLLRDNORM);
    return 0;
}

static int unix_accept(struct socket *so, bool nonblock, struct socket **out)
{
    uint64_t deadline = socket_deadline(so->rcv_timeout_ns);
    struct socket *c;

    while ((c = TAILQ_FIRST(&so->local.accept_queue)) == NULL) {
        int err;
        if (!so->local.listening)
            return -EINVAL;
        if (nonblock)
            return -EAGAIN;
        err = net_wait(&so->readers, deadline, true);
        if (err != 0)
            return err == -ETIMEDOUT ? -EAGAIN : err;
    }
    TAILQ_REMOVE(&so->local.accept_queue, c, queued);
    so->local.queued--;
    *out = c;
    return 0;
}

static void put_name(const char *path, uint32_t n, void *addr, uint32_t *len)
{
    char a[2 + 108 + 1];
    uint16_t family = AF_UNIX;
    uint32_t size = (uint32_t)sizeof(family) + n;

    memset(a, 0, sizeof(a));
    memcpy(a, &family, sizeof(family));
    memcpy(a + sizeof(family), path, n);
    if (n > 0 && path[0] != '\0')
        size++; /* a path's end counts */
    if (addr != NULL)
        memcpy(addr, a, MIN(*len, size));
    *len = size;
}

static int unix_name(struct socket *so, bool peer, void *addr, uint32_t *len)
{
    if (peer) {
        if (!so->local.connected)
            return -ENOTCONN;
        so = so->local.peer != NULL ? so->local.peer : so;
    }
    put_name(so->local.path, so->local.path_length, addr, len);
    return 0;
}

static struct unix_chunk *chunk_new(struct socket *so, const struct net_msg *m, size_t at, size_t n)
{
    struct unix_chunk *c = kmalloc(sizeof(*c) + n);

    if (c == NULL)
        return NULL;
    c->length = (uint32_t)n;
    c->at = 0;
    c->from_length = so->local.path_length;
    memcpy(c->from, so->local.path, sizeof(c->from));
    msg_copy_in(c->data, m, at, n);
    return c;
}

static int target_of(struct socket *so, struct net_msg *m, struct socket **out)
{
    char name[108];
    uint32_t n;
    int err;

    *out = so->local.peer;
    if (m->name != NULL && so->type == SOCK_DGRAM) {
        err = parse(m->name, m->name_length, name, &n);
        if (err != 0)
            return err;
        *out = find(name, n);
        return *out == NULL ? -ECONNREFUSED : (*out)->type != SOCK_DGRAM ? -EPROTOTYPE : 0;
    }
    if (!so->local.connected)
        return so->type == SOCK_DGRAM ? -ENOTCONN : -ENOTCONN;
    if (*out == NULL)
        return so->type == SOCK_DGRAM ? -ECONNREFUSED : -EPIPE;
    return 0;
}

static ssize_t unix_send(struct socket *so, struct net_msg *m, bool nonblock)
{
    uint64_t deadline = socket_deadline(so->snd_timeout_ns);
    bool message = so->type != SOCK_STREAM;
    size_t done = 0;

    if (m->control != NULL || (m->flags & MSG_OOB))
        return -EOPNOTSUPP;
    if (message && m->length > RX_LIMIT / 2)
        return -EMSGSIZE;
    for (;;) {
        struct socket *to;
        size_t n;
        int err = so->shut & SOCKET_SHUT_WR ? -EPIPE : target_of(so, m, &to);

        if (err == 0 && (to->shut & SOCKET_SHUT_RD))
            err = -EPIPE;
        if (err != 0)
            return done > 0 ? (ssize_t)done : err;
        if (m->length == 0 && !message)
            return 0;
        n = message ? m->length : MIN(m->length - done, (size_t)CHUNK_MAX);
        if (to->local.rx_bytes == 0 || to->local.rx_bytes + n <= RX_LIMIT) {
            struct unix_chunk *c = chunk_new(so, m, done, n);
            if (c == NULL)
                return done > 0 ? (ssize_t)done : -ENOBUFS;
            STAILQ_INSERT_TAIL(&to->local.rx, c, link);
            to->local.rx_bytes += n;
            done += n;
            socket_notify(to, EPOLLIN | EPOLLRDNORM);
            if (done == m->length)
                return (ssize_t)done;
            continue;
        }
        so->local.tx_full = true;
        to->local.had_full = true;
        if (nonblock)
            return done > 0 ? (ssize_t)done : -EAGAIN;
        err = net_wait(&so->writers, deadline, true);
        if (err != 0)
            return done > 0 ? (ssize_t)done : err == -ETIMEDOUT ? -EAGAIN : err;
    }
}

static void room_made(struct socket *so)
{
    struct socket *other;

    if (so->local.rx_bytes > RX_LIMIT / 2)
        return;
    if (so->type != SOCK_DGRAM) {
        other = so->local.peer;
        if (other != NULL && other->local.tx_full) {
            other->local.tx_full = false;
            socket_notify(other, EPOLLOUT | EPOLLWRNORM);
        }
        return;
    }
    if (!so->local.had_full)
        return;
    so->local.had_full = false;
    LIST_FOREACH(other, &all, local.all) {
        if (other->type == SOCK_DGRAM && other->local.tx_full) {
            other->local.tx_full = false;
            socket_notify(other, EPOLLOUT | EPOLLWRNORM);
        }
    }
}

/* Takes from the queue; a stream goes on over chunks, a message is one chunk. */
static size_t take(struct socket *so, struct net_msg *m, size_t at, int flags)
{
    struct unix_chunk *c, *next;
    size_t done = 0;

    for (c = STAILQ_FIRST(&so->local.rx); c != NULL && (done + at < m->length || so->type != SOCK_STREAM); c = next) {
        size_t n = MIN((size_t)(c->length - c->at), m->length - at - done);

        next = STAILQ_NEXT(c, link);
        msg_copy_out(m, at + done, c->data + c->at, n);
        done += n;
        if (so->type != SOCK_STREAM) {
            if (m->name != NULL)
                put_name(c->from, c->from_length, m->name, &m->name_length);
            if (n < c->length)
                m->flags |= MSG_TRUNC;
            if (flags & MSG_TRUNC)
                done = c->length;
            n = c->length - c->at;
            next = NULL;
        }
        if (flags & MSG_PEEK)
            continue;
        c->at += (uint32_t)n;
        so->local.rx_bytes -= n;
        if (c->at == c->length) {
            STAILQ_REMOVE_HEAD(&so->local.rx, link);
            kfree(c);
        }
    }
    if (!(flags & MSG_PEEK))
        room_made(so);
    return done;
}

static ssize_t unix_recv(struct socket *so, struct net_msg *m, bool nonblock)
{
    uint64_t deadline = socket_deadline(so->rcv_timeout_ns);
    int flags = m->flags;
    size_t done = 0;

    if (flags & MSG_OOB)
        return -EOPNOTSUPP;
    if (so->type == SOCK_STREAM)
        m->name_length = 0;
    m->flags = 0;
    if (so->type != SOCK_DGRAM && !so->local.connected)
        return so->type == SOCK_STREAM ? -EINVAL : -ENOTCONN;
    for (;;) {
        int err;
        if (!STAILQ_EMPTY(&so->local.rx)) {
            done += take(so, m, done, flags);
            if (so->type != SOCK_STREAM || !(flags & MSG_WAITALL) || (flags & MSG_PEEK) || done == m->length)
                return (ssize_t)done;
        }
        if ((so->shut & SOCKET_SHUT_RD) || (so->type != SOCK_DGRAM && (so->local.fin || so->local.peer == NULL)))
            return (ssize_t)done;
        if (nonblock)
            return done > 0 ? (ssize_t)done : -EAGAIN;
        err = net_wait(&so->readers, deadline, true);
        if (err != 0)
            return done > 0 ? (ssize_t)done : err == -ETIMEDOUT ? -EAGAIN : err;
    }
}

static int unix_shutdown(struct socket *so, int how)
{
    struct socket *peer = so->local.peer;

    if (!so->local.connected)
        return -ENOTCONN;
    if (how != SHUT_WR)
        so->shut |= SOCKET_SHUT_RD;
    if (how != SHUT_RD)
        so->shut |= SOCKET_SHUT_WR;
    if (peer != NULL && so->type != SOCK_DGRAM) {
        if (how != SHUT_RD)
            peer->local.fin = true;
        socket_notify(peer, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLHUP);
    }
    socket_notify(so, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLHUP);
    return 0;
}

/* Without the lock: the peer may go away meanwhile, so only its presence is looked at. */
static uint32_t unix_poll(struct socket *so)
{
    const struct socket *peer = so->local.peer;
    bool stream = so->type != SOCK_DGRAM;
    bool rd = (so->shut & SOCKET_SHUT_RD) || (stream && so->local.connected && (so->local.fin || peer == NULL));
    bool wr = so->shut & SOCKET_SHUT_WR;
    uint32_t events = 0;

    if (so->local.listening)
        return TAILQ_EMPTY(&so->local.accept_queue) ? 0 : EPOLLIN | EPOLLRDNORM;
    if (stream && !so->local.connected)
        return EPOLLOUT | EPOLLWRNORM | EPOLLHUP;
    if (!STAILQ_EMPTY(&so->local.rx) || rd)
        events |= EPOLLIN | EPOLLRDNORM;
    if (rd)
        events |= EPOLLRDHUP;
    if ((rd && wr) || (stream && peer == NULL))
        events |= EPOLLHUP;
    if (peer == NULL || wr || !so->local.tx_full)
        events |= EPOLLOUT | EPOLLWRNORM;
    return events;
}

static size_t unix_readable(struct socket *so)
{
    struct unix_chunk *c = STAILQ_FIRST(&so->local.rx);

    if (so->type == SOCK_STREAM)
        return so->local.rx_bytes;
    return c != NULL ? c->length : 0;
}

static void drop_received(struct socket *so)
{
    struct unix_chunk *c;

    while ((c = STAILQ_FIRST(&so->local.rx)) != NULL) {
        STAILQ_REMOVE_HEAD(&so->local.rx, link);
        kfree(c);
    }
}

/* Nobody may go on pointing at a socket that goes away. */
static void forget(struct socket *so)
{
    struct socket *peer = so->local.peer, *other;

    if (peer != NULL && peer->local.peer == so) {
        peer->local.peer = NULL;
        socket_notify(peer, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLHUP);
    }
    so->local.peer = NULL;
    LIST_REMOVE(so, local.all);
    if (so->type != SOCK_DGRAM || !so->local.bound)
        return;
    LIST_FOREACH(other, &all, local.all) {
        if (other->local.peer == so) {
            other->local.peer = NULL;
            other->local.tx_full = false;
            socket_notify(other, EPOLLOUT | EPOLLWRNORM);
        }
    }
}

static void unix_release(struct socket *so)
{
    struct socket *c;

    while ((c = TAILQ_FIRST(&so->local.accept_queue)) != NULL) {
        TAILQ_REMOVE(&so->local.accept_queue, c, queued);
        forget(c);
        drop_received(c);
        kfree(c);
    }
    forget(so);
    drop_received(so);
}

const struct socket_ops unix_socket_ops = {
    .bind = unix_bind,
    .connect = unix_connect,
    .listen = unix_listen,
    .accept = unix_accept,
    .name = unix_name,
    .send = unix_send,
    .recv = unix_recv,
    .shutdown = unix_shutdown,
    .setopt = socket_setopt,
    .getopt = socket_getopt,
    .poll = unix_poll,
    .readable = unix_readable,
    .release = unix_release,
};
