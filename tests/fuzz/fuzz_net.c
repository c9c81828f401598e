/* SOURCES: net/address.c net/checksum.c net/configure.c net/ifioctl.c net/interface.c net/isn.c net/memory.c net/msg.c net/netbuf.c net/socket.c net/sockopt.c net/tcp_fast.c net/tcp_hash.c net/posted.c net/tcp_receive.c net/tcp_send.c net/tcp_socket.c net/timers.c net/udp_socket.c net/unix_socket.c build/lwip/src/core/def.c build/lwip/src/core/inet_chksum.c build/lwip/src/core/ip.c build/lwip/src/core/netif.c build/lwip/src/core/pbuf.c build/lwip/src/core/tcp.c build/lwip/src/core/tcp_in.c build/lwip/src/core/tcp_out.c build/lwip/src/core/udp.c build/lwip/src/core/ipv4/dhcp.c build/lwip/src/core/ipv4/etharp.c build/lwip/src/core/ipv4/icmp.c build/lwip/src/core/ipv4/igmp.c build/lwip/src/core/ipv4/ip4.c build/lwip/src/core/ipv4/ip4_addr.c build/lwip/src/core/ipv4/ip4_frag.c build/lwip/src/core/ipv6/ethip6.c build/lwip/src/core/ipv6/icmp6.c build/lwip/src/core/ipv6/inet6.c build/lwip/src/core/ipv6/ip6.c build/lwip/src/core/ipv6/ip6_addr.c build/lwip/src/core/ipv6/ip6_frag.c build/lwip/src/core/ipv6/mld6.c build/lwip/src/core/ipv6/nd6.c build/lwip/src/netif/ethernet.c fs/poll.c tests/unit/host/net.c */
/* CFLAGS: -Inet -isystem build/lwip/src/include -isystem net/lwip_libc */
/* The network's input: the input is a list of frames. Each begins with a kind (0: as it is; else Ethernet and, from 2 on, IPv4 headers for us are put before
   it, with the right checksum, for TCP or UDP) and a length. An echo server listens; the stack lives on from input to input. */
#define main unit_main
#include "../unit/test_net.c"
#undef main

static void start(void)
{
    static const ip4_addr_t ip = {GUEST_IP}, mask = {0x00ffffff}, gw = {PEER_IP};
    net_init();
    device_start(NETDEV_F_CSUM_TX | NETDEV_F_CSUM_RX);
    net_acquire();
    dhcp_release_and_stop(&interfaces->netif);
    netif_set_addr(&interfaces->netif, &ip, &mask, &gw);
    net_release();
    listener = listen_on(ECHO_PORT, 100);
    settle(NS_PER_SEC);
    wire_clear(&to_peer);
}

static void frame(unsigned kind, const uint8_t *body, unsigned len)
{
    uint8_t f[2048];
    unsigned at = 0;
    uint32_t guest = GUEST_IP, peer = PEER_IP;

    if (kind != 0) {
        memcpy(f, guest_mac, 6);
        memcpy(f + 6, peer_mac, 6);
        put16(f + 12, kind == 1 ? 0x86dd : 0x0800);
        at = 14;
    }
    if (kind >= 2) {
        memset(f + 14, 0, 20);
        f[14] = 0x45;
        put16(f + 16, 20 + len);
        f[22] = 64;
        f[23] = kind & 1 ? 17 : 6;
        memcpy(f + 26, &peer, 4);
        memcpy(f + 30, &guest, 4);
        put16(f + 24, ~sum16(f + 14, 20, 0) & 0xffff);
        at = 34;
    }
    memcpy(f + at, body, len);
    if (kind >= 4 && len >= 4) /* to the echo server */
        put16(f + at + 2, ECHO_PORT);
    wire_put(&to_guest, f, at + len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool started;
    if (!started)
        start();
    started = true;
    for (size_t at = 0; at + 3 <= size;) {
        unsigned len = (data[at + 1] | (unsigned)data[at + 2] << 8) % 1600;
        len = (unsigned)MIN((size_t)len, size - at - 3);
        frame(data[at] % 8, data + at + 3, len);
        at += 3 + len;
    }
    for (int i = 0; i < 5; i++) {
        step(20000000);
        echo_run();
    }
    wire_clear(&to_guest);
    wire_clear(&to_peer);
    for (unsigned i = 0; i < conn_count; i++)
        if (conns[i].f != NULL)
            file_put(conns[i].f);
    conn_count = 0;
    return 0;
}
