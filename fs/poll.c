/* Readiness: watches on sources, and the hooks of what makes progress only when polled. The protocol is described in fs/poll.h.

   Lock order: a source's lock is taken last but for locks that notify functions take. Exclusive watches are kept behind the others;
   the one that was told moves to the end, so that they take turns. */
#include <fs/poll.h>
#include <kernel/log.h>

void poll_source_init(struct poll_source *s)
{
    atomic_init(&s->watch_count, 0);
    mutex_init(&s->lock);
    TAILQ_INIT(&s->watches);
}

void poll_source_release(struct poll_source *s)
{
    if (likely(!atomic_load_explicit(&s->watch_count, memory_order_relaxed)))
        return;
    mutex_lock(&s->lock);
    struct poll_watch *w = TAILQ_FIRST(&s->watches);
    void (*released)(struct poll_source *) = w ? w->released : NULL;
    mutex_unlock(&s->lock);
    if (released)
        released(s);
}

void poll_watch_add(struct poll_source *s, struct poll_watch *w)
{
    w->source = s;
    mutex_lock(&s->lock);
    if (w->exclusive)
        TAILQ_INSERT_TAIL(&s->watches, w, link);
    else
        TAILQ_INSERT_HEAD(&s->watches, w, link);
    /* Sequentially consistent: the watch is there before the caller looks at the state. */
    atomic_fetch_add_explicit(&s->watch_count, 1, memory_order_seq_cst);
    mutex_unlock(&s->lock);
}

void poll_watch_remove(struct poll_watch *w)
{
    struct poll_source *s = w->source;
    mutex_lock(&s->lock);
    TAILQ_REMOVE(&s->watches, w, link);
    atomic_fetch_sub_explicit(&s->watch_count, 1, memory_order_relaxed);
    mutex_unlock(&s->lock);
}

void poll_source_notify_watches(struct poll_source *s, uint32_t events)
{
    struct poll_watch *w, *next;
    mutex_lock(&s->lock);
    TAILQ_FOREACH_SAFE(w, &s->watches, link, next) {
        if (w->notify(w, events) && w->exclusive) {
            TAILQ_REMOVE(&s->watches, w, link);
            TAILQ_INSERT_TAIL(&s->watches, w, link);
            break;
        }
    }
    mutex_unlock(&s->lock);
}

static bool (*hooks[4])(void); /* filled before threads of the application run */
static unsigned hook_count;

void poll_progress_register(bool (*fn)(void))
{
    if (hook_count == ARRAY_SIZE(hooks))
        panic("poll: more than %zu progress hooks", ARRAY_SIZE(hooks));
    hooks[hook_count++] = fn;
}

bool poll_progress(void)
{
    bool any = false;
    for (unsigned i = 0; i < hook_count; i++)
        any |= hooks[i]();
    return any;
}
