/* Clock ids, their clocks, and what setting the wall clock means for those who wait.

   Dynamic ids of CPU clocks, as the C libraries make them: bits 0 and 1 say which time (user and
   system together, user, scheduler's: one time here, for a program has no system time of its own in
   one address space; 3 is a clock behind a descriptor, which nobody has), bit 2 a thread's, and the
   rest is the complement of the thread id or process id, 0 for the caller's. */
#include <asm/errno.h>
#include <kernel/clock.h>
#include <kernel/clocks.h>
#include <kernel/cpu_usage.h>
#include <kernel/program.h>
#include <linux/time.h>
#include <sched/cputime.h>
#include <sched/internal.h>

#define DYNAMIC_WHICH 3
#define DYNAMIC_NONE 3 /* of these: no CPU clock */
#define DYNAMIC_THREAD 4

#define LOOK_MIN_NS (200 * NS_PER_US)
#define LOOK_MAX_NS (20 * NS_PER_MS)

static LIST_HEAD(, wall_watch) watches = LIST_HEAD_INITIALIZER(watches); /* wall_lock */
static struct mutex wall_lock = MUTEX_INIT;

static int resolve_dynamic(int id, struct clock_ref *clock)
{
    int who = ~(id >> 3), self = thread_current()->tid;
    if ((id & DYNAMIC_WHICH) == DYNAMIC_NONE)
        return -EINVAL;
    if (id & DYNAMIC_THREAD) {
        *clock = (struct clock_ref){CLOCK_OF_THREAD, who ? who : self};
        return clock->tid == self || app_thread_exists(clock->tid) ? 0 : -EINVAL;
    }
    *clock = (struct clock_ref){CLOCK_OF_PROCESS, 0};
    return who == 0 || who == 1 ? 0 : -EINVAL;
}

int clock_resolve(int id, struct clock_ref *clock)
{
    switch (id) {
    case CLOCK_REALTIME:
    case CLOCK_REALTIME_COARSE:
    case CLOCK_TAI: *clock = (struct clock_ref){CLOCK_OF_WALL, 0}; return 0;
    case CLOCK_MONOTONIC:
    case CLOCK_MONOTONIC_COARSE:
    case CLOCK_MONOTONIC_RAW:
    case CLOCK_BOOTTIME: *clock = (struct clock_ref){CLOCK_OF_BOOT, 0}; return 0;
    case CLOCK_PROCESS_CPUTIME_ID: *clock = (struct clock_ref){CLOCK_OF_PROCESS, 0}; return 0;
    case CLOCK_THREAD_CPUTIME_ID:
        *clock = (struct clock_ref){CLOCK_OF_THREAD, thread_current()->tid};
        return 0;
    default: return id < 0 ? resolve_dynamic(id, clock) : -EINVAL;
    }
}

bool clock_only_read(int id)
{
    return id == CLOCK_MONOTONIC_RAW || id == CLOCK_MONOTONIC_COARSE || id == CLOCK_REALTIME_COARSE;
}

static int other_thread_cpu(int tid, uint64_t *ns)
{
    struct thread *t = thread_hold(tid);
    bool found = t && t->app;
    if (found)
        *ns = thread_cpu_time_ns(t);
    if (t)
        thread_release(t);
    return found ? 0 : -ESRCH;
}

int clock_now(const struct clock_ref *clock, uint64_t *ns)
{
    switch (clock->kind) {
    case CLOCK_OF_BOOT: *ns = clock_monotonic_ns(); return 0;
    case CLOCK_OF_WALL: *ns = clock_realtime_ns(); return 0;
    case CLOCK_OF_PROCESS: *ns = cpu_usage_process().cpu_ns; return 0;
    default:
        if (clock->tid != thread_current()->tid)
            return other_thread_cpu(clock->tid, ns);
        *ns = thread_cpu_time_ns(thread_current());
        return 0;
    }
}

static uint64_t later(uint64_t ns)
{
    uint64_t now = clock_monotonic_ns();
    return ns > UINT64_MAX - now ? UINT64_MAX : now + ns;
}

uint64_t clock_look_at(const struct clock_ref *clock, uint64_t now_ns, uint64_t target_ns,
                       struct clock_patience *p)
{
    uint64_t left = target_ns > now_ns ? target_ns - now_ns : 0;
    if (clock->kind == CLOCK_OF_BOOT)
        return target_ns;
    if (clock->kind == CLOCK_OF_WALL)
        return target_ns == UINT64_MAX ? UINT64_MAX : later(left);
    bool moved = now_ns - p->seen_ns >= p->step_ns / 4;
    p->step_ns = moved ? LOOK_MIN_NS : MIN(p->step_ns * 2, LOOK_MAX_NS);
    p->seen_ns = now_ns;
    unsigned cpus =
        clock->kind == CLOCK_OF_PROCESS ? percpu_count : 1; /* as many threads may run at a time */
    return later(MAX(left / cpus, p->step_ns));
}

void wall_watch_add(struct wall_watch *w)
{
    mutex_lock(&wall_lock);
    if (!w->watching)
        LIST_INSERT_HEAD(&watches, w, link);
    w->watching = true;
    mutex_unlock(&wall_lock);
}

void wall_watch_remove(struct wall_watch *w)
{
    mutex_lock(&wall_lock);
    if (w->watching)
        LIST_REMOVE(w, link);
    w->watching = false;
    mutex_unlock(&wall_lock);
}

void wall_hold(void) { mutex_lock(&wall_lock); }
void wall_release(void) { mutex_unlock(&wall_lock); }

void wall_set(uint64_t realtime_ns)
{
    struct wall_watch *w;
    mutex_lock(&wall_lock);
    clock_set_realtime_ns(realtime_ns);
    LIST_FOREACH(w, &watches, link)
    w->stepped(w);
    mutex_unlock(&wall_lock);
}
