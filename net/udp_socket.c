/* SOCK_DGRAM over lwIP's UDP. A datagram waits in the buffers it was received in; what a socket holds is counted in memory, not in bytes,
   and bounded, so that a flood costs only its own datagrams. Multicast groups are joined with IP_ADD_MEMBERSHIP. */
#include "socket.h"
#include "stack.h"

#include <fs/poll.h>
#include <kernel/string.h>
#include <linux/in.h>
#include <linux/in6.h>
#undef IP_HDRINCL
#include <mm/kmem.h>

#include <lwip/igmp.h>
#include <lwip/ip.h>
#include <lwip/netif.h>

#define DATAGRAM_COST 2048u /* a receive buffer */
#define RX_DEFAULT (256u << 10)
#define UDP_MAX 65507u

struct datagram {
    STAILQ_ENTRY(datagram) link;
    struct pbuf *p;
    ip_addr_t from, to;
    uint16_t port;
    uint8_t netif_index;
};

static void on_receive(void *arg, struct udp_pcb *pcb, struct pbuf *p, const ip_addr_t *from, u16_t port)
{
    struct socket *so = arg;
    struct datagram *d;
    size_t limit = so->rcvbuf != 0 ? (size_t)so->rcvbuf : RX_DEFAULT, cost = DATAGRAM_COST * pbuf_clen(p);

    if ((so->shut & SOCKET_SHUT_RD) || so->udp.rx_bytes + cost > limit)
        goto drop;
    d = kmalloc(sizeof(*d));
    if (d == NULL)
        goto drop;
    d->p = p;
    d->from = *from;
    d->to = *ip_current_dest_addr();
    d->port = port;
    d->netif_index = netif_get_index(ip_current_input_netif());
    STAILQ_INSERT_TAIL(&so->udp.rx, d, link);
    so->udp.rx_bytes += cost;
    socket_notify(so, EPOLLIN | EPOLLRDNORM);
    return;
drop:
    pbuf_free(p);
}

int udp_socket_open(struct socket *so)
{
    struct udp_pcb *pcb = udp_new_ip_type(so->domain == AF_INET6 ? IPADDR_TYPE_ANY : IPADDR_TYPE_V4);

    if (pcb == NULL)
        return -ENOBUFS;
    so->udp.pcb = pcb;
    STAILQ_INIT(&so->udp.rx);
    udp_recv(pcb, on_receive, so);
    return 0;
}

static int udp_bind_call(struct socket *so, const void *addr, uint32_t len)
{
    ip_addr_t ip;
    uint16_t port;
    int err = address_parse(so, addr, len, &ip, &port);

    if (err != 0)
        return err;
    if (so->udp.pcb->local_port != 0)
        return -EINVAL;
    if (so->domain == AF_INET6 && IP_IS_V6_VAL(ip) && ip_addr_isany_val(ip) && !so->v6only)
        ip = *IP_ANY_TYPE;
    return -error_of(udp_bind(so->udp.pcb, &ip, port));
}

static int udp_connect_call(struct socket *so, const void *addr, uint32_t len, bool nonblock)
{
    ip_addr_t ip;
    uint16_t port, family;
    int err;

    if (len < sizeof(family))
        return -EINVAL;
    memcpy(&family, addr, sizeof(family));
    if (family == AF_UNSPEC) {
        udp_disconnect(so->udp.pcb);
        so->udp.connected = false;
        return 0;
    }
    err = address_parse(so, addr, len, &ip, &port);
    if (err != 0)
        return err;
    if (ip_route(&so->udp.pcb->local_ip, &ip) == NULL)
        return -ENETUNREACH;
    err = -error_of(udp_connect(so->udp.pcb, &ip, port));
    so->udp.connected = err == 0;
    return err;
}

static int udp_name(struct socket *so, bool peer, void *addr, uint32_t *len)
{
    struct udp_pcb *pcb = so->udp.pcb;
    ip_addr_t local;
    struct netif *n;

    if (peer && !so->udp.connected)
        return -ENOTCONN;
    if (peer) {
        address_fill(so, &pcb->remote_ip, pcb->remote_port, addr, len);
        return 0;
    }
    local = pcb->local_ip;
    if (so->udp.connected && ip_addr_isany_val(local)) {
        /* What a connected socket will send from: programs ask this way which source address would be used. */
        n = ip_route(&pcb->local_ip, &pcb->remote_ip);
        if (n != NULL && ip_netif_get_local_ip(n, &pcb->remote_ip) != NULL)
            local = *ip_netif_get_local_ip(n, &pcb->remote_ip);
    }
    address_fill(so, &local, pcb->local_port, addr, len);
    return 0;
}

/* lwIP leaves the checksum of a UDP packet to the device; one that will be fragmented must carry it from here. */
static err_t send_to(struct udp_pcb *pcb, struct pbuf *p, const ip_addr_t *ip, uint16_t port)
{
    struct netif *n = ip_route(&pcb->local_ip, ip);
    uint16_t flags;
    err_t e;

    if (n == NULL)
        return ERR_RTE;
    flags = n->chksum_flags;
    if (p->tot_len + 48u > n->mtu && n->mtu != 0)
        n->chksum_flags |= NETIF_CHECKSUM_GEN_UDP;
    e = udp_sendto(pcb, p, ip, port);
    n->chksum_flags = flags;
    return e;
}

static ssize_t udp_send_call(struct socket *so, struct net_msg *m, bool nonblock)
{
    struct udp_pcb *pcb = so->udp.pcb;
    ip_addr_t ip;
    uint16_t port;
    struct pbuf *p;
    err_t e;

    if (so->error != 0)
        return -socket_take_error(so);
    if (so->shut & SOCKET_SHUT_WR)
        return -EPIPE;
    if (m->flags & MSG_OOB)
        return -EOPNOTSUPP;
    if (m->length > UDP_MAX)
        return -EMSGSIZE;
    if (m->name != NULL) {
        int err = address_parse(so, m->name, m->name_length, &ip, &port);
        if (err != 0)
            return err;
    } else if (so->udp.connected) {
        ip = pcb->remote_ip;
        port = pcb->remote_port;
    } else {
        return -EDESTADDRREQ;
    }
    if (IP_IS_V4_VAL(ip) && ip4_addr_get_u32(ip_2_ip4(&ip)) == IPADDR_BROADCAST && !so->broadcast)
        return -EACCES;
    p = pbuf_alloc(PBUF_TRANSPORT, (u16_t)m->length, PBUF_RAM);
    if (p == NULL)
        return -ENOBUFS;
    msg_copy_in(p->payload, m, 0, m->length);
    e = send_to(pcb, p, &ip, port);
    pbuf_free(p);
    /* A full transmit queue drops datagrams, as Linux's does. */
    return e == ERR_OK || e == ERR_MEM ? (ssize_t)m->length : -error_of(e);
}

static void copy_datagram(struct socket *so, struct net_msg *m, struct datagram *d)
{
    size_t at = 0;

    for (struct pbuf *q = d->p; q != NULL && at < m->length; q = q->next) {
        size_t n = MIN((size_t)q->len, m->length - at);
        msg_copy_out(m, at, q->payload, n);
        at += n;
    }
    if (m->name != NULL)
        address_fill(so, &d->from, d->port, m->name, &m->name_length);
    if (so->udp.pktinfo && IP_IS_V4_VAL(d->to)) {
        struct in_pktinfo info = {.ipi_ifindex = d->netif_index};
        info.ipi_addr.s_addr = ip4_addr_get_u32(ip_2_ip4(&d->to));
        info.ipi_spec_dst = info.ipi_addr;
        (void)msg_put_control(m, SOL_IP, IP_PKTINFO, &info, sizeof(info));
    }
}

static ssize_t udp_recv_call(struct socket *so, struct net_msg *m, bool nonblock)
{
    uint64_t deadline = socket_deadline(so->rcv_timeout_ns);
    int flags = m->flags;
    struct datagram *d;
    size_t full;

    if (flags & (MSG_OOB | MSG_ERRQUEUE))
        return flags & MSG_OOB ? -EINVAL : -EAGAIN;
    while ((d = STAILQ_FIRST(&so->udp.rx)) == NULL) {
        int err;
        if (so->error != 0)
            return -socket_take_error(so);
        if (so->shut & SOCKET_SHUT_RD)
            return 0;
        if (nonblock)
            return -EAGAIN;
        err = net_wait(&so->readers, deadline, true);
        if (err != 0)
            return err == -ETIMEDOUT ? -EAGAIN : err;
    }
    m->flags = 0;
    full = d->p->tot_len;
    copy_datagram(so, m, d);
    if (full > m->length)
        m->flags |= MSG_TRUNC;
    if (!(flags & MSG_PEEK)) {
        STAILQ_REMOVE_HEAD(&so->udp.rx, link);
        so->udp.rx_bytes -= DATAGRAM_COST * pbuf_clen(d->p);
        pbuf_free(d->p);
        kfree(d);
    }
    return (ssize_t)(flags & MSG_TRUNC ? full : MIN(full, m->length));
}

static int udp_shutdown_call(struct socket *so, int how)
{
    if (!so->udp.connected)
        return -ENOTCONN;
    so->shut |= how == SHUT_RD ? SOCKET_SHUT_RD : how == SHUT_WR ? SOCKET_SHUT_WR : SOCKET_SHUT_RD | SOCKET_SHUT_WR;
    socket_notify(so, EPOLLIN | EPOLLOUT | EPOLLRDHUP);
    return 0;
}

static int membership(struct socket *so, int name, const void *value, uint32_t len)
{
    struct ip_mreq mreq;
    ip4_addr_t group, local;
    err_t e;

    if (len < sizeof(mreq))
        return -EINVAL;
    memcpy(&mreq, value, sizeof(mreq));
    group.addr = mreq.imr_multiaddr.s_addr;
    local.addr = mreq.imr_interface.s_addr;
    e = name == IP_ADD_MEMBERSHIP ? igmp_joingroup(&local, &group) : igmp_leavegroup(&local, &group);
    return e == ERR_OK ? 0 : name == IP_ADD_MEMBERSHIP ? -ENODEV : -EADDRNOTAVAIL;
}

static int udp_setopt(struct socket *so, int level, int name, const void *value, uint32_t len)
{
    int v = 0;

    if (level == SOL_IP && (name == IP_ADD_MEMBERSHIP || name == IP_DROP_MEMBERSHIP))
        return membership(so, name, value, len);
    if (level == SOL_IP && (name == IP_MULTICAST_TTL || name == IP_MULTICAST_LOOP || name == IP_PKTINFO || name == IP_MULTICAST_IF)) {
        if (len >= sizeof(int))
            memcpy(&v, value, sizeof(int));
        else if (len == 1)
            v = *(const uint8_t *)value;
        else
            return -EINVAL;
        if (name == IP_MULTICAST_TTL) {
            udp_set_multicast_ttl(so->udp.pcb, (u8_t)(v == -1 ? 1 : v));
        } else if (name == IP_PKTINFO) {
            so->udp.pktinfo = v != 0;
        } else if (name == IP_MULTICAST_IF) {
            ip4_addr_t local = {.addr = (uint32_t)v};
            if (len >= sizeof(struct ip_mreq))
                memcpy(&local.addr, (const char *)value + 4, 4);
            udp_set_multicast_netif_addr(so->udp.pcb, &local);
        } else if (v != 0) {
            so->udp.pcb->flags |= UDP_FLAGS_MULTICAST_LOOP;
        } else {
            so->udp.pcb->flags &= (u8_t)~UDP_FLAGS_MULTICAST_LOOP;
        }
        return 0;
    }
    return socket_setopt(so, level, name, value, len);
}

static uint32_t udp_poll_call(struct socket *so)
{
    uint32_t events = EPOLLOUT | EPOLLWRNORM;

    if (!STAILQ_EMPTY(&so->udp.rx) || (so->shut & SOCKET_SHUT_RD))
        events |= EPOLLIN | EPOLLRDNORM;
    if (so->shut & SOCKET_SHUT_RD)
        events |= EPOLLRDHUP;
    if (so->shut == (SOCKET_SHUT_RD | SOCKET_SHUT_WR))
        events |= EPOLLHUP;
    if (so->error != 0)
        events |= EPOLLERR;
    return events;
}

static size_t udp_readable(struct socket *so)
{
    struct datagram *d = STAILQ_FIRST(&so->udp.rx);

    return d != NULL ? d->p->tot_len : 0;
}

static void udp_release(struct socket *so)
{
    struct datagram *d;

    while ((d = STAILQ_FIRST(&so->udp.rx)) != NULL) {
        STAILQ_REMOVE_HEAD(&so->udp.rx, link);
        pbuf_free(d->p);
        kfree(d);
    }
    udp_remove(so->udp.pcb);
}

const struct socket_ops udp_socket_ops = {
    .bind = udp_bind_call,
    .connect = udp_connect_call,
    .name = udp_name,
    .send = udp_send_call,
    .recv = udp_recv_call,
    .shutdown = udp_shutdown_call,
    .setopt = udp_setopt,
    .getopt = socket_getopt,
    .poll = udp_poll_call,
    .readable = udp_readable,
    .release = udp_release,
};
