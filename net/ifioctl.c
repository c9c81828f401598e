/* What programs ask about interfaces: the SIOCGIF* requests. Addresses are configured by options and DHCP, so nothing can be set. */
#include "socket.h"
#include "stack.h"

#include <kernel/print.h>
#include <kernel/string.h>
#include <kernel/user.h>
#include <linux/if.h>
#include <linux/in.h>
#undef IP_HDRINCL
#include <linux/if_arp.h>
#include <linux/sockios.h>

#include <lwip/netif.h>

static void netif_name(const struct netif *n, char out[IFNAMSIZ])
{
    const struct interface *ifc = n->state;

    strlcpy(out, ifc != NULL && n->hwaddr_len == 6 ? ifc->dev->name : "lo", IFNAMSIZ);
}

static struct netif *find_by_name(const char *name)
{
    struct netif *n;
    char own[IFNAMSIZ];

    NETIF_FOREACH(n) {
        netif_name(n, own);
        if (strncmp(own, name, IFNAMSIZ) == 0)
            return n;
    }
    return NULL;
}

static void put_address(struct sockaddr *out, uint32_t address)
{
    struct sockaddr_in in;

    memset(&in, 0, sizeof(in));
    in.sin_family = AF_INET;
    in.sin_addr.s_addr = address;
    memcpy(out, &in, sizeof(in));
}

static short flags_of(const struct netif *n)
{
    short f = 0;

    if (netif_is_up(n))
        f |= IFF_UP;
    if (netif_is_link_up(n))
        f |= IFF_RUNNING;
    if (n->hwaddr_len == 6)
        f |= IFF_BROADCAST | IFF_MULTICAST;
    else
        f |= IFF_LOOPBACK;
    return f;
}

static int list_all(struct ifconf *conf)
{
    struct netif *n;
    int used = 0;

    if (!user_range_ok(conf, sizeof(*conf)) || conf->ifc_len < 0 ||
        (conf->ifc_buf != NULL && !user_range_ok(conf->ifc_buf, (size_t)conf->ifc_len)))
        return -EFAULT;
    NETIF_FOREACH(n) {
        struct ifreq r;
        if (netif_ip4_addr(n)->addr == 0)
            continue;
        memset(&r, 0, sizeof(r));
        netif_name(n, r.ifr_name);
        put_address(&r.ifr_addr, netif_ip4_addr(n)->addr);
        if (conf->ifc_buf != NULL) {
            if (used + (int)sizeof(r) > conf->ifc_len)
                break;
            memcpy(conf->ifc_buf + used, &r, sizeof(r));
        }
        used += (int)sizeof(r);
    }
    conf->ifc_len = used;
    return 0;
}

static int get_name(struct ifreq *r)
{
    struct netif *n;

    NETIF_FOREACH(n) {
        if (netif_get_index(n) == r->ifr_ifindex) {
            netif_name(n, r->ifr_name);
            return 0;
        }
    }
    return -ENODEV;
}

int interface_ioctl(unsigned long request, void *arg)
{
    struct ifreq *r = arg;
    struct netif *n;

    if (request == SIOCGIFCONF)
        return list_all(arg);
    if (!user_range_ok(r, sizeof(*r)))
        return -EFAULT;
    if (request == SIOCGIFNAME)
        return get_name(r);
    n = find_by_name(r->ifr_name);
    if (n == NULL)
        return -ENODEV;
    switch (request) {
    case SIOCGIFADDR:
        if (netif_ip4_addr(n)->addr == 0)
            return -EADDRNOTAVAIL;
        put_address(&r->ifr_addr, netif_ip4_addr(n)->addr);
        return 0;
    case SIOCGIFNETMASK: put_address(&r->ifr_netmask, netif_ip4_netmask(n)->addr); return 0;
    case SIOCGIFBRDADDR: put_address(&r->ifr_broadaddr, netif_ip4_addr(n)->addr | ~netif_ip4_netmask(n)->addr); return 0;
    case SIOCGIFFLAGS: r->ifr_flags = flags_of(n); return 0;
    case SIOCGIFMTU: r->ifr_mtu = n->mtu != 0 ? n->mtu : 65535; return 0;
    case SIOCGIFINDEX: r->ifr_ifindex = netif_get_index(n); return 0;
    case SIOCGIFMETRIC: r->ifr_metric = 0; return 0;
    case SIOCGIFTXQLEN: r->ifr_qlen = 0; return 0;
    case SIOCGIFHWADDR:
        memset(&r->ifr_hwaddr, 0, sizeof(r->ifr_hwaddr));
        r->ifr_hwaddr.sa_family = n->hwaddr_len == 6 ? ARPHRD_ETHER : ARPHRD_LOOPBACK;
        memcpy(r->ifr_hwaddr.sa_data, n->hwaddr, n->hwaddr_len);
        return 0;
    case SIOCSIFADDR:
    case SIOCSIFNETMASK:
    case SIOCSIFFLAGS:
    case SIOCSIFMTU: return -EPERM;
    default: return -ENOTTY;
    }
}
