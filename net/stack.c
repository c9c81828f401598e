/* The engine room: one lock, polling, and when devices are told.

   Receiving. Whoever waits for the network polls it himself: poll_progress() (epoll_wait, poll, select) and a recv that would block
   come to net_poll, which drains the devices in the caller's context. The thread "net" does it when nobody else does. It
   alone switches receive interrupts: it turns them on, with a last look at the device, only when the devices have been quiet for
   several looks, and then sleeps. So the invariant is: either "net" is runnable or every device will interrupt. Under load it
   is runnable but seldom runs (it yields after each look), and there are no interrupts.

   Sending. Packets go to the driver's queue at once, the notification later: a thread that got n events from epoll_wait will
   probably send n replies, so the device is told with the n-th, or at the next poll, or before the thread sleeps, or when 32
   packets wait, or after a millisecond. A thread without such a batch notifies when it releases the lock.

   A thread with thousands of ready sockets does not come back to epoll_wait for long: every 32 sends net_release looks at the devices, so
   that their rings do not run over meanwhile.

   Delayed acknowledgements. Where TCP wants to acknowledge at once, a reply usually follows within the batch and carries it:
   such connections are put on a list that the next poll goes through.

   Packets to this host itself are queued by lwIP and delivered when the lock is released, so that never recurses. */
#include "stack.h"

#include "socket.h"
#include "tcp_hash.h"

#include <fs/poll.h>
#include <kernel/clock.h>
#include <kernel/init.h>
#include <kernel/log.h>
#include <mm/page.h>
#include <sched/thread.h>
#include <sched/timer.h>

#include <lwip/init.h>
#include <lwip/priv/tcp_priv.h>

#define POLL_BUDGET 128
#define KICK_BATCH 32u
#define KICK_DELAY_NS NS_PER_MS
#define POLL_EVERY 32u     /* sends */
#define RECLAIM_NS (100 * NS_PER_MS)
#define LOOK_FIRST_NS NS_PER_MS
#define LOOK_LAST_NS NS_PER_SEC
#define SPIN_MIN 2u
#define SPIN_MAX 32u

struct interface *interfaces;
uint32_t net_tcp_window = 65536, net_tcp_sndbuf = 65536, net_time_wait_max = 1024;
size_t net_rx_limit = 4 << 20, net_tx_limit = 4 << 20, net_reserve;

static unsigned calls_since_poll;             /* net_release */
static uint64_t reclaimed_ns;                 /* last time that out-of-order data was dropped for lack of memory */
static unsigned queued_total;                 /* packets that no device was told about */
static struct socket *ack_list;               /* sockets that owe an acknowledgement */
static struct thread *net_thread;
static _Atomic bool wake_pending;             /* set by interrupts before they wake "net" */
static struct timer kick_timer;               /* armed while kick_armed */
static _Atomic bool kick_armed;

void net_wake(void)
{
    /* Release: what made us call is visible to the thread that sees the flag. */
    if (!atomic_exchange_explicit(&wake_pending, true, memory_order_acq_rel) && net_thread != NULL)
        thread_wake(net_thread);
}

/* Interrupt context. */
static void kick_late(struct timer *t)
{
    atomic_store_explicit(&kick_armed, false, memory_order_release);
    if (queued_total != 0)
        net_wake();
}

void net_flush(void)
{
    if (queued_total == 0)
        return;
    queued_total = 0;
    for (struct interface *i = interfaces; i != NULL; i = i->next) {
        if (i->tx_queued != 0) {
            i->tx_queued = 0;
            i->dev->ops->kick(i->dev);
        }
    }
}

void net_tx_queued(struct interface *ifc)
{
    ifc->tx_queued++;
    queued_total++;
}

static void flush_or_defer(void)
{
    unsigned *batch = thread_net_batch();

    if (*batch > 0)
        (*batch)--;
    if (*batch == 0 || queued_total >= KICK_BATCH) {
        net_flush();
        return;
    }
    if (!atomic_load_explicit(&kick_armed, memory_order_relaxed)) {
        atomic_store_explicit(&kick_armed, true, memory_order_relaxed);
        timer_arm(&kick_timer, clock_monotonic_ns() + KICK_DELAY_NS);
    }
}

static inline bool loopback_waiting(void)
{
    struct netif *n;

    NETIF_FOREACH(n) {
        if (n->loop_first != NULL)
            return true;
    }
    return false;
}

/* Packets from this host to itself carry no checksums. */
static void deliver_loopback(void)
{
    struct netif *n;

    do {
        NETIF_FOREACH(n) {
            if (n->loop_first != NULL) {
                uint16_t flags = n->chksum_flags;
                n->chksum_flags = 0;
                netif_poll(n);
                n->chksum_flags = flags;
            }
        }
    } while (loopback_waiting());
}

static void receive(void)
{
    calls_since_poll = 0;
    net_free_now();
    for (struct interface *i = interfaces; i != NULL; i = i->next) {
        if (i->dev->ops->pending(i->dev))
            i->dev->ops->poll(i->dev, POLL_BUDGET);
    }
}

static inline void before_release(void)
{
    if (unlikely(++calls_since_poll >= POLL_EVERY))
        receive();
    if (unlikely(loopback_waiting()))
        deliver_loopback();
    if (queued_total != 0)
        flush_or_defer();
}

void net_release(void)
{
    net_look_posted();
    before_release();
    net_unlock();
}

void net_before_release(void) { before_release(); }

void net_ack_later(struct socket *so)
{
    if (so->ack_listed)
        return;
    so->ack_listed = true;
    so->ack_next = ack_list;
    ack_list = so;
}

void net_ack_cancel(struct socket *so)
{
    if (!so->ack_listed)
        return;
    for (struct socket **p = &ack_list; *p != NULL; p = &(*p)->ack_next) {
        if (*p == so) {
            *p = so->ack_next;
            break;
        }
    }
    so->ack_listed = false;
}

static void send_acks(void)
{
    struct socket *so;

    while ((so = ack_list) != NULL) {
        ack_list = so->ack_next;
        so->ack_listed = false;
        if (so->tcp.pcb != NULL && (so->tcp.pcb->flags & TF_ACK_NOW))
            tcp_output(so->tcp.pcb);
    }
}

static bool device_pending(void)
{
    for (struct interface *i = interfaces; i != NULL; i = i->next) {
        if (i->dev->ops->pending(i->dev))
            return true;
    }
    return false;
}

/* Receive buffers run out: what came out of order can be sent again. */
static void reclaim(uint64_t now)
{
    if (now - reclaimed_ns < RECLAIM_NS)
        return;
    reclaimed_ns = now;
    for (struct tcp_pcb *pcb = tcp_active_pcbs; pcb != NULL; pcb = pcb->next) {
        if (pcb->ooseq != NULL)
            tcp_free_ooseq(pcb);
    }
}

/* One look, with net_lock held. False: nothing has happened to any socket. */
static bool poll_locked(uint64_t now)
{
    int packets = 0;
    bool timers = net_timers_due(now), local = false;

    calls_since_poll = 0;
    if (unlikely(atomic_load_explicit(&net_posted, memory_order_relaxed) != NULL)) {
        net_run_posted();
        local = true;
    }
    net_free_now();
    if (unlikely(net_rx_used() > net_rx_limit / 8 * 7))
        reclaim(now);
    net_now_ms = (uint32_t)(now / NS_PER_MS);
    send_acks();
    net_flush();
    for (struct interface *i = interfaces; i != NULL; i = i->next) {
        /* Before the timers too: what the device still seems to hold cannot be sent again. */
        if (i->tx_blocked || timers || i->dev->ops->pending(i->dev))
            packets += i->dev->ops->poll(i->dev, POLL_BUDGET);
        if (i->tx_done_seen && i->tx_blocked) {
            i->tx_blocked = false;
            tcp_txnow();
        }
        i->tx_done_seen = false;
    }
    if (timers)
        net_timers_run(now);
    if (unlikely(loopback_waiting())) {
        deliver_loopback();
        local = true;
    }
    net_flush();
    return packets > 0 || timers || local;
}

bool net_poll(void)
{
    uint64_t now = clock_monotonic_ns();
    bool did;

    if (queued_total == 0 && ack_list == NULL && atomic_load_explicit(&net_posted, memory_order_relaxed) == NULL && !device_pending() && !net_timers_due(now))
        return false;
    if (!mutex_trylock(&net_lock))
        return false;
    did = poll_locked(now);
    net_unlock();
    return did;
}

int net_wait(struct waitq *q, uint64_t deadline_ns, bool interruptible)
{
    if (loopback_waiting()) {
        deliver_loopback();
        net_flush();
        return 0;
    }
    if (poll_locked(clock_monotonic_ns()))
        return 0;
    *thread_net_batch() = 0;
    const char *outer = thread_wait_reason("net");
    int r = waitq_wait_then(q, &net_lock, deadline_ns, interruptible, net_unlocked);
    thread_wait_reason(outer);
    return r;
}

static void irqs_off(void)
{
    for (struct interface *i = interfaces; i != NULL; i = i->next) {
        if (i->irq_on) {
            i->irq_on = false;
            i->dev->ops->irq_disable(i->dev);
        }
    }
}

static bool irqs_on(void)
{
    for (struct interface *i = interfaces; i != NULL; i = i->next) {
        i->irq_on = true;
        if (!i->dev->ops->irq_enable(i->dev))
            return false;
    }
    return true;
}

/* Looks until nothing has come for a while. The while adapts: it grows when waiting paid. */
static void poll_until_quiet(unsigned *patience)
{
    unsigned quiet = 0;
    bool paid = false;

    while (quiet < *patience) {
        bool did;
        net_acquire();
        did = poll_locked(clock_monotonic_ns());
        net_unlock();
        if (did) {
            paid = paid || quiet > 0;
            quiet = 0;
        } else {
            quiet++;
        }
        thread_yield();
    }
    *patience = paid ? MIN(*patience * 2, SPIN_MAX) : MAX(*patience / 2, SPIN_MIN);
}

/* Devices that have not taken what they were given are told again. True while there is reason to look once more. */
static bool nudge_devices(void)
{
    bool again = false;

    for (struct interface *i = interfaces; i != NULL; i = i->next)
        again |= i->dev->ops->nudge(i->dev);
    return again;
}

static uint64_t packets_seen(void)
{
    uint64_t n = 0;

    for (struct interface *i = interfaces; i != NULL; i = i->next)
        n += i->dev->rx_packets + i->dev->tx_packets;
    return n;
}

/* After traffic the first sleep is short, and what is found then gets a second look: a notification or an interrupt may have been lost. QEMU's
   TCG before 8.1 leaves out the guest's barriers when there is one CPU (its commit c914d46d0a), so "store the index, look at the wish" can fail on
   both sides: 256 packets published, none used, the device's wish for a notification standing right at the first of them. docs/decisions.md has the figures. */
static void net_main(void *arg)
{
    unsigned patience = SPIN_MIN;
    uint64_t look_ns = 0, seen = 0; /* time to the next look, 0: none is due */

    for (;;) {
        uint64_t deadline;
        bool asleep;

        atomic_store_explicit(&wake_pending, false, memory_order_relaxed);
        net_acquire();
        irqs_off();
        net_unlock();
        poll_until_quiet(&patience);

        net_acquire();
        asleep = irqs_on() && queued_total == 0 && ack_list == NULL;
        deadline = net_timers_next();
        uint64_t packets = packets_seen();
        if (packets != seen)
            look_ns = LOOK_FIRST_NS;
        else if (look_ns != 0)
            look_ns = nudge_devices() ? MIN(look_ns * 2, LOOK_LAST_NS) : 0;
        seen = packets;
        net_unlock();
        if (!asleep)
            continue;
        if (look_ns != 0)
            deadline = MIN(deadline, clock_monotonic_ns() + look_ns);
        thread_wait_reason("packets");
        thread_wait_prepare();
        if (atomic_load_explicit(&wake_pending, memory_order_acquire))
            thread_wait_cancel();
        else
            thread_wait_until(deadline);
        thread_wait_reason(NULL);
    }
}

/* Windows for one connection: small where memory is, since a peer may fill them on every connection. These are the most; what a connection
   gets follows the load (net_share). */
static void size_buffers(void)
{
    uint64_t total = page_total_bytes(), share = total / 512;

    net_rx_limit = MAX(total / 4, 1ul << 20);
    net_tx_limit = net_rx_limit;
    net_reserve = total / 64;
    net_time_wait_max = (uint32_t)MIN(MAX(total / 16384, 256ul), 65536ul);
    net_tcp_window = (uint32_t)MIN(MAX(share, 32768ul), 1048576ul) & ~(uint32_t)((1u << TCP_RCV_SCALE) - 1);
    net_tcp_sndbuf = net_tcp_window;
}

/* Four times an even share of what is left: most connections do not use theirs. */
uint32_t net_share(size_t limit, size_t used)
{
    size_t left = limit > used ? limit - used : 0;

    return (uint32_t)MIN(left / (tcp_hash_count() / 4 + 1), (size_t)net_tcp_window);
}

static void net_init(void)
{
    size_buffers();
    kick_timer.fn = kick_late;
    net_timers_init();
    net_acquire();
    lwip_init();
    netif_set_link_up(netif_list); /* lo */
    net_unlock();
    poll_progress_register(net_poll);
    net_thread = thread_create("net", net_main, NULL);
    if (net_thread == NULL)
        panic("net: no memory for the network thread");
}
INIT(INIT_NET, net_init);
