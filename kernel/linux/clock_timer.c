/* Interval timers on any clock. One that waits for a time on the wall clock is watched: when that
   clock is set, the soft timer fires, nothing has expired or something has, and it is armed for
   where the time lies now. */
#include <kernel/clock.h>
#include <kernel/clock_timer.h>

static void stepped(struct wall_watch *w)
{
    soft_timer_arm(&CONTAINER_OF(w, struct clock_timer, watch)->timer, 0);
}

void clock_timer_init(struct clock_timer *t, void (*fired)(struct soft_timer *))
{
    t->timer.fn = fired;
    t->watch.stepped = stepped;
}

uint64_t interval_advance(uint64_t *next_ns, uint64_t period_ns, uint64_t now_ns)
{
    if (!*next_ns || now_ns < *next_ns)
        return 0;
    if (!period_ns) {
        *next_ns = 0;
        return 1;
    }
    uint64_t late = (now_ns - *next_ns) % period_ns, periods = (now_ns - *next_ns) / period_ns + 1;
    uint64_t ahead = period_ns - late;
    *next_ns = ahead > UINT64_MAX - now_ns ? UINT64_MAX : now_ns + ahead;
    return periods;
}

/* A relative time on the wall clock is a length of time: setting the clock does not touch it. */
int clock_timer_set(struct clock_timer *t, const struct clock_ref *clock, uint64_t value_ns,
                    uint64_t period_ns, bool absolute)
{
    uint64_t now = 0;
    t->clock =
        clock->kind == CLOCK_OF_WALL && !absolute ? (struct clock_ref){CLOCK_OF_BOOT, 0} : *clock;
    t->patience = (struct clock_patience){0};
    int err = clock_now(&t->clock, &now);
    if (err)
        return err;
    t->period_ns = period_ns;
    if (value_ns && !absolute)
        value_ns = value_ns > UINT64_MAX - now ? UINT64_MAX : now + value_ns;
    t->next_ns = value_ns;
    return 0;
}

void clock_timer_arm(struct clock_timer *t, uint64_t not_before_ns)
{
    uint64_t now;
    bool wall = t->next_ns && t->clock.kind == CLOCK_OF_WALL;
    if (wall)
        wall_watch_add(&t->watch);
    else
        wall_watch_remove(&t->watch);
    if (t->next_ns && clock_now(&t->clock, &now))
        t->next_ns = 0;
    if (!t->next_ns) {
        (void)soft_timer_cancel(&t->timer);
        return;
    }
    if (wall) {
        wall_hold();
        now = clock_realtime_ns();
    }
    uint64_t at = clock_look_at(&t->clock, now, t->next_ns, &t->patience);
    soft_timer_arm(&t->timer, MAX(at, not_before_ns));
    if (wall)
        wall_release();
}

bool clock_timer_due(struct clock_timer *t)
{
    uint64_t now;
    if (t->next_ns && clock_now(&t->clock, &now))
        t->next_ns = 0;
    return t->next_ns && now >= t->next_ns;
}

uint64_t clock_timer_expired(struct clock_timer *t)
{
    uint64_t now;
    if (t->next_ns && clock_now(&t->clock, &now))
        t->next_ns = 0;
    return t->next_ns ? interval_advance(&t->next_ns, t->period_ns, now) : 0;
}

uint64_t clock_timer_left(const struct clock_timer *t)
{
    uint64_t now, next = t->next_ns;
    if (!next || clock_now(&t->clock, &now))
        return 0;
    if (t->period_ns)
        (void)interval_advance(&next, t->period_ns, now);
    return next > now ? next - now : 1;
}

void clock_timer_end(struct clock_timer *t)
{
    wall_watch_remove(&t->watch);
    (void)soft_timer_cancel(&t->timer);
    soft_timer_sync(&t->timer);
}
