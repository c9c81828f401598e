/* Timers that send signals: timer_create and its family, setitimer, and signals that are taken in
 * other ways than by a handler. Bounds are lower ones. */
#include "check.h"
#include <signal.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <sys/time.h>

#define MS 1000000L

static _Atomic int count, last_code, last_value, last_tid, last_overrun, last_thread, last_signal;

static void on_timer(int sig, siginfo_t *info, void *context)
{
    last_signal = sig;
    last_code = info->si_code;
    last_value = info->si_value.sival_int;
    last_tid = info->si_timerid;
    last_overrun = info->si_overrun;
    last_thread = (int)syscall(SYS_gettid);
    count++;
}

static void handle(int sig)
{
    struct sigaction a = {.sa_sigaction = on_timer, .sa_flags = SA_SIGINFO | SA_RESTART};
    sigaction(sig, &a, NULL);
    count = last_code = last_overrun = 0;
    last_value = last_tid = -1;
}

/* By system call: the C libraries wrap the ids. */
static int create(clockid_t clock, int notify, int sig, int value, int tid)
{
    struct sigevent e = {
        .sigev_notify = notify, .sigev_signo = sig, .sigev_value.sival_int = value};
    int id = -1;
    memcpy((char *)&e + 16, &tid, sizeof(tid)); /* sigev_notify_thread_id, by its place */
    return syscall(SYS_timer_create, clock, &e, &id) < 0 ? -1 : id;
}

static struct itimerspec spec(long value_ns, long interval_ns)
{
    return (struct itimerspec){.it_value = {value_ns / 1000000000, value_ns % 1000000000},
                               .it_interval = {interval_ns / 1000000000, interval_ns % 1000000000}};
}

static int set(int id, int flags, long value_ns, long interval_ns)
{
    struct itimerspec s = spec(value_ns, interval_ns);
    return (int)syscall(SYS_timer_settime, id, flags, &s, NULL);
}

static struct itimerspec get(int id)
{
    struct itimerspec s = {.it_value = {-1, 0}};
    syscall(SYS_timer_gettime, id, &s);
    return s;
}

static long ns_of(struct timespec t) { return t.tv_sec * 1000000000 + t.tv_nsec; }
static int delete (int id) { return (int)syscall(SYS_timer_delete, id); }
static int overrun_of(int id) { return (int)syscall(SYS_timer_getoverrun, id); }

static long clock_ns(clockid_t clock)
{
    struct timespec t = {0, 0};
    clock_gettime(clock, &t);
    return ns_of(t);
}

static void burn(long ns)
{
    long until = clock_ns(CLOCK_THREAD_CPUTIME_ID) + ns;
    while (clock_ns(CLOCK_THREAD_CPUTIME_ID) < until)
        ;
}

static void library(void)
{
    timer_t t;
    struct sigevent e = {
        .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN, .sigev_value.sival_int = 77};
    handle(SIGRTMIN);
    equal(timer_create(CLOCK_MONOTONIC, &e, &t), 0, "timer_create");
    struct itimerspec s = spec(5 * MS, 0), old;
    uint64_t before = now_ns();
    equal(timer_settime(t, 0, &s, &old), 0, "timer_settime");
    equal(ns_of(old.it_value), 0, "it was off");
    check(eventually(count == 1), "its signal came");
    check(now_ns() - before >= 5 * MS, "not early");
    equal(last_code, SI_TIMER, "si_code");
    equal(last_value, 77, "si_value");
    equal(last_signal, SIGRTMIN, "the signal");
    equal(timer_getoverrun(t), 0, "no overrun");
    equal(timer_gettime(t, &old), 0, "timer_gettime");
    equal(ns_of(old.it_value), 0, "over");
    sleep_ms(15);
    equal(count, 1, "once");
    equal(timer_delete(t), 0, "timer_delete");
}

static _Atomic int thread_calls, thread_value;
static void in_thread(union sigval v)
{
    thread_value = v.sival_int;
    thread_calls++;
}

static void by_thread(void)
{
    timer_t t;
    struct sigevent e = {.sigev_notify = SIGEV_THREAD,
                         .sigev_notify_function = in_thread,
                         .sigev_value.sival_int = 5};
    struct itimerspec s = spec(2 * MS, 2 * MS);
    equal(timer_create(CLOCK_MONOTONIC, &e, &t), 0, "SIGEV_THREAD");
    timer_settime(t, 0, &s, NULL);
    check(eventually(thread_calls >= 3), "its function is called again and again");
    equal(thread_value, 5, "with its value");
    equal(timer_delete(t), 0, "deleted");
}

static void errors(void)
{
    struct itimerspec s = spec(MS, 0);
    int id, good = create(CLOCK_MONOTONIC, SIGEV_SIGNAL, SIGRTMIN, 0, 0);
    fails(create(12345, SIGEV_SIGNAL, SIGRTMIN, 0, 0), EINVAL, "an unknown clock");
    fails(create(CLOCK_MONOTONIC_RAW, SIGEV_SIGNAL, SIGRTMIN, 0, 0), EOPNOTSUPP,
          "a clock that has no timers");
    fails(create(CLOCK_REALTIME_COARSE, SIGEV_SIGNAL, SIGRTMIN, 0, 0), EOPNOTSUPP, "another");
    fails(create(CLOCK_MONOTONIC, SIGEV_SIGNAL, 65, 0, 0), EINVAL, "a signal that is none");
    fails(create(CLOCK_MONOTONIC, SIGEV_SIGNAL, 0, 0, 0), EINVAL, "signal 0");
    fails(create(CLOCK_MONOTONIC, 99, SIGRTMIN, 0, 0), EINVAL, "an unknown way to tell");
    fails(create(CLOCK_MONOTONIC, SIGEV_THREAD_ID, SIGRTMIN, 0, 999999), EINVAL,
          "a thread that is none");
    fails(create((int)(~999999u << 3 | 6), SIGEV_SIGNAL, SIGRTMIN, 0, 0), EINVAL,
          "the CPU time of a thread that is none");
    fails(syscall(SYS_timer_create, CLOCK_MONOTONIC, (void *)8, &id), EFAULT, "a bad pointer");
    fails(syscall(SYS_timer_settime, 999999, 0, &s, NULL), EINVAL, "settime: no such timer");
    fails(syscall(SYS_timer_settime, good, 0, NULL, NULL), EINVAL, "no time");
    fails(syscall(SYS_timer_settime, good, 0, (void *)8, NULL), EFAULT, "a bad pointer");
    s.it_value.tv_nsec = 1000000000;
    fails(syscall(SYS_timer_settime, good, 0, &s, NULL), EINVAL, "a bad time");
    fails(syscall(SYS_timer_gettime, 999999, &s), EINVAL, "gettime: no such timer");
    fails(overrun_of(999999), EINVAL, "getoverrun: no such timer");
    fails(delete (999999), EINVAL, "delete: no such timer");
    equal(delete (good), 0, "a good one");
    fails(delete (good), EINVAL, "but only once");
}

static void default_event(void)
{
    int id = -1;
    handle(SIGALRM);
    equal(syscall(SYS_timer_create, CLOCK_BOOTTIME, NULL, &id), 0,
          "without an event, on CLOCK_BOOTTIME");
    set(id, 0, MS, 0);
    check(eventually(count == 1), "SIGALRM");
    equal(last_value, id, "with the timer's id as its value");
    equal(last_tid, id, "and as si_timerid");
    delete (id);
}

static void clocks(void)
{
    static const clockid_t ids[] = {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME, CLOCK_TAI};
    for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
        int id = create(ids[i], SIGEV_SIGNAL, SIGRTMIN, (int)i, 0);
        handle(SIGRTMIN);
        equal(set(id, TIMER_ABSTIME, clock_ns(ids[i]) + 3 * MS, 0), 0, "clock %d: absolute",
              (int)ids[i]);
        check(eventually(count == 1), "expires");
        equal(set(id, TIMER_ABSTIME, 1, 0), 0, "a time past");
        check(eventually(count == 2), "expires at once");
        equal(set(id, 0, 1000000 * MS, 7 * MS), 0, "relative");
        struct itimerspec s = get(id);
        check(ns_of(s.it_value) > 900000 * MS && ns_of(s.it_value) <= 1000000 * MS, "what is left");
        equal(ns_of(s.it_interval), 7 * MS, "its interval");
        equal(set(id, 0, 0, 7 * MS), 0, "stopped");
        s = get(id);
        check(ns_of(s.it_value) == 0 && ns_of(s.it_interval) == 0, "is off");
        delete (id);
    }
}

static void periodic(void)
{
    int id = create(CLOCK_MONOTONIC, SIGEV_SIGNAL, SIGRTMIN, 0, 0);
    handle(SIGRTMIN);
    uint64_t before = now_ns();
    set(id, 0, 3 * MS, 3 * MS);
    check(eventually(count >= 5), "a periodic timer");
    check(now_ns() - before >= 15 * MS, "5 periods are not early");
    struct itimerspec s = get(id);
    check(ns_of(s.it_value) > 0 && ns_of(s.it_value) <= 3 * MS && ns_of(s.it_interval) == 3 * MS,
          "what is left of one");
    set(id, 0, 0, 0);
    int seen = count;
    sleep_ms(15);
    check(count <= seen + 1, "stopped");
    delete (id);
}

static void overruns(void)
{
    sigset_t s, old, pending;
    siginfo_t info;
    sigemptyset(&s);
    sigaddset(&s, SIGRTMIN);
    pthread_sigmask(SIG_BLOCK, &s, &old);
    int id = create(CLOCK_MONOTONIC, SIGEV_SIGNAL, SIGRTMIN, 0, 0);
    uint64_t before = now_ns();
    set(id, 0, MS, MS);
    sleep_ms(30);
    sigpending(&pending);
    check(sigismember(&pending, SIGRTMIN), "blocked: pending");
    equal(sigwaitinfo(&s, &info), SIGRTMIN, "taken");
    long most = (long)((now_ns() - before) / MS);
    check(info.si_overrun >= 28 && info.si_overrun < most, "the overrun counts what passed: %d",
          info.si_overrun);
    equal(overrun_of(id), info.si_overrun, "timer_getoverrun says the same");
    equal(sigwaitinfo(&s, &info), SIGRTMIN, "and it goes on");
    delete (id);
    int a = create(CLOCK_MONOTONIC, SIGEV_SIGNAL, SIGUSR1, 1, 0),
        b = create(CLOCK_MONOTONIC, SIGEV_SIGNAL, SIGUSR1, 2, 0);
    sigaddset(&s, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &s, NULL);
    set(a, 0, MS, 0);
    set(b, 0, 5 * MS, 0);
    sleep_ms(20);
    equal(sigwaitinfo(&s, &info), SIGUSR1, "two timers with one signal");
    equal(info.si_value.sival_int, 1, "the first");
    equal(sigwaitinfo(&s, &info), SIGUSR1, "are two signals");
    equal(info.si_value.sival_int, 2, "the second");
    struct timespec none = {0, 0};
    fails(sigtimedwait(&s, &info, &none), EAGAIN, "and no more");
    delete (a);
    delete (b);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
}

static void ignored(void)
{
    int id = create(CLOCK_MONOTONIC, SIGEV_SIGNAL, SIGUSR2, 0, 0);
    signal(SIGUSR2, SIG_IGN);
    set(id, 0, MS, MS);
    sleep_ms(10);
    handle(SIGUSR2);
    check(eventually(count >= 2),
          "a periodic timer whose signal was ignored goes on when it is not");
    delete (id);
    signal(SIGUSR2, SIG_IGN);
    id = create(CLOCK_MONOTONIC, SIGEV_NONE, 0, 0, 0);
    equal(set(id, 0, 2 * MS, 0), 0, "SIGEV_NONE");
    check(eventually(ns_of(get(id).it_value) == 0), "runs out");
    set(id, 0, 2 * MS, 1000 * MS);
    sleep_ms(5);
    check(ns_of(get(id).it_value) > 2 * MS, "periodic: is at its next period");
    delete (id);
}

static _Atomic int target, leave;
static void *be_target(void *n)
{
    target = (int)syscall(SYS_gettid);
    while (!leave)
        sleep_ms(1);
    return n;
}

static void *be_busy(void *n)
{
    volatile unsigned long x = 0;
    target = (int)syscall(SYS_gettid);
    while (!leave)
        x = x + 1;
    return n;
}

static void one_thread(void *(*body)(void *))
{
    target = leave = 0;
    pthread_t t = start(body, NULL);
    if (!check(eventually(target != 0), "a thread"))
        return;
    handle(SIGRTMIN);
    int id = create(CLOCK_MONOTONIC, SIGEV_THREAD_ID, SIGRTMIN, 0, target);
    set(id, 0, 2 * MS, 2 * MS);
    check(eventually(count >= 3), "SIGEV_THREAD_ID");
    equal(last_thread, target, "that thread gets it");
    leave = 1;
    pthread_join(t, NULL);
    sleep_ms(5);
    int seen = count;
    sleep_ms(10);
    equal(count, seen, "when it has ended, nobody does");
    equal(delete (id), 0, "deleted");
}

static void to_a_thread(void) { one_thread(be_target); }
static void to_a_busy_thread(void) { one_thread(be_busy); }

/* All threads block it; then one waits for it. */
static void *wait_for_it(void *n)
{
    sigset_t s;
    siginfo_t info;
    int got = 0;
    sigemptyset(&s);
    sigaddset(&s, SIGRTMIN + 1);
    sleep_ms(10);
    for (int i = 0; i < 5; i++)
        got += sigwaitinfo(&s, &info) == SIGRTMIN + 1 && info.si_code == SI_TIMER;
    return (void *)(long)got;
}

static void waited_for(void)
{
    sigset_t s, old;
    void *got;
    sigemptyset(&s);
    sigaddset(&s, SIGRTMIN + 1);
    pthread_sigmask(SIG_BLOCK, &s, &old);
    pthread_t t = start(wait_for_it, NULL);
    int id = create(CLOCK_MONOTONIC, SIGEV_SIGNAL, SIGRTMIN + 1, 0, 0);
    set(id, 0, MS, 2 * MS);
    pthread_join(t, &got);
    equal((long)got, 5,
          "a thread that waits for it gets the process's signal, though it came before");
    delete (id);
    signal(SIGRTMIN + 1, SIG_IGN); /* what is pending is discarded */
    pthread_sigmask(SIG_SETMASK, &old, NULL);
}

static _Atomic bool sent;
static void *unblock_late(void *n)
{
    sigset_t s;
    sigemptyset(&s);
    sigaddset(&s, SIGUSR1);
    while (!sent)
        sleep_ms(1);
    pthread_sigmask(SIG_UNBLOCK, &s, NULL);
    return (void *)(long)count;
}

static void process_signal(void)
{
    sigset_t s, old;
    void *seen;
    sigemptyset(&s);
    sigaddset(&s, SIGUSR1);
    handle(SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &s, &old);
    sent = false;
    pthread_t t = start(unblock_late, NULL);
    kill(getpid(), SIGUSR1);
    sent = true;
    pthread_join(t, &seen);
    equal((long)seen, 1, "a signal of the process goes to the thread that unblocks it");
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    equal(count, 1, "and to no other");
}

static void cpu_timers(void)
{
    static const clockid_t ids[] = {CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID};
    for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
        int id = create(ids[i], SIGEV_SIGNAL, SIGRTMIN, 0, 0);
        handle(SIGRTMIN);
        check(id >= 0, "clock %d has timers", (int)ids[i]);
        set(id, 0, 20 * MS, 0);
        sleep_ms(60);
        equal(count, 0, "sleeping does not count");
        check(ns_of(get(id).it_value) > 5 * MS, "nor is much less left");
        long before = clock_ns(ids[i]);
        while (!count && clock_ns(ids[i]) - before < 20000 * MS)
            burn(MS);
        equal(count, 1, "computing does");
        check(clock_ns(ids[i]) - before > 5 * MS, "not early");
        set(id, 0, 3 * MS, 3 * MS);
        while (count < 4 && clock_ns(ids[i]) - before < 20000 * MS)
            burn(MS);
        check(count >= 4, "periodic");
        equal(delete (id), 0, "deleted");
    }
}

static _Atomic clockid_t other_clock;
static void *compute(void *n)
{
    clockid_t clock;
    pthread_getcpuclockid(pthread_self(), &clock);
    other_clock = clock;
    volatile unsigned long x = 0;
    while (!leave)
        x = x + 1;
    return n;
}

static void other_threads_cpu(void)
{
    leave = 0;
    other_clock = 0;
    pthread_t t = start(compute, NULL);
    check(eventually(other_clock != 0), "a thread computes");
    handle(SIGRTMIN);
    int id = create(other_clock, SIGEV_SIGNAL, SIGRTMIN, 0, 0);
    check(id >= 0, "a timer on its CPU time");
    set(id, 0, 5 * MS, 0);
    check(eventually(count == 1), "expires");
    check(clock_ns(other_clock) >= 5 * MS, "not early");
    struct timespec at = {0, 0};
    long target_ns = clock_ns(other_clock) + 5 * MS;
    at.tv_sec = target_ns / 1000000000;
    at.tv_nsec = target_ns % 1000000000;
    equal(clock_nanosleep(other_clock, TIMER_ABSTIME, &at, NULL), 0, "clock_nanosleep on it");
    check(clock_ns(other_clock) >= target_ns, "until it is there");
    at = (struct timespec){0, 5 * MS};
    long before = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
    equal(clock_nanosleep(CLOCK_PROCESS_CPUTIME_ID, 0, &at, NULL), 0,
          "clock_nanosleep on the process's CPU time");
    check(clock_ns(CLOCK_PROCESS_CPUTIME_ID) - before >= 5 * MS, "not early");
    leave = 1;
    pthread_join(t, NULL);
    /* Linux lets a thread be joined before it is gone. */
    check(eventually(set(id, 0, MS, 0) == -1 && errno == ESRCH), "the thread has ended: ESRCH");
    equal(ns_of(get(id).it_value), 0, "its timer is off");
    delete (id);
}

static void interval(int which, int sig, const char *name)
{
    struct itimerval v = {.it_value = {0, 4000}, .it_interval = {0, 4000}}, got = {0}, off = {0};
    handle(sig);
    equal(setitimer(which, &v, NULL), 0, "%s", name);
    uint64_t give_up = now_ns() + 60000 * (uint64_t)MS;
    while (count < 3 && now_ns() < give_up)
        burn(MS / 2);
    check(count >= 3, "again and again");
    equal(last_code, SI_KERNEL, "si_code");
    equal(getitimer(which, &got), 0, "getitimer");
    equal(got.it_interval.tv_usec, 4000, "its interval");
    check(got.it_value.tv_sec == 0, "what is left");
    equal(setitimer(which, &off, &got), 0, "off");
    equal(got.it_interval.tv_usec, 4000, "what it was");
    getitimer(which, &got);
    check(!got.it_value.tv_usec && !got.it_interval.tv_usec, "is off");
    signal(sig, SIG_IGN);
}

static void intervals(void)
{
    interval(ITIMER_REAL, SIGALRM, "ITIMER_REAL");
    interval(ITIMER_VIRTUAL, SIGVTALRM, "ITIMER_VIRTUAL");
    interval(ITIMER_PROF, SIGPROF, "ITIMER_PROF");
    struct itimerval bad = {.it_value = {0, 1000000}};
    fails(setitimer(ITIMER_REAL, &bad, NULL), EINVAL, "a bad time");
    fails(setitimer(3, &(struct itimerval){0}, NULL), EINVAL, "no such timer");
    equal(alarm(100), 0, "alarm");
    equal(alarm(0), 100, "what was left");
}

static void set_wall_by(long seconds)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    t.tv_sec += seconds;
    equal(clock_settime(CLOCK_REALTIME, &t), 0, "the wall clock is set by %ld s", seconds);
}

static void wall_steps(void)
{
    if (!on_singlet()) {
        skip("the host's clock is not set");
        return;
    }
    int id = create(CLOCK_REALTIME, SIGEV_SIGNAL, SIGRTMIN, 0, 0),
        relative = create(CLOCK_REALTIME, SIGEV_SIGNAL, SIGUSR1, 0, 0);
    handle(SIGRTMIN);
    set(id, TIMER_ABSTIME, clock_ns(CLOCK_REALTIME) + 1000000 * MS, 100000 * MS);
    set(relative, 0, 1000000 * MS, 0);
    signal(SIGUSR1, SIG_IGN);
    set_wall_by(1001);
    check(eventually(count == 1), "a time on the wall clock comes when that is set");
    check(ns_of(get(id).it_value) <= 100000 * MS && ns_of(get(id).it_value) > 0,
          "its period goes on");
    check(ns_of(get(relative).it_value) > 900000 * MS, "a length of time does not change");
    set_wall_by(-1001);
    check(ns_of(get(id).it_value) > 1000000 * MS, "set back, it comes later");
    equal(count, 1, "and not again");
    delete (id);
    delete (relative);
}

#define MANY 500
static void many(void)
{
    int ids[MANY], created = 0, expired = 0;
    sigset_t s, old;
    siginfo_t info;
    static bool seen[MANY];
    sigemptyset(&s);
    sigaddset(&s, SIGRTMIN);
    pthread_sigmask(SIG_BLOCK, &s, &old);
    for (int i = 0; i < MANY; i++) {
        ids[i] = create(CLOCK_MONOTONIC, SIGEV_SIGNAL, SIGRTMIN, i, 0);
        created += ids[i] >= 0 && set(ids[i], 0, (1 + i * 7 % 13) * MS, 0) == 0;
    }
    equal(created, MANY, "%d timers", MANY);
    for (int i = 0; i < MANY; i++) {
        int at = sigwaitinfo(&s, &info) == SIGRTMIN ? info.si_value.sival_int : -1;
        if (at >= 0 && at < MANY && !seen[at]) {
            seen[at] = true;
            expired++;
        }
    }
    equal(expired, MANY, "each expires once");
    for (int i = 0; i < MANY; i++)
        created -= delete (ids[i]) == 0;
    equal(created, 0, "all deleted");
    pthread_sigmask(SIG_SETMASK, &old, NULL);
}

static void limit(void)
{
    static int ids[200000];
    int n = 0;
    while (n < (int)ARRAY_SIZE(ids) && (ids[n] = create(CLOCK_MONOTONIC, SIGEV_NONE, 0, 0, 0)) >= 0)
        n++;
    check(n >= 1000, "at least 1,000 timers");
    check(n == (int)ARRAY_SIZE(ids) || errno == EAGAIN, "too many: EAGAIN");
    int deleted = 0;
    for (int i = 0; i < n; i++)
        deleted += delete (ids[i]) == 0;
    equal(deleted, n, "all deleted");
    int id = create(CLOCK_MONOTONIC, SIGEV_NONE, 0, 0, 0);
    check(id >= 0 && delete (id) == 0, "and there is room again");
}

/* Threads that set and delete timers, which expire meanwhile. Periods are not so short that a slow machine would do nothing but handle signals. */
static void *churn(void *seed)
{
    unsigned long r = (unsigned long)seed;
    for (int i = 0; i < 300; i++) {
        int id = create(CLOCK_MONOTONIC, SIGEV_SIGNAL, SIGRTMIN, 0, 0);
        for (int j = 0; j < 3; j++) {
            r = r * 6364136223846793005u + 1442695040888963407u;
            set(id, 0, (long)(r >> 45), (r >> 40) % 2 ? (long)(r >> 45) + MS / 4 : 0);
            if ((r >> 33) % 4 == 0)
                sched_yield();
        }
        if (delete (id))
            return NULL;
    }
    return seed;
}

static void churning(void)
{
    pthread_t t[4];
    bool good = true;
    void *result;
    handle(SIGRTMIN);
    for (long i = 0; i < 4; i++)
        t[i] = start(churn, (void *)(i + 1));
    for (int i = 0; i < 4; i++) {
        pthread_join(t[i], &result);
        good &= result != NULL;
    }
    check(good, "1,200 timers that are deleted while they expire, %d signals", (int)count);
    int id = create(CLOCK_MONOTONIC, SIGEV_SIGNAL, SIGRTMIN, 0, 0);
    handle(SIGRTMIN);
    set(id, 0, MS, 0);
    check(eventually(count >= 1), "and another works");
    delete (id);
}

int main(void)
{
    run(library);
    run(by_thread);
    run(errors);
    run(default_event);
    run(clocks);
    run(periodic);
    run(overruns);
    run(ignored);
    run(to_a_thread);
    run(to_a_busy_thread);
    run(waited_for);
    run(process_signal);
    run(cpu_timers);
    run(other_threads_cpu);
    run(intervals);
    run(wall_steps);
    run(many);
    run(limit);
    run(churning);
    signal(SIGRTMIN, SIG_IGN);
    signal(SIGALRM, SIG_IGN);
    signal(SIGUSR1, SIG_IGN);
    signal(SIGUSR2, SIG_IGN);
    return 0;
}
