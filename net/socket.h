/* Sockets: one struct for all families, operations by protocol. A socket is the priv of its struct file; all fields are protected by
   net_lock, except where it says otherwise. */
#ifndef NET_SOCKET_H
#define NET_SOCKET_H

#include "posted.h"

#include <asm/errno.h>
#include <fs/file.h>
#include <kernel/compiler.h>
#include <net/socket.h>
#include <net/socket_abi.h>
#include <sched/waitq.h>
#include <sys/queue.h>

#include <lwip/opt.h>

#include <lwip/ip_addr.h>
#include <lwip/pbuf.h>
#include <lwip/tcp.h>
#include <lwip/udp.h>

struct socket;

/* All but poll are called with net_lock held; release included. Results are >= 0 or a negative errno. */
struct socket_ops {
    int (*bind)(struct socket *so, const void *addr, uint32_t len);
    int (*connect)(struct socket *so, const void *addr, uint32_t len, bool nonblock);
    int (*listen)(struct socket *so, int backlog);
    int (*accept)(struct socket *so, bool nonblock, struct socket **out);
    int (*name)(struct socket *so, bool peer, void *addr, uint32_t *len);
    ssize_t (*send)(struct socket *so, struct net_msg *m, bool nonblock);
    ssize_t (*recv)(struct socket *so, struct net_msg *m, bool nonblock);
    /* Without net_lock; 0: take it and ask send or recv. May be NULL. */
    ssize_t (*send_post)(struct socket *so, const struct net_msg *m);
    ssize_t (*recv_quick)(struct socket *so, struct net_msg *m, bool nonblock);
    int (*shutdown)(struct socket *so, int how);
    int (*setopt)(struct socket *so, int level, int name, const void *value, uint32_t len);
    int (*getopt)(struct socket *so, int level, int name, void *value, uint32_t *len);
    uint32_t (*poll)(struct socket *so); /* without the lock */
    size_t (*readable)(struct socket *so);
    void (*release)(struct socket *so);
};

TAILQ_HEAD(socket_queue, socket);

enum tcp_phase { TCP_PHASE_NEW, TCP_PHASE_CONNECTING, TCP_PHASE_CONNECTED, TCP_PHASE_LISTENING, TCP_PHASE_DEAD };

/* What it takes to send a segment of an established connection without asking anybody: the frame head of the last
   one that went the long way (tcp_fast.c). */
struct tcp_template {
    struct interface *ifc;
    uint32_t tick;      /* tcp_ticks when it was taken: good for a second, so that ARP keeps ageing */
    uint32_t pseudo;    /* sum of addresses and protocol */
    uint32_t ip_sum;    /* sum of the IP header without length, identification and checksum */
    uint8_t length;     /* 0: none */
    uint8_t frame[34];
};

struct tcp_part {
    union {
        struct tcp_pcb *pcb;            /* NULL when the connection is gone */
        struct tcp_pcb_listen *listener;
    };
    struct pbuf *_Atomic incoming;      /* received: packets, the newest first; put there under net_lock, taken under rx_lock */
    struct mutex rx_lock;               /* protects the next three; taken after net_lock */
    struct pbuf *rx_head, *rx_tail;     /* received, in order; linked by next, tot_len has no meaning here */
    size_t rx_peeked;                   /* bytes of rx_head already read */
    _Atomic size_t rx_bytes;            /* in both */
    _Atomic size_t read_bytes;          /* read, not yet given back to the window */
    struct net_work settle;             /* gives it back */
    _Atomic bool settling;              /* settle is posted */
    _Atomic bool posted;                /* a message was left with the holder of net_lock */
    struct tcp_message *held;           /* it, while there is no room */
    uint32_t withheld;                  /* receive window that the peer was not given yet */
    uint8_t phase;                      /* enum tcp_phase; read without the lock by poll */
    bool fin;                           /* the peer has sent everything */
    bool tx_wanted;                     /* little room to send: who waits is told when there is more; read without the lock */
    bool fresh;                         /* connect() has not yet reported success */
    struct tcp_template template;
    uint16_t local_port, remote_port;
    ip_addr_t local_ip, remote_ip;      /* for getsockname and getpeername */
    bool nodelay;                       /* TCP_NODELAY; accepted connections inherit it, as on Linux */
    unsigned keep_idle_s, keep_interval_s, keep_count;
    struct socket_queue accept_queue;   /* established, not accepted */
    struct socket *listening_socket;    /* in whose accept_queue this is */
};

struct udp_part {
    struct udp_pcb *pcb;
    STAILQ_HEAD(, datagram) rx;
    size_t rx_bytes; /* memory held, not payload */
    bool connected;
    bool pktinfo;
};

struct unix_part {
    struct socket *peer;                /* the other end, NULL when it is gone */
    STAILQ_HEAD(, unix_chunk) rx;
    size_t rx_bytes;
    bool fin;
    struct socket_queue accept_queue;
    unsigned queued, backlog;
    bool listening, bound, connected;
    bool had_full;                      /* a sender found this queue full */
    bool tx_full;                       /* the receiver's queue was full; read without the lock by poll */
    char path[108];
    uint32_t path_length;
    LIST_ENTRY(socket) all;
};

#define SOCKET_SHUT_RD 1u
#define SOCKET_SHUT_WR 2u

struct socket {
    struct file *file;                  /* NULL while it waits in an accept queue */
    const struct socket_ops *ops;
    uint8_t domain, type, protocol;
    uint8_t shut;                       /* SOCKET_SHUT_*; read without the lock by poll */
    bool reuse_address, reuse_port, keepalive, v6only, linger, broadcast;
    bool ack_listed;
    uint16_t linger_s;
    int error;                          /* for SO_ERROR and the next call; a positive errno */
    int rcvbuf, sndbuf;                 /* as set, 0: default */
    uint64_t rcv_timeout_ns, snd_timeout_ns; /* 0: none */
    struct waitq readers, writers;
    struct socket *ack_next;
    TAILQ_ENTRY(socket) queued;         /* accept queue */
    union {
        struct tcp_part tcp;
        struct udp_part udp;
        struct unix_part local;
    };
};

extern const struct socket_ops tcp_socket_ops, udp_socket_ops, unix_socket_ops;
extern const struct file_ops socket_file_ops;

/* net/socket.c. A socket without a file, zeroed, NULL when there is no memory. */
struct socket *socket_alloc(int domain, int type, int protocol, const struct socket_ops *ops);
struct file *socket_file(struct socket *so, int file_flags); /* NULL: no memory */
/* With net_lock held: tells who polls and who sleeps. */
void socket_notify(struct socket *so, uint32_t events);
/* Deadline for a wait that starts now. */
uint64_t socket_deadline(uint64_t timeout_ns);
/* Takes the pending error: a positive errno or 0. */
int socket_take_error(struct socket *so);

/* net/sockopt.c: options of level SOL_SOCKET and those that all IP sockets share. -ENOPROTOOPT when it is not one. */
int socket_setopt(struct socket *so, int level, int name, const void *value, uint32_t len);
int socket_getopt(struct socket *so, int level, int name, void *value, uint32_t *len);
int option_int(const void *value, uint32_t len, int *out);
int option_put(void *value, uint32_t *len, const void *data, uint32_t size);

/* net/address.c: struct sockaddr_in and sockaddr_in6 to and from lwIP's. */
int address_parse(const struct socket *so, const void *addr, uint32_t len, ip_addr_t *ip, uint16_t *port);
/* An address that a socket may be bound to: any, or one of this machine's. */
bool address_is_local(const ip_addr_t *ip);
void address_fill(const struct socket *so, const ip_addr_t *ip, uint16_t port, void *addr, uint32_t *len);
int error_of(err_t err); /* a positive errno */

/* net/msg.c: copying between an iovec and memory. */
void msg_copy_out(const struct net_msg *m, size_t at, const void *from, size_t n);
void msg_copy_in(void *to, const struct net_msg *m, size_t at, size_t n);
int msg_put_control(struct net_msg *m, int level, int type, const void *data, size_t n);

/* What socket() does for each protocol; 0 or a negative errno. net_lock held. */
int tcp_socket_open(struct socket *so);
int udp_socket_open(struct socket *so);
void unix_socket_open(struct socket *so);
void unix_socket_join(struct socket *a, struct socket *b);

/* tcp_socket.c */
int tcp_wait_connected(struct socket *so);
/* tcp_receive.c */
ssize_t tcp_recv(struct socket *so, struct net_msg *m, bool nonblock);
ssize_t tcp_recv_quick(struct socket *so, struct net_msg *m, bool nonblock);
void tcp_socket_received(struct socket *so, struct pbuf *p, size_t bytes);
void tcp_free_received(struct socket *so);
void tcp_window_start(struct socket *so);
void tcp_window_settle(struct socket *so);
/* tcp_send.c */
ssize_t tcp_send(struct socket *so, struct net_msg *m, bool nonblock);
ssize_t tcp_send_post(struct socket *so, const struct net_msg *m);
void tcp_send_rest(struct socket *so);
void tcp_socket_sent(struct socket *so);
/* tcp_fast.c */
size_t tcp_fast_send(struct socket *so, const struct net_msg *m);
void tcp_run_done(void *token);

/* net/ifioctl.c */
int interface_ioctl(unsigned long request, void *arg);

#endif
