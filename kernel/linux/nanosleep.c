/* Sleeping on any clock that moves by itself or by the process's work. Setting the wall clock wakes
 * those who sleep until a time on it, and they look again. */
#include <asm/errno.h>
#include <kernel/clocks.h>
#include <kernel/syscall.h>
#include <kernel/timespec.h>
#include <kernel/user.h>
#include <linux/time.h>
#include <sched/thread.h>
#include <stdatomic.h>

struct sleeper {
    struct wall_watch watch;
    struct thread *thread;
    _Atomic bool stepped;
};

static void clock_stepped(struct wall_watch *w)
{
    struct sleeper *s = CONTAINER_OF(w, struct sleeper, watch);
    atomic_store_explicit(&s->stepped, true,
                          memory_order_seq_cst); /* before thread_wake looks at the state, which the
                                                    sleeper sets before it looks here */
    thread_wake(s->thread);
}

/* The clock is read before the wait is prepared, because reading one may take a mutex. */
static int look_and_sleep(struct sleeper *s, const struct clock_ref *clock, uint64_t until,
                          uint64_t *left)
{
    struct clock_patience patience = {0};
    for (;;) {
        uint64_t now;
        atomic_store_explicit(&s->stepped, false,
                              memory_order_seq_cst); /* before the clock is read */
        *left = 0;
        if (clock_now(clock, &now) ||
            now >= until) /* a clock whose thread has ended comes no further */
            return 0;
        *left = until - now;
        uint64_t look_at = clock_look_at(clock, now, until, &patience);
        thread_wait_prepare();
        if (thread_interrupted()) {
            thread_wait_cancel();
            return -EINTR;
        }
        if (atomic_load_explicit(&s->stepped, memory_order_seq_cst))
            thread_wait_cancel();
        else
            thread_wait_until(look_at);
    }
}

static int sleep_until(const struct clock_ref *clock, uint64_t until, uint64_t *left)
{
    struct sleeper s = {.watch.stepped = clock_stepped, .thread = thread_current()};
    if (clock->kind == CLOCK_OF_WALL)
        wall_watch_add(&s.watch);
    const char *outer = thread_wait_reason("sleep");
    int r = look_and_sleep(&s, clock, until, left);
    thread_wait_reason(outer);
    if (clock->kind == CLOCK_OF_WALL)
        wall_watch_remove(&s.watch);
    return r;
}

/* What to sleep on: a length of wall time does not change when the clock is set. -EINVAL for the
 * caller's own CPU clock, which would stand still. */
static int sleep_clock(int id, bool absolute, struct clock_ref *clock)
{
    int err = clock_resolve(id, clock);
    if (err)
        return err;
    if (clock_only_read(id) || id == CLOCK_THREAD_CPUTIME_ID)
        return -EOPNOTSUPP;
    if (clock->kind == CLOCK_OF_WALL && !absolute)
        clock->kind = CLOCK_OF_BOOT;
    return 0;
}

SYSCALL(clock_nanosleep, 4, "clock, flags, request, remain", SYSCALL_COMPLETE)
long sys_clock_nanosleep(int id, int flags, const struct timespec64 *request,
                         struct timespec64 *remain)
{
    struct clock_ref clock;
    bool absolute = flags & TIMER_ABSTIME;
    uint64_t now = 0, left;
    int err = sleep_clock(id, absolute, &clock);
    if (err)
        return err;
    if (!user_range_ok(request, sizeof(*request)) ||
        (!absolute && remain && !user_range_ok(remain, sizeof(*remain))))
        return -EFAULT;
    if (!timespec_valid(request) ||
        (clock.kind == CLOCK_OF_THREAD && clock.tid == thread_id(thread_current())))
        return -EINVAL;
    if (!absolute && clock_now(&clock, &now))
        return -EINVAL;
    uint64_t time = timespec_ns(request);
    err = sleep_until(&clock, time > UINT64_MAX - now ? UINT64_MAX : now + time, &left);
    if (err && !absolute && remain)
        *remain = timespec_of_ns(left);
    return err;
}

SYSCALL(nanosleep, 2, "request, remain", SYSCALL_COMPLETE)
long sys_nanosleep(const struct timespec64 *request, struct timespec64 *remain)
{
    return sys_clock_nanosleep(CLOCK_MONOTONIC, 0, request, remain);
}
