/* The network stack's own interfaces: the lock, polling, deferred notification of devices, timers. */
#ifndef NET_STACK_H
#define NET_STACK_H

#include "posted.h"

#include <drivers/netdev.h>
#include <kernel/compiler.h>
#include <sched/mutex.h>
#include <sched/waitq.h>

#include <lwip/opt.h>

#include <lwip/netif.h>

struct pbuf;
struct socket;

/* One network device and lwIP's view of it. Protected by net_lock, but for what says otherwise. */
struct interface {
    struct netif netif;
    struct netdev *dev;
    unsigned tx_queued;       /* packets handed to the driver since the last kick */
    bool tx_blocked;          /* the queue was full: some connection waits for tx_done */
    bool irq_on;              /* receive interrupts are on; read without the lock as a hint */
    bool tx_done_seen;
    struct interface *next;   /* append only */
};
extern struct interface *interfaces;

/* net_lock (posted.h). net_release delivers what was sent to this host itself and tells the devices about queued packets as the
   batching rule (net/stack.c) says. Threads only. */
static inline void net_acquire(void) { mutex_lock(&net_lock); }
void net_release(void);

/* With net_lock held. Waits on q as waitq_wait does, after sending everything that is queued; received packets are looked for first,
   so this may return 0 without having slept. */
int net_wait(struct waitq *q, uint64_t deadline_ns, bool interruptible);

/* Takes packets from the devices, runs due timers, sends delayed acknowledgements and notifies. True when something happened. Returns at
   once when there is nothing to do or somebody else is at it. */
bool net_poll(void);
/* With net_lock held: notifies the devices now. */
void net_flush(void);
/* With net_lock held: so owes an acknowledgement that the reply will probably carry; otherwise it goes out with the next poll. */
void net_ack_later(struct socket *so);
void net_ack_cancel(struct socket *so);
/* Something happened that needs the short timer interval. net_lock held. */
void net_touch(void);
/* A thread is wanted at the devices. Any context. */
void net_wake(void);

/* Packets whose buffers, linked by next from first to last, were read: they are freed by the next holder of net_lock that needs some. Without net_lock. */
void net_free_later(struct pbuf *first, struct pbuf *last);
void net_free_now(void); /* net_lock held */

/* Memory, in bytes. Receive buffers and packets to send are limited to a quarter of the machine each; net_reserve stays free. */
extern size_t net_rx_limit, net_tx_limit, net_reserve;
size_t net_rx_used(void); /* netbuf.c */
extern size_t net_tx_used; /* memory.c */
/* What one of the connections may hold now, of a limit of which so much is used. */
uint32_t net_share(size_t limit, size_t used);

/* Milliseconds since boot as of the last poll: TCP timestamps. */
extern uint32_t net_now_ms;

/* timers.c; all with net_lock held, but for net_timers_due. */
void net_timers_init(void);
bool net_timers_due(uint64_t now_ns);
void net_timers_run(uint64_t now_ns);
uint64_t net_timers_next(void);

/* tcp_fast.c */
bool tcp_fast_input(struct interface *ifc, struct netbuf *nb);

/* stack.c: the driver took a packet; it is notified later. */
void net_tx_queued(struct interface *ifc);

/* interface.c: a netbuf chain as lwIP's packet; NULL when it is too long (the chain stays the caller's). */
struct pbuf *netbuf_pbuf(struct netbuf *nb);

/* configure.c: a device has come. */
void net_configure(struct interface *ifc);

#endif
