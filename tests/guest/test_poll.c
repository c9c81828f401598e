/* poll, ppoll, select and pselect. */
#include "check.h"
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/select.h>

static void polling(void)
{
    int p[2];
    if (pipe(p) < 0)
        return;
    struct pollfd f[4] = {{p[0], POLLIN, 0}, {-1, POLLIN, 7}, {9999, POLLIN, 0}, {p[1], POLLOUT, 0}};
    equal(poll(f, 4, 0), 2, "two report something");
    equal(f[0].revents, 0, "an empty pipe");
    equal(f[1].revents, 0, "a negative descriptor is left out");
    equal(f[2].revents, POLLNVAL, "one that is none");
    equal(f[3].revents, POLLOUT, "room to write");
    uint64_t before = now_ns();
    equal(poll(f, 1, 20), 0, "timeout");
    check(now_ns() - before >= 20000000, "not early");
    equal(poll(NULL, 0, 1), 0, "nothing at all, for 1 ms");
    write(p[1], "x", 1);
    equal(poll(f, 1, -1), 1, "data");
    equal(f[0].revents, POLLIN, "POLLIN");
    f[0].events = POLLIN | POLLRDNORM;
    poll(f, 1, 0);
    equal(f[0].revents, POLLIN | POLLRDNORM, "POLLRDNORM goes with it");
    int file = open("poll-file", O_CREAT | O_RDWR, 0600);
    f[0] = (struct pollfd){file, POLLIN | POLLOUT, 0};
    poll(f, 1, 0);
    equal(f[0].revents, POLLIN | POLLOUT, "a file is always ready");
    close(file);
    close(p[0]);
    close(p[1]);
}

static void selecting(void)
{
    int p[2];
    fd_set r, w;
    if (pipe(p) < 0)
        return;
    FD_ZERO(&r);
    FD_ZERO(&w);
    FD_SET(p[0], &r);
    FD_SET(p[1], &w);
    struct timeval tv = {0, 0};
    equal(select(p[1] + 1, &r, &w, NULL, &tv), 1, "one is ready");
    check(!FD_ISSET(p[0], &r) && FD_ISSET(p[1], &w), "the writing end");
    FD_SET(p[0], &r);
    tv.tv_usec = 20000;
    uint64_t before = now_ns();
    equal(select(p[0] + 1, &r, NULL, NULL, &tv), 0, "timeout");
    check(now_ns() - before >= 20000000, "not early");
    check(!FD_ISSET(p[0], &r), "the set is empty");
    write(p[1], "x", 1);
    FD_SET(p[0], &r);
    equal(select(p[0] + 1, &r, NULL, NULL, NULL), 1, "data");
    check(FD_ISSET(p[0], &r), "in the set");
    FD_ZERO(&r);
    int closed = dup(p[0]);
    close(closed);
    FD_SET(closed, &r);
    tv = (struct timeval){0, 0};
    fails(select(closed + 1, &r, NULL, NULL, &tv), EBADF, "a descriptor that is none");
    struct timespec ts = {0, 1000000};
    equal(pselect(0, NULL, NULL, NULL, &ts, NULL), 0, "pselect as a sleep");
    close(p[0]);
    close(p[1]);
}

static volatile int handled;
static void handler(int sig) { handled++; }

static void *signal_main(void *t)
{
    sleep_ms(20);
    pthread_kill(*(pthread_t *)t, SIGUSR1);
    return NULL;
}

static void interrupted(void)
{
    struct sigaction a = {.sa_handler = handler, .sa_flags = SA_RESTART}; /* never restarts poll */
    pthread_t self = pthread_self();
    sigset_t set, none;
    sigaction(SIGUSR1, &a, NULL);
    pthread_t t = start(signal_main, &self);
    fails(poll(NULL, 0, 60000), EINTR, "poll is interrupted by a signal");
    equal(handled, 1, "its handler ran");
    pthread_join(t, NULL);
    sigemptyset(&set);
    sigemptyset(&none);
    sigaddset(&set, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    pthread_kill(self, SIGUSR1);
    equal(poll(NULL, 0, 5), 0, "a blocked signal does not interrupt");
    equal(handled, 1, "its handler waits");
    struct timespec ts = {60, 0};
    fails(ppoll(NULL, 0, &ts, &none), EINTR, "ppoll lets it through");
    equal(handled, 2, "its handler ran");
    sigset_t now;
    pthread_sigmask(SIG_BLOCK, NULL, &now);
    check(sigismember(&now, SIGUSR1), "the mask is back");
    pthread_kill(self, SIGUSR1);
    fails(pselect(0, NULL, NULL, NULL, &ts, &none), EINTR, "and pselect");
    equal(handled, 3, "its handler ran");
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

static void *write_event(void *fd)
{
    uint64_t v = 1;
    sleep_ms(5);
    return (void *)write((int)(long)fd, &v, 8);
}

static void many(void)
{
    struct pollfd f[300];
    for (int i = 0; i < 300; i++)
        f[i] = (struct pollfd){eventfd(0, 0), POLLIN, 0};
    pthread_t t = start(write_event, (void *)(long)f[299].fd);
    equal(poll(f, 300, -1), 1, "300 descriptors, the last becomes ready");
    equal(f[299].revents, POLLIN, "it is the one");
    pthread_join(t, NULL);
    for (int i = 0; i < 300; i++)
        close(f[i].fd);
}

int main(void)
{
    run(polling);
    run(selecting);
    run(interrupted);
    run(many);
    return 0;
}
