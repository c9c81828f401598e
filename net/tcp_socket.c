/* SOCK_STREAM over lwIP's TCP.

   lwIP tells a socket what happens by one function (lwip_tcp_event); the pcb's callback_arg is the socket, or NULL when nobody owns the
   connection any more (closed, but still on its way out) or nobody does yet (half-open, it belongs to its listener). A pcb
   that lwIP may free without telling (TIME-WAIT and what leads there without a further event) is let go of at once; what was
   received stays readable.

   Windows. A connection starts with 64 KiB, gets more as it is used, and less when there are many or memory is short (net_share): what the
   application has read is then not all given back to the peer. A window never shrinks from the right, and never stays below a few segments.
   The same share limits what may be queued for sending.

   Listening: established connections wait in accept_queue. Half-open ones are limited by the memory there is; when there are too
   many the oldest is dropped for a new SYN, so that a flood displaces itself and not those who answer. */
#include "socket.h"
#include "stack.h"

#include <fs/poll.h>
#include <kernel/clock.h>
#include <kernel/errptr.h>
#include <kernel/log.h>
#include <kernel/string.h>
#include <linux/tcp.h>
#include <mm/kmem.h>
#include <mm/page.h>

#include <lwip/priv/tcp_priv.h>

#define SEND_LOW 2048u
#define FIRST_WINDOW 65535u
#define SEGMENTS_MIN 4u
#define QUEUE_LOW (TCP_SND_QUEUELEN - 64)

/* --- State --- */

static void remember_addresses(struct socket *so)
{
    so->tcp.local_ip = so->tcp.pcb->local_ip;
    so->tcp.remote_ip = so->tcp.pcb->remote_ip;
    so->tcp.local_port = so->tcp.pcb->local_port;
    so->tcp.remote_port = so->tcp.pcb->remote_port;
}

static void let_go(struct socket *so)
{
    struct tcp_pcb *pcb = so->tcp.pcb;

    if (pcb == NULL)
        return;
    pcb->callback_arg = NULL;
    tcp_set_flags(pcb, TF_RXCLOSED);
    so->tcp.pcb = NULL;
    net_ack_cancel(so);
}

static bool leaving(const struct tcp_pcb *pcb)
{
    return pcb->state == TIME_WAIT || pcb->state == CLOSING || pcb->state == LAST_ACK;
}

static void apply_options(struct socket *so)
{
    struct tcp_pcb *pcb = so->tcp.pcb;

    if (so->reuse_address || so->reuse_port)
        ip_set_option(pcb, SOF_REUSEADDR);
    else
        ip_reset_option(pcb, SOF_REUSEADDR);
    if (so->tcp.phase == TCP_PHASE_LISTENING) {
        if (so->keepalive)
            ip_set_option(pcb, SOF_KEEPALIVE);
        return;
    }
    if (so->keepalive)
        ip_set_option(pcb, SOF_KEEPALIVE);
    else
        ip_reset_option(pcb, SOF_KEEPALIVE);
    if (so->tcp.nodelay)
        tcp_nagle_disable(pcb);
    else
        tcp_nagle_enable(pcb);
    if (so->tcp.keep_idle_s != 0)
        pcb->keep_idle = so->tcp.keep_idle_s * 1000;
    if (so->tcp.keep_interval_s != 0)
        pcb->keep_intvl = so->tcp.keep_interval_s * 1000;
    if (so->tcp.keep_count != 0)
        pcb->keep_cnt = so->tcp.keep_count;
}

int tcp_socket_open(struct socket *so)
{
    struct tcp_pcb *pcb = tcp_new_ip_type(so->domain == AF_INET6 ? IPADDR_TYPE_ANY : IPADDR_TYPE_V4);

    if (pcb == NULL)
        return -ENOBUFS;
    pcb->callback_arg = so;
    so->tcp.pcb = pcb;
    so->tcp.phase = TCP_PHASE_NEW;
    return 0;
}

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

/* The window that the connection may have now. */
static uint32_t window_target(const struct socket *so, const struct tcp_pcb *pcb)
{
    uint32_t target = net_share(net_rx_limit, net_rx_used());

    if (so->rcvbuf != 0)
        target = MIN(target, (uint32_t)so->rcvbuf);
    return MIN(MAX(target, SEGMENTS_MIN * pcb->mss), TCP_WND_MAX(pcb));
}

/* The handshake is done, and nothing has been received yet: more than what its packets could say was not promised. */
static void window_start(struct socket *so)
{
    struct tcp_pcb *pcb = so->tcp.pcb;

    if (pcb->rcv_wnd <= FIRST_WINDOW)
        return;
    so->tcp.withheld = pcb->rcv_wnd - FIRST_WINDOW;
    pcb->rcv_wnd = FIRST_WINDOW;
    pcb->rcv_ann_wnd = FIRST_WINDOW;
    pcb->rcv_ann_right_edge = pcb->rcv_nxt + FIRST_WINDOW;
}

/* --- What lwIP reports --- */

static struct socket *adopt(struct socket *listener, struct tcp_pcb *pcb)
{
    struct socket *so = socket_alloc(listener->domain, listener->type, listener->protocol, listener->ops);

    if (so == NULL)
        return NULL;
    so->keepalive = listener->keepalive;
    so->tcp.nodelay = listener->tcp.nodelay;
    so->tcp.keep_idle_s = listener->tcp.keep_idle_s;
    so->tcp.keep_interval_s = listener->tcp.keep_interval_s;
    so->tcp.keep_count = listener->tcp.keep_count;
    so->rcvbuf = listener->rcvbuf;
    so->sndbuf = listener->sndbuf;
    so->linger = listener->linger;
    so->linger_s = listener->linger_s;
    so->tcp.pcb = pcb;
    so->tcp.phase = TCP_PHASE_CONNECTED;
    so->tcp.listening_socket = listener;
    remember_addresses(so);
    apply_options(so);
    pcb->callback_arg = so;
    window_start(so);
    return so;
}

static err_t on_accept(struct socket *listener, struct tcp_pcb *pcb)
{
    struct socket *so = adopt(listener, pcb);

    if (so == NULL)
        return ERR_MEM;
    TAILQ_INSERT_TAIL(&listener->tcp.accept_queue, so, queued);
    listener->tcp.listener->accept_queue++;
    socket_notify(listener, EPOLLIN);
    return ERR_OK;
}

/* Small packets behind others are copied into the last buffer's free room: a buffer is 2 KiB, and a peer must not be able to bind
   many of them with a byte each. True when p was swallowed. */
static bool merge(struct pbuf *tail, struct pbuf *p)
{
    struct netbuf *nb = (struct netbuf *)tail;
    uint8_t *end = (uint8_t *)tail->payload + tail->len;

    if (!(tail->flags & PBUF_FLAG_IS_CUSTOM) || p->len > 512 || p->next != NULL || end + p->len > (uint8_t *)nb + NETBUF_SIZE)
        return false;
    memcpy(end, p->payload, p->len);
    tail->len = (u16_t)(tail->len + p->len);
    pbuf_free(p);
    return true;
}

void tcp_socket_received(struct socket *so, struct pbuf *p, size_t bytes)
{
    struct tcp_part *t = &so->tcp;

    t->rx_bytes += bytes;
    if (t->rx_head == NULL) {
        t->rx_head = p;
        t->rx_tail = p;
    } else if (!merge(t->rx_tail, p)) {
        t->rx_tail->next = p;
        t->rx_tail = p;
    }
    while (t->rx_tail->next != NULL)
        t->rx_tail = t->rx_tail->next;
    socket_notify(so, EPOLLIN | EPOLLRDNORM);
}

static err_t on_receive(struct socket *so, struct tcp_pcb *pcb, struct pbuf *p)
{
    if (p != NULL) {
        if (so->shut & SOCKET_SHUT_RD) {
            tcp_recved(pcb, p->tot_len);
            pbuf_free(p);
        } else {
            tcp_socket_received(so, p, p->tot_len);
        }
        return ERR_OK;
    }
    so->tcp.fin = true;
    if (leaving(pcb))
        let_go(so);
    socket_notify(so, EPOLLIN | EPOLLRDNORM | EPOLLRDHUP | (so->shut & SOCKET_SHUT_WR ? EPOLLHUP : 0));
    return ERR_OK;
}

void tcp_socket_sent(struct socket *so)
{
    struct tcp_pcb *pcb = so->tcp.pcb;

    if (!so->tcp.tx_wanted || pcb->snd_buf < SEND_LOW || room(so) == 0)
        return;
    so->tcp.tx_wanted = false;
    socket_notify(so, EPOLLOUT | EPOLLWRNORM);
}

static void on_error(struct socket *so, err_t err)
{
    bool connecting = so->tcp.phase == TCP_PHASE_CONNECTING;

    net_ack_cancel(so);
    so->tcp.pcb = NULL; /* lwIP has freed it */
    so->tcp.phase = TCP_PHASE_DEAD;
    so->tcp.fin = true;
    if (err == ERR_RST)
        so->error = connecting ? ECONNREFUSED : ECONNRESET;
    else if (err != ERR_CLSD)
        so->error = error_of(err);
    socket_notify(so, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLHUP | (so->error != 0 ? EPOLLERR : 0));
}

err_t lwip_tcp_event(void *arg, struct tcp_pcb *pcb, enum lwip_event event, struct pbuf *p, u16_t size, err_t err)
{
    struct socket *so = arg;

    if (so == NULL) {
        if (event == LWIP_EVENT_ACCEPT)
            return ERR_VAL;
        if (event == LWIP_EVENT_RECV && p != NULL) {
            tcp_recved(pcb, p->tot_len);
            pbuf_free(p);
        }
        return ERR_OK;
    }
    switch (event) {
    case LWIP_EVENT_ACCEPT:
        return pcb == NULL ? ERR_OK : on_accept(so, pcb);
    case LWIP_EVENT_RECV:
        return on_receive(so, pcb, p);
    case LWIP_EVENT_SENT:
        tcp_socket_sent(so);
        return ERR_OK;
    case LWIP_EVENT_CONNECTED:
        so->tcp.phase = TCP_PHASE_CONNECTED;
        so->tcp.fresh = true;
        remember_addresses(so);
        window_start(so);
        socket_notify(so, EPOLLOUT | EPOLLWRNORM);
        return ERR_OK;
    case LWIP_EVENT_POLL: /* memory may have come back without an acknowledgement */
        tcp_socket_sent(so);
        return ERR_OK;
    case LWIP_EVENT_ERR:
        on_error(so, err);
        return ERR_OK;
    }
    return ERR_OK;
}

static unsigned half_open_limit(void)
{
    return (unsigned)MIN(MAX(page_free_bytes() / 65536, 64ul), 4096ul);
}

static unsigned accept_limit(const struct tcp_pcb_listen *l)
{
    /* A larger backlog is a wish for "many": memory decides. */
    return l->backlog < 128 ? l->backlog + 1u : MAX(l->backlog, half_open_limit());
}

static void drop_oldest_half_open(struct tcp_pcb_listen *l)
{
    struct tcp_pcb *oldest = NULL;

    /* New ones are put in front of the list, so the last is the oldest. */
    for (struct tcp_pcb *p = tcp_active_pcbs; p != NULL; p = p->next) {
        if (p->state == SYN_RCVD && p->listener == l)
            oldest = p;
    }
    if (oldest != NULL)
        tcp_abandon(oldest, 0);
}

int tcp_listen_admit(struct tcp_pcb_listen *l)
{
    if (l->accept_queue >= accept_limit(l))
        return 0;
    if (l->accepts_pending >= half_open_limit())
        drop_oldest_half_open(l);
    return 1;
}

/* --- Calls --- */

/* Somebody listens at this address: SO_REUSEADDR does not help then. lwIP would say so only in listen. */
static bool has_listener(const ip_addr_t *ip, uint16_t port)
{
    for (struct tcp_pcb_listen *l = tcp_listen_pcbs.listen_pcbs; l != NULL && port != 0; l = l->next) {
        bool same_family = IP_GET_TYPE(&l->local_ip) == IP_GET_TYPE(ip) || IP_IS_ANY_TYPE_VAL(l->local_ip) || IP_IS_ANY_TYPE_VAL(*ip);
        if (l->local_port == port && same_family &&
            (ip_addr_isany(&l->local_ip) || ip_addr_isany(ip) || ip_addr_cmp(&l->local_ip, ip)))
            return true;
    }
    return false;
}

static int tcp_bind_call(struct socket *so, const void *addr, uint32_t len)
{
    ip_addr_t ip;
    uint16_t port;
    int err = address_parse(so, addr, len, &ip, &port);
    err_t e;

    if (err != 0)
        return err;
    if (so->tcp.phase != TCP_PHASE_NEW || so->tcp.pcb->local_port != 0)
        return -EINVAL;
    if (so->domain == AF_INET6 && IP_IS_V6_VAL(ip) && ip_addr_isany(&ip) && !so->v6only)
        ip = *IP_ANY_TYPE;
    if (!address_is_local(&ip))
        return -EADDRNOTAVAIL;
    if (has_listener(&ip, port))
        return -EADDRINUSE;
    apply_options(so);
    e = tcp_bind(so->tcp.pcb, &ip, port);
    if (e == ERR_BUF)
        return -EADDRINUSE;
    if (e != ERR_OK)
        return -error_of(e);
    so->tcp.local_ip = so->tcp.pcb->local_ip;
    so->tcp.local_port = so->tcp.pcb->local_port;
    return 0;
}

static int tcp_listen_call(struct socket *so, int backlog)
{
    struct tcp_pcb *pcb;
    err_t e;

    backlog = MAX(1, MIN(backlog, 4096));
    if (so->tcp.phase == TCP_PHASE_LISTENING) {
        so->tcp.listener->backlog = (u16_t)backlog;
        return 0;
    }
    if (so->tcp.phase != TCP_PHASE_NEW)
        return -EINVAL;
    if (so->tcp.pcb->local_port == 0) {
        e = tcp_bind(so->tcp.pcb, so->domain == AF_INET6 ? (so->v6only ? IP6_ADDR_ANY : IP_ANY_TYPE) : IP4_ADDR_ANY, 0);
        if (e != ERR_OK)
            return -EADDRINUSE;
    }
    pcb = tcp_listen_with_backlog_and_err(so->tcp.pcb, (u8_t)MIN(backlog, 255), &e);
    if (pcb == NULL)
        return e == ERR_USE ? -EADDRINUSE : -ENOBUFS;
    so->tcp.pcb = pcb;
    so->tcp.listener->backlog = (u16_t)backlog;
    so->tcp.phase = TCP_PHASE_LISTENING;
    so->tcp.local_ip = pcb->local_ip;
    so->tcp.local_port = pcb->local_port;
    apply_options(so);
    return 0;
}

static int tcp_accept_call(struct socket *so, bool nonblock, struct socket **out)
{
    uint64_t deadline = socket_deadline(so->rcv_timeout_ns);
    struct socket *c;

    while ((c = TAILQ_FIRST(&so->tcp.accept_queue)) == NULL) {
        int err;
        if (so->tcp.phase != TCP_PHASE_LISTENING || so->tcp.fin)
            return -EINVAL;
        if (nonblock)
            return -EAGAIN;
        err = net_wait(&so->readers, deadline, true);
        if (err != 0)
            return err == -ETIMEDOUT ? -EAGAIN : err;
    }
    TAILQ_REMOVE(&so->tcp.accept_queue, c, queued);
    so->tcp.listener->accept_queue--;
    c->tcp.listening_socket = NULL;
    *out = c;
    return 0;
}

static int wait_connected(struct socket *so)
{
    uint64_t deadline = socket_deadline(so->snd_timeout_ns);

    while (so->tcp.phase == TCP_PHASE_CONNECTING) {
        int err = net_wait(&so->writers, deadline, true);
        if (err != 0)
            return err == -ETIMEDOUT ? -EINPROGRESS : err;
    }
    if (so->error != 0)
        return -socket_take_error(so);
    so->tcp.fresh = false;
    return so->tcp.phase == TCP_PHASE_CONNECTED ? 0 : -ECONNABORTED;
}

static int tcp_connect_call(struct socket *so, const void *addr, uint32_t len, bool nonblock)
{
    ip_addr_t ip;
    uint16_t port;
    int err = address_parse(so, addr, len, &ip, &port);
    err_t e;

    if (err != 0)
        return err;
    switch (so->tcp.phase) {
    case TCP_PHASE_LISTENING:
        return -EISCONN;
    case TCP_PHASE_CONNECTING:
        return nonblock ? -EALREADY : wait_connected(so);
    case TCP_PHASE_CONNECTED:
        if (!so->tcp.fresh)
            return -EISCONN;
        so->tcp.fresh = false;
        return 0;
    case TCP_PHASE_DEAD:
        if (so->error != 0)
            return -socket_take_error(so);
        err = tcp_socket_open(so); /* a failed connect may be tried again */
        if (err != 0)
            return err;
        so->tcp.fin = false;
        break;
    }
    if (ip_addr_isany_val(ip)) { /* Linux: this host */
        bool v6 = IP_IS_V6_VAL(ip);
        ip_addr_set_loopback_val(v6, ip);
    }
    if (IP_IS_ANY_TYPE_VAL(so->tcp.pcb->local_ip) || (so->tcp.pcb->local_port == 0 && ip_addr_isany(&so->tcp.pcb->local_ip))) {
        IP_SET_TYPE_VAL(so->tcp.pcb->local_ip, (ip).type);
        IP_SET_TYPE_VAL(so->tcp.pcb->remote_ip, (ip).type);
    } else if (IP_GET_TYPE(&so->tcp.pcb->local_ip) != (ip).type) {
        return -EAFNOSUPPORT;
    }
    apply_options(so);
    so->tcp.phase = TCP_PHASE_CONNECTING;
    e = tcp_connect(so->tcp.pcb, &ip, port, NULL);
    if (e != ERR_OK) {
        so->tcp.phase = TCP_PHASE_NEW;
        return e == ERR_BUF ? -EADDRNOTAVAIL : -error_of(e);
    }
    remember_addresses(so);
    if (nonblock)
        return -EINPROGRESS;
    return wait_connected(so);
}

static int tcp_name(struct socket *so, bool peer, void *addr, uint32_t *len)
{
    if (!peer) {
        if (so->tcp.pcb != NULL && so->tcp.phase == TCP_PHASE_NEW)
            so->tcp.local_ip = so->tcp.pcb->local_ip;
        address_fill(so, &so->tcp.local_ip, so->tcp.local_port, addr, len);
        return 0;
    }
    if (so->tcp.phase != TCP_PHASE_CONNECTED)
        return -ENOTCONN;
    address_fill(so, &so->tcp.remote_ip, so->tcp.remote_port, addr, len);
    return 0;
}

/* --- Receive --- */

/* The application has read n bytes. In place of tcp_recved, which would give all of them back, and would not tell a peer whose window is all but closed. */
static void window_give(struct socket *so, struct tcp_pcb *pcb, uint32_t n)
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

static void window_opened(struct socket *so, size_t n)
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

/* Copies at most n bytes to the message from its byte `at` on; consumes them unless it is a peek. */
static size_t take(struct socket *so, struct net_msg *m, size_t at, size_t n, bool peek)
{
    struct tcp_part *t = &so->tcp;
    struct pbuf *p = t->rx_head;
    size_t skip = t->rx_peeked, done = 0;

    while (done < n && p != NULL) {
        size_t part = MIN((size_t)p->len - skip, n - done);
        struct pbuf *next = p->next;

        if (!(m->flags & MSG_TRUNC))
            msg_copy_out(m, at + done, (uint8_t *)p->payload + skip, part);
        done += part;
        if (part + skip < p->len) {
            skip += part;
            break;
        }
        skip = 0;
        if (!peek) {
            p->next = NULL;
            pbuf_free(p);
        }
        p = next;
    }
    if (!peek) {
        t->rx_head = p;
        if (p == NULL)
            t->rx_tail = NULL;
        t->rx_peeked = skip;
        t->rx_bytes -= done;
        window_opened(so, done);
    }
    return done;
}

static ssize_t tcp_recv_call(struct socket *so, struct net_msg *m, bool nonblock)
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
            if (peek)
                done = take(so, m, 0, m->length, true);
            else
                done += take(so, m, done, m->length - done, false);
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

/* --- Send --- */

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

static int send_state(struct socket *so, bool nonblock)
{
    if (so->error != 0)
        return -socket_take_error(so);
    if (so->shut & SOCKET_SHUT_WR)
        return -EPIPE;
    if (so->tcp.phase == TCP_PHASE_CONNECTING)
        return nonblock ? -EAGAIN : wait_connected(so);
    if (so->tcp.phase != TCP_PHASE_CONNECTED)
        return so->tcp.phase == TCP_PHASE_DEAD ? -EPIPE : so->tcp.phase == TCP_PHASE_LISTENING ? -ENOTCONN : -EPIPE;
    return so->tcp.pcb == NULL ? -EPIPE : 0;
}

static ssize_t tcp_send_call(struct socket *so, struct net_msg *m, bool nonblock)
{
    uint64_t deadline = 0;
    size_t done = 0;

    if (m->flags & MSG_OOB)
        return -EOPNOTSUPP;
    for (;;) {
        int err = 0;
        size_t n;

        if (unlikely(so->tcp.phase != TCP_PHASE_CONNECTED || so->error != 0 || so->shut != 0 || so->tcp.pcb == NULL))
            err = send_state(so, nonblock);
        if (unlikely(err != 0))
            return done > 0 ? (ssize_t)done : err;
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

/* --- The rest --- */

/* Without the lock: looks at the socket only, never into the pcb, which may be freed meanwhile. */
static uint32_t tcp_poll_call(struct socket *so)
{
    const struct tcp_part *t = &so->tcp;
    const struct tcp_pcb *pcb = t->pcb;
    uint32_t events = 0;
    bool rd = t->fin || (so->shut & SOCKET_SHUT_RD), wr = so->shut & SOCKET_SHUT_WR;

    if (so->error != 0)
        events |= EPOLLERR;
    switch (t->phase) {
    case TCP_PHASE_LISTENING:
        return events | (TAILQ_EMPTY(&t->accept_queue) ? 0 : EPOLLIN | EPOLLRDNORM);
    case TCP_PHASE_NEW:
        return events | EPOLLOUT | EPOLLWRNORM | EPOLLHUP;
    case TCP_PHASE_CONNECTING:
        return events;
    case TCP_PHASE_DEAD:
        return events | EPOLLIN | EPOLLRDNORM | EPOLLOUT | EPOLLWRNORM | EPOLLRDHUP | EPOLLHUP;
    }
    if (t->rx_bytes > 0 || rd)
        events |= EPOLLIN | EPOLLRDNORM;
    if (rd)
        events |= EPOLLRDHUP;
    if ((rd && wr) || pcb == NULL)
        events |= EPOLLHUP;
    if (wr || pcb == NULL || !t->tx_wanted)
        events |= EPOLLOUT | EPOLLWRNORM;
    return events;
}

static int tcp_shutdown_call(struct socket *so, int how)
{
    if (so->tcp.phase == TCP_PHASE_LISTENING && how != SHUT_WR) {
        so->tcp.fin = true; /* accept returns -EINVAL */
        socket_notify(so, EPOLLIN | EPOLLRDNORM | EPOLLHUP);
        return 0;
    }
    if (so->tcp.phase != TCP_PHASE_CONNECTED)
        return -ENOTCONN;
    if (how != SHUT_WR)
        so->shut |= SOCKET_SHUT_RD;
    if (how != SHUT_RD && !(so->shut & SOCKET_SHUT_WR)) {
        so->shut |= SOCKET_SHUT_WR;
        if (so->tcp.pcb != NULL) {
            tcp_shutdown(so->tcp.pcb, 0, 1);
            if (so->tcp.pcb != NULL && leaving(so->tcp.pcb))
                let_go(so);
        }
    }
    socket_notify(so, tcp_poll_call(so));
    return 0;
}

static void free_received(struct socket *so)
{
    struct pbuf *p = so->tcp.rx_head, *next;

    for (; p != NULL; p = next) {
        next = p->next;
        p->next = NULL;
        pbuf_free(p);
    }
    so->tcp.rx_head = NULL;
}

static void release_listener(struct socket *so)
{
    struct socket *c;
    struct tcp_pcb *pcb = so->tcp.pcb;

    while ((c = TAILQ_FIRST(&so->tcp.accept_queue)) != NULL) {
        TAILQ_REMOVE(&so->tcp.accept_queue, c, queued);
        if (c->tcp.pcb != NULL) {
            struct tcp_pcb *p = c->tcp.pcb;
            p->callback_arg = NULL;
            tcp_abort(p);
        }
        net_ack_cancel(c);
        free_received(c);
        kfree(c);
    }
    pcb->callback_arg = NULL;
    tcp_close(pcb);
}

static void wait_sent(struct socket *so)
{
    uint64_t deadline = clock_monotonic_ns() + so->linger_s * NS_PER_SEC;

    while (so->tcp.pcb != NULL && (so->tcp.pcb->unsent != NULL || so->tcp.pcb->unacked != NULL)) {
        so->tcp.tx_wanted = true;
        if (net_wait(&so->writers, MIN(deadline, clock_monotonic_ns() + 50 * NS_PER_MS), false) == -ETIMEDOUT &&
            clock_monotonic_ns() >= deadline)
            return;
    }
}

static void tcp_release(struct socket *so)
{
    struct tcp_pcb *pcb;
    bool unread = so->tcp.rx_bytes != 0;

    if (so->tcp.phase == TCP_PHASE_LISTENING) {
        release_listener(so);
        return;
    }
    if (so->linger && so->linger_s > 0)
        wait_sent(so);
    net_ack_cancel(so);
    free_received(so);
    pcb = so->tcp.pcb;
    if (pcb == NULL)
        return;
    pcb->callback_arg = NULL;
    so->tcp.pcb = NULL;
    if (!unread)
        pcb->rcv_wnd = TCP_WND_MAX(pcb); /* or lwIP takes what was withheld for unread data, and resets */
    if (so->linger && so->linger_s == 0)
        tcp_abort(pcb);
    else if (tcp_close(pcb) != ERR_OK)
        tcp_abort(pcb);
}

static size_t tcp_readable(struct socket *so)
{
    return so->tcp.phase == TCP_PHASE_LISTENING ? 0 : so->tcp.rx_bytes;
}

static unsigned char linux_state(const struct socket *so)
{
    static const unsigned char states[] = {7 /* CLOSE */, 10, 2, 3, 1, 4, 5, 8, 11, 9, 6};

    return so->tcp.pcb == NULL ? 7 : states[so->tcp.pcb->state];
}

static int tcp_info_get(struct socket *so, void *value, uint32_t *len)
{
    struct tcp_info info;
    struct tcp_pcb *pcb = so->tcp.pcb;

    memset(&info, 0, sizeof(info));
    info.tcpi_state = linux_state(so);
    if (pcb != NULL && so->tcp.phase == TCP_PHASE_CONNECTED) {
        info.tcpi_retransmits = pcb->nrtx;
        info.tcpi_rto = (uint32_t)pcb->rto * TCP_SLOW_INTERVAL * 1000u;
        info.tcpi_snd_mss = pcb->mss;
        info.tcpi_rcv_mss = pcb->mss;
        info.tcpi_snd_cwnd = pcb->cwnd / MAX(pcb->mss, (u16_t)1);
        info.tcpi_snd_ssthresh = pcb->ssthresh / MAX(pcb->mss, (u16_t)1);
        info.tcpi_rcv_space = pcb->rcv_wnd;
        info.tcpi_rtt = (uint32_t)(pcb->sa >> 3) * TCP_SLOW_INTERVAL * 1000u;
        info.tcpi_unacked = pcb->snd_queuelen;
    }
    return option_put(value, len, &info, sizeof(info));
}

static int tcp_setopt(struct socket *so, int level, int name, const void *value, uint32_t len)
{
    struct tcp_pcb *pcb = so->tcp.phase == TCP_PHASE_LISTENING ? NULL : so->tcp.pcb;
    int v = 0, err;

    if (level != SOL_TCP) {
        err = socket_setopt(so, level, name, value, len);
        if (err == 0 && so->tcp.pcb != NULL)
            apply_options(so);
        return err;
    }
    err = option_int(value, len, &v);
    if (err != 0)
        return err;
    switch (name) {
    case TCP_NODELAY:
        so->tcp.nodelay = v != 0;
        if (pcb == NULL)
            return 0;
        apply_options(so);
        if (v != 0)
            tcp_output(pcb);
        return 0;
    case TCP_KEEPIDLE:
    case TCP_KEEPINTVL:
    case TCP_KEEPCNT:
        if (v < 1 || v > (name == TCP_KEEPCNT ? 127 : 32767))
            return -EINVAL;
        *(name == TCP_KEEPIDLE ? &so->tcp.keep_idle_s : name == TCP_KEEPINTVL ? &so->tcp.keep_interval_s : &so->tcp.keep_count) =
            (unsigned)v;
        if (pcb != NULL)
            apply_options(so);
        return 0;
    case TCP_QUICKACK:
        if (v != 0 && pcb != NULL && so->tcp.phase == TCP_PHASE_CONNECTED && (pcb->flags & TF_ACK_DELAY)) {
            tcp_ack_now(pcb);
            tcp_output(pcb);
        }
        return 0;
    default:
        return -ENOPROTOOPT;
    }
}

static int tcp_getopt(struct socket *so, int level, int name, void *value, uint32_t *len)
{
    struct tcp_pcb *pcb = so->tcp.phase == TCP_PHASE_LISTENING ? NULL : so->tcp.pcb;
    int v;

    if (level != SOL_TCP)
        return socket_getopt(so, level, name, value, len);
    switch (name) {
    case TCP_NODELAY: v = so->tcp.nodelay; break;
    case TCP_MAXSEG: v = pcb != NULL ? pcb->mss : 536; break;
    case TCP_KEEPIDLE: v = so->tcp.keep_idle_s != 0 ? (int)so->tcp.keep_idle_s : 7200; break;
    case TCP_KEEPINTVL: v = so->tcp.keep_interval_s != 0 ? (int)so->tcp.keep_interval_s : 75; break;
    case TCP_KEEPCNT: v = so->tcp.keep_count != 0 ? (int)so->tcp.keep_count : 9; break;
    case TCP_INFO: return tcp_info_get(so, value, len);
    default: return -ENOPROTOOPT;
    }
    return option_put(value, len, &v, sizeof(v));
}

const struct socket_ops tcp_socket_ops = {
    .bind = tcp_bind_call,
    .connect = tcp_connect_call,
    .listen = tcp_listen_call,
    .accept = tcp_accept_call,
    .name = tcp_name,
    .send = tcp_send_call,
    .recv = tcp_recv_call,
    .shutdown = tcp_shutdown_call,
    .setopt = tcp_setopt,
    .getopt = tcp_getopt,
    .poll = tcp_poll_call,
    .readable = tcp_readable,
    .release = tcp_release,
};
