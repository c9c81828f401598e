/* Functions of ours that lwIP calls. */
#ifndef NET_LWIP_HOOKS_H
#define NET_LWIP_HOOKS_H

#include <lwip/ip_addr.h>

/* Initial sequence number after RFC 6528: a clock of 4 us plus a keyed hash of the connection. */
uint32_t net_tcp_isn(const ip_addr_t *local_ip, uint16_t local_port, const ip_addr_t *remote_ip,
                     uint16_t remote_port);
#define LWIP_HOOK_TCP_ISN net_tcp_isn

#endif
