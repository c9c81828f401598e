/* Connections by their 4-tuple: what tcp_input would find by walking tcp_active_pcbs and tcp_tw_pcbs. Under net_lock. */
#ifndef NET_TCP_HASH_H
#define NET_TCP_HASH_H

#include <kernel/compiler.h>
#include <lwip/opt.h>
#include <lwip/priv/tcp_priv.h>

/* Addresses in network order, ports in host order. */
struct tcp_pcb *tcp_hash_find4(uint32_t local_ip, uint32_t remote_ip, uint16_t local_port, uint16_t remote_port);
size_t tcp_hash_count(void);

#endif
