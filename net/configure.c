/* Addresses: the options --ip, --defaultgw, --nameserver, DHCP for what has no address, IPv6 by itself (link-local and router
   advertisements), and /etc/resolv.conf for the resolver of the C library.

   DHCP runs beside the application: a server that listens on 0.0.0.0 needs no address to start. */
#include "stack.h"

#include <fs/vfs.h>
#include <kernel/init.h>
#include <kernel/log.h>
#include <kernel/option.h>
#include <kernel/print.h>
#include <kernel/random.h>
#include <kernel/string.h>
#include <asm/errno.h>
#include <sched/thread.h>

#include <lwip/dhcp.h>
#include <lwip/ip4_addr.h>
#include <lwip/ip_addr.h>
#include <lwip/prot/dhcp.h>

#define STATIC_MAX 8
#define NAMESERVER_MAX 3

static struct {
    char device[16]; /* empty: the first that is not named elsewhere */
    ip4_addr_t address, mask;
    bool used;
} statics[STATIC_MAX];
static unsigned static_count;
static ip4_addr_t gateway;
static ip4_addr_t nameservers[NAMESERVER_MAX];
static unsigned nameserver_count;
static bool nameservers_fixed; /* given by option: DHCP's are ignored */
static _Atomic bool resolv_dirty;

/* A dotted quad that fills [s, end). */
static int parse_address(const char *s, const char *end, ip4_addr_t *out)
{
    uint32_t value = 0;

    for (int i = 0; i < 4; i++) {
        unsigned part = 0, digits = 0;
        while (s < end && *s >= '0' && *s <= '9' && digits < 4) {
            part = part * 10 + (unsigned)(*s++ - '0');
            digits++;
        }
        if (digits == 0 || digits > 3 || part > 255)
            return -EINVAL;
        value = value << 8 | part;
        if (i < 3 && (s == end || *s++ != '.'))
            return -EINVAL;
    }
    if (s != end)
        return -EINVAL;
    out->addr = lwip_htonl(value);
    return 0;
}

static int parse_bits(const char *s, ip4_addr_t *mask)
{
    unsigned bits = 0;

    if (*s == '\0' || strlen(s) > 2)
        return -EINVAL;
    for (; *s != '\0'; s++) {
        if (*s < '0' || *s > '9')
            return -EINVAL;
        bits = bits * 10 + (unsigned)(*s - '0');
    }
    if (bits > 32)
        return -EINVAL;
    mask->addr = bits == 0 ? 0 : lwip_htonl(~0u << (32 - bits));
    return 0;
}

/* "10.0.0.2/24", "eth0,10.0.0.2,255.255.255.0" */
static int option_ip(const char *value)
{
    const char *comma, *slash, *mask, *address = value;
    ip4_addr_t a, m;
    int err;

    if (value == NULL || static_count == STATIC_MAX)
        return -EINVAL;
    comma = strchr(value, ',');
    if (comma != NULL) {
        size_t n = (size_t)(comma - value);
        if (n >= sizeof(statics[0].device))
            return -EINVAL;
        memcpy(statics[static_count].device, value, n);
        address = comma + 1;
    }
    mask = strchr(address, ',');
    slash = strchr(address, '/');
    if (mask != NULL)
        err = parse_address(mask + 1, mask + strlen(mask), &m);
    else if (slash != NULL)
        err = parse_bits(slash + 1, &m);
    else
        err = -EINVAL;
    if (err == 0)
        err = parse_address(address, mask != NULL ? mask : slash, &a);
    if (err != 0)
        return err;
    statics[static_count].address = a;
    statics[static_count++].mask = m;
    return 0;
}
OPTION(ip, .name = "ip", .argument = "ADDR/BITS", .help = "IPv4 address (also DEVICE,ADDR,MASK); without it: DHCP", .handle = option_ip);

static int option_gateway(const char *value)
{
    return value == NULL ? -EINVAL : parse_address(value, value + strlen(value), &gateway);
}
OPTION(defaultgw, .name = "defaultgw", .argument = "ADDR", .help = "IPv4 default gateway", .handle = option_gateway);

static int option_nameserver(const char *value)
{
    if (value == NULL || nameserver_count == NAMESERVER_MAX)
        return -EINVAL;
    nameservers_fixed = true;
    return parse_address(value, value + strlen(value), &nameservers[nameserver_count++]);
}
OPTION(nameserver, .name = "nameserver", .argument = "ADDR", .help = "DNS server (up to three)", .handle = option_nameserver);

static void write_resolv_conf(void)
{
    char text[128];
    size_t n = 0;

    for (unsigned i = 0; i < nameserver_count; i++) {
        const uint8_t *b = (const uint8_t *)&nameservers[i].addr;
        n += (size_t)snprintf(text + n, sizeof(text) - n, "nameserver %u.%u.%u.%u\n", b[0], b[1], b[2], b[3]);
    }
    if (n != 0 && vfs_write_file("/etc/resolv.conf", text, n) < 0)
        log_warn("net: cannot write /etc/resolv.conf");
}

/* Files are not touched under net_lock: a thread does it. */
static void resolv_main(void *arg)
{
    while (atomic_exchange_explicit(&resolv_dirty, false, memory_order_acq_rel))
        write_resolv_conf();
    thread_exit();
}

static void resolv_changed(void)
{
    atomic_store_explicit(&resolv_dirty, true, memory_order_release);
    if (thread_create("resolv.conf", resolv_main, NULL) == NULL)
        log_warn("net: no memory to write /etc/resolv.conf");
}

/* lwIP's DHCP client hands over the servers of a lease. */
void dns_setserver(u8_t index, const ip_addr_t *server)
{
    if (nameservers_fixed || index >= NAMESERVER_MAX || !IP_IS_V4(server) || ip_addr_isany(server))
        return;
    if (index < nameserver_count && nameservers[index].addr == ip4_addr_get_u32(ip_2_ip4(server)))
        return;
    nameservers[index].addr = ip4_addr_get_u32(ip_2_ip4(server));
    if (nameserver_count <= index)
        nameserver_count = index + 1u;
    resolv_changed();
}

static void report(struct netif *n)
{
    struct interface *ifc = n->state;
    const uint8_t *a = (const uint8_t *)&netif_ip4_addr(n)->addr, *g = (const uint8_t *)&netif_ip4_gw(n)->addr;

    if (netif_ip4_addr(n)->addr == 0)
        return;
    log_info("%s: %u.%u.%u.%u, gateway %u.%u.%u.%u", ifc->dev->name, a[0], a[1], a[2], a[3], g[0], g[1], g[2], g[3]);
}

static int static_for(struct interface *ifc)
{
    for (unsigned i = 0; i < static_count; i++) {
        if (!statics[i].used && (statics[i].device[0] == '\0' || strcmp(statics[i].device, ifc->dev->name) == 0))
            return (int)i;
    }
    return -1;
}

/* A device was registered; net_lock is held. */
void net_configure(struct interface *ifc)
{
    struct netif *n = &ifc->netif;
    int s = static_for(ifc);

    netif_set_status_callback(n, report);
    netif_create_ip6_linklocal_address(n, 1);
    netif_set_ip6_autoconfig_enabled(n, 1);
    if (s >= 0) {
        statics[s].used = true;
        netif_set_addr(n, &statics[s].address, &statics[s].mask, &gateway);
        netif_set_up(n);
        return;
    }
    netif_set_up(n);
    if (dhcp_start(n) != ERR_OK)
        log_error("%s: no memory for DHCP", ifc->dev->name);
}

static void configure_late(void)
{
    for (unsigned i = 0; i < static_count; i++) {
        if (!statics[i].used)
            log_warn("--ip: no device %s for it", statics[i].device[0] != '\0' ? statics[i].device : "left");
    }
    if (nameserver_count != 0)
        write_resolv_conf();
}
INIT(INIT_LATE, configure_late);
