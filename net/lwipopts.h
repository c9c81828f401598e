/* lwIP as Singlet uses it: the raw API under our own sockets, one lock around it (net_lock), memory from net/memory.c, timers from
   net/timers.c, connections found through net/tcp_hash.c. Sizes that depend on the machine's memory are variables. */
#ifndef NET_LWIPOPTS_H
#define NET_LWIPOPTS_H

#include <stdint.h>

/* System */
#define NO_SYS 1
#define SYS_LIGHTWEIGHT_PROT 0
#define LWIP_TIMERS 0
#define LWIP_NETCONN 0
#define LWIP_SOCKET 0
#define LWIP_STATS 0
#define LWIP_CALLBACK_API 0
#define LWIP_EVENT_API 1

/* Memory: net/memory.c stands for core/mem.c and core/memp.c. */
#define MEM_LIBC_MALLOC 1
#define MEMP_MEM_MALLOC 1
#define MEM_ALIGNMENT 8
#define MEM_SIZE 0x7fffffff
#define LWIP_SUPPORT_CUSTOM_PBUF 1
#define LWIP_PBUF_REF_T uint16_t
#define PBUF_POOL_SIZE 0
#define PBUF_LINK_ENCAPSULATION_HLEN 18 /* >= NETDEV_TX_HEADROOM; with 14 of Ethernet the IP header is aligned */

/* Protocols */
#define LWIP_IPV4 1
#define IPV6_FRAG_COPYHEADER 1 /* the reassembly record is larger than a header with 64-bit pointers */
#define LWIP_IPV6 1
#define LWIP_ARP 1
#define LWIP_ETHERNET 1
#define LWIP_ICMP 1
#define LWIP_RAW 0
#define LWIP_UDP 1
#define LWIP_TCP 1
#define LWIP_DHCP 1
#define LWIP_DHCP_GET_NTP_SRV 0
#define DHCP_DOES_ARP_CHECK 0
#define LWIP_DHCP_DOES_ACD_CHECK 0
#define LWIP_DNS 0
#define LWIP_DHCP_PROVIDE_DNS_SERVERS 1
#define LWIP_IGMP 1
#define LWIP_IPV6_MLD 1
#define LWIP_IPV6_AUTOCONFIG 1
#define LWIP_IPV6_NUM_ADDRESSES 4
#define LWIP_IPV6_SCOPES 1
#define LWIP_IPV6_SCOPES_DEBUG 0
#define LWIP_ND6_QUEUEING 1
#define MEMP_NUM_ND6_QUEUE 64
#define LWIP_ND6_TCP_REACHABILITY_HINTS 1
#define ARP_TABLE_SIZE 64
#define ARP_QUEUEING 1
#define ARP_QUEUE_LEN 512 /* replies to many clients that connect before their router is resolved */
#define ETHARP_SUPPORT_STATIC_ENTRIES 0
#define ETHARP_TABLE_MATCH_NETIF 1
#define LWIP_ND6_NUM_NEIGHBORS 32
#define LWIP_ND6_NUM_DESTINATIONS 32
#define IP_FORWARD 0
#define IP_REASSEMBLY 1
#define IP_REASS_MAX_PBUFS 128
#define MEMP_NUM_REASSDATA 16
#define IP_FRAG 1
#define IP_SOF_BROADCAST 1
#define IP_SOF_BROADCAST_RECV 0
#define SO_REUSE 1
#define SO_REUSE_RXTOALL 1
#define LWIP_MULTICAST_TX_OPTIONS 1
#define LWIP_BROADCAST_PING 0
#define LWIP_MULTICAST_PING 0

/* Interfaces */
#define LWIP_HAVE_LOOPIF 1
#define LWIP_NETIF_LOOPBACK 1
#define LWIP_LOOPBACK_MAX_PBUFS 1024
#define LWIP_LOOPIF_MULTICAST 0
#define LWIP_NETIF_HOSTNAME 1
#define LWIP_NETIF_STATUS_CALLBACK 1
#define LWIP_NETIF_HWADDRHINT 1
#define LWIP_CHECKSUM_CTRL_PER_NETIF 1
#define LWIP_INLINE_IP_CHKSUM 0
#define LWIP_CHKSUM net_checksum
uint16_t net_checksum(const void *data, int len);
#define LWIP_CHECKSUM_ON_COPY 0

/* TCP */
extern uint32_t net_tcp_window, net_tcp_sndbuf, net_time_wait_max; /* set once at start from the memory there is */
#define LWIP_DISABLE_TCP_SANITY_CHECKS 1
#define TCP_MSS 8960 /* the cap; what is used follows the interface's MTU */
#define TCP_CALCULATE_EFF_SEND_MSS 1
#define LWIP_WND_SCALE 1
#define TCP_RCV_SCALE 5
#ifndef TCP_WND
#define TCP_WND net_tcp_window /* core/init.c, which only checks constants, is compiled with one */
#endif
#define TCP_SND_BUF net_tcp_sndbuf
#define TCP_SND_QUEUELEN 16384
#define TCP_SNDLOWAT 2048
#define TCP_SNDQUEUELOWAT 1024
#define TCP_WND_UPDATE_THRESHOLD LWIP_MIN(TCP_WND / 4, 8 * 1460)
#define TCP_OVERSIZE 1460
#define TCP_QUEUE_OOSEQ 1
#define TCP_OOSEQ_MAX_PBUFS 256
#define LWIP_TCP_TIMESTAMPS 1
#define LWIP_TCP_SACK_OUT 1
#define LWIP_TCP_KEEPALIVE 1
#define TCP_LISTEN_BACKLOG 1
#define TCP_DEFAULT_LISTEN_BACKLOG 128
#define TCP_TMR_INTERVAL 50 /* ms: delayed ACK; twice that is the clock of retransmission: at least three ticks, 300 ms */
#define TCP_MSL 30000u
#define TCP_SYNMAXRTX 6
#define TCP_MAXRTX 12
#define LWIP_TCP_PCB_NUM_EXT_ARGS 0
#define TCP_TTL 64
#define UDP_TTL 64

#define LWIP_HOOK_FILENAME "lwip_hooks.h"

#endif
