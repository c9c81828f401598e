/* timer_create(2) and its family. Each timer has one signal made ready beforehand. When it expires
   the signal becomes pending and the timer rests; when the signal is taken, the expirations that
   passed meanwhile are its overrun, and the timer goes on. So a program that does not take signals
   costs nothing, and none is lost. A periodic timer whose signal is ignored looks at the clock once
   a millisecond at most.

   Limits: TIMERS_MAX timers (EAGAIN). SIGEV_THREAD is the C library's, to the kernel it is
   SIGEV_SIGNAL, as on Linux. A signal that is pending when its timer is set anew or deleted is
   withdrawn. */
#include <kernel/clock_timer.h>
#include <kernel/posix_timer.h>
#include <kernel/program.h>
#include <kernel/signal.h>
#include <kernel/signal_pending.h>
#include <kernel/string.h>
#include <kernel/syscall.h>
#include <kernel/timespec.h>
#include <kernel/user.h>
#include <linux/time.h>
#include <mm/kmem.h>
#include <sched/internal.h>
#include <sys/tree.h>

#define TIMERS_MAX 16384u
#define SIGNALS 64
#define IGNORED_LOOK_NS NS_PER_MS

struct posix_timer {
    RB_ENTRY(posix_timer) link;
    int id, notify; /* constant, as the next two */
    int tid;        /* SIGEV_THREAD_ID: the thread; else 0 */
    struct clock_ref clock;
    struct clock_timer timer;    /* the rest is protected by lock */
    struct queued_signal signal; /* its info is constant */
    bool signalled;              /* the signal was sent and not taken: the timer rests */
    int overrun;                 /* of the signal that was taken last */
};

static int order(const struct posix_timer *a, const struct posix_timer *b)
{
    return a->id < b->id ? -1 : a->id > b->id;
}
RB_HEAD(posix_timers, posix_timer);
RB_PROTOTYPE_STATIC(posix_timers, posix_timer, link, order);
RB_GENERATE_STATIC(posix_timers, posix_timer, link, order)

/* Protects all below. Taken before a thread is held (CPU clocks), never after it. */
static struct mutex lock = MUTEX_INIT;
static struct posix_timers timers = RB_INITIALIZER(&timers);
static unsigned timer_count;
static int next_id;

static struct posix_timer *find(int id)
{
    struct posix_timer key;
    key.id = id;
    return RB_FIND(posix_timers, &timers, &key);
}

/* Runs in the thread of the soft timers, never while the timer is being freed (destroy waits for
   it). The signal is sent without the mutex, because sending holds threads; so it may be taken
   before we are back. */
static void fired(struct soft_timer *soft)
{
    struct posix_timer *t = CONTAINER_OF(soft, struct posix_timer, timer.timer);
    mutex_lock(&lock);
    bool due = !t->signalled && clock_timer_due(&t->timer);
    if (due) {
        t->signalled = true;
        if (!t->timer.period_ns)
            t->timer.next_ns = 0;
    } else if (!t->signalled) {
        clock_timer_arm(&t->timer, 0);
    }
    mutex_unlock(&lock);
    int sent = due ? signal_send_queued(&t->signal, t->tid) : 1;
    if (sent == 1)
        return;
    mutex_lock(&lock);
    if (t->signalled) {
        t->signalled = false;
        if (sent < 0)
            t->timer.next_ns = 0; /* its thread has ended */
        (void)clock_timer_expired(&t->timer);
        clock_timer_arm(&t->timer, deadline_after(IGNORED_LOOK_NS));
    }
    mutex_unlock(&lock);
}

void posix_timer_taken(siginfo_t *info)
{
    mutex_lock(&lock);
    struct posix_timer *t = find(info->si_tid);
    if (t && t->signalled) {
        uint64_t expired =
            clock_timer_expired(&t->timer); /* 0: once only, or the wall clock was set back */
        t->overrun = (int)MIN(expired ? expired - 1 : 0, (uint64_t)__INT_MAX__);
        t->signalled = false;
        clock_timer_arm(&t->timer, 0);
        info->si_overrun = t->overrun;
    }
    mutex_unlock(&lock);
}

static void destroy(struct posix_timer *t)
{
    clock_timer_end(&t->timer);
    signal_pending_withdraw(&t->signal);
    kfree(t);
}

/* Takes a timer, which is in the tree, out of it. With lock held. */
static void take_out(struct posix_timer *t)
{
    RB_REMOVE(posix_timers, &timers, t);
    timer_count--;
    t->timer.next_ns = 0;
}

void timers_end(void)
{
    struct posix_timer *t;
    itimers_end();
    mutex_lock(&lock);
    while ((t = RB_ROOT(&timers))) {
        take_out(t);
        mutex_unlock(&lock);
        destroy(t);
        mutex_lock(&lock);
    }
    mutex_unlock(&lock);
}

static bool event_valid(const sigevent_t *e)
{
    switch (e->sigev_notify) {
    case SIGEV_NONE: return true;
    case SIGEV_THREAD_ID:
        if (!app_thread_exists(e->sigev_notify_thread_id))
            return false;
        break;
    case SIGEV_SIGNAL:
    case SIGEV_THREAD: break;
    default: return false;
    }
    return e->sigev_signo >= 1 && e->sigev_signo <= SIGNALS;
}

/* Gives it a number and puts it into the tree. -EAGAIN: there are too many. */
static int insert(struct posix_timer *t)
{
    int err = -EAGAIN;
    mutex_lock(&lock);
    if (timer_count < TIMERS_MAX) {
        do {
            t->id = next_id;
            next_id = next_id == __INT_MAX__ ? 0 : next_id + 1;
        } while (find(t->id));
        t->signal.info.si_tid = t->id;
        RB_INSERT(posix_timers, &timers, t);
        timer_count++;
        err = 0;
    }
    mutex_unlock(&lock);
    return err;
}

SYSCALL(timer_create, 3, "clock, event, id", SYSCALL_COMPLETE)
long sys_timer_create(int clock, const sigevent_t *event, int *id)
{
    struct clock_ref ref;
    sigevent_t e = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM};
    int err = clock_resolve(clock, &ref);
    if (err)
        return err;
    if (clock_only_read(clock))
        return -EOPNOTSUPP;
    if ((event && !user_range_ok(event, sizeof(*event))) || !user_range_ok(id, sizeof(*id)))
        return -EFAULT;
    if (event)
        e = *event;
    if (!event_valid(&e))
        return -EINVAL;
    struct posix_timer *t = kzalloc(sizeof(*t));
    if (!t)
        return -EAGAIN;
    clock_timer_init(&t->timer, fired);
    t->clock = ref;
    t->notify = e.sigev_notify;
    t->tid = e.sigev_notify == SIGEV_THREAD_ID ? e.sigev_notify_thread_id : 0;
    t->signal.info.si_signo = e.sigev_signo;
    t->signal.info.si_code = SI_TIMER;
    t->signal.info.si_value = e.sigev_value;
    err = insert(t);
    if (err) {
        kfree(t);
        return err;
    }
    if (!event)
        t->signal.info.si_int = t->id;
    *id = t->id;
    return 0;
}

/* What timer_gettime reports. With lock held. */
static struct itimerspec64 setting(struct posix_timer *t)
{
    bool over = t->notify == SIGEV_NONE && !t->timer.period_ns && clock_timer_due(&t->timer);
    uint64_t left = over ? 0 : clock_timer_left(&t->timer);
    return (struct itimerspec64){timespec_of_ns(t->timer.period_ns), timespec_of_ns(left)};
}

/* With lock held. */
static int set(struct posix_timer *t, int flags, const struct itimerspec64 *new)
{
    uint64_t value = timespec_ns(&new->value), period = value ? timespec_ns(&new->interval) : 0;
    int err = clock_timer_set(&t->timer, &t->clock, value, period, flags & TIMER_ABSTIME);
    if (err)
        return err;
    signal_pending_withdraw(&t->signal);
    t->signalled = false;
    t->overrun = 0;
    if (t->notify != SIGEV_NONE)
        clock_timer_arm(&t->timer, 0);
    return 0;
}

SYSCALL(timer_settime, 4, "id, flags, new, old", SYSCALL_COMPLETE)
long sys_timer_settime(int id, int flags, const struct itimerspec64 *new, struct itimerspec64 *old)
{
    if (!new)
        return -EINVAL;
    if (!user_range_ok(new, sizeof(*new)) || (old && !user_range_ok(old, sizeof(*old))))
        return -EFAULT;
    struct itimerspec64 wanted = *new, was = {0};
    if (!timespec_valid(&wanted.value) || !timespec_valid(&wanted.interval))
        return -EINVAL;
    mutex_lock(&lock);
    struct posix_timer *t = find(id);
    if (t)
        was = setting(t);
    int err = t ? set(t, flags, &wanted) : -EINVAL;
    mutex_unlock(&lock);
    if (!err && old)
        *old = was;
    return err;
}

SYSCALL(timer_gettime, 2, "id, value", SYSCALL_COMPLETE)
long sys_timer_gettime(int id, struct itimerspec64 *value)
{
    struct itimerspec64 now = {0};
    mutex_lock(&lock);
    struct posix_timer *t = find(id);
    if (t)
        now = setting(t);
    mutex_unlock(&lock);
    if (!t)
        return -EINVAL;
    if (!user_range_ok(value, sizeof(*value)))
        return -EFAULT;
    *value = now;
    return 0;
}

SYSCALL(timer_getoverrun, 1, "id", SYSCALL_COMPLETE)
long sys_timer_getoverrun(int id)
{
    mutex_lock(&lock);
    struct posix_timer *t = find(id);
    int overrun = t ? t->overrun : -EINVAL;
    mutex_unlock(&lock);
    return overrun;
}

SYSCALL(timer_delete, 1, "id", SYSCALL_COMPLETE)
long sys_timer_delete(int id)
{
    mutex_lock(&lock);
    struct posix_timer *t = find(id);
    if (t)
        take_out(t);
    mutex_unlock(&lock);
    if (!t)
        return -EINVAL;
    destroy(t);
    return 0;
}
