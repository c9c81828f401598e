/* The short way for a segment of an established connection (header prediction: V. Jacobson, "4BSD TCP header prediction", 1990).

   Receiving: a frame that the device has checked, IPv4 without options or fragments, of a connection in the hash table, in
   state ESTABLISHED, next in sequence, with no flag but ACK and PSH and no option but a timestamp, is handled right here: the
   acknowledgement frees segments, the data goes to the socket's queue in its own buffer. The steps are those of lwIP's
   tcp_receive for this case, on the same fields; anything else takes the long way through lwIP, before a field has changed.

   Sending large: of what lwIP has queued, runs of full segments are handed to a device that does segmentation as one packet, whose pieces lie in the
   segments' own buffers. The segments stay in lwIP's queues, so acknowledgement and retransmission (which goes the long way) know nothing of it.

   Sending: a message that fits one segment, may go now by window, congestion window and Nagle, and has nothing queued before it, is
   built in one buffer and handed to the driver. The frame head is a copy of the one of the last segment that went through lwIP (route,
   ARP); it is used for a second at most, so routes and ARP entries keep being looked at. */
#include "socket.h"
#include "stack.h"
#include "tcp_hash.h"

#include <fs/poll.h>
#include <kernel/string.h>

#include <lwip/memp.h>
#include <lwip/mem.h>
#include <lwip/prot/tcp.h>

#define FRAME_HEAD 34u /* Ethernet and IPv4 */
#define TS_OPTION PP_HTONL(0x0101080a)
#define SLOW_FLAGS (TF_INFR | TF_RTO | TF_RXCLOSED | TF_CLOSEPEND)

struct head {
    uint8_t eth[12];
    uint16_t eth_type;
    uint8_t version, tos;
    uint16_t length, id, fragment;
    uint8_t ttl, protocol;
    uint16_t ip_sum;
    uint32_t src, dst;
    uint16_t src_port, dst_port;
    uint32_t seq, ack;
    uint8_t offset, flags;
    uint16_t window, sum, urgent;
    uint32_t option[3];
} __attribute__((packed));
_Static_assert(offsetof(struct head, src_port) == FRAME_HEAD, "layout");
#define TCP_OFFSET FRAME_HEAD
#define TCP_SUM_OFFSET (offsetof(struct head, sum) - TCP_OFFSET)

static inline uint16_t fold(uint32_t sum)
{
    sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)((sum & 0xffff) + (sum >> 16));
}

static inline uint32_t sum_words(const void *p, unsigned bytes)
{
    const uint8_t *b = p;
    uint64_t sum = 0;
    uint32_t v;
    uint16_t h;

    for (; bytes >= 4; b += 4, bytes -= 4) {
        memcpy(&v, b, 4);
        sum += v;
    }
    if (bytes >= 2) {
        memcpy(&h, b, 2);
        sum += h;
    }
    sum = (sum & 0xffffffff) + (sum >> 32);
    return fold((uint32_t)((sum & 0xffffffff) + (sum >> 32)));
}

/* lwIP's tcp_free_acked_segments for the list of unacknowledged segments. */
static void free_acked(struct tcp_pcb *pcb, uint32_t ack)
{
    struct tcp_seg *seg;

    while ((seg = pcb->unacked) != NULL && TCP_SEQ_LEQ(lwip_ntohl(seg->tcphdr->seqno) + TCP_TCPLEN(seg), ack)) {
        pcb->unacked = seg->next;
        pcb->snd_queuelen = (u16_t)(pcb->snd_queuelen - pbuf_clen(seg->p));
        pcb->snd_buf += seg->len;
        pbuf_free(seg->p);
        memp_free(MEMP_TCP_SEG, seg);
    }
}

static void round_trip(struct tcp_pcb *pcb)
{
    s16_t m = (s16_t)(tcp_ticks - pcb->rttest);

    m = (s16_t)(m - (pcb->sa >> 3));
    pcb->sa = (s16_t)(pcb->sa + m);
    if (m < 0)
        m = (s16_t)-m;
    m = (s16_t)(m - (pcb->sv >> 2));
    pcb->sv = (s16_t)(pcb->sv + m);
    pcb->rto = (s16_t)((pcb->sa >> 3) + pcb->sv);
    pcb->rttest = 0;
}

/* An acknowledgement of new data: tcp_receive's steps, not in recovery. */
static void acknowledged(struct socket *so, struct tcp_pcb *pcb, uint32_t ack)
{
    uint32_t acked = ack - pcb->lastack;

    pcb->nrtx = 0;
    pcb->rto = (s16_t)((pcb->sa >> 3) + pcb->sv);
    pcb->lastack = ack;
    if (pcb->cwnd < pcb->ssthresh) {
        TCP_WND_INC(pcb->cwnd, LWIP_MIN(acked, 2u * pcb->mss)); /* RFC 3465, 2.2 */
    } else {
        TCP_WND_INC(pcb->bytes_acked, acked); /* RFC 3465, 2.1 */
        if (pcb->bytes_acked >= pcb->cwnd) {
            pcb->bytes_acked -= pcb->cwnd;
            TCP_WND_INC(pcb->cwnd, pcb->mss);
        }
    }
    free_acked(pcb, ack);
    pcb->rtime = pcb->unacked == NULL ? -1 : 0;
    pcb->polltmr = 0;
    if (pcb->rttest != 0 && TCP_SEQ_LT(pcb->rtseq, ack))
        round_trip(pcb);
    if (unlikely(so->tcp.tx_wanted))
        tcp_socket_sent(so);
}

static inline void update_window(struct tcp_pcb *pcb, uint32_t seq, uint32_t ack, uint16_t window)
{
    uint32_t wnd = SND_WND_SCALE(pcb, (uint32_t)window);

    if (TCP_SEQ_LT(pcb->snd_wl1, seq) || (pcb->snd_wl1 == seq && TCP_SEQ_LT(pcb->snd_wl2, ack)) ||
        (pcb->snd_wl2 == ack && wnd > pcb->snd_wnd)) {
        pcb->snd_wnd = wnd;
        if (pcb->snd_wnd_max < wnd)
            pcb->snd_wnd_max = wnd;
        pcb->snd_wl1 = seq;
        pcb->snd_wl2 = ack;
    }
}

/* Cuts headers and Ethernet padding off and gives the payload to the socket. */
static void deliver(struct socket *so, struct tcp_pcb *pcb, struct netbuf *nb, unsigned head, uint32_t bytes)
{
    struct pbuf *p;

    pcb->rcv_nxt += bytes;
    pcb->rcv_wnd -= bytes;
    tcp_update_rcv_ann_wnd(pcb);
    nb->data += head;
    nb->len = MIN(nb->len - head, bytes);
    p = netbuf_pbuf(nb);
    if (pcb->flags & TF_ACK_DELAY) {
        pcb->flags = (tcpflags_t)((pcb->flags & ~TF_ACK_DELAY) | TF_ACK_NOW);
        net_ack_later(so);
    } else {
        pcb->flags |= TF_ACK_DELAY;
    }
    tcp_socket_received(so, p, bytes);
}

/* After a timeout lwIP keeps what it will send again among the unsent segments; an acknowledgement may free some of those. */
static inline bool sends_again(const struct tcp_pcb *pcb)
{
    return pcb->unsent != NULL && TCP_SEQ_LT(lwip_ntohl(pcb->unsent->tcphdr->seqno), pcb->snd_nxt);
}

bool tcp_fast_input(struct interface *ifc, struct netbuf *nb)
{
    const struct head *h = (const struct head *)nb->data;
    struct tcp_pcb *pcb;
    struct socket *so;
    uint32_t seq, ack, bytes, in_flight, newly;
    unsigned head, total;

    if (unlikely(nb->next != NULL || nb->len < 54 || h->eth_type != PP_HTONS(0x0800) || h->version != 0x45 ||
                 (h->fragment & PP_HTONS(0x3fff)) || h->protocol != 6 || !(nb->flags & NETBUF_F_CSUM_OK)))
        return false;
    /* ACK, perhaps PSH, nothing else; no options or a timestamp alone. */
    if (unlikely((h->flags & ~TCP_PSH) != TCP_ACK))
        return false;
    head = FRAME_HEAD + (h->offset >> 4) * 4u;
    total = 14u + lwip_ntohs(h->length);
    if (unlikely(total > nb->len || total < head))
        return false;
    if (likely(h->offset == 0x80)) {
        if (unlikely(h->option[0] != TS_OPTION))
            return false;
    } else if (h->offset != 0x50) {
        return false;
    }
    if (unlikely(sum_words(nb->data + 14, 20) != 0xffff))
        return false;
    pcb = tcp_hash_find4(h->dst, h->src, lwip_ntohs(h->dst_port), lwip_ntohs(h->src_port));
    if (unlikely(pcb == NULL || pcb->state != ESTABLISHED || (pcb->flags & SLOW_FLAGS)))
        return false;
    so = pcb->callback_arg;
    if (likely(so != NULL) && atomic_load_explicit(&so->tcp.read_bytes, memory_order_relaxed) != 0)
        tcp_window_settle(so);
    bytes = total - head;
    seq = lwip_ntohl(h->seq);
    ack = lwip_ntohl(h->ack);
    in_flight = pcb->snd_nxt - pcb->lastack;
    newly = ack - pcb->lastack;
    if (unlikely(so == NULL || seq != pcb->rcv_nxt || newly > in_flight || (newly == 0 && bytes == 0) || bytes > pcb->rcv_wnd ||
                 pcb->ooseq != NULL || pcb->refused_data != NULL || (so->shut & SOCKET_SHUT_RD) || sends_again(pcb)))
        return false;

    pcb->tmr = tcp_ticks;
    pcb->keep_cnt_sent = 0;
    pcb->persist_probe = 0;
    if (h->offset == 0x80 && TCP_SEQ_BETWEEN(pcb->ts_lastacksent, seq, seq + bytes))
        pcb->ts_recent = lwip_ntohl(h->option[1]);
    update_window(pcb, seq, ack, lwip_ntohs(h->window));
    pcb->dupacks = 0;
    if (newly != 0)
        acknowledged(so, pcb, ack);
    if (bytes != 0)
        deliver(so, pcb, nb, head, bytes);
    else
        netbuf_free(nb);
    if (unlikely(pcb->unsent != NULL))
        tcp_output(pcb);
    return true;
}

/* lwIP has sent a segment: keeps the frame head, unless the packet still waits for an address. */
void tcp_segment_sent(struct tcp_pcb *pcb, const struct tcp_seg *seg)
{
    struct socket *so = pcb->callback_arg;
    struct tcp_template *t;
    struct head *h;

    if (so == NULL || seg->p->payload != (uint8_t *)seg->tcphdr - FRAME_HEAD)
        return;
    t = &so->tcp.template;
    if (t->length != 0 && tcp_ticks - t->tick < 500 / TCP_SLOW_INTERVAL)
        return;
    for (struct interface *i = interfaces; i != NULL; i = i->next) {
        if (memcmp(i->dev->mac, (uint8_t *)seg->p->payload + 6, 6) == 0) {
            t->ifc = i;
            t->tick = tcp_ticks;
            memcpy(t->frame, seg->p->payload, FRAME_HEAD);
            h = (struct head *)t->frame;
            h->length = 0;
            h->id = 0;
            h->ip_sum = 0;
            t->ip_sum = sum_words(t->frame + 14, 20);
            t->pseudo = sum_words(t->frame + 26, 8) + (uint32_t)PP_HTONS(6);
            t->length = FRAME_HEAD;
            return;
        }
    }
}

static inline bool template_fresh(const struct socket *so)
{
    return so->tcp.template.length != 0 && tcp_ticks - so->tcp.template.tick < 1000 / TCP_SLOW_INTERVAL;
}

static inline bool may_send_now(const struct tcp_pcb *pcb, size_t n, unsigned options)
{
    uint32_t in_flight = pcb->snd_nxt - pcb->lastack;

    return (pcb->state == ESTABLISHED || pcb->state == CLOSE_WAIT) && pcb->unsent == NULL && n != 0 && n + options <= pcb->mss &&
           n <= pcb->snd_buf && net_tx_used < net_tx_limit && in_flight + n <= LWIP_MIN(pcb->snd_wnd, pcb->cwnd) && n <= pcb->snd_wnd_max / 2 &&
           !(pcb->flags & (TF_INFR | TF_RTO | TF_FIN | TF_NAGLEMEMERR | TF_CLOSEPEND)) &&
           (pcb->unacked == NULL || (pcb->flags & TF_NODELAY)) && pcb->snd_queuelen < TCP_SND_QUEUELEN &&
           pcb->snd_nxt == pcb->snd_lbb;
}

static void fill_head(struct head *h, struct socket *so, struct tcp_pcb *pcb, unsigned options, uint32_t tcp_bytes, unsigned segments)
{
    static uint16_t id;
    const struct tcp_template *t = &so->tcp.template;
    uint16_t length = lwip_htons((uint16_t)(20 + tcp_bytes));

    memcpy(h, t->frame, FRAME_HEAD);
    h->length = length;
    h->id = lwip_htons(id);
    id = (uint16_t)(id + segments);
    h->ip_sum = (uint16_t)~fold(t->ip_sum + length + h->id);
    h->src_port = lwip_htons(pcb->local_port);
    h->dst_port = lwip_htons(pcb->remote_port);
    h->seq = lwip_htonl(pcb->snd_nxt);
    h->ack = lwip_htonl(pcb->rcv_nxt);
    h->offset = (uint8_t)((20 + options) << 2);
    h->flags = TCP_ACK | TCP_PSH;
    h->window = lwip_htons(TCPWND_MIN16(RCV_WND_SCALE(pcb, pcb->rcv_ann_wnd)));
    h->urgent = 0;
    if (options != 0) {
        h->option[0] = TS_OPTION;
        h->option[1] = lwip_htonl(net_now_ms);
        h->option[2] = lwip_htonl(pcb->ts_recent);
    }
    h->sum = fold(t->pseudo + lwip_htons((uint16_t)tcp_bytes));
}

/* What tcp_output does to the pcb when data goes out. */
static inline void account_output(struct tcp_pcb *pcb)
{
    if (pcb->rtime < 0)
        pcb->rtime = 0;
    if (pcb->rttest == 0) {
        pcb->rttest = tcp_ticks;
        pcb->rtseq = pcb->snd_nxt;
    }
    pcb->ts_lastacksent = pcb->rcv_nxt;
    pcb->rcv_ann_right_edge = pcb->rcv_nxt + pcb->rcv_ann_wnd;
    pcb->persist_backoff = 0;
    pcb->flags &= (tcpflags_t)~(TF_ACK_DELAY | TF_ACK_NOW);
}

static inline struct tcp_seg **unacked_end(struct tcp_pcb *pcb)
{
    struct tcp_seg **end = &pcb->unacked;

    while (*end != NULL)
        end = &(*end)->next;
    return end;
}

/* tcp_write and tcp_output for one segment. */
static void account(struct tcp_pcb *pcb, struct tcp_seg *seg, uint32_t n)
{
    account_output(pcb);
    pcb->snd_nxt += n;
    pcb->snd_lbb += n;
    pcb->snd_buf -= n;
    pcb->snd_queuelen++;
    *unacked_end(pcb) = seg;
}

/* Sends the whole message as one segment and returns its length, or 0: nothing was done, take the long way. */
size_t tcp_fast_send(struct socket *so, const struct net_msg *m)
{
    struct tcp_pcb *pcb = so->tcp.pcb;
    struct interface *ifc = so->tcp.template.ifc;
    unsigned options = pcb->flags & TF_TIMESTAMP ? 12 : 0, head = FRAME_HEAD + 20 + options;
    size_t n = m->length;
    struct tcp_seg *seg;
    struct pbuf *p;
    struct net_tx tx;

    if (unlikely(!template_fresh(so) || (m->flags & MSG_MORE) ||
                 !may_send_now(pcb, n, options) || !(ifc->dev->features & NETDEV_F_CSUM_TX)))
        return 0;
    p = mem_malloc(sizeof(struct pbuf) + 32 + head + n);
    if (unlikely(p == NULL))
        return 0;
    seg = memp_malloc(MEMP_TCP_SEG);
    if (unlikely(seg == NULL))
        goto free_packet;
    /* 18 bytes of headroom put the IP header on a multiple of 8 after the 24 bytes of struct pbuf. */
    *p = (struct pbuf){.payload = (uint8_t *)(p + 1) + PBUF_LINK_ENCAPSULATION_HLEN, .tot_len = (u16_t)(head + n),
                       .len = (u16_t)(head + n), .type_internal = (u8_t)PBUF_RAM, .ref = 2};
    fill_head(p->payload, so, pcb, options, (uint32_t)(20 + options + n), 1);
    msg_copy_in((uint8_t *)p->payload + head, m, 0, n);
    tx.sg[0].data = p->payload;
    tx.sg[0].len = p->len;
    tx.count = 1;
    tx.csum = true;
    tx.csum_start = TCP_OFFSET;
    tx.csum_offset = TCP_SUM_OFFSET;
    tx.gso_size = 0;
    tx.gso_hdr_len = 0;
    tx.gso_ipv6 = false;
    tx.token = p;
    if (unlikely(ifc->dev->ops->transmit(ifc->dev, &tx) != 0))
        goto free_segment;
    net_tx_queued(ifc);
    net_touch();
    seg->next = NULL;
    seg->p = p;
    seg->len = (u16_t)n;
    seg->flags = options != 0 ? TF_SEG_OPTS_TS : 0;
    seg->tcphdr = (struct tcp_hdr *)((uint8_t *)p->payload + FRAME_HEAD);
    account(pcb, seg, (uint32_t)n);
    return n;

free_segment:
    memp_free(MEMP_TCP_SEG, seg);
free_packet:
    mem_free(p);
    return 0;
}

/* --- Runs of segments --- */

#define RUN_MAX ARRAY_SIZE(((struct net_tx *)0)->sg)
#define RUN_BYTES_MAX 65000u

/* The packets whose buffers the device reads. The token is its address plus one. */
struct run {
    unsigned count;
    struct pbuf *packets[RUN_MAX];
};

void tcp_run_done(void *token)
{
    struct run *r = (struct run *)((uintptr_t)token - 1);

    for (unsigned i = 0; i < r->count; i++)
        pbuf_free(r->packets[i]);
    mem_free(r);
}

/* Appends [from, end of the segment's data) to the packet; false when it has too many pieces. */
static bool add_pieces(struct net_tx *tx, const struct tcp_seg *seg, uint8_t *from)
{
    const struct pbuf *p = seg->p;
    unsigned count = tx->count;
    uint8_t *end = (uint8_t *)p->payload + p->len;

    for (; from <= end; from = p->payload, end = from + p->len) {
        if (from != end) {
            if (count == RUN_MAX)
                return false;
            tx->sg[count].data = from;
            tx->sg[count++].len = (uint32_t)(end - from);
        }
        p = p->next;
        if (p == NULL) {
            tx->count = count;
            return true;
        }
    }
    return false;
}

/* New data, not busy, with the usual options, and within the window. */
static bool runs(const struct tcp_pcb *pcb, const struct tcp_seg *seg, uint32_t seq, uint32_t wnd, unsigned options)
{
    return seg->p->ref == 1 && seg->len != 0 && lwip_ntohl(seg->tcphdr->seqno) == seq && seq - pcb->lastack + seg->len <= wnd &&
           seg->flags == (options != 0 ? TF_SEG_OPTS_TS : 0) && !(TCPH_FLAGS(seg->tcphdr) & (TCP_SYN | TCP_FIN | TCP_RST)) &&
           (seg->next != NULL || seg->len + options >= pcb->mss || (pcb->flags & TF_NODELAY));
}

static bool has_headroom(const struct tcp_seg *seg)
{
    const struct pbuf *p = seg->p;

    return (p->type_internal & PBUF_TYPE_FLAG_STRUCT_DATA_CONTIGUOUS) && !(p->flags & PBUF_FLAG_IS_CUSTOM) &&
           (uint8_t *)seg->tcphdr - FRAME_HEAD >= (uint8_t *)(p + 1) + NETDEV_TX_HEADROOM;
}

/* Fills in the pieces of the longest run at the head of the unsent segments; the number of its segments. */
static unsigned gather(const struct tcp_pcb *pcb, struct net_tx *tx, struct run *r, uint32_t wnd, unsigned options, uint32_t *bytes)
{
    struct tcp_seg *seg = pcb->unsent;
    uint32_t full = seg->len, n = 0;

    r->count = 0;
    tx->count = 0;
    if (!has_headroom(seg))
        return 0;
    for (; seg != NULL && r->count < RUN_MAX && seg->len <= full && n + seg->len <= RUN_BYTES_MAX; seg = seg->next) {
        uint8_t *from = (uint8_t *)seg->tcphdr + 20 + options;
        if (!runs(pcb, seg, pcb->snd_nxt + n, wnd, options) ||
            !add_pieces(tx, seg, r->count == 0 ? (uint8_t *)seg->tcphdr - FRAME_HEAD : from))
            break;
        r->packets[r->count++] = seg->p;
        n += seg->len;
        if (seg->len < full)
            break;
    }
    *bytes = n;
    return r->count;
}

/* The frame head is in place now: the packet begins with it, as after tcp_output_segment. */
static void claim_head(struct tcp_seg *seg)
{
    struct pbuf *p = seg->p;
    u16_t grown = (u16_t)((uint8_t *)p->payload - ((uint8_t *)seg->tcphdr - FRAME_HEAD));

    p->payload = (uint8_t *)p->payload - grown;
    p->len = (u16_t)(p->len + grown);
    p->tot_len = (u16_t)(p->tot_len + grown);
}

/* Moves the first count unsent segments to the unacknowledged ones. */
static void move_sent(struct tcp_pcb *pcb, unsigned count, uint32_t bytes)
{
    struct tcp_seg **end = unacked_end(pcb);

    account_output(pcb);
    pcb->snd_nxt += bytes;
    *end = pcb->unsent;
    for (; count > 0; count--)
        end = &(*end)->next;
    pcb->unsent = *end;
    *end = NULL;
}

static bool send_run(struct socket *so, struct tcp_pcb *pcb, struct run *r, uint32_t wnd)
{
    struct interface *ifc = so->tcp.template.ifc;
    unsigned options = pcb->flags & TF_TIMESTAMP ? 12 : 0;
    struct tcp_seg *first = pcb->unsent;
    struct net_tx tx;
    uint32_t bytes;

    if (gather(pcb, &tx, r, wnd, options, &bytes) < 2)
        return false;
    fill_head((struct head *)((uint8_t *)first->tcphdr - FRAME_HEAD), so, pcb, options, 20 + options + bytes, r->count);
    tx.csum = true;
    tx.csum_start = TCP_OFFSET;
    tx.csum_offset = TCP_SUM_OFFSET;
    tx.gso_size = first->len;
    tx.gso_hdr_len = (uint16_t)(FRAME_HEAD + 20 + options);
    tx.gso_ipv6 = false;
    tx.token = (uint8_t *)r + 1;
    if (unlikely(ifc->dev->ops->transmit(ifc->dev, &tx) != 0)) {
        ifc->tx_blocked = true;
        net_flush();
        return false;
    }
    for (unsigned i = 0; i < r->count; i++)
        pbuf_ref(r->packets[i]);
    claim_head(first);
    move_sent(pcb, r->count, bytes);
    net_tx_queued(ifc);
    net_touch();
    return true;
}

int tcp_segments_output(struct tcp_pcb *pcb, u32_t wnd)
{
    const unsigned needed = NETDEV_F_TSO4 | NETDEV_F_CSUM_TX;
    struct socket *so = pcb->callback_arg;
    int sent = 0;

    if (so == NULL || !template_fresh(so) || (so->tcp.template.ifc->dev->features & needed) != needed ||
        (pcb->state != ESTABLISHED && pcb->state != CLOSE_WAIT) || (pcb->flags & (TF_INFR | TF_RTO)))
        return 0;
    while (pcb->unsent != NULL && pcb->unsent->next != NULL) {
        struct run *r = mem_malloc(sizeof(*r));
        if (r == NULL)
            break;
        if (!send_run(so, pcb, r, wnd)) {
            mem_free(r);
            break;
        }
        sent = 1;
    }
    return sent;
}
