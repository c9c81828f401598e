/* eventfd and timerfd. */
#include "check.h"
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>

static short polled(int fd, short events, int timeout)
{
    struct pollfd p = {.fd = fd, .events = events};
    return poll(&p, 1, timeout) > 0 ? p.revents : 0;
}

static void *add_later(void *fd)
{
    uint64_t v = 5;
    sleep_ms(10);
    return (void *)write((int)(long)fd, &v, sizeof(v));
}

static void event(void)
{
    uint64_t v = 0;
    int fd = eventfd(3, EFD_NONBLOCK | EFD_CLOEXEC);
    check(fd >= 0, "eventfd");
    equal(polled(fd, POLLIN | POLLOUT, 0), POLLIN | POLLOUT, "readable and writable");
    equal(read(fd, &v, 8), 8, "read");
    equal(v, 3, "the value");
    fails(read(fd, &v, 8), EAGAIN, "empty: EAGAIN");
    equal(polled(fd, POLLIN | POLLOUT, 0), POLLOUT, "only writable");
    v = UINT64_MAX - 1;
    equal(write(fd, &v, 8), 8, "the greatest value");
    equal(polled(fd, POLLIN | POLLOUT, 0), POLLIN, "only readable");
    v = 1;
    fails(write(fd, &v, 8), EAGAIN, "full: EAGAIN");
    v = UINT64_MAX;
    fails(write(fd, &v, 8), EINVAL, "a value that is none");
    fails(read(fd, &v, 4), EINVAL, "a short buffer");
    close(fd);
    fd = eventfd(0, EFD_SEMAPHORE | EFD_NONBLOCK);
    v = 2;
    equal(write(fd, &v, 8), 8, "semaphore: add 2");
    for (int i = 0; i < 2; i++) {
        read(fd, &v, 8);
        equal(v, 1, "takes one at a time");
    }
    fails(read(fd, &v, 8), EAGAIN, "none left");
    close(fd);
    fd = eventfd(0, 0);
    pthread_t t = start(add_later, (void *)(long)fd);
    equal(read(fd, &v, 8), 8, "a blocked read");
    equal(v, 5, "is woken with the value");
    pthread_join(t, NULL);
    t = start(add_later, (void *)(long)fd);
    equal(polled(fd, POLLIN, -1), POLLIN, "and so is poll");
    pthread_join(t, NULL);
    close(fd);
}

static void timer(void)
{
    int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    struct itimerspec s = {.it_value = {0, 20000000}}, got;
    uint64_t v = 0, before = now_ns();
    check(fd >= 0, "timerfd_create");
    fails(read(fd, &v, 8), EAGAIN, "not armed: EAGAIN");
    equal(timerfd_settime(fd, 0, &s, NULL), 0, "armed, once");
    equal(timerfd_gettime(fd, &got), 0, "gettime");
    check(got.it_value.tv_sec == 0 && got.it_value.tv_nsec <= 20000000 && got.it_interval.tv_nsec == 0, "what is left");
    equal(polled(fd, POLLIN, -1), POLLIN, "poll");
    check(now_ns() - before >= 20000000, "not early");
    equal(read(fd, &v, 8), 8, "read");
    equal(v, 1, "expired once");
    fails(read(fd, &v, 8), EAGAIN, "and no more");
    s = (struct itimerspec){.it_value = {0, 5000000}, .it_interval = {0, 5000000}};
    before = now_ns();
    timerfd_settime(fd, 0, &s, NULL);
    uint64_t sum = 0;
    while (sum < 6) {
        polled(fd, POLLIN, -1);
        if (read(fd, &v, 8) == 8)
            sum += v;
    }
    check(now_ns() - before >= 30000000, "6 intervals are not early");
    s = (struct itimerspec){0};
    timerfd_settime(fd, 0, &s, NULL);
    sleep_ms(15);
    fails(read(fd, &v, 8), EAGAIN, "disarmed: no expiry");
    clock_gettime(CLOCK_MONOTONIC, &s.it_value);
    equal(timerfd_settime(fd, TFD_TIMER_ABSTIME, &s, NULL), 0, "a time that has come");
    equal(polled(fd, POLLIN, 60000), POLLIN, "expires at once");
    s = (struct itimerspec){.it_value = {0, 1000000000}};
    fails(timerfd_settime(fd, 0, &s, NULL), EINVAL, "a bad time");
    fails(timerfd_create(12345, 0), EINVAL, "an unknown clock");
    close(fd);
    fd = timerfd_create(CLOCK_REALTIME, 0);
    s = (struct itimerspec){.it_value = {0, 10000000}};
    timerfd_settime(fd, 0, &s, NULL);
    equal(read(fd, &v, 8), 8, "a blocking read of one on the wall clock");
    close(fd);
}

static void set_wall_by(long seconds)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    t.tv_sec += seconds;
    equal(clock_settime(CLOCK_REALTIME, &t), 0, "the wall clock is set by %ld s", seconds);
}

static void *set_wall_later(void *seconds)
{
    sleep_ms(20);
    set_wall_by((long)seconds);
    return seconds;
}

static struct itimerspec wall_in(long seconds)
{
    struct itimerspec s = {0};
    clock_gettime(CLOCK_REALTIME, &s.it_value);
    s.it_value.tv_sec += seconds;
    return s;
}

static void steps(void)
{
    struct itimerspec s = wall_in(1000), got;
    uint64_t v = 0;
    int fd = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK), boot = timerfd_create(CLOCK_BOOTTIME, TFD_NONBLOCK);
    equal(timerfd_settime(fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &s, NULL), 0, "TFD_TIMER_CANCEL_ON_SET");
    equal(timerfd_settime(boot, TFD_TIMER_CANCEL_ON_SET, &s, NULL), 0, "means nothing on another clock");
    fails(timerfd_settime(fd, 4, &s, NULL), EINVAL, "an unknown flag");
    fails(read(fd, &v, 8), EAGAIN, "nothing to read");
    if (!on_singlet()) {
        skip("the host's clock is not set");
        close(fd);
        close(boot);
        return;
    }
    pthread_t t = start(set_wall_later, (void *)100L);
    equal(polled(fd, POLLIN, 60000), POLLIN, "readable");
    pthread_join(t, NULL);
    fails(read(fd, &v, 8), ECANCELED, "ECANCELED");
    fails(read(fd, &v, 8), EAGAIN, "once");
    timerfd_gettime(fd, &got);
    check(got.it_value.tv_sec > 800 && got.it_value.tv_sec <= 900, "the timer goes on, 100 s nearer");
    set_wall_by(-100);
    s = wall_in(1000);
    fails(timerfd_settime(fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &s, NULL), ECANCELED, "setting it anew says so, too");
    equal(timerfd_settime(fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &s, NULL), 0, "once");
    s = wall_in(1000);
    equal(timerfd_settime(fd, TFD_TIMER_ABSTIME, &s, NULL), 0, "without the flag");
    t = start(set_wall_later, (void *)1001L);
    equal(polled(fd, POLLIN, 60000), POLLIN, "a time on the wall clock comes when that is set");
    pthread_join(t, NULL);
    equal(read(fd, &v, 8), 8, "expired");
    equal(v, 1, "once");
    s = (struct itimerspec){.it_value = {1000, 0}};
    equal(timerfd_settime(fd, 0, &s, NULL), 0, "a length of time");
    set_wall_by(-1001);
    timerfd_gettime(fd, &got);
    check(got.it_value.tv_sec > 900 && got.it_value.tv_sec <= 1000, "does not change by that");
    fails(read(fd, &v, 8), EAGAIN, "nor expires");
    close(fd);
    close(boot);
}

int main(void)
{
    run(event);
    run(timer);
    run(steps);
    return 0;
}
