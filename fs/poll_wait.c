/* poll and select: look at all files; if none is ready, hang a watch on each, look again, sleep, and look again when woken.

   The files are held by references while they are watched. A notification sets `woken` before it wakes, and the sleeper looks at it after
   it has announced its sleep, so none is lost. */
#include <asm/errno.h>
#include <fs/file.h>
#include <fs/poll_wait.h>
#include <kernel/clock.h>
#include <mm/kmem.h>
#include <mm/page.h>
#include <sched/thread.h>
#include <sched/waitq.h>

#define ALWAYS_REPORTED (POLLERR | POLLHUP | POLLNVAL)
#define INLINE_WATCHES 4

struct poll_waiter {
    struct thread *thread;
    _Atomic bool woken;
};

struct wait_entry {
    struct poll_watch watch;
    struct poll_waiter *waiter;
    struct file *file; /* reference; NULL: nothing to watch */
    uint32_t events;
};

static bool entry_notify(struct poll_watch *w, uint32_t events)
{
    struct wait_entry *e = CONTAINER_OF(w, struct wait_entry, watch);
    if (events && !(events & e->events))
        return false;
    atomic_store_explicit(&e->waiter->woken, true, memory_order_seq_cst);
    thread_wake(e->waiter->thread);
    return true;
}

/* One look at every descriptor; the number of those with something to report. */
static int scan(struct pollfd *fds, unsigned count)
{
    int ready = 0;
    for (unsigned i = 0; i < count; i++) {
        fds[i].revents = 0;
        if (fds[i].fd < 0)
            continue;
        struct file *f = fd_file(fds[i].fd);
        if (f) {
            fds[i].revents = (short)(file_poll(f) & ((uint16_t)fds[i].events | ALWAYS_REPORTED));
            file_put(f);
        } else {
            fds[i].revents = POLLNVAL;
        }
        ready += fds[i].revents != 0;
    }
    return ready;
}

static void watch_all(struct wait_entry *entries, const struct pollfd *fds, unsigned count,
                      struct poll_waiter *waiter)
{
    for (unsigned i = 0; i < count; i++) {
        struct wait_entry *e = &entries[i];
        *e = (struct wait_entry){.waiter = waiter, .file = fd_file(fds[i].fd)};
        e->events = (uint16_t)fds[i].events | ALWAYS_REPORTED;
        e->watch.notify = entry_notify;
        if (e->file)
            poll_watch_add(&e->file->poll_source, &e->watch);
    }
}

static void unwatch_all(struct wait_entry *entries, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        if (entries[i].file) {
            poll_watch_remove(&entries[i].watch);
            file_put(entries[i].file);
        }
    }
}

static int wait_watching(struct pollfd *fds, unsigned count, uint64_t deadline_ns,
                         struct poll_waiter *waiter)
{
    for (;;) {
        atomic_store_explicit(&waiter->woken, false, memory_order_seq_cst);
        bool progress = poll_progress();
        int ready = scan(fds, count);
        if (ready)
            return ready;
        if (progress)
            continue;
        if (deadline_ns != TIME_NEVER && clock_monotonic_ns() >= deadline_ns)
            return 0;
        if (thread_interrupted())
            return -EINTR;
        thread_wait_prepare();
        if (atomic_load_explicit(&waiter->woken, memory_order_seq_cst) || thread_interrupted())
            thread_wait_cancel();
        else
            thread_wait_until(deadline_ns);
    }
}

/* Memory for many watches: the heap's largest piece is 128 KiB. */
static unsigned entries_order(unsigned count)
{
    unsigned order = 0;
    while (PAGE_SIZE << order < count * sizeof(struct wait_entry))
        order++;
    return order;
}

int poll_wait(struct pollfd *fds, unsigned count, uint64_t deadline_ns)
{
    poll_progress();
    int r = scan(fds, count);
    if (r || deadline_ns == 0)
        return r;
    struct poll_waiter waiter = {.thread = thread_current()};
    struct wait_entry few[INLINE_WATCHES], *entries = few;
    if (count > INLINE_WATCHES) {
        entries = pages_alloc(entries_order(count));
        if (!entries)
            return -ENOMEM;
    }
    watch_all(entries, fds, count, &waiter);
    const char *outer = thread_wait_reason("poll");
    r = wait_watching(fds, count, deadline_ns, &waiter);
    thread_wait_reason(outer);
    unwatch_all(entries, count);
    if (entries != few)
        pages_free(entries, entries_order(count));
    return r;
}
