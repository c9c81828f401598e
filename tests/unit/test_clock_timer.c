/* SOURCES: tests/unit/host/host.c */
/* Interval timers on all clocks against a model, in simulated time: time passes, threads run or do
   not, the wall clock is set forth and back, timers are set and read. The soft timer is played, and
   fires when it was armed for. A timer may not expire early, nor late but for CPU time, where it is
   late by one look at most; and counts what the model counts. */
#include <kernel/clock.h>
#include <kernel/clock_timer.h>
#include <kernel/cpu_usage.h>
#include <linux/time.h>
#include <sched/cputime.h>
#include <sched/internal.h>

static uint64_t now = 1000, wall_offset = 1700000000 * NS_PER_SEC, cpu;
uint64_t clock_monotonic_ns(void) { return now; }
uint64_t clock_realtime_ns(void) { return now + wall_offset; }
void clock_set_realtime_ns(uint64_t ns) { wall_offset = ns - now; }
uint64_t thread_cpu_time_ns(const struct thread *t) { return cpu; }
struct cpu_usage cpu_usage_process(void) { return (struct cpu_usage){.cpu_ns = cpu}; }
unsigned percpu_count = 4;

static bool other_lives = true;
static struct app_thread *const some_app = (void *)64;
static struct thread self, other;
struct thread *thread_hold(int tid)
{
    self.app = other.app = some_app;
    return tid == 1 ? &self : tid == 7 && other_lives ? &other : NULL;
}
void thread_release(struct thread *t) {}

bool app_thread_exists(int tid) { return thread_hold(tid) != NULL; }

void soft_timer_arm(struct soft_timer *t, uint64_t deadline_ns)
{
    t->deadline_ns = deadline_ns, t->armed = true;
}
bool soft_timer_cancel(struct soft_timer *t)
{
    bool was = t->armed;
    t->armed = false;
    return was;
}
void soft_timer_sync(struct soft_timer *t) {}

#include "../../kernel/linux/clock_timer.c"
#include "../../kernel/linux/clocks.c"

#include "host/host.h"
#include "tap.h"

unsigned alarm(unsigned seconds);

static uint64_t rng;
static uint64_t rnd(uint64_t below)
{
    rng = rng * 6364136223846793005u + 1442695040888963407u;
    return (rng >> 24) % below;
}

static void test_arithmetic(void)
{
    bool good = true;
    for (int i = 0; i < 200000; i++) {
        uint64_t start = 1 + rnd(1000), period = 1 + rnd(50), at = rnd(3000), next = start,
                 count = 0, want = start;
        for (; want <= at; want += period)
            count++;
        good &= interval_advance(&next, period, at) == count && next == want;
    }
    ok(good, "expirations of an interval, one by one and by division");
    uint64_t next = 5;
    ok(interval_advance(&next, 0, 4) == 0 && next == 5 && interval_advance(&next, 0, 5) == 1 &&
           next == 0 && interval_advance(&next, 0, 9) == 0,
       "without a period: once");
    next = 5;
    ok(interval_advance(&next, UINT64_MAX - 2, 10) == 1 && next == UINT64_MAX,
       "a period without end does not wrap");
    next = UINT64_MAX;
    ok(interval_advance(&next, 1, UINT64_MAX) == 1 && next == UINT64_MAX,
       "nor does the end of time");
}

/* ---- the simulation ---- */

static struct clock_timer timer;
static uint64_t counted, model_next, model_period, model_count, due_since;
static bool early, late, wrong;

static uint64_t reads(enum clock_kind kind)
{
    return kind == CLOCK_OF_BOOT ? now : kind == CLOCK_OF_WALL ? now + wall_offset : cpu;
}

static void count(void)
{
    uint64_t n = clock_timer_expired(&timer);
    counted += n;
    early |= n && model_next > reads(timer.clock.kind);
    while (model_next && model_next <= reads(timer.clock.kind)) {
        model_count++;
        model_next = model_period ? model_next + model_period : 0;
    }
    wrong |= counted != model_count || timer.next_ns != model_next;
    due_since = 0;
}

static void fire(struct soft_timer *t)
{
    count();
    clock_timer_arm(&timer, 0);
}

/* Time passes in small steps; the soft timer fires at its instant. */
static void pass(uint64_t ns, unsigned running)
{
    uint64_t until = now + ns;
    while (now < until) {
        uint64_t to = timer.timer.armed && timer.timer.deadline_ns < until
                          ? MAX(timer.timer.deadline_ns, now)
                          : until;
        if (timer.clock.kind >= CLOCK_OF_PROCESS && running && model_next && model_next > cpu)
            to = MIN(to,
                     now + (model_next - cpu + running - 1) / running); /* stops where it is due */
        cpu += (to - now) * (timer.clock.kind == CLOCK_OF_THREAD ? MIN(running, 1u) : running);
        now = to;
        if (!due_since && model_next && model_next <= reads(timer.clock.kind))
            due_since = now;
        if (timer.timer.armed && timer.timer.deadline_ns <= now) {
            timer.timer.armed = false;
            late |= due_since &&
                    now - due_since > (timer.clock.kind >= CLOCK_OF_PROCESS ? LOOK_MAX_NS : 0);
            fire(&timer.timer);
        }
    }
}

static void set_anew(void)
{
    struct clock_ref clock = {(enum clock_kind)rnd(4), 1};
    bool absolute = rnd(2);
    uint64_t value = rnd(8) ? 1 + rnd(300 * NS_PER_MS) : 0,
             period = rnd(2) ? 1 + rnd(50 * NS_PER_MS) : 0;
    uint64_t given =
        value && absolute ? reads(clock.kind) + value - MIN(value, 20 * NS_PER_MS) : value;
    given += value && !given;
    if (clock_timer_set(&timer, &clock, given, period, absolute))
        wrong = true;
    enum clock_kind kind = clock.kind == CLOCK_OF_WALL && !absolute ? CLOCK_OF_BOOT : clock.kind;
    wrong |= timer.clock.kind != kind;
    model_next = !value ? 0 : absolute ? given : reads(kind) + value;
    model_period = period;
    counted = model_count = due_since = 0;
    clock_timer_arm(&timer, 0);
    wrong |= timer.timer.armed != (value != 0);
}

static void test_simulation(void)
{
    bool left = true;
    clock_timer_init(&timer, fire);
    set_anew();
    for (int i = 0; i < 20000; i++) {
        switch (rnd(8)) {
        case 0: set_anew(); break;
        case 1:
            wall_set(now + wall_offset + rnd(400 * NS_PER_MS) - 200 * NS_PER_MS);
            if (!due_since && model_next && model_next <= reads(timer.clock.kind))
                due_since = now;
            if (due_since && model_next > reads(timer.clock.kind))
                due_since = 0;
            break;
        case 2:
            count();
            clock_timer_arm(&timer, 0);
            break;
        case 3: {
            uint64_t l = clock_timer_left(&timer), here = reads(timer.clock.kind);
            left &= model_next > here ? l == model_next - here
                    : !model_next     ? l == 0
                                      : l > 0 && (!model_period || l <= model_period);
            break;
        }
        default: pass(rnd(100 * NS_PER_MS), (unsigned)rnd(5));
        }
    }
    ok(!early, "no timer expires early, on any clock");
    ok(!late, "nor late");
    ok(!wrong, "each counts what has passed");
    ok(left, "what is left is told");
    clock_timer_end(&timer);
    ok(!timer.timer.armed && !timer.watch.watching && LIST_EMPTY(&watches), "and ends");
}

/* An idle program does not make a CPU-time timer busy. */
static void test_patience(void)
{
    struct clock_ref clock = {CLOCK_OF_PROCESS, 0};
    struct clock_patience patience = {0};
    uint64_t end = now + 10 * NS_PER_SEC, looks = 0;
    while (now < end) {
        now = clock_look_at(&clock, cpu, cpu + 10, &patience);
        looks++;
    }
    printf("# %lu looks in 10 s\n", (unsigned long)looks);
    ok(looks <= 10 * NS_PER_SEC / LOOK_MAX_NS + 10,
       "a clock that stands still is looked at ever less");
    uint64_t before = now, at = clock_look_at(&clock, cpu, cpu + 40 * NS_PER_SEC, &patience);
    ok(at == before + 10 * NS_PER_SEC,
       "one that is far off, when four CPUs at their best are there");
    clock.kind = CLOCK_OF_THREAD;
    ok(clock_look_at(&clock, cpu, cpu + 40 * NS_PER_SEC, &patience) == before + 40 * NS_PER_SEC,
       "or one, for a thread");
}

static int dynamic(int who, int low) { return (int)(~(unsigned)who << 3 | (unsigned)low); }

static void test_ids(void)
{
    struct clock_ref c;
    uint64_t ns;
    ok(!clock_resolve(CLOCK_TAI, &c) && c.kind == CLOCK_OF_WALL &&
           !clock_resolve(CLOCK_BOOTTIME, &c) && c.kind == CLOCK_OF_BOOT,
       "fixed ids");
    ok(!clock_resolve(CLOCK_THREAD_CPUTIME_ID, &c) && c.kind == CLOCK_OF_THREAD && c.tid == 1,
       "the caller's");
    ok(!clock_resolve(dynamic(0, 6), &c) && c.kind == CLOCK_OF_THREAD && c.tid == 1,
       "the caller's by 0");
    ok(!clock_resolve(dynamic(7, 6), &c) && c.kind == CLOCK_OF_THREAD && c.tid == 7 &&
           !clock_now(&c, &ns),
       "another thread's");
    other_lives = false;
    ok(clock_resolve(dynamic(7, 6), &c) == -EINVAL, "not of one that has ended");
    ok(clock_now(&(struct clock_ref){CLOCK_OF_THREAD, 7}, &ns) == -ESRCH, "whose clock is gone");
    other_lives = true;
    ok(!clock_resolve(dynamic(1, 2), &c) && c.kind == CLOCK_OF_PROCESS &&
           !clock_resolve(dynamic(0, 2), &c),
       "the process's");
    ok(clock_resolve(dynamic(7, 2), &c) == -EINVAL && clock_resolve(dynamic(0, 7), &c) == -EINVAL &&
           clock_resolve(-1, &c) == -EINVAL && clock_resolve(12, &c) == -EINVAL &&
           clock_resolve(CLOCK_REALTIME_ALARM, &c) == -EINVAL &&
           clock_resolve((int)0x80000000, &c) == -EINVAL,
       "ids that name nothing");
}

int main(void)
{
    struct thread *host_thread = percpu()->current;
    alarm(900);
    rng = host_seed();
    self.tid = 1;
    percpu()->current = &self;
    test_arithmetic();
    test_simulation();
    test_patience();
    test_ids();
    percpu()->current = host_thread;
    return done();
}
