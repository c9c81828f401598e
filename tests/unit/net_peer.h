/* A TCP client made by hand on the other end of a simulated wire: handshake with options, go-back-N retransmission, acknowledgement of what
   comes in order. It is slow and simple on purpose; what it checks is the stack on this end. Included by network tests after stack.c. */
#ifndef TESTS_UNIT_NET_PEER_H
#define TESTS_UNIT_NET_PEER_H

#include <kernel/string.h>
#include <net/socket_abi.h>

void *malloc(size_t size);
void free(void *p);

#define PEER_IP 0x0100000au /* 10.0.0.1 */
#define GUEST_IP 0x0200000au
#define WIRE_MAX 4096

struct frame {
    uint64_t at;
    unsigned len;
    uint8_t *data;
};
struct wire {
    struct frame queue[WIRE_MAX];
    unsigned count;
};
static struct wire to_guest, to_peer;
static unsigned loss_percent, dup_percent, jitter_us;
static bool device_checks = true;
static unsigned long frames_sent, bad_checksums, kicks;
static uint64_t next_random(void) { return random_u64() >> 11; }

static void wire_put(struct wire *w, const uint8_t *data, unsigned len)
{
    unsigned copies = 1 + (next_random() % 100 < dup_percent);

    if (next_random() % 100 < loss_percent)
        return;
    while (copies-- > 0 && w->count < WIRE_MAX) {
        struct frame *f = &w->queue[w->count++];
        f->at = sim_now + 50000 + (jitter_us != 0 ? next_random() % (jitter_us * 1000ul) : 0);
        f->len = len;
        f->data = malloc(len);
        memcpy(f->data, data, len);
    }
}

static void wire_clear(struct wire *w)
{
    while (w->count > 0)
        free(w->queue[--w->count].data);
}

/* The next frame that is due, or NULL; with jitter, not always the oldest. */
static uint8_t *wire_get(struct wire *w, unsigned *len)
{
    unsigned best = w->count;

    for (unsigned i = 0; i < w->count; i++) {
        if (w->queue[i].at <= sim_now && (best == w->count || w->queue[i].at < w->queue[best].at))
            best = i;
    }
    if (best == w->count)
        return NULL;
    uint8_t *data = w->queue[best].data;
    *len = w->queue[best].len;
    memmove(&w->queue[best], &w->queue[best + 1], (w->count - best - 1) * sizeof(w->queue[0]));
    w->count--;
    return data;
}

/* --- The device --- */
static struct netdev device;
static void *sent_tokens[4096];
static unsigned sent_count, device_queue = 4096;

static uint32_t sum16(const uint8_t *p, unsigned n, uint32_t sum)
{
    for (unsigned i = 0; i + 1 < n; i += 2)
        sum += (uint32_t)p[i] << 8 | p[i + 1];
    if (n & 1)
        sum += (uint32_t)p[n - 1] << 8;
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return sum;
}

static int dev_transmit(struct netdev *dev, const struct net_tx *tx)
{
    uint8_t buf[16384];
    unsigned len = 0;

    if (sent_count >= device_queue)
        return -EAGAIN;
    for (unsigned i = 0; i < tx->count; i++) {
        memcpy(buf + len, tx->sg[i].data, tx->sg[i].len);
        len += tx->sg[i].len;
    }
    memset((uint8_t *)tx->sg[0].data - NETDEV_TX_HEADROOM, 0xee, 12);
    if (tx->csum) {
        uint32_t s = ~sum16(buf + tx->csum_start, len - tx->csum_start, 0) & 0xffff;
        buf[tx->csum_start + tx->csum_offset] = (uint8_t)(s >> 8);
        buf[tx->csum_start + tx->csum_offset + 1] = (uint8_t)s;
    }
    frames_sent++;
    wire_put(&to_peer, buf, len);
    sent_tokens[sent_count++] = tx->token;
    return 0;
}
static void dev_kick(struct netdev *dev) { kicks++; }
static bool dev_pending(struct netdev *dev)
{
    for (unsigned i = 0; i < to_guest.count; i++) {
        if (to_guest.queue[i].at <= sim_now)
            return true;
    }
    return false;
}
static int dev_poll(struct netdev *dev, int budget)
{
    int n = 0;
    unsigned len;
    uint8_t *data;

    for (unsigned i = 0; i < sent_count; i++)
        dev->tx_done(dev, sent_tokens[i]);
    sent_count = 0;
    for (; n < budget && (data = wire_get(&to_guest, &len)) != NULL; n++) {
        struct netbuf *first = NULL, *last = NULL;
        unsigned at = 0;
        while (at < len || first == NULL) {
            struct netbuf *nb = netbuf_alloc();
            unsigned part = MIN(len - at, NETBUF_CAPACITY - 20u);
            if (nb == NULL)
                break;
            nb->data = netbuf_start(nb) + 12;
            nb->len = part;
            memcpy(nb->data, data + at, part);
            nb->flags = device_checks ? NETBUF_F_CSUM_OK : 0;
            at += part;
            if (last != NULL)
                last->next = nb;
            else
                first = nb;
            last = nb;
            if (part == 0)
                break;
        }
        if (first != NULL)
            dev->input(dev, first);
        free(data);
    }
    return n;
}
static bool dev_irq_enable(struct netdev *dev) { return true; }
static void dev_irq_disable(struct netdev *dev) {}
static bool dev_nudge(struct netdev *dev)
{
    return false; /* takes what it is given at once */
}

static const struct netdev_ops device_ops = {
    dev_transmit, dev_kick, dev_poll, dev_pending, dev_irq_enable, dev_irq_disable, dev_nudge,
};

static const uint8_t guest_mac[6] = {2, 0, 0, 0, 0, 2}, peer_mac[6] = {2, 0, 0, 0, 0, 1};

static void device_start(unsigned features)
{
    device = (struct netdev){.ops = &device_ops, .mtu = 1500, .features = features};
    memcpy(device.mac, guest_mac, 6);
    netdev_register(&device);
}

/* --- The client --- */
#define PEER_EARLY 256
enum { P_CLOSED, P_SYN, P_OPEN, P_FIN, P_DONE, P_RESET };
struct peer {
    uint16_t port, guest_port;
    int state;
    bool timestamps;
    uint32_t iss, una, nxt, rcv, ts_echo;
    uint32_t to_send, received; /* bytes */
    uint32_t window;
    bool corrupt, got_fin, close_when_done;
    uint64_t timer;
    struct {
        uint32_t seq, end;
    } early[PEER_EARLY]; /* received out of order, if it keeps such */
    unsigned early_count;
    bool keeps_early;
};
#define PEERS_MAX 2048
static struct peer peers[PEERS_MAX];

static uint8_t pattern(uint16_t port, uint32_t i) { return (uint8_t)(i * 7 + (i >> 8) * 13 + (i >> 16) + port); }
static void put16(uint8_t *p, unsigned v) { p[0] = (uint8_t)(v >> 8); p[1] = (uint8_t)v; }
static void put32(uint8_t *p, uint32_t v) { put16(p, v >> 16); put16(p + 2, v & 0xffff); }
static unsigned get16(const uint8_t *p) { return (unsigned)p[0] << 8 | p[1]; }
static uint32_t get32(const uint8_t *p) { return (uint32_t)get16(p) << 16 | get16(p + 2); }

static void peer_emit(struct peer *c, uint8_t flags, uint32_t seq, uint32_t bytes)
{
    uint8_t f[2048] = {0};
    unsigned opt = 0, len;
    uint8_t *ip = f + 14, *t = ip + 20;

    memcpy(f, guest_mac, 6);
    memcpy(f + 6, peer_mac, 6);
    put16(f + 12, 0x800);
    if (flags & 2) {
        static const uint8_t syn[] = {2, 4, 5, 0xb4, 4, 2, 1, 1, 1, 3, 3, 7};
        memcpy(t + 20, syn, sizeof(syn));
        opt = sizeof(syn);
    }
    if (c->timestamps) {
        uint8_t *o = t + 20 + opt;
        o[0] = o[1] = 1;
        o[2] = 8;
        o[3] = 10;
        put32(o + 4, (uint32_t)(sim_now / 1000000));
        put32(o + 8, c->ts_echo);
        opt += 12;
    }
    len = 20 + 20 + opt + bytes;
    ip[0] = 0x45;
    put16(ip + 2, len);
    ip[8] = 64;
    ip[9] = 6;
    memcpy(ip + 12, &(uint32_t){PEER_IP}, 4);
    memcpy(ip + 16, &(uint32_t){GUEST_IP}, 4);
    put16(ip + 10, ~sum16(ip, 20, 0) & 0xffff);
    put16(t, c->port);
    put16(t + 2, c->guest_port);
    put32(t + 4, seq);
    put32(t + 8, flags & 16 ? c->rcv : 0);
    t[12] = (uint8_t)((20 + opt) << 2);
    t[13] = flags;
    put16(t + 14, flags & 2 ? 65535 : c->window >> 7);
    for (uint32_t i = 0; i < bytes; i++)
        t[20 + opt + i] = pattern(c->port, seq - c->iss - 1 + i);
    uint32_t s = sum16(ip + 12, 8, 6 + 20 + opt + bytes);
    put16(t + 16, ~sum16(t, 20 + opt + bytes, s) & 0xffff);
    wire_put(&to_guest, f, 14 + len);
}

static void peer_push(struct peer *c)
{
    uint32_t end = c->iss + 1 + c->to_send;

    while (c->state == P_OPEN && (int32_t)(end - c->nxt) > 0 && c->nxt - c->una < 20000) {
        uint32_t n = MIN(end - c->nxt, 1400u);
        peer_emit(c, 0x18, c->nxt, n);
        c->nxt += n;
    }
    if (c->nxt != c->una && c->timer == 0)
        c->timer = sim_now + 300000000;
}

static void peer_open(struct peer *c, uint16_t port, uint16_t guest_port)
{
    *c = (struct peer){.port = port, .guest_port = guest_port, .state = P_SYN, .timestamps = true, .window = 1 << 20};
    c->iss = (uint32_t)next_random();
    c->una = c->iss;
    c->nxt = c->iss + 1;
    c->timer = sim_now + 300000000;
    peer_emit(c, 2, c->iss, 0);
}

static void peer_close(struct peer *c)
{
    if (c->state != P_OPEN)
        return;
    c->state = P_FIN;
    peer_emit(c, 0x11, c->nxt, 0);
    c->nxt++;
    c->timer = sim_now + 300000000;
}

static void peer_tick(struct peer *c)
{
    if (c->timer == 0 || sim_now < c->timer)
        return;
    c->timer = sim_now + 300000000;
    if (c->state == P_SYN) {
        peer_emit(c, 2, c->iss, 0);
    } else if (c->state == P_OPEN) {
        c->nxt = c->una; /* go back N */
        peer_push(c);
    } else if (c->state == P_FIN) {
        uint32_t end = c->iss + 1 + c->to_send;
        if (c->una != end && (int32_t)(end - c->una) > 0)
            peer_emit(c, 0x18, c->una, MIN(end - c->una, 1400u));
        else if (c->una == end)
            peer_emit(c, 0x11, end, 0);
    }
}

static void check_data(struct peer *c, uint32_t seq, const uint8_t *data, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        c->corrupt |= data[i] != pattern(c->port, c->received + (seq - c->rcv) + i);
}

/* What came before its turn and fits now. */
static void take_early(struct peer *c)
{
    for (unsigned i = 0; i < c->early_count;) {
        if ((int32_t)(c->early[i].seq - c->rcv) > 0) {
            i++;
            continue;
        }
        if ((int32_t)(c->early[i].end - c->rcv) > 0) {
            c->received += c->early[i].end - c->rcv;
            c->rcv = c->early[i].end;
        }
        c->early[i] = c->early[--c->early_count];
        i = 0;
    }
}

static void peer_segment(struct peer *c, const uint8_t *t, unsigned len)
{
    uint32_t seq = get32(t + 4), ack = get32(t + 8);
    unsigned off = (t[12] >> 4) * 4u;
    uint8_t flags = t[13];
    const uint8_t *data = t + off;
    uint32_t n = len - off;

    if (flags & 4) {
        if (c->state != P_DONE) /* a late duplicate of ours is rightly answered so */
            c->state = P_RESET;
        return;
    }
    if (c->timestamps && off >= 32 && !(flags & 2))
        c->ts_echo = get32(t + 24);
    if (c->state == P_SYN) {
        if ((flags & 0x12) != 0x12 || ack != c->iss + 1)
            return;
        c->rcv = seq + 1;
        c->una = ack;
        c->nxt = ack;
        c->state = P_OPEN;
        c->timer = 0;
        peer_emit(c, 0x10, c->nxt, 0);
        peer_push(c);
        return;
    }
    if (flags & 2) { /* the last step of the handshake was lost */
        peer_emit(c, 0x10, c->nxt, 0);
        return;
    }
    if ((int32_t)(ack - c->una) > 0) {
        c->una = ack;
        if ((int32_t)(c->nxt - ack) < 0)
            c->nxt = ack;
        c->timer = c->una == c->nxt ? 0 : sim_now + 300000000;
        peer_push(c);
    }
    if (n != 0 || (flags & 1)) {
        if ((int32_t)(seq - c->rcv) <= 0 && (int32_t)(seq + n - c->rcv) > 0) {
            uint32_t skip = c->rcv - seq;
            check_data(c, c->rcv, data + skip, n - skip);
            c->received += n - skip;
            c->rcv = seq + n;
            take_early(c);
        } else if (c->keeps_early && n != 0 && (int32_t)(seq - c->rcv) > 0 && c->early_count < PEER_EARLY) {
            check_data(c, seq, data, n);
            c->early[c->early_count].seq = seq;
            c->early[c->early_count++].end = seq + n;
        }
        if ((flags & 1) && seq + n == c->rcv && !c->got_fin) {
            c->got_fin = true;
            c->rcv++;
        }
        peer_emit(c, 0x10, c->nxt, 0);
    }
    if (c->state == P_FIN && c->got_fin && c->una == c->nxt)
        c->state = P_DONE;
}

static void arp_reply(const uint8_t *f)
{
    uint8_t r[42] = {0};

    if (get16(f + 20) != 1)
        return;
    memcpy(r, f + 6, 6);
    memcpy(r + 6, peer_mac, 6);
    memcpy(r + 12, f + 12, 8);
    put16(r + 20, 2);
    memcpy(r + 22, peer_mac, 6);
    memcpy(r + 28, f + 38, 4);
    memcpy(r + 32, f + 22, 10);
    wire_put(&to_guest, r, 42);
}

static void peer_frame(const uint8_t *f, unsigned len)
{
    const uint8_t *ip = f + 14, *t = ip + 20;
    unsigned tlen;

    if (get16(f + 12) == 0x806) {
        arp_reply(f);
        return;
    }
    if (get16(f + 12) != 0x800 || ip[9] != 6)
        return;
    tlen = get16(ip + 2) - 20;
    if (sum16(ip, 20, 0) != 0xffff || sum16(t, tlen, sum16(ip + 12, 8, 6 + tlen)) != 0xffff)
        bad_checksums++;
    for (unsigned i = 0; i < PEERS_MAX; i++) {
        if (peers[i].state != P_CLOSED && peers[i].port == get16(t + 2) && peers[i].guest_port == get16(t)) {
            peer_segment(&peers[i], t, tlen);
            return;
        }
    }
}

static unsigned peers_used;
/* Everything on the other end that is due. */
static void peers_run(void)
{
    unsigned len;
    uint8_t *data;

    while ((data = wire_get(&to_peer, &len)) != NULL) {
        peer_frame(data, len);
        free(data);
    }
    for (unsigned i = 0; i < peers_used; i++)
        peer_tick(&peers[i]);
}

#endif
