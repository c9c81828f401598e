/* A Redis-like request and reply on 50 connections, for valgrind --tool=callgrind: what the stack alone needs. */
#include "tap.h"

#include "../../net/stack.c"

#include "host/net_sim.h"
#include "net_peer.h"

#include <kernel/errptr.h>
#include <linux/in.h>
#undef IP_HDRINCL
#include <lwip/dhcp.h>

void sim_idle(void) {}
__attribute__((noinline)) static void app(struct file **f, unsigned n, char *buf)
{
    for (unsigned i = 0; i < n; i++) {
        struct iovec iov = {buf, 16384};
        struct net_msg m = {.iov = &iov, .iov_count = 1, .length = 16384};
        ssize_t r = socket_recv(f[i], &m);
        if (r <= 0)
            continue;
        iov.iov_len = m.length = 40;
        socket_send(f[i], &m);
    }
}
__attribute__((noinline)) static bool poll_now(void) { return net_poll(); }

int main(void)
{
    static const ip4_addr_t ip = {GUEST_IP}, mask = {0x00ffffff}, gw = {PEER_IP};
    static char buf[16384];
    struct file *l, *f[50];
    unsigned n = 0;
    int one = 1;

    net_init();
    device_start(NETDEV_F_CSUM_TX | NETDEV_F_CSUM_RX);
    net_acquire();
    dhcp_release_and_stop(&interfaces->netif);
    netif_set_addr(&interfaces->netif, &ip, &mask, &gw);
    net_release();
    l = socket_create(AF_INET, SOCK_STREAM, 0, 04000);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = __builtin_bswap16(7)};
    socket_bind(l, &a, sizeof(a));
    socket_listen(l, 511);
    peers_used = 50;
    for (unsigned i = 0; i < 50; i++)
        peer_open(&peers[i], (uint16_t)(3000 + i * 2), 7);
    for (unsigned i = 0; i < 100; i++) {
        sim_now += 1000000;
        peers_run();
        net_poll();
        while (n < 50 && socket_accept(l, NULL, NULL, 04000, &f[n]) == 0) {
            socket_option_set(f[n], SOL_TCP, 1, &one, sizeof(one));
            n++;
        }
    }
    unsigned long before = frames_sent;
    for (unsigned r = 0; r < 200; r++) {
        for (unsigned i = 0; i < 50; i++) {
            peers[i].to_send += 36;
            peer_push(&peers[i]);
        }
        sim_now += 100000;
        poll_now();
        *thread_net_batch() = 50;
        app(f, n, buf);
        sim_now += 100000;
        net_acquire();
        dev_poll(&device, 0);
        mutex_unlock(&net_lock);
        peers_run();
        /* the peer's pure ACKs are dropped: the next request carries them, as Redis's clients do */
        wire_clear(&to_guest);
    }
    printf("%u connections, %lu frames for 10000 requests, %lu kicks, bad %lu\n", n, frames_sent - before, kicks, bad_checksums);
    return 0;
}
