/* SOCK_STREAM over lwIP's TCP.

   lwIP tells a socket what happens by one function (lwip_tcp_event); the pcb's callback_arg is the socket, or NULL when nobody owns the
   connection any more (closed, but still on its way out) or nobody does yet (half-open, it belongs to its listener). A pcb
   that lwIP may free without telling (TIME-WAIT and what leads there without a further event) is let go of at once; what was
   received stays readable.

   Receiving is in tcp_receive.c, sending in tcp_send.c.

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
    tcp_window_start(so);
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
        tcp_window_start(so);
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

int tcp_wait_connected(struct socket *so)
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
        return nonblock ? -EALREADY : tcp_wait_connected(so);
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
    return tcp_wait_connected(so);
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
        tcp_send_rest(so);
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
        tcp_free_received(c);
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
    tcp_send_rest(so);
    if (so->linger && so->linger_s > 0)
        wait_sent(so);
    net_ack_cancel(so);
    tcp_free_received(so);
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
    .send = tcp_send,
    .send_post = tcp_send_post,
    .recv = tcp_recv,
    .recv_quick = tcp_recv_quick,
    .shutdown = tcp_shutdown_call,
    .setopt = tcp_setopt,
    .getopt = tcp_getopt,
    .poll = tcp_poll_call,
    .readable = tcp_readable,
    .release = tcp_release,
};
