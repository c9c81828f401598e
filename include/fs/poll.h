/* Readiness. What can be polled owns a poll_source; who waits hangs a poll_watch on it. Notification is cheap when nobody watches.
   notify runs in the notifier's thread and must neither sleep long nor call back into the file: it pushes on a lock-free list and
   wakes.

   No wake-up is lost: the notifier changes the state, then looks for watches; the watcher hangs its watch, then looks at the
   state. Both have a full barrier in between, so at least one sees the other. */
#ifndef FS_POLL_H
#define FS_POLL_H

#include <kernel/compiler.h>
#include <linux/eventpoll.h>
#include <sched/mutex.h>
#include <stdatomic.h>
#include <sys/queue.h>

struct poll_source;

struct poll_watch {
    /* True when it woke somebody for this. Events: what became ready; 0 means anything. */
    bool (*notify)(struct poll_watch *w, uint32_t events);
    /* The source is about to go: removes all watches that still hang on it. NULL: the watch keeps the source alive by itself. */
    void (*released)(struct poll_source *s);
    TAILQ_ENTRY(poll_watch) link; /* protected by the source's lock */
    struct poll_source *source;
    bool exclusive; /* only one of the exclusive watches that wake somebody is told */
};

struct poll_source {
    _Atomic unsigned watch_count; /* written with lock held */
    struct mutex lock;
    TAILQ_HEAD(, poll_watch) watches; /* protected by lock */
};

void poll_source_init(struct poll_source *s);
/* Ends all watches: nothing can reach the source any more. */
void poll_source_release(struct poll_source *s);
void poll_watch_add(struct poll_source *s, struct poll_watch *w);
/* After this returns notify does not run any more. */
void poll_watch_remove(struct poll_watch *w);
void poll_source_notify_watches(struct poll_source *s, uint32_t events);

/* Threads only. events: what became ready (EPOLLIN, EPOLLOUT, EPOLLHUP, ...). */
static inline void poll_source_notify(struct poll_source *s, uint32_t events)
{
    atomic_thread_fence(memory_order_seq_cst); /* the state change before the look at the watches */
    if (unlikely(atomic_load_explicit(&s->watch_count, memory_order_relaxed)))
        poll_source_notify_watches(s, events);
}

/* Hooks for what makes progress only when somebody polls (the network). poll_progress() is called by a thread that is about to
   look for readiness or to sleep for it: it drains devices and sends what was queued; returns true when something happened. At most
   four hooks, registered by INIT functions. */
void poll_progress_register(bool (*fn)(void));
bool poll_progress(void);

#endif
