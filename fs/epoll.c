/* epoll: level and edge triggered, one-shot, exclusive, nested.

   Each watched file has an item, which hangs on the file's poll_source. When the file notifies, the item goes onto the epoll's lock-free
   stack `pushed`, once (its flag `queued`), and one waiter is woken. A collector takes the whole stack, appends it in order of arrival to the
   list `ready`, and asks each item's file what is ready now. Level-triggered items that were ready go back to the end of the
   list and are asked again by the next call, so more ready files than fit are served in turn.

   No event is lost: a notifier changes the state, then looks at `queued`; the collector clears `queued`, then looks at the state. Both have
   a full barrier in between. Likewise for sleeping: a waiter enlists, then looks at the lists; a notifier pushes, then looks for waiters.
   Who leaves the list of waiters collects once more, and who leaves something in the list wakes the next one.

   Locks, in this order: control_lock (all changes of who watches what, also what a dying file does), epoll.lock (items, ready; held
   while a file's poll runs, so files cannot go while they are asked), the file's own locks, poll_source.lock, epoll.wait_lock. */
#include <asm/errno.h>
#include <fs/epoll.h>
#include <kernel/clock.h>
#include <mm/kmem.h>
#include <sched/thread.h>
#include <sched/waitq.h>
#include <sys/tree.h>

#define NESTING_MAX 5
#define ALWAYS_REPORTED (EPOLLERR | EPOLLHUP)
#define PRIVATE_BITS (EPOLLWAKEUP | EPOLLONESHOT | EPOLLET | EPOLLEXCLUSIVE)

struct epoll_item {
    struct poll_watch watch;
    struct epoll *epoll;
    struct file *file;                /* no reference: a dying file removes its items */
    _Atomic uint32_t events;          /* what to report, and the flags; written with epoll.lock */
    int fd;
    uint64_t data;                    /* protected by epoll.lock */
    _Atomic bool queued;              /* on pushed or on ready */
    struct epoll_item *pushed_next;   /* protected by being queued */
    TAILQ_ENTRY(epoll_item) ready;    /* protected by epoll.lock */
    RB_ENTRY(epoll_item) node;        /* protected by epoll.lock */
};

struct epoll_waiter {
    struct thread *thread;
    _Atomic bool enlisted;            /* written with wait_lock held */
    TAILQ_ENTRY(epoll_waiter) link;
};

RB_HEAD(item_tree, epoll_item);
TAILQ_HEAD(item_list, epoll_item);

struct epoll {
    struct epoll_item *_Atomic pushed; /* newest first */
    _Atomic unsigned waiter_count;     /* written with wait_lock held */
    _Atomic bool listed;               /* ready may have items; written with lock held */
    struct file *file;                 /* this epoll's own */
    struct mutex lock;
    struct item_list ready;            /* protected by lock */
    struct item_tree items;            /* protected by lock */
    struct mutex wait_lock;
    TAILQ_HEAD(, epoll_waiter) waiters; /* protected by wait_lock */
};

static struct mutex control_lock = MUTEX_INIT;

static int item_compare(const struct epoll_item *a, const struct epoll_item *b)
{
    if (a->fd != b->fd)
        return a->fd < b->fd ? -1 : 1;
    if (a->file != b->file)
        return (uintptr_t)a->file < (uintptr_t)b->file ? -1 : 1;
    return 0;
}
RB_GENERATE_INTERNAL(item_tree, epoll_item, node, item_compare, static __attribute__((unused)))

static bool wake_one(struct epoll *ep)
{
    bool woken = false;
    atomic_thread_fence(memory_order_seq_cst); /* the push before the look at the waiters */
    if (likely(!atomic_load_explicit(&ep->waiter_count, memory_order_relaxed)))
        return false;
    mutex_lock(&ep->wait_lock);
    struct epoll_waiter *w = TAILQ_FIRST(&ep->waiters);
    if (w) {
        TAILQ_REMOVE(&ep->waiters, w, link);
        atomic_store_explicit(&w->enlisted, false, memory_order_seq_cst); /* before the wake-up */
        atomic_fetch_sub_explicit(&ep->waiter_count, 1, memory_order_relaxed);
        thread_wake(w->thread); /* before the unlock: w lives until its owner had the lock */
        woken = true;
    }
    mutex_unlock(&ep->wait_lock);
    return woken;
}

/* Puts an item that is not queued yet where the next collector finds it. */
static bool item_push(struct epoll_item *item)
{
    struct epoll *ep = item->epoll;
    struct epoll_item *head = atomic_load_explicit(&ep->pushed, memory_order_relaxed);
    do
        item->pushed_next = head;
    while (!atomic_compare_exchange_weak_explicit(&ep->pushed, &head, item, memory_order_release,
                                                  memory_order_relaxed));
    bool woken = wake_one(ep);
    poll_source_notify(&ep->file->poll_source, EPOLLIN);
    return woken;
}

/* The file notified. Runs with the source's lock held, so the item and its epoll stay. */
static bool item_notify(struct poll_watch *w, uint32_t events)
{
    struct epoll_item *item = CONTAINER_OF(w, struct epoll_item, watch);
    uint32_t wanted = atomic_load_explicit(&item->events, memory_order_relaxed);
    if (events && !(events & wanted & ~PRIVATE_BITS))
        return false;
    if (atomic_load_explicit(&item->queued, memory_order_relaxed) ||
        atomic_exchange_explicit(&item->queued, true, memory_order_acq_rel))
        return false;
    return item_push(item);
}

/* Appends what was pushed to the ready list, oldest first. With lock held. */
static void take_pushed(struct epoll *ep)
{
    if (!atomic_load_explicit(&ep->pushed, memory_order_relaxed))
        return;
    struct epoll_item *item = atomic_exchange_explicit(&ep->pushed, NULL, memory_order_acquire);
    struct epoll_item *before = NULL;
    while (item) { /* newest first: each goes before the one that was pushed after it */
        struct epoll_item *next = item->pushed_next;
        if (before)
            TAILQ_INSERT_BEFORE(before, item, ready);
        else
            TAILQ_INSERT_TAIL(&ep->ready, item, ready);
        before = item;
        item = next;
    }
}

/* What an item that left the list has to report now. A notification from here on queues it again. */
static uint32_t item_ask(struct epoll_item *item)
{
    atomic_exchange_explicit(&item->queued, false, memory_order_seq_cst);
    return file_poll(item->file) & atomic_load_explicit(&item->events, memory_order_relaxed) &
           ~PRIVATE_BITS;
}

/* Back to the end of the list, unless a notification was faster. With lock held. */
static void item_requeue(struct epoll *ep, struct epoll_item *item)
{
    if (!atomic_exchange_explicit(&item->queued, true, memory_order_acq_rel))
        TAILQ_INSERT_TAIL(&ep->ready, item, ready);
}

/* Says whether ready has items, at the end of what changed it. With lock held. */
static bool note_listed(struct epoll *ep)
{
    bool listed = !TAILQ_EMPTY(&ep->ready);
    atomic_store_explicit(&ep->listed, listed, memory_order_relaxed);
    return listed;
}

/* Fills out with what is ready; returns how many. */
static int harvest(struct epoll *ep, struct epoll_event *out, int max)
{
    int n = 0;
    mutex_lock(&ep->lock);
    take_pushed(ep);
    /* Items that are queued again come behind the mark, so that each is asked once. */
    struct epoll_item *item, *last = TAILQ_LAST(&ep->ready, item_list);
    bool done = !last;
    while (!done && n < max) {
        item = TAILQ_FIRST(&ep->ready);
        done = item == last;
        TAILQ_REMOVE(&ep->ready, item, ready);
        uint32_t events = item_ask(item);
        if (!events)
            continue;
        out[n++] = (struct epoll_event){.events = events, .data = item->data};
        uint32_t wanted = atomic_load_explicit(&item->events, memory_order_relaxed);
        if (wanted & EPOLLONESHOT)
            atomic_store_explicit(&item->events, wanted & PRIVATE_BITS, memory_order_relaxed);
        else if (!(wanted & EPOLLET))
            item_requeue(ep, item);
    }
    bool more = note_listed(ep);
    mutex_unlock(&ep->lock);
    if (more)
        wake_one(ep);
    return n;
}

static bool nothing_listed(struct epoll *ep)
{
    return !atomic_load_explicit(&ep->pushed, memory_order_relaxed) &&
           !atomic_load_explicit(&ep->listed, memory_order_relaxed);
}

/* Sleeps until something is listed, the deadline, or a signal; spurious returns are possible. */
static void sleep_for_events(struct epoll *ep, uint64_t deadline_ns)
{
    struct epoll_waiter w = {.thread = thread_current()};
    atomic_init(&w.enlisted, true);
    mutex_lock(&ep->wait_lock);
    TAILQ_INSERT_TAIL(&ep->waiters, &w, link);
    atomic_fetch_add_explicit(&ep->waiter_count, 1, memory_order_seq_cst);
    mutex_unlock(&ep->wait_lock);

    const char *outer = thread_wait_reason("epoll");
    thread_wait_prepare();
    atomic_thread_fence(memory_order_seq_cst); /* enlisted before the look at the lists */
    /* Who was taken off the list before the announcement was woken too early, and nobody would wake it again. */
    if (!nothing_listed(ep) || !atomic_load_explicit(&w.enlisted, memory_order_seq_cst) || thread_interrupted())
        thread_wait_cancel();
    else
        thread_wait_until(deadline_ns);
    thread_wait_reason(outer);

    mutex_lock(&ep->wait_lock);
    if (atomic_load_explicit(&w.enlisted, memory_order_relaxed)) {
        TAILQ_REMOVE(&ep->waiters, &w, link);
        atomic_fetch_sub_explicit(&ep->waiter_count, 1, memory_order_relaxed);
    }
    mutex_unlock(&ep->wait_lock);
}

int epoll_collect(struct file *epfile, struct epoll_event *out, int max, uint64_t deadline_ns)
{
    struct epoll *ep = epfile->priv;
    for (;;) {
        bool progress = poll_progress();
        int n = nothing_listed(ep) ? 0 : harvest(ep, out, max);
        if (n || deadline_ns == 0)
            return n;
        if (progress)
            continue; /* sleep only when there is nothing left to do */
        if (deadline_ns != TIME_NEVER && clock_monotonic_ns() >= deadline_ns)
            return 0;
        if (thread_interrupted())
            return -EINTR;
        sleep_for_events(ep, deadline_ns);
    }
}

/* Takes an item out of everything and frees it. With control_lock and epoll.lock held. */
static void item_destroy(struct epoll *ep, struct epoll_item *item)
{
    poll_watch_remove(&item->watch); /* from here on nobody pushes it */
    if (atomic_load_explicit(&item->queued, memory_order_acquire)) {
        take_pushed(ep);
        TAILQ_REMOVE(&ep->ready, item, ready);
        note_listed(ep);
    }
    RB_REMOVE(item_tree, &ep->items, item);
    kfree(item);
}

/* A file that is watched goes: its items go with it. */
static void source_released(struct poll_source *s)
{
    struct poll_watch *w;
    mutex_lock(&control_lock);
    while ((w = TAILQ_FIRST(&s->watches))) { /* stable: all its watches are ours, and control_lock is held */
        struct epoll_item *item = CONTAINER_OF(w, struct epoll_item, watch);
        struct epoll *ep = item->epoll;
        mutex_lock(&ep->lock);
        item_destroy(ep, item);
        mutex_unlock(&ep->lock);
    }
    mutex_unlock(&control_lock);
}

/* Queues an item that is ready already. With epoll.lock held; true when the caller has to wake somebody. */
static bool item_check(struct epoll_item *item)
{
    uint32_t wanted = atomic_load_explicit(&item->events, memory_order_relaxed) & ~PRIVATE_BITS;
    if (!(file_poll(item->file) & wanted) ||
        atomic_exchange_explicit(&item->queued, true, memory_order_acq_rel))
        return false;
    TAILQ_INSERT_TAIL(&item->epoll->ready, item, ready);
    note_listed(item->epoll);
    return true;
}

static int item_add(struct epoll *ep, struct file *file, int fd, const struct epoll_event *event)
{
    struct epoll_item *item = kzalloc(sizeof(*item));
    if (!item)
        return -ENOMEM;
    item->epoll = ep;
    item->file = file;
    item->fd = fd;
    item->data = event->data;
    atomic_init(&item->events, event->events | ALWAYS_REPORTED);
    item->watch.notify = item_notify;
    item->watch.released = source_released;
    item->watch.exclusive = event->events & EPOLLEXCLUSIVE;
    RB_INSERT(item_tree, &ep->items, item);
    poll_watch_add(&file->poll_source, &item->watch);
    return item_check(item);
}

static int item_modify(struct epoll_item *item, const struct epoll_event *event)
{
    uint32_t old = atomic_load_explicit(&item->events, memory_order_relaxed);
    if ((old | event->events) & EPOLLEXCLUSIVE)
        return -EINVAL;
    item->data = event->data;
    /* Stored before the file is asked: what becomes ready after that is notified with the new events. */
    atomic_store_explicit(&item->events, event->events | ALWAYS_REPORTED, memory_order_seq_cst);
    return item_check(item);
}

/* How deep epolls nest from here downwards; more than NESTING_MAX when target is among them. With control_lock held. */
static int nesting_depth(struct epoll *ep, struct epoll *target, int depth)
{
    struct epoll_item *item;
    int deepest = depth;
    if (ep == target || depth > NESTING_MAX)
        return NESTING_MAX + 1;
    RB_FOREACH(item, item_tree, &ep->items) {
        if (item->file->ops == &epoll_ops)
            deepest = MAX(deepest, nesting_depth(item->file->priv, target, depth + 1));
    }
    return deepest;
}

static int check_add(struct epoll *ep, struct file *target, const struct epoll_event *event)
{
    bool is_epoll = target->ops == &epoll_ops;
    if (event->events & EPOLLEXCLUSIVE &&
        (is_epoll || event->events & ~(uint32_t)(EPOLLIN | EPOLLOUT | EPOLLERR | EPOLLHUP |
                                                 EPOLLWAKEUP | EPOLLET | EPOLLEXCLUSIVE)))
        return -EINVAL;
    return is_epoll && nesting_depth(target->priv, ep, 1) > NESTING_MAX ? -ELOOP : 0;
}

int epoll_control(struct file *epfile, int op, struct file *target, int fd,
                  const struct epoll_event *event)
{
    struct epoll *ep = epfile->priv;
    struct epoll_item key = {.fd = fd, .file = target};
    if (target == epfile)
        return -EINVAL;
    if (!target->ops->poll)
        return -EPERM;
    mutex_lock(&control_lock);
    int r = op == EPOLL_CTL_ADD ? check_add(ep, target, event) : 0;
    if (r == 0) {
        mutex_lock(&ep->lock);
        struct epoll_item *item = RB_FIND(item_tree, &ep->items, &key);
        if (op == EPOLL_CTL_ADD)
            r = item ? -EEXIST : item_add(ep, target, fd, event);
        else if (!item)
            r = -ENOENT;
        else if (op == EPOLL_CTL_MOD)
            r = item_modify(item, event);
        else
            item_destroy(ep, item);
        mutex_unlock(&ep->lock);
    }
    mutex_unlock(&control_lock);
    if (r > 0) {
        wake_one(ep);
        poll_source_notify(&epfile->poll_source, EPOLLIN);
    }
    return MIN(r, 0);
}

/* Ready when an item is; items that are not leave the list. */
static uint32_t epoll_poll(struct file *f)
{
    struct epoll *ep = f->priv;
    uint32_t result = 0;
    struct epoll_item *item;
    if (nothing_listed(ep))
        return 0;
    mutex_lock(&ep->lock);
    take_pushed(ep);
    struct epoll_item *last = TAILQ_LAST(&ep->ready, item_list);
    while (!result && last && (item = TAILQ_FIRST(&ep->ready))) {
        TAILQ_REMOVE(&ep->ready, item, ready);
        if (item_ask(item)) {
            result = EPOLLIN | EPOLLRDNORM;
            item_requeue(ep, item);
        }
        if (item == last)
            break;
    }
    note_listed(ep);
    mutex_unlock(&ep->lock);
    return result;
}

static void epoll_release(struct file *f)
{
    struct epoll *ep = f->priv;
    struct epoll_item *item;
    mutex_lock(&control_lock);
    mutex_lock(&ep->lock);
    while ((item = RB_MIN(item_tree, &ep->items)))
        item_destroy(ep, item);
    mutex_unlock(&ep->lock);
    mutex_unlock(&control_lock);
    kfree(ep);
}

const struct file_ops epoll_ops = {.poll = epoll_poll, .release = epoll_release};

struct file *epoll_new(void)
{
    struct epoll *ep = kzalloc(sizeof(*ep));
    if (!ep)
        return NULL;
    mutex_init(&ep->lock);
    mutex_init(&ep->wait_lock);
    TAILQ_INIT(&ep->ready);
    TAILQ_INIT(&ep->waiters);
    RB_INIT(&ep->items);
    ep->file = file_new(&epoll_ops, 2 /* O_RDWR */, ep);
    if (!ep->file) {
        kfree(ep);
        return NULL;
    }
    return ep->file;
}
