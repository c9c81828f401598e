/* Socket options of level SOL_SOCKET and those of IP that every IP socket has. */
#include "socket.h"
#include "stack.h"

#include <kernel/clock.h>
#include <kernel/string.h>
#include <linux/in.h>
#include <linux/in6.h>
#undef IP_HDRINCL

/* Reads an int option value. */
int option_int(const void *value, uint32_t len, int *out)
{
    if (len < sizeof(int))
        return -EINVAL;
    memcpy(out, value, sizeof(int));
    return 0;
}

/* Copies an option's value, cut to the room there is, as Linux does. */
int option_put(void *value, uint32_t *len, const void *data, uint32_t size)
{
    *len = MIN(*len, size);
    memcpy(value, data, *len);
    return 0;
}

static int set_timeout(uint64_t *out, const void *value, uint32_t len)
{
    struct timeval_abi tv;

    if (len < sizeof(tv))
        return -EINVAL;
    memcpy(&tv, value, sizeof(tv));
    if (tv.microseconds < 0 || tv.microseconds >= 1000000)
        return -EDOM;
    if (tv.seconds < 0 || tv.seconds > 1000000000)
        *out = 0;
    else
        *out = (uint64_t)tv.seconds * NS_PER_SEC + (uint64_t)tv.microseconds * NS_PER_US;
    return 0;
}

static int set_linger(struct socket *so, const void *value, uint32_t len)
{
    struct linger_abi l;

    if (len < sizeof(l))
        return -EINVAL;
    memcpy(&l, value, sizeof(l));
    so->linger = l.on != 0;
    so->linger_s = (uint16_t)MAX(0, MIN(l.seconds, 65535));
    return 0;
}

static int set_buffer(int *out, int v)
{
    *out = MIN(MAX(v, 2048), 16 << 20);
    return 0;
}

static struct udp_pcb *udp_of(struct socket *so)
{
    return so->ops == &udp_socket_ops ? so->udp.pcb : NULL;
}

static void set_so_option(struct socket *so, int flag, bool on)
{
    struct udp_pcb *pcb = udp_of(so);

    if (pcb == NULL)
        return;
    if (on)
        ip_set_option(pcb, flag);
    else
        ip_reset_option(pcb, flag);
}

static int set_socket_level(struct socket *so, int name, const void *value, uint32_t len)
{
    int v = 0, err;

    if (name == SO_RCVTIMEO_OLD || name == SO_RCVTIMEO_NEW)
        return set_timeout(&so->rcv_timeout_ns, value, len);
    if (name == SO_SNDTIMEO_OLD || name == SO_SNDTIMEO_NEW)
        return set_timeout(&so->snd_timeout_ns, value, len);
    if (name == SO_LINGER)
        return set_linger(so, value, len);
    err = option_int(value, len, &v);
    if (err != 0)
        return err;
    switch (name) {
    case SO_REUSEADDR:
        so->reuse_address = v != 0;
        set_so_option(so, SOF_REUSEADDR, so->reuse_address || so->reuse_port);
        return 0;
    case SO_REUSEPORT:
        so->reuse_port = v != 0;
        set_so_option(so, SOF_REUSEADDR, so->reuse_address || so->reuse_port);
        return 0;
    case SO_BROADCAST:
        so->broadcast = v != 0;
        set_so_option(so, SOF_BROADCAST, v != 0);
        return 0;
    case SO_KEEPALIVE: so->keepalive = v != 0; return 0;
    case SO_RCVBUF:
    case SO_RCVBUFFORCE: return set_buffer(&so->rcvbuf, v);
    case SO_SNDBUF:
    case SO_SNDBUFFORCE: return set_buffer(&so->sndbuf, v);
    case SO_PRIORITY:
    case SO_OOBINLINE: return v == 0 || name == SO_PRIORITY ? 0 : -ENOPROTOOPT;
    default: return -ENOPROTOOPT;
    }
}

static void set_ttl(struct socket *so, int v)
{
    if (so->ops == &udp_socket_ops)
        so->udp.pcb->ttl = (u8_t)v;
    else if (so->tcp.pcb != NULL)
        so->tcp.pcb->ttl = (u8_t)v;
}

static int set_ip_level(struct socket *so, int name, const void *value, uint32_t len)
{
    int v = 0;

    if (len >= sizeof(int))
        memcpy(&v, value, sizeof(int));
    else if (len == 1)
        v = *(const uint8_t *)value;
    else
        return -EINVAL;
    switch (name) {
    case IP_TTL:
        if (v != -1 && (v < 1 || v > 255))
            return -EINVAL;
        set_ttl(so, v == -1 ? 64 : v);
        return 0;
    case IP_TOS:
        if (so->ops == &udp_socket_ops)
            so->udp.pcb->tos = (u8_t)v;
        else if (so->tcp.pcb != NULL)
            so->tcp.pcb->tos = (u8_t)v;
        return 0;
    default: return -ENOPROTOOPT;
    }
}

static int set_ipv6_level(struct socket *so, int name, const void *value, uint32_t len)
{
    int v = 0, err = option_int(value, len, &v);

    if (err != 0)
        return err;
    if (so->domain != AF_INET6)
        return -ENOPROTOOPT;
    switch (name) {
    case IPV6_V6ONLY:
        so->v6only = v != 0;
        return 0;
    case IPV6_UNICAST_HOPS:
        if (v < -1 || v > 255)
            return -EINVAL;
        set_ttl(so, v == -1 ? 64 : v);
        return 0;
    default: return -ENOPROTOOPT;
    }
}

int socket_setopt(struct socket *so, int level, int name, const void *value, uint32_t len)
{
    if (level == SOL_SOCKET)
        return set_socket_level(so, name, value, len);
    if (so->domain == AF_UNIX)
        return -EOPNOTSUPP;
    if (level == SOL_IP)
        return set_ip_level(so, name, value, len);
    if (level == SOL_IPV6)
        return set_ipv6_level(so, name, value, len);
    return -ENOPROTOOPT;
}

static int get_timeout(uint64_t ns, void *value, uint32_t *len)
{
    struct timeval_abi tv = {(int64_t)(ns / NS_PER_SEC), (int64_t)(ns % NS_PER_SEC / NS_PER_US)};

    return option_put(value, len, &tv, sizeof(tv));
}

static int get_socket_level(struct socket *so, int name, void *value, uint32_t *len)
{
    struct linger_abi l = {so->linger, so->linger_s};
    struct { int pid, uid, gid; } cred = {1, 0, 0};
    int v;

    switch (name) {
    case SO_RCVTIMEO_OLD:
    case SO_RCVTIMEO_NEW: return get_timeout(so->rcv_timeout_ns, value, len);
    case SO_SNDTIMEO_OLD:
    case SO_SNDTIMEO_NEW: return get_timeout(so->snd_timeout_ns, value, len);
    case SO_LINGER: return option_put(value, len, &l, sizeof(l));
    case SO_PEERCRED:
        if (so->domain != AF_UNIX)
            return -ENOPROTOOPT;
        return option_put(value, len, &cred, sizeof(cred));
    case SO_ERROR: v = socket_take_error(so); break;
    case SO_TYPE: v = so->type; break;
    case SO_DOMAIN: v = so->domain; break;
    case SO_PROTOCOL: v = so->protocol; break;
    case SO_REUSEADDR: v = so->reuse_address; break;
    case SO_REUSEPORT: v = so->reuse_port; break;
    case SO_KEEPALIVE: v = so->keepalive; break;
    case SO_BROADCAST: v = so->broadcast; break;
    case SO_RCVBUF: v = so->rcvbuf != 0 ? so->rcvbuf * 2 : (int)net_tcp_window; break;
    case SO_SNDBUF: v = so->sndbuf != 0 ? so->sndbuf * 2 : (int)net_tcp_sndbuf; break;
    case SO_ACCEPTCONN:
        v = (so->ops == &tcp_socket_ops && so->tcp.phase == TCP_PHASE_LISTENING) || (so->ops == &unix_socket_ops && so->local.listening);
        break;
    case SO_PRIORITY:
    case SO_OOBINLINE: v = 0; break;
    default: return -ENOPROTOOPT;
    }
    return option_put(value, len, &v, sizeof(v));
}

int socket_getopt(struct socket *so, int level, int name, void *value, uint32_t *len)
{
    int v;

    if (level == SOL_SOCKET)
        return get_socket_level(so, name, value, len);
    if (so->domain == AF_UNIX)
        return -EOPNOTSUPP;
    if (level == SOL_IPV6 && name == IPV6_V6ONLY && so->domain == AF_INET6)
        v = so->v6only;
    else if ((level == SOL_IP && name == IP_TTL) || (level == SOL_IPV6 && name == IPV6_UNICAST_HOPS))
        v = so->ops == &udp_socket_ops ? so->udp.pcb->ttl : so->tcp.pcb != NULL ? so->tcp.pcb->ttl : 64;
    else if (level == SOL_IP && name == IP_TOS)
        v = so->ops == &udp_socket_ops ? so->udp.pcb->tos : so->tcp.pcb != NULL ? so->tcp.pcb->tos : 0;
    else
        return -ENOPROTOOPT;
    return option_put(value, len, &v, sizeof(v));
}
