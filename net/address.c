/* Socket addresses of the Linux ABI and lwIP's. An AF_INET6 socket sees IPv4 peers as v4-mapped addresses (RFC 4291 2.5.5.2). */
#include "socket.h"

#include <kernel/string.h>
#include <linux/in.h>
#include <linux/in6.h>
#undef IP_HDRINCL

#include <lwip/netif.h>

/* Reads addr for this socket. -EINVAL: too short; -EAFNOSUPPORT: another family. */
int address_parse(const struct socket *so, const void *addr, uint32_t len, ip_addr_t *ip, uint16_t *port)
{
    const struct sockaddr_in *in = addr;
    const struct sockaddr_in6 *in6 = addr;
    uint16_t family;

    if (len < sizeof(family))
        return -EINVAL;
    memset(ip, 0, sizeof(*ip));
    memcpy(&family, addr, sizeof(family));
    if (so->domain == AF_INET) {
        if (len < sizeof(*in))
            return -EINVAL;
        if (family != AF_INET && !(family == AF_UNSPEC && in->sin_addr.s_addr == 0))
            return -EAFNOSUPPORT;
        ip_addr_set_ip4_u32(ip, in->sin_addr.s_addr);
        *port = lwip_ntohs(in->sin_port);
        return 0;
    }
    if (family != AF_INET6)
        return -EAFNOSUPPORT;
    if (len < 24) /* RFC 2133 structures lack the scope */
        return -EINVAL;
    *port = lwip_ntohs(in6->sin6_port);
    IP_SET_TYPE_VAL(*ip, IPADDR_TYPE_V6);
    memcpy(ip_2_ip6(ip)->addr, &in6->sin6_addr, 16);
    if (ip6_addr_isipv4mappedipv6(ip_2_ip6(ip))) {
        uint32_t v4 = ip_2_ip6(ip)->addr[3];
        if (so->v6only)
            return -ENETUNREACH;
        memset(ip, 0, sizeof(*ip));
        ip_addr_set_ip4_u32(ip, v4);
        return 0;
    }
    if (ip6_addr_has_scope(ip_2_ip6(ip), IP6_UNKNOWN)) {
        uint32_t scope = len >= sizeof(*in6) ? in6->sin6_scope_id : 0;
        if (scope != 0)
            ip6_addr_set_zone(ip_2_ip6(ip), (u8_t)scope);
        else if (netif_default != NULL)
            ip6_addr_assign_zone(ip_2_ip6(ip), IP6_UNKNOWN, netif_default);
    }
    return 0;
}

bool address_is_local(const ip_addr_t *ip)
{
    struct netif *n;

    if (ip_addr_isany(ip) || IP_IS_ANY_TYPE_VAL(*ip) || ip_addr_isloopback(ip))
        return true;
    NETIF_FOREACH(n) {
        if (!IP_IS_V6(ip) && ip4_addr_cmp(netif_ip4_addr(n), ip_2_ip4(ip)))
            return true;
        if (IP_IS_V6(ip) && netif_get_ip6_addr_match(n, ip_2_ip6(ip)) >= 0)
            return true;
    }
    return false;
}

/* Writes as much as fits into *len bytes and sets *len to the full length, as Linux does. */
void address_fill(const struct socket *so, const ip_addr_t *ip, uint16_t port, void *addr, uint32_t *len)
{
    union {
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
    } a;
    uint32_t size;

    memset(&a, 0, sizeof(a));
    if (so->domain == AF_INET) {
        a.in.sin_family = AF_INET;
        a.in.sin_port = lwip_htons(port);
        a.in.sin_addr.s_addr = IP_IS_V6(ip) ? 0 : ip4_addr_get_u32(ip_2_ip4(ip));
        size = sizeof(a.in);
    } else {
        a.in6.sin6_family = AF_INET6;
        a.in6.sin6_port = lwip_htons(port);
        if (IP_IS_V6(ip) || IP_IS_ANY_TYPE_VAL(*ip)) {
            memcpy(&a.in6.sin6_addr, ip_2_ip6(ip)->addr, 16);
            a.in6.sin6_scope_id = ip6_addr_zone(ip_2_ip6(ip));
        } else {
            a.in6.sin6_addr.s6_addr32[2] = PP_HTONL(0xffff);
            a.in6.sin6_addr.s6_addr32[3] = ip4_addr_get_u32(ip_2_ip4(ip));
        }
        size = sizeof(a.in6);
    }
    if (addr != NULL)
        memcpy(addr, &a, MIN(*len, size));
    *len = size;
}

int error_of(err_t err)
{
    switch (err) {
    case ERR_OK: return 0;
    case ERR_MEM:
    case ERR_BUF: return ENOBUFS;
    case ERR_TIMEOUT: return ETIMEDOUT;
    case ERR_RTE: return ENETUNREACH;
    case ERR_INPROGRESS: return EINPROGRESS;
    case ERR_WOULDBLOCK: return EAGAIN;
    case ERR_USE: return EADDRINUSE;
    case ERR_ALREADY: return EALREADY;
    case ERR_ISCONN: return EISCONN;
    case ERR_CONN: return ENOTCONN;
    case ERR_IF: return ENETDOWN;
    case ERR_ABRT: return ETIMEDOUT;
    case ERR_RST: return ECONNRESET;
    case ERR_CLSD: return ENOTCONN;
    default: return EINVAL;
    }
}
