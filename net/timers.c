/* lwIP's periodic work, without a periodic tick.

   Each kind of work has an interval, and runs on it while there is traffic. What only ages tables (ARP, neighbours, reassembly) and TCP
   with nothing in flight do not need that: after two seconds without a packet they run every ten seconds, and the missed
   intervals are made up in one go (ageing calls are repeated, the TCP clock is advanced). So an idle machine wakes a few times a
   minute. What is about to happen by the clock (a DHCP retry, a group report, duplicate address detection, a
   retransmission, a delayed ACK) keeps its own interval. */
#include "stack.h"

#include <kernel/clock.h>

#include <lwip/dhcp.h>
#include <lwip/etharp.h>
#include <lwip/igmp.h>
#include <lwip/ip4_frag.h>
#include <lwip/ip6_frag.h>
#include <lwip/mld6.h>
#include <lwip/nd6.h>
#include <lwip/prot/dhcp.h>
#include <lwip/priv/tcp_priv.h>
#include <lwip/sys.h>
#include <lwip/timeouts.h>

#define QUIET_NS (2 * NS_PER_SEC)
#define LAZY_NS (10 * NS_PER_SEC)

struct work {
    void (*fn)(void);
    uint64_t interval_ns;
    bool (*needed)(void); /* by the clock, even when there is no traffic; NULL: never */
    bool lazy;            /* runs at LAZY_NS without traffic; otherwise it stops when not needed */
    uint64_t last_ns;
    uint64_t next_ns;
};

uint32_t net_now_ms;
static uint64_t next_deadline = TIME_NEVER;
static uint64_t last_touch_ns;
static bool touched, was_quiet;

u32_t sys_now(void)
{
    return net_now_ms;
}

static bool tcp_needed(void)
{
    struct tcp_pcb *pcb;

    if (tcp_tw_pcbs != NULL)
        return true;
    for (pcb = tcp_active_pcbs; pcb != NULL; pcb = pcb->next) {
        if (pcb->rtime >= 0 || pcb->unsent != NULL || pcb->ooseq != NULL || pcb->refused_data != NULL || pcb->persist_backoff != 0 ||
            (pcb->flags & (TF_ACK_DELAY | TF_ACK_NOW | TF_CLOSEPEND)) || (pcb->state != ESTABLISHED && pcb->state != CLOSE_WAIT))
            return true;
    }
    return false;
}

static bool dhcp_needed(void)
{
    struct netif *n;

    NETIF_FOREACH(n) {
        struct dhcp *d = netif_dhcp_data(n);
        if (d != NULL && d->state != DHCP_STATE_OFF && d->request_timeout > 0)
            return true;
    }
    return false;
}

static bool dhcp_leased(void)
{
    struct netif *n;

    NETIF_FOREACH(n) {
        if (netif_dhcp_data(n) != NULL)
            return true;
    }
    return false;
}

static bool igmp_needed(void)
{
    struct netif *n;

    NETIF_FOREACH(n) {
        for (struct igmp_group *g = netif_igmp_data(n); g != NULL; g = g->next) {
            if (g->timer > 0)
                return true;
        }
    }
    return false;
}

static bool mld6_needed(void)
{
    struct netif *n;

    NETIF_FOREACH(n) {
        for (struct mld_group *g = netif_mld6_data(n); g != NULL; g = g->next) {
            if (g->timer > 0)
                return true;
        }
    }
    return false;
}

static bool nd6_needed(void)
{
    struct netif *n;

    NETIF_FOREACH(n) {
        if (!netif_is_up(n) || !netif_is_link_up(n))
            continue;
        if (n->rs_count > 0 && n->ip6_autoconfig_enabled)
            return true;
        for (int i = 0; i < LWIP_IPV6_NUM_ADDRESSES; i++) {
            if (ip6_addr_istentative(netif_ip6_addr_state(n, i)))
                return true;
        }
    }
    return false;
}

#define MS(x) ((uint64_t)(x) * NS_PER_MS)
static struct work works[] = {
    {.fn = tcp_tmr, .interval_ns = MS(TCP_TMR_INTERVAL), .needed = tcp_needed, .lazy = true},
    {.fn = etharp_tmr, .interval_ns = MS(ARP_TMR_INTERVAL), .lazy = true},
    {.fn = ip_reass_tmr, .interval_ns = MS(IP_TMR_INTERVAL), .lazy = true},
    {.fn = nd6_tmr, .interval_ns = MS(ND6_TMR_INTERVAL), .needed = nd6_needed, .lazy = true},
    {.fn = ip6_reass_tmr, .interval_ns = MS(IP6_REASS_TMR_INTERVAL), .lazy = true},
    {.fn = dhcp_fine_tmr, .interval_ns = MS(DHCP_FINE_TIMER_MSECS), .needed = dhcp_needed},
    {.fn = dhcp_coarse_tmr, .interval_ns = MS(DHCP_COARSE_TIMER_MSECS), .needed = dhcp_leased},
    {.fn = igmp_tmr, .interval_ns = MS(IGMP_TMR_INTERVAL), .needed = igmp_needed},
    {.fn = mld6_tmr, .interval_ns = MS(MLD6_TMR_INTERVAL), .needed = mld6_needed},
};
#define TCP_WORK (&works[0])

static void run_one(struct work *w, uint64_t now)
{
    uint64_t missed = (now - w->last_ns) / w->interval_ns;

    w->last_ns = now;
    if (w == TCP_WORK) {
        /* One walk; time that passed with nothing in flight only moves the clock. */
        if (missed > 1)
            tcp_ticks += (uint32_t)(missed - 1) / 2;
        tcp_tmr();
        return;
    }
    if (missed > 64)
        missed = 64;
    do
        w->fn();
    while (missed-- > 1);
}

static void schedule(struct work *w, uint64_t now, bool quiet)
{
    if (!quiet && (w->lazy || w->needed == NULL || w->needed()))
        w->next_ns = now + w->interval_ns;
    else if (w->needed != NULL && w->needed())
        w->next_ns = now + w->interval_ns;
    else
        w->next_ns = w->lazy ? now + LAZY_NS : TIME_NEVER;
    if (w->lazy && w->next_ns != now + w->interval_ns && w == TCP_WORK && tcp_active_pcbs == NULL)
        w->next_ns = TIME_NEVER;
}

static void find_next(void)
{
    next_deadline = TIME_NEVER;
    for (size_t i = 0; i < ARRAY_SIZE(works); i++) {
        if (works[i].next_ns < next_deadline)
            next_deadline = works[i].next_ns;
    }
}

void net_timers_run(uint64_t now)
{
    bool quiet;

    net_now_ms = (uint32_t)(now / NS_PER_MS);
    if (touched) {
        touched = false;
        last_touch_ns = now;
    }
    quiet = now - last_touch_ns > QUIET_NS;
    for (size_t i = 0; i < ARRAY_SIZE(works); i++) {
        struct work *w = &works[i];
        if (w->next_ns <= now) {
            run_one(w, now);
            schedule(w, now, quiet);
        } else if (was_quiet && !quiet) {
            if (w->next_ns == TIME_NEVER)
                w->last_ns = now; /* it was stopped: nothing is made up */
            schedule(w, now, false);
        }
    }
    was_quiet = quiet;
    find_next();
}

/* Called with every packet: a store, unless the machine was quiet. */
void net_touch(void)
{
    touched = true;
    if (unlikely(was_quiet)) {
        next_deadline = 0; /* the next poll reschedules */
        net_wake();
    }
}

bool net_timers_due(uint64_t now)
{
    return now >= next_deadline;
}

uint64_t net_timers_next(void)
{
    return next_deadline;
}

/* lwIP: a connection has appeared. */
void tcp_timer_needed(void)
{
    net_touch();
}

void net_timers_init(void)
{
    uint64_t now = clock_monotonic_ns();

    net_now_ms = (uint32_t)(now / NS_PER_MS);
    last_touch_ns = now;
    for (size_t i = 0; i < ARRAY_SIZE(works); i++) {
        works[i].last_ns = now;
        works[i].next_ns = now + works[i].interval_ns;
    }
    find_next();
}
