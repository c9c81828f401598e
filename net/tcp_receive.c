/* What TCP has received, up to the application, and the window.

   Who holds net_lock puts packets on tcp.incoming; who reads takes them from there under rx_lock, without net_lock: a page fault or a lost CPU
   in the middle of a read holds nobody up but another reader of the same socket. What was read goes back to the window with the next segment, or when it has become
   more than a little (RETURN_LATER): by the reader, if net_lock is free, or as posted work. Buffers go back the same way (net_free_later). */
#include "posted.h"
#include "socket.h"
#include "stack.h"

#include <kernel/clock.h>
#include <kernel/string.h>

#include <lwip/priv/tcp_priv.h>

#define FIRST_WINDOW 65535u
#define SEGMENTS_MIN 4u
#define RETURN_LATER 536u /* bytes; below the least segment size */

/* --- The queue --- */

/* Small packets behind others are copied into the last buffer's free room: a buffer is 2 KiB, and a peer must not be able to bind
   many of them with a byte each. True when p was swallowed. */
static bool merge(struct pbuf *last, struct pbuf *p)
{
    struct netbuf *nb = (struct netbuf *)last;
    uint8_t *end = (uint8_t *)last->payload + last->len;

    if (!(last->flags & PBUF_FLAG_IS_CUSTOM) || last->tot_len != last->len || p->len > 512 || p->next != NULL ||
        end + p->len > (uint8_t *)nb + NETBUF_SIZE)
        return false;
    memcpy(end, p->payload, p->len);
    last->len = (u16_t)(last->len + p->len);
    last->tot_len = last->len;
    pbuf_free(p);
    return true;
}

/* A packet's last buffer: there, all that is left of the packet is in the buffer itself. */
static struct pbuf *last_of(struct pbuf *p)
{
    while (p->tot_len != p->len && p->next != NULL)
        p = p->next;
    return p;
}

/* net_lock held: nobody else puts packets there, so between the exchange and the store a reader finds it empty at worst, and is told afterwards. */
void tcp_socket_received(struct socket *so, struct pbuf *p, size_t bytes)
{
    struct tcp_part *t = &so->tcp;

    atomic_fetch_add_explicit(&t->rx_bytes, bytes, memory_order_relaxed); /* first: a reader takes off what it finds */
    struct pbuf *before = atomic_load_explicit(&t->incoming, memory_order_relaxed);
    if (before != NULL)
        before = atomic_exchange_explicit(&t->incoming, NULL, memory_order_acquire);
    if (before != NULL && merge(before, p))
        p = before;
    else
        last_of(p)->next = before;
    atomic_store_explicit(&t->incoming, p, memory_order_release);
    socket_notify(so, EPOLLIN | EPOLLRDNORM);
}

/* Moves what has come to the reader's own list, in order. rx_lock held. */
static void take_incoming(struct tcp_part *t)
{
    struct pbuf *list = NULL, *end = NULL, *p;

    if (atomic_load_explicit(&t->incoming, memory_order_relaxed) == NULL)
        return;
    p = atomic_exchange_explicit(&t->incoming, NULL, memory_order_acquire);
    while (p != NULL) {
        struct pbuf *first = p, *last = last_of(p);
        p = last->next;
        last->next = list;
        list = first;
        if (end == NULL)
            end = last;
    }
    if (t->rx_head == NULL)
        t->rx_head = list;
    else
        t->rx_tail->next = list;
    if (end != NULL)
        t->rx_tail = end;
}

/* Nobody uses the socket any more. */
void tcp_free_received(struct socket *so)
{
    struct pbuf *p, *next;

    take_incoming(&so->tcp);
    for (p = so->tcp.rx_head; p != NULL; p = next) {
        next = p->next;
        p->next = NULL;
        pbuf_free(p);
    }
    so->tcp.rx_head = NULL;
}

/* --- The window --- */

/* The window that the connection may have now. */
static uint32_t window_target(const struct socket *so, const struct tcp_pcb *pcb)
{
    uint32_t target = net_share(net_rx_limit, net_rx_used());

    if (so->rcvbuf != 0)
        target = MIN(target, (uint32_t)so->rcvbuf);
    return MIN(MAX(target, SEGMENTS_MIN * pcb->mss), TCP_WND_MAX(pcb));
}

/* The handshake is done, and nothing has been received yet: more than what its packets could say was not promised. */
void tcp_window_start(struct socket *so)
{
    struct tcp_pcb *pcb = so->tcp.pcb;

    if (pcb->rcv_wnd <= FIRST_WINDOW)
        return;
    so->tcp.withheld = pcb->rcv_wnd - FIRST_WINDOW;
    pcb->rcv_wnd = FIRST_WINDOW;
    pcb->rcv_ann_wnd = FIRST_WINDOW;
    pcb->rcv_ann_right_edge = pcb->rcv_nxt + FIRST_WINDOW;
}

/* The application has read n bytes. In place of tcp_recved, which would give all of them back, and would not tell a peer whose window is all but closed. */
static __attribute__((noinline)) void window_give(struct socket *so, struct tcp_pcb *pcb, uint32_t n)
{
    uint32_t owed = n + so->tcp.withheld, target = window_target(so, pcb);
    uint32_t give = MIN(owed, target > pcb->rcv_wnd ? target - pcb->rcv_wnd : 0), seen, more;

    so->tcp.withheld = owed - give;
    pcb->rcv_wnd += give;
    seen = pcb->rcv_ann_right_edge - pcb->rcv_nxt;
    more = tcp_update_rcv_ann_wnd(pcb);
    if (more >= TCP_WND_UPDATE_THRESHOLD || (more != 0 && (int32_t)seen < (int32_t)(2 * pcb->mss))) {
        tcp_ack_now(pcb);
        tcp_output(pcb);
    }
}

static inline void window_opened(struct socket *so, size_t n)
{
    struct tcp_pcb *pcb = so->tcp.pcb;

    if (pcb == NULL)
        return;
    /* As tcp_recved, for the usual case in which no update is worth a packet. */
    if (likely(pcb->rcv_nxt + pcb->rcv_wnd + (uint32_t)n - pcb->rcv_ann_right_edge < pcb->mss &&
               pcb->rcv_wnd + n <= (so->tcp.withheld != 0 ? FIRST_WINDOW : TCP_WND_MAX(pcb)))) {
        pcb->rcv_wnd += (uint32_t)n;
        return;
    }
    window_give(so, pcb, (uint32_t)n);
}

/* What was read since the last time. net_lock held. */
void tcp_window_settle(struct socket *so)
{
    window_opened(so, atomic_exchange_explicit(&so->tcp.read_bytes, 0, memory_order_relaxed));
}

static void settle_posted(struct net_work *w)
{
    struct socket *so = CONTAINER_OF(w, struct socket, tcp.settle);

    atomic_store_explicit(&so->tcp.settling, false, memory_order_release);
    tcp_window_settle(so);
}

/* Without net_lock. The socket cannot go before the posted work has run: its last user closes it with net_lock, and runs what is posted first. */
static void read_some(struct socket *so, size_t n)
{
    struct tcp_part *t = &so->tcp;

    if (atomic_fetch_add_explicit(&t->read_bytes, n, memory_order_relaxed) + n < RETURN_LATER)
        return;
    if (mutex_trylock(&net_lock)) {
        tcp_window_settle(so);
        net_release();
    } else if (!atomic_exchange_explicit(&t->settling, true, memory_order_acquire)) {
        t->settle.fn = settle_posted;
        net_post(&t->settle);
    }
}

/* --- Calls --- */

/* Copies at most n bytes to the message from its byte `at` on; consumes them unless it is a peek. rx_lock held. */
static size_t take_locked(struct tcp_part *t, struct net_msg *m, size_t at, size_t n, bool peek)
{
    struct pbuf *p, *read_last = NULL, *read_first;
    size_t skip = t->rx_peeked, done = 0;

    take_incoming(t);
    read_first = p = t->rx_head;
    while (done < n && p != NULL) {
        size_t part = MIN((size_t)p->len - skip, n - done);

        if (!(m->flags & MSG_TRUNC))
            msg_copy_out(m, at + done, (uint8_t *)p->payload + skip, part);
        done += part;
        if (part + skip < p->len) {
            skip += part;
            break;
        }
        skip = 0;
        read_last = p;
        p = p->next;
    }
    if (!peek) {
        t->rx_head = p;
        t->rx_peeked = skip;
        atomic_fetch_sub_explicit(&t->rx_bytes, done, memory_order_relaxed);
        if (read_last != NULL)
            net_free_later(read_first, read_last);
    }
    return done;
}

static size_t take(struct socket *so, struct net_msg *m, size_t at, size_t n, bool peek)
{
    size_t done;

    mutex_lock(&so->tcp.rx_lock);
    done = take_locked(&so->tcp, m, at, n, peek);
    mutex_unlock(&so->tcp.rx_lock);
    return done;
}

/* Without net_lock: more than 0 bytes that were there, -EAGAIN, or 0: this is a matter for tcp_recv. */
ssize_t tcp_recv_quick(struct socket *so, struct net_msg *m, bool nonblock)
{
    struct tcp_part *t = &so->tcp;
    size_t done;

    if (unlikely((m->flags & ~(MSG_DONTWAIT | MSG_NOSIGNAL)) || m->length == 0))
        return 0;
    if (atomic_load_explicit(&t->rx_bytes, memory_order_acquire) == 0)
        return nonblock && t->phase == TCP_PHASE_CONNECTED && !t->fin && so->shut == 0 && so->error == 0 ? -EAGAIN : 0;
    done = take(so, m, 0, m->length, false);
    if (unlikely(done == 0))
        return 0; /* counted, but not there yet, or another reader was faster */
    m->name_length = 0;
    read_some(so, done);
    return (ssize_t)done;
}

ssize_t tcp_recv(struct socket *so, struct net_msg *m, bool nonblock)
{
    struct tcp_part *t = &so->tcp;
    bool peek = m->flags & MSG_PEEK;
    size_t want = m->flags & MSG_WAITALL ? m->length : 1, done = 0;
    uint64_t deadline = 0;

    if (m->flags & (MSG_OOB | MSG_ERRQUEUE))
        return m->flags & MSG_OOB ? -EINVAL : -EAGAIN;
    m->name_length = 0;
    for (;;) {
        int err;
        if (t->rx_bytes > (peek ? done : 0)) {
            if (peek) {
                done = take(so, m, 0, m->length, true);
            } else {
                size_t n = take(so, m, done, m->length - done, false);
                done += n;
                window_opened(so, n);
            }
            if (done >= want || done == m->length)
                break;
        }
        if (t->fin || (so->shut & SOCKET_SHUT_RD) || done > 0 ? t->fin || (so->shut & SOCKET_SHUT_RD) : false)
            break;
        if (so->error != 0)
            return done > 0 ? (ssize_t)done : -socket_take_error(so);
        if (t->phase != TCP_PHASE_CONNECTED && t->phase != TCP_PHASE_CONNECTING)
            return done > 0 ? (ssize_t)done : t->phase == TCP_PHASE_DEAD ? 0 : -ENOTCONN;
        if (nonblock)
            return done > 0 ? (ssize_t)done : -EAGAIN;
        if (deadline == 0)
            deadline = socket_deadline(so->rcv_timeout_ns);
        err = net_wait(&so->readers, deadline, true);
        if (err != 0)
            return done > 0 ? (ssize_t)done : err == -ETIMEDOUT ? -EAGAIN : err;
    }
    if (done == 0 && so->error != 0)
        return -socket_take_error(so);
    m->flags &= ~MSG_TRUNC;
    return (ssize_t)done;
}
