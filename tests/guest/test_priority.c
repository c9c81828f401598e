/* Priorities: nice values, and the policies of sched(7), of threads by their ids. Who runs first is looked at on one CPU, to which all are pinned.
   musl's sched_setscheduler() and the like are always ENOSYS, so the system calls are made here. */
#include "check.h"
#include <sched.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/syscall.h>

static int tid_of_caller(void) { return (int)syscall(SYS_gettid); }

static int set_policy(int tid, int policy, int priority)
{
    struct sched_param param = {.sched_priority = priority};
    return (int)syscall(SYS_sched_setscheduler, tid, policy, &param);
}
static int get_policy(int tid) { return (int)syscall(SYS_sched_getscheduler, tid); }
static int get_priority(int tid)
{
    struct sched_param param = {.sched_priority = -1};
    return syscall(SYS_sched_getparam, tid, &param) ? -1 : param.sched_priority;
}
/* The raw call returns 20 - nice. */
static int nice_of(int tid) { return 20 - (int)syscall(SYS_getpriority, PRIO_PROCESS, tid); }
static int set_nice(int tid, int value) { return (int)syscall(SYS_setpriority, PRIO_PROCESS, tid, value); }

static void pin_to_first(void)
{
    cpu_set_t all, one;
    CPU_ZERO(&one);
    sched_getaffinity(0, sizeof(all), &all);
    for (int i = 0; i < CPU_SETSIZE && !CPU_COUNT(&one); i++)
        if (CPU_ISSET(i, &all))
            CPU_SET(i, &one);
    sched_setaffinity(0, sizeof(one), &one);
}

static void *sets_own_nice(void *value)
{
    return (void *)(long)(set_nice(0, (int)(long)value) == 0 && nice_of(0) == (long)value && nice_of(tid_of_caller()) == (long)value);
}
static void *says_nice(void *unused) { return (void *)(long)nice_of(0); }

static void *nice_family(void *unused)
{
    void *child;
    if (set_nice(0, 7))
        return NULL;
    pthread_join(start(says_nice, NULL), &child);
    return (void *)(long)((long)child == 7);
}

static void nice_values(void)
{
    void *good;
    equal(nice_of(0), 0, "nice is 0 at first");
    pthread_join(start(sets_own_nice, (void *)5l), &good);
    check(good, "a thread sets its own");
    equal(nice_of(0), 0, "which is not its maker's");
    pthread_join(start(nice_family, NULL), &good);
    check(good, "a new thread has its maker's");
    pthread_join(start(sets_own_nice, (void *)19l), &good);
    check(good, "19");
    pthread_join(start(sets_own_nice, (void *)-20l), &good);
    check(good, "-20");
    fails(set_nice(99999999, 1), ESRCH, "of a thread that is not there");
    fails(syscall(SYS_setpriority, 77, 0, 1), EINVAL, "of what is not known");
    fails(syscall(SYS_getpriority, 77, 0), EINVAL, "the same, asked for");
}

static void *clamps(void *unused)
{
    bool good = set_nice(0, 100) == 0 && nice_of(0) == 19 && set_nice(0, -100) == 0 && nice_of(0) == -20;
    return (void *)(long)good;
}

static void beyond_the_ends(void)
{
    void *good;
    pthread_join(start(clamps, NULL), &good);
    check(good, "values beyond 19 and -20 are those");
}

static _Atomic bool stop, go;
static uint64_t used[2];
static int nice_wanted[2], policy_wanted[2];

static uint64_t own_cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void *hog(void *index)
{
    long self = (long)index;
    if (set_nice(0, nice_wanted[self]) || set_policy(0, policy_wanted[self], 0))
        return (void *)1l;
    while (!go)
        sleep_ms(1);
    while (!stop)
        for (volatile int i = 0; i < 1000; i++)
            ;
    used[self] = own_cpu_ns();
    return NULL;
}

static void *compete(void *unused)
{
    pthread_t t[2];
    void *failed[2];
    pin_to_first();
    stop = go = false;
    for (long i = 0; i < 2; i++)
        t[i] = start(hog, (void *)i);
    sleep_ms(20);
    go = true;
    sleep_ms(1000);
    stop = true;
    for (int i = 0; i < 2; i++)
        pthread_join(t[i], &failed[i]);
    return (void *)(long)(!failed[0] && !failed[1]);
}

static bool shares(int nice0, int policy0, int nice1, int policy1)
{
    void *good;
    nice_wanted[0] = nice0, nice_wanted[1] = nice1;
    policy_wanted[0] = policy0, policy_wanted[1] = policy1;
    pthread_join(start(compete, NULL), &good);
    return good;
}

static bool nine_times(void) { return used[0] > 4 * used[1] && used[0] < 20 * used[1] + 100000000; }
static bool what_is_left(void) { return used[0] > 10 * used[1]; }
static bool equals(void) { return used[0] < 2 * used[1] && used[1] < 2 * used[0]; }

/* In one of a few seconds: where the host takes the CPU away for long in one hog's turn, that is evened out later than the second ends. */
static void shares_are(const char *who, int nice1, int policy1, bool (*right)(void), const char *how)
{
    bool good = true, is_right = false;
    for (int i = 0; i < 5 && good && !is_right; i++) {
        good = shares(0, SCHED_OTHER, nice1, policy1);
        is_right = right();
    }
    check(good, "two hogs, %s", who);
    check(is_right, "%s (%lu ms, %lu ms)", how, used[0] / 1000000, used[1] / 1000000);
}

static void weights(void)
{
    shares_are("nice 0 and 10", 10, SCHED_OTHER, nine_times, "the first gets about 9 times as much");
    shares_are("the second SCHED_IDLE", 0, SCHED_IDLE, what_is_left, "it gets what is left over");
    shares_are("the second SCHED_BATCH", 0, SCHED_BATCH, equals, "they share");
}

static _Atomic int watched;
static void *watch_me(void *unused)
{
    watched = tid_of_caller();
    while (!stop)
        sleep_ms(1);
    return NULL;
}

static void policies(void)
{
    static const struct { int policy, priority; const char *name; } all[] = {
        {SCHED_FIFO, 5, "SCHED_FIFO"}, {SCHED_RR, 7, "SCHED_RR"}, {SCHED_BATCH, 0, "SCHED_BATCH"},
        {SCHED_IDLE, 0, "SCHED_IDLE"}, {SCHED_OTHER, 0, "SCHED_OTHER"}};
    struct timespec slice = {-1, -1};
    stop = false;
    watched = 0;
    pthread_t t = start(watch_me, NULL);
    eventually(watched != 0);
    for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
        equal(set_policy(watched, all[i].policy, all[i].priority), 0, "%s for another thread", all[i].name);
        equal(get_policy(watched), all[i].policy, "is its policy");
        equal(get_priority(watched), all[i].priority, "and its priority %d", all[i].priority);
        equal(syscall(SYS_sched_rr_get_interval, watched, &slice), 0, "its time slice");
        if (all[i].policy == SCHED_FIFO)
            check(!slice.tv_sec && !slice.tv_nsec, "is without an end");
        if (all[i].policy == SCHED_RR)
            check(slice.tv_sec == 0 && slice.tv_nsec > 0, "is %ld ns", slice.tv_nsec);
    }
    struct sched_param param = {.sched_priority = 9};
    int policy = -1;
    equal(pthread_setschedparam(t, SCHED_RR, &param), 0, "pthread_setschedparam");
    param.sched_priority = -1;
    equal(pthread_getschedparam(t, &policy, &param), 0, "pthread_getschedparam");
    check(policy == SCHED_RR && param.sched_priority == 9, "says the same");
    equal(pthread_setschedprio(t, 3), 0, "pthread_setschedprio");
    equal(get_priority(watched), 3, "changes the priority");
    equal(get_policy(watched), SCHED_RR, "and not the policy");
    stop = true;
    pthread_join(t, NULL);
    equal(get_policy(0), SCHED_OTHER, "the caller's own policy is as it was");
}

static void errors(void)
{
    struct sched_param param = {.sched_priority = 0};
    struct timespec slice;
    fails(set_policy(0, SCHED_FIFO, 0), EINVAL, "SCHED_FIFO of priority 0");
    fails(set_policy(0, SCHED_FIFO, 100), EINVAL, "and 100");
    fails(set_policy(0, SCHED_OTHER, 1), EINVAL, "SCHED_OTHER of priority 1");
    fails(set_policy(0, 77, 0), EINVAL, "an unknown policy");
    fails(set_policy(99999999, SCHED_OTHER, 0), ESRCH, "a thread that is not there");
    fails(get_policy(99999999), ESRCH, "its policy");
    fails(syscall(SYS_sched_getparam, 99999999, &param), ESRCH, "its priority");
    fails(syscall(SYS_sched_rr_get_interval, 99999999, &slice), ESRCH, "its time slice");
    fails(get_policy(-1), EINVAL, "a negative id");
    fails(syscall(SYS_sched_setscheduler, 0, SCHED_OTHER, NULL), EINVAL, "no parameters");
    fails(syscall(SYS_sched_setparam, 0, NULL), EINVAL, "the same to sched_setparam");
    equal(syscall(SYS_sched_setparam, 0, &param), 0, "sched_setparam with what is so already");
}

/* Who ran in which order, all on one CPU. The one who starts them has the highest priority, so they begin when it waits. */
static _Atomic int order[8], order_count;
static int priority_of[4], policy_of_all;

static void *ranked(void *index)
{
    long self = (long)index;
    order[order_count++ & 7] = (int)self;
    uint64_t until = own_cpu_ns() + 30000000;
    while (own_cpu_ns() < until)
        ;
    order[order_count++ & 7] = (int)self + 10;
    return NULL;
}

static void *race(void *unused)
{
    pthread_t t[4];
    pthread_attr_t attr;
    pin_to_first();
    if (set_policy(0, SCHED_FIFO, 50))
        return (void *)(long)errno;
    order_count = 0;
    pthread_attr_init(&attr);
    pthread_attr_setinheritsched(&attr, PTHREAD_EXPLICIT_SCHED);
    pthread_attr_setschedpolicy(&attr, policy_of_all);
    int made = 0, error = 0;
    for (long i = 0; i < 4 && !error; i++) {
        struct sched_param param = {.sched_priority = priority_of[i]};
        pthread_attr_setschedparam(&attr, &param);
        error = pthread_create(&t[made], &attr, ranked, (void *)i);
        made += !error;
    }
    for (int i = 0; i < made; i++)
        pthread_join(t[i], NULL);
    return (void *)(long)error;
}

static bool raced(int policy, int p0, int p1, int p2, int p3)
{
    void *error;
    policy_of_all = policy;
    priority_of[0] = p0, priority_of[1] = p1, priority_of[2] = p2, priority_of[3] = p3;
    pthread_join(start(race, NULL), &error);
    return equal((long)error, 0, "four real-time threads on one CPU") && equal(order_count, 8, "all began and ended");
}

static void real_time_order(void)
{
    if (raced(SCHED_FIFO, 3, 9, 6, 1)) {
        static const int want[] = {1, 11, 2, 12, 0, 10, 3, 13};
        bool right = true;
        for (int i = 0; i < 8; i++)
            right = right && order[i] == want[i];
        check(right, "the highest priority runs first, to its end");
    }
    if (raced(SCHED_FIFO, 4, 4, 4, 4)) {
        bool right = true;
        for (int i = 0; i < 4; i++)
            right = right && order[2 * i + 1] == order[2 * i] + 10;
        check(right, "SCHED_FIFO of one priority: each runs to its end before the next begins");
    }
}

static _Atomic int preempted_count;
static void *urgent(void *woken)
{
    set_policy(0, SCHED_FIFO, 20);
    go = true;
    while (!stop) {
        sleep_ms(2);
        preempted_count++;
    }
    return NULL;
}

/* A hog of lower real-time priority does not keep a higher one from running, and normal threads wait for neither's end forever. */
static void *preemption_body(void *unused)
{
    pin_to_first();
    stop = go = false;
    preempted_count = 0;
    pthread_t t = start(urgent, NULL);
    eventually(go);
    set_policy(0, SCHED_RR, 2);
    uint64_t until = own_cpu_ns() + 200000000;
    while (own_cpu_ns() < until)
        ;
    int woke = preempted_count;
    set_policy(0, SCHED_OTHER, 0);
    stop = true;
    pthread_join(t, NULL);
    return (void *)(long)woke;
}

static void real_time_preempts(void)
{
    void *woke;
    pthread_join(start(preemption_body, NULL), &woke);
    check((long)woke >= 10, "a higher real-time priority preempts a lower one at its wake-ups (%ld)", (long)woke);
}

int main(void)
{
    if (!on_singlet() && set_policy(0, SCHED_FIFO, 1) < 0)
        return 0; /* not allowed to, so nothing of this file is */
    set_policy(0, SCHED_OTHER, 0);
    run(nice_values);
    run(beyond_the_ends);
    run(weights);
    run(policies);
    run(errors);
    run(real_time_order);
    run(real_time_preempts);
    return 0;
}
