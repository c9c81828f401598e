/* From the application to TCP.

   Who finds net_lock taken leaves a short message with whoever holds it (tcp_send_post) and goes on, as if there had been room for it, which there
   is: no sender is waiting for any (tx_wanted), and a socket leaves one message at a time. Should memory be short just then, the message is held, the socket is not
   writable, and what follows waits behind it; when the connection is gone meanwhile the message goes with it, as if it had been on its way. */
#include "posted.h"
#include "socket.h"
#include "stack.h"

#include <fs/poll.h>
#include <kernel/clock.h>
#include <kernel/log.h>
#include <mm/kmem.h>
#include <sched/thread.h>

#include <lwip/priv/tcp_priv.h>

#define SEND_LOW 2048u
#define SEGMENTS_MIN 4u
#define QUEUE_LOW (TCP_SND_QUEUELEN - 64)
#define POST_MAX 1024u /* bytes; less than SEND_LOW */
#define HELD_NS (5 * NS_PER_SEC)

struct tcp_message {
    struct net_work work;
    struct socket *so;
    size_t length, done;
    char data[];
};

/* How much may be queued now. Not 0 when nothing is queued: then nobody would say that there is room again. */
static size_t room(struct socket *so)
{
    struct tcp_pcb *pcb = so->tcp.pcb;
    size_t used = net_tcp_sndbuf - pcb->snd_buf, limit = net_share(net_tx_limit, net_tx_used);

    if (pcb->snd_queuelen >= QUEUE_LOW)
        return 0;
    limit = MAX(limit, (size_t)SEGMENTS_MIN * pcb->mss);
    if (so->sndbuf != 0)
        limit = MIN(limit, (size_t)so->sndbuf);
    return used < limit ? MIN(limit - used, (size_t)pcb->snd_buf) : 0;
}

/* Queues from byte `at` of the message on as much as there is room for. */
static size_t queue_some(struct socket *so, const struct net_msg *m, size_t at)
{
    size_t skip = at, done = 0, space = room(so);

    for (int i = 0; i < m->iov_count && space > 0; i++) {
        const char *base = m->iov[i].iov_base;
        size_t len = m->iov[i].iov_len;
        bool last;

        if (skip >= len) {
            skip -= len;
            continue;
        }
        base += skip;
        len -= skip;
        skip = 0;
        while (len > 0 && space > 0) {
            size_t part = MIN(MIN(len, space), (size_t)0xffff);
            last = at + done + part == m->length && !(m->flags & MSG_MORE);
            if (tcp_write(so->tcp.pcb, base, (u16_t)part, TCP_WRITE_FLAG_COPY | (last ? 0 : TCP_WRITE_FLAG_MORE)) != ERR_OK)
                return done;
            base += part;
            len -= part;
            space -= part;
            done += part;
        }
    }
    return done;
}

/* --- Messages that were left here --- */

/* Goes on with the message that is held. True when there is none any more. fast: not while lwIP is at work on this connection. */
static __attribute__((noinline)) bool send_held(struct socket *so, bool fast)
{
    struct tcp_message *h = so->tcp.held;
    struct iovec iov;
    struct net_msg m = {.iov = &iov, .iov_count = 1};
    size_t n = 0;

    if (likely(h == NULL))
        return true;
    if (so->tcp.pcb != NULL && so->tcp.phase == TCP_PHASE_CONNECTED && !(so->shut & SOCKET_SHUT_WR)) {
        iov = (struct iovec){h->data + h->done, h->length - h->done};
        m.length = iov.iov_len;
        if (fast && h->done == 0)
            n = tcp_fast_send(so, &m);
        if (n == 0) {
            n = queue_some(so, &m, 0);
            tcp_output(so->tcp.pcb);
        }
        h->done += n;
        if (h->done < h->length) {
            so->tcp.tx_wanted = true;
            return false;
        }
        if (so->tcp.pcb->snd_buf < SEND_LOW || room(so) == 0)
            so->tcp.tx_wanted = true;
    }
    so->tcp.held = NULL;
    atomic_store_explicit(&so->tcp.posted, false, memory_order_release);
    kfree(h);
    return true;
}

static void message_posted(struct net_work *w)
{
    struct tcp_message *h = CONTAINER_OF(w, struct tcp_message, work);

    h->so->tcp.held = h;
    (void)send_held(h->so, true);
}

/* Somebody else holds net_lock: leaves him the message. Its length, or 0: it must wait. */
ssize_t tcp_send_post(struct socket *so, const struct net_msg *m)
{
    struct tcp_part *t = &so->tcp;
    unsigned *batch = thread_net_batch();
    struct tcp_message *h;

    if ((m->flags & ~(MSG_DONTWAIT | MSG_NOSIGNAL)) || m->length == 0 || m->length > POST_MAX || t->phase != TCP_PHASE_CONNECTED ||
        t->tx_wanted || t->fin || so->error != 0 || so->shut != 0 || atomic_exchange_explicit(&t->posted, true, memory_order_acquire))
        return 0;
    h = kmalloc(sizeof(*h) + m->length);
    if (h == NULL) {
        atomic_store_explicit(&t->posted, false, memory_order_relaxed);
        return 0;
    }
    h->work.fn = message_posted;
    h->so = so;
    h->length = m->length;
    h->done = 0;
    msg_copy_in(h->data, m, 0, m->length);
    if (*batch > 0)
        (*batch)--;
    net_post(&h->work);
    return (ssize_t)m->length;
}

/* The end of what is sent comes after what was left here. A connection that has no room for it for long is reset: nothing is lost in silence. */
void tcp_send_rest(struct socket *so)
{
    uint64_t deadline = 0;

    if (likely(!atomic_load_explicit(&so->tcp.posted, memory_order_relaxed)))
        return;
    net_look_posted();
    while (!send_held(so, true)) {
        if (deadline == 0)
            deadline = clock_monotonic_ns() + HELD_NS;
        if (clock_monotonic_ns() >= deadline) {
            log_warn("tcp: no memory for the last %zu bytes of a connection: reset", so->tcp.held->length - so->tcp.held->done);
            tcp_abort(so->tcp.pcb); /* reports to the socket */
            continue;
        }
        (void)net_wait(&so->writers, clock_monotonic_ns() + 50 * NS_PER_MS, false);
    }
}

/* --- Calls --- */

void tcp_socket_sent(struct socket *so)
{
    struct tcp_pcb *pcb = so->tcp.pcb;

    if (!so->tcp.tx_wanted || (so->tcp.held != NULL && !send_held(so, false)) || pcb->snd_buf < SEND_LOW || room(so) == 0)
        return;
    so->tcp.tx_wanted = false;
    socket_notify(so, EPOLLOUT | EPOLLWRNORM);
}

static int send_state(struct socket *so, bool nonblock)
{
    if (so->error != 0)
        return -socket_take_error(so);
    if (so->shut & SOCKET_SHUT_WR)
        return -EPIPE;
    if (so->tcp.phase == TCP_PHASE_CONNECTING)
        return nonblock ? -EAGAIN : tcp_wait_connected(so);
    if (so->tcp.phase != TCP_PHASE_CONNECTED)
        return so->tcp.phase == TCP_PHASE_DEAD ? -EPIPE : so->tcp.phase == TCP_PHASE_LISTENING ? -ENOTCONN : -EPIPE;
    return so->tcp.pcb == NULL ? -EPIPE : 0;
}

ssize_t tcp_send(struct socket *so, struct net_msg *m, bool nonblock)
{
    uint64_t deadline = 0;
    size_t done = 0;

    if (m->flags & MSG_OOB)
        return -EOPNOTSUPP;
    for (;;) {
        int err = 0;
        size_t n;

        bool behind = unlikely(atomic_load_explicit(&so->tcp.posted, memory_order_relaxed));
        if (behind)
            net_look_posted();
        if (unlikely(so->tcp.phase != TCP_PHASE_CONNECTED || so->error != 0 || so->shut != 0 || so->tcp.pcb == NULL))
            err = send_state(so, nonblock);
        if (unlikely(err != 0))
            return done > 0 ? (ssize_t)done : err;
        if (behind && !send_held(so, true))
            goto wait;
        if (done == 0) {
            n = tcp_fast_send(so, m);
            if (likely(n != 0)) {
                if (unlikely(so->tcp.pcb->snd_buf < SEND_LOW))
                    so->tcp.tx_wanted = true;
                return (ssize_t)n;
            }
        }
        n = m->length > done ? queue_some(so, m, done) : 0;
        done += n;
        tcp_output(so->tcp.pcb);
        if (done == m->length) {
            if (so->tcp.pcb->snd_buf < SEND_LOW || room(so) == 0)
                so->tcp.tx_wanted = true;
            return (ssize_t)done;
        }
wait:
        so->tcp.tx_wanted = true;
        if (nonblock)
            return done > 0 ? (ssize_t)done : -EAGAIN;
        if (deadline == 0)
            deadline = socket_deadline(so->snd_timeout_ns);
        err = net_wait(&so->writers, deadline, true);
        if (err != 0)
            return done > 0 ? (ssize_t)done : err == -ETIMEDOUT ? -EAGAIN : err;
    }
}
