/* Signals: sending, blocking, waiting, information, interrupted calls. */
#include "check.h"
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <sys/time.h>

static volatile int calls, last_signal, last_code, nested_depth, max_depth;
static volatile bool on_alternate, blocked_inside, other_blocked_inside;
static char alternate[65536];

static void handler(int sig)
{
    calls++;
    last_signal = sig;
}

static void information(int sig, siginfo_t *info, void *context)
{
    char here;
    sigset_t now;
    calls++;
    last_signal = info->si_signo;
    last_code = info->si_code;
    on_alternate = &here >= alternate && &here < alternate + sizeof(alternate);
    pthread_sigmask(SIG_BLOCK, NULL, &now);
    blocked_inside = sigismember(&now, sig);
    other_blocked_inside = sigismember(&now, SIGUSR2);
}

static sigset_t set_of(int a, int b)
{
    sigset_t s;
    sigemptyset(&s);
    sigaddset(&s, a);
    if (b)
        sigaddset(&s, b);
    return s;
}

static void actions(void)
{
    struct sigaction a = {.sa_handler = handler}, old;
    calls = 0;
    equal(sigaction(SIGUSR1, &a, NULL), 0, "sigaction");
    equal(sigaction(SIGUSR1, NULL, &old), 0, "asked");
    check(old.sa_handler == handler, "what was set");
    raise(SIGUSR1);
    equal(calls, 1, "raise: the handler ran before it returned");
    kill(getpid(), SIGUSR1);
    equal(calls, 2, "kill of oneself: as well");
    pthread_kill(pthread_self(), SIGUSR1);
    equal(calls, 3, "pthread_kill: as well");
    a.sa_handler = SIG_IGN;
    sigaction(SIGUSR1, &a, NULL);
    raise(SIGUSR1);
    equal(calls, 3, "ignored");
    signal(SIGCHLD, SIG_DFL);
    equal(raise(SIGCHLD) | raise(SIGURG) | raise(SIGWINCH), 0, "ignored by default");
    fails(sigaction(SIGKILL, &a, NULL), EINVAL, "SIGKILL cannot be ignored");
    fails(sigaction(100, &a, NULL), EINVAL, "no such signal");
    fails(kill(getpid(), 100), EINVAL, "kill: no such signal");
    equal(kill(getpid(), 0), 0, "kill with 0 asks");
    fails(kill(999999, 0), ESRCH, "kill: no such process");
    fails(syscall(SYS_tgkill, getpid(), 999999, 0), ESRCH, "tgkill: no such thread");
}

static void details(void)
{
    struct sigaction a = {.sa_sigaction = information, .sa_flags = SA_SIGINFO, .sa_mask = set_of(SIGUSR2, 0)};
    sigset_t now;
    calls = 0;
    sigaction(SIGUSR1, &a, NULL);
    raise(SIGUSR1);
    equal(last_signal, SIGUSR1, "si_signo");
    equal(last_code, SI_TKILL, "si_code of raise: SI_TKILL");
    check(blocked_inside && other_blocked_inside, "itself and sa_mask are blocked in the handler");
    pthread_sigmask(SIG_BLOCK, NULL, &now);
    check(!sigismember(&now, SIGUSR1) && !sigismember(&now, SIGUSR2), "and not after it");
    kill(getpid(), SIGUSR1);
    equal(last_code, SI_USER, "si_code of kill: SI_USER");
    a.sa_flags = SA_SIGINFO | SA_NODEFER;
    a.sa_mask = (sigset_t){0};
    sigaction(SIGUSR1, &a, NULL);
    raise(SIGUSR1);
    check(!blocked_inside, "SA_NODEFER");
    a.sa_flags = SA_SIGINFO | SA_RESETHAND;
    sigaction(SIGUSR1, &a, NULL);
    raise(SIGUSR1);
    sigaction(SIGUSR1, NULL, &a);
    check(a.sa_handler == SIG_DFL, "SA_RESETHAND");
    stack_t s = {.ss_sp = alternate, .ss_size = sizeof(alternate)}, old;
    equal(sigaltstack(&s, NULL), 0, "sigaltstack");
    equal(sigaltstack(NULL, &old), 0, "asked");
    check(old.ss_sp == alternate && old.ss_size == sizeof(alternate) && old.ss_flags == 0, "what was set");
    a = (struct sigaction){.sa_sigaction = information, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigaction(SIGUSR1, &a, NULL);
    raise(SIGUSR1);
    check(on_alternate, "SA_ONSTACK: the handler runs there");
    a.sa_flags = SA_SIGINFO;
    sigaction(SIGUSR1, &a, NULL);
    raise(SIGUSR1);
    check(!on_alternate, "and not without it");
    s = (stack_t){.ss_flags = SS_DISABLE};
    equal(sigaltstack(&s, NULL), 0, "disabled");
    s = (stack_t){.ss_sp = alternate, .ss_size = 100};
    fails(sigaltstack(&s, NULL), ENOMEM, "too small a stack");
}

static void blocking(void)
{
    sigset_t s = set_of(SIGUSR1, 0), old, pending;
    signal(SIGUSR1, handler);
    calls = 0;
    equal(pthread_sigmask(SIG_BLOCK, &s, &old), 0, "blocked");
    raise(SIGUSR1);
    raise(SIGUSR1);
    equal(calls, 0, "no handler");
    sigpending(&pending);
    check(sigismember(&pending, SIGUSR1) && !sigismember(&pending, SIGUSR2), "pending");
    pthread_sigmask(SIG_UNBLOCK, &s, NULL);
    equal(calls, 1, "unblocked: once, for a standard signal does not queue");
    sigpending(&pending);
    check(!sigismember(&pending, SIGUSR1), "no longer pending");
    equal(pthread_sigmask(99, &s, NULL), EINVAL, "an unknown way");
    pthread_sigmask(SIG_BLOCK, &s, NULL);
    kill(getpid(), SIGUSR1);
    signal(SIGUSR1, SIG_IGN);
    signal(SIGUSR1, handler);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    equal(calls, 1, "ignoring it discards a pending one");
    s = set_of(SIGKILL, SIGSTOP);
    pthread_sigmask(SIG_BLOCK, &s, NULL);
    pthread_sigmask(SIG_BLOCK, NULL, &old);
    check(!sigismember(&old, SIGKILL) && !sigismember(&old, SIGSTOP), "SIGKILL and SIGSTOP cannot be blocked");
}

static void nest(int sig)
{
    nested_depth++;
    if (nested_depth > max_depth)
        max_depth = nested_depth;
    if (sig == SIGUSR1)
        raise(SIGUSR2);
    nested_depth--;
}

static void nested(void)
{
    signal(SIGUSR1, nest);
    signal(SIGUSR2, nest);
    raise(SIGUSR1);
    equal(max_depth, 2, "a handler is interrupted by another signal");
    equal(nested_depth, 0, "and both returned");
}

static pthread_t main_thread;
static _Atomic int waiting;
static void *interrupt_main(void *n)
{
    while (!waiting)
        sched_yield();
    sleep_ms(20);
    pthread_kill(main_thread, SIGUSR1);
    return n;
}

static void interrupted(void)
{
    struct sigaction a = {.sa_handler = handler};
    int p[2];
    char c;
    if (pipe(p) < 0)
        return;
    main_thread = pthread_self();
    sigaction(SIGUSR1, &a, NULL);
    calls = 0;
    waiting = 0;
    pthread_t t = start(interrupt_main, NULL);
    waiting = 1;
    fails(read(p[0], &c, 1), EINTR, "a blocked read: EINTR");
    equal(calls, 1, "its handler ran");
    pthread_join(t, NULL);
    t = start(interrupt_main, NULL);
    struct timespec long_time = {1000, 0}, left = {0, 0};
    fails(nanosleep(&long_time, &left), EINTR, "nanosleep: EINTR");
    check(left.tv_sec >= 900 && left.tv_sec <= 1000, "the time that is left");
    pthread_join(t, NULL);
    t = start(interrupt_main, NULL);
    fails(pause(), EINTR, "pause");
    pthread_join(t, NULL);
    sigset_t s = set_of(SIGUSR1, 0), none, now;
    sigemptyset(&none);
    pthread_sigmask(SIG_BLOCK, &s, NULL);
    calls = 0;
    raise(SIGUSR1);
    fails(sigsuspend(&none), EINTR, "sigsuspend with one pending");
    equal(calls, 1, "its handler ran");
    pthread_sigmask(SIG_BLOCK, NULL, &now);
    check(sigismember(&now, SIGUSR1), "the mask is back");
    pthread_sigmask(SIG_UNBLOCK, &s, NULL);
    close(p[0]);
    close(p[1]);
}

static void *write_after_signal(void *fd)
{
    while (!waiting)
        sched_yield();
    sleep_ms(20);
    pthread_kill(main_thread, SIGUSR1);
    sleep_ms(20);
    return (void *)write((int)(long)fd, "x", 1);
}

static void restarted(void)
{
    struct sigaction a = {.sa_handler = handler, .sa_flags = SA_RESTART};
    int p[2];
    char c = 0;
    if (pipe(p) < 0)
        return;
    main_thread = pthread_self();
    sigaction(SIGUSR1, &a, NULL);
    calls = 0;
    pthread_t t = start(write_after_signal, (void *)(long)p[1]);
    waiting = 1;
    equal(read(p[0], &c, 1), 1, "SA_RESTART: read goes on");
    equal(calls, 1, "its handler ran");
    pthread_join(t, NULL);
    close(p[0]);
    close(p[1]);
}

static void *send_all(void *n)
{
    kill(getpid(), SIGUSR1);
    sleep_ms(20);
    kill(getpid(), SIGUSR2);
    return n;
}

static void waited_for(void)
{
    sigset_t s = set_of(SIGUSR1, SIGUSR2), old;
    int sig = 0;
    siginfo_t info;
    signal(SIGUSR1, SIG_DFL); /* would end the process if it were delivered */
    signal(SIGUSR2, SIG_DFL);
    pthread_sigmask(SIG_BLOCK, &s, &old);
    pthread_t t = start(send_all, NULL);
    equal(sigwait(&s, &sig), 0, "sigwait");
    equal(sig, SIGUSR1, "the signal");
    equal(sigwaitinfo(&s, &info), SIGUSR2, "sigwaitinfo: the other");
    equal(info.si_signo, SIGUSR2, "its information");
    pthread_join(t, NULL);
    struct timespec soon = {0, 10000000};
    uint64_t before = now_ns();
    fails(sigtimedwait(&s, NULL, &soon), EAGAIN, "sigtimedwait times out");
    check(now_ns() - before >= 10000000, "not early");
    pthread_sigmask(SIG_SETMASK, &old, NULL);
}

static void *own_mask(void *n)
{
    sigset_t now;
    pthread_sigmask(SIG_BLOCK, NULL, &now);
    return (void *)(long)(sigismember(&now, SIGUSR2) && !sigismember(&now, SIGUSR1));
}

static void inheritance(void)
{
    sigset_t s = set_of(SIGUSR2, 0), old;
    void *good;
    pthread_sigmask(SIG_BLOCK, &s, &old);
    pthread_t t = start(own_mask, NULL);
    pthread_join(t, &good);
    check(good != NULL, "a new thread has its creator's mask");
    pthread_sigmask(SIG_SETMASK, &old, NULL);
}

static _Atomic int storm_done;
static void *count_storm(void *n)
{
    sigset_t s = set_of(SIGUSR1, 0);
    pthread_sigmask(SIG_UNBLOCK, &s, NULL);
    double x = 1;
    for (long i = 0; !storm_done; i++) {
        x = x * 1.0000001 + 0.5 / (double)(i + 1);
        if (i % 1000 == 0)
            getppid(); /* a place to be interrupted */
    }
    return x > 0 ? (void *)1 : NULL;
}

static _Atomic int storm_calls;
static void storm_handler(int sig) { storm_calls++; }

static void storm(void)
{
    void *good;
    signal(SIGUSR1, storm_handler);
    pthread_t t = start(count_storm, NULL);
    int sent = 0;
    for (int i = 0; i < 200; i++) {
        sent += pthread_kill(t, SIGUSR1) == 0;
        if (i % 4 == 0)
            sleep_ms(1);
    }
    check(eventually(storm_calls > 0), "a thread that computes gets signals");
    storm_done = 1;
    pthread_join(t, &good);
    check(good != NULL && storm_calls <= sent, "%d sent, %d handled: no more than were sent", sent, storm_calls);
}

/* Two actions that take turns while signals come: the one leaves its signal unblocked while its handler runs, the other does not. */
static _Atomic int torn, whole, changes;
static _Atomic bool changed_enough;

static bool is_blocked(void)
{
    sigset_t now;
    pthread_sigmask(SIG_BLOCK, NULL, &now);
    return sigismember(&now, SIGUSR1);
}
static void on_open(int sig) { is_blocked() ? torn++ : whole++; }
static void on_closed(int sig) { is_blocked() ? whole++ : torn++; }

static void *changer(void *arg)
{
    while (!changed_enough) {
        struct sigaction a = {.sa_handler = changes % 2 ? on_open : on_closed, .sa_flags = changes % 2 ? SA_NODEFER : 0};
        sigaction(SIGUSR1, &a, NULL);
        changes++;
    }
    return NULL;
}

static void *sender_to_self(void *arg)
{
    for (int i = 0; i < 2000 || changes < 1000; i++)
        raise(SIGUSR1);
    return NULL;
}

static void changing(void)
{
    pthread_t c, s[2];
    signal(SIGUSR1, on_closed);
    pthread_create(&c, NULL, changer, NULL);
    for (int i = 0; i < 2; i++)
        pthread_create(&s[i], NULL, sender_to_self, NULL);
    for (int i = 0; i < 2; i++)
        pthread_join(s[i], NULL);
    changed_enough = true;
    pthread_join(c, NULL);
    check(whole >= 4000 && torn == 0, "an action that changes while signals come is seen whole (%d, torn %d)", whole, torn);
}

static _Atomic int alarms;
static void on_alarm(int sig) { alarms++; }

static void timers(void)
{
    struct itimerval once = {.it_value = {0, 20000}};
    signal(SIGALRM, on_alarm);
    errno = 0;
    if (setitimer(ITIMER_REAL, &once, NULL) < 0) {
        check(on_singlet() && errno == ENOSYS, "no interval timers: ENOSYS");
        return;
    }
    check(eventually(alarms == 1), "setitimer: SIGALRM came");
    sleep_ms(30);
    equal(alarms, 1, "once");
}

int main(void)
{
    run(actions);
    run(details);
    run(blocking);
    run(nested);
    run(interrupted);
    run(restarted);
    run(waited_for);
    run(inheritance);
    run(storm);
    run(changing);
    run(timers);
    signal(SIGUSR1, SIG_IGN);
    signal(SIGUSR2, SIG_IGN);
    return 0;
}
