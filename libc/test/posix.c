/*
 * What our lower edge of musl changes, seen from above: threads, cancellation, signals, clocks,
 * processes, memory. Runs on the host (libc-test) and, unchanged, in a guest. TAP.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <malloc.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static int test, failed, pipe_fd[2], cleanups;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static __thread int tls = 42;
static volatile int flag;

static void ok(int good, const char *what)
{
    printf("%sok %d - %s\n", good ? "" : "not ", ++test, what);
    failed |= !good;
}

static void cleanup(void *arg)
{
    (void)arg;
    cleanups++;
}

static void *add_tls(void *arg)
{
    tls += (long)arg;
    return (void *)(long)tls;
}

static void *in_read(void *arg)
{
    char c;
    pthread_cleanup_push(cleanup, arg);
    if (read(pipe_fd[0], &c, 1) < 0)
        arg = NULL;
    pthread_cleanup_pop(0);
    return arg;
}

static void *in_sleep(void *arg)
{
    struct timespec ts = {100, 0};
    pthread_cleanup_push(cleanup, arg);
    nanosleep(&ts, NULL);
    pthread_cleanup_pop(0);
    return arg;
}

static void unlock(void *arg)
{
    pthread_mutex_unlock(arg);
    cleanups++;
}

static void *in_cond_wait(void *arg)
{
    pthread_mutex_lock(&mutex);
    pthread_cleanup_push(unlock, &mutex);
    for (;;)
        pthread_cond_wait(&cond, &mutex);
    pthread_cleanup_pop(1);
    return arg;
}

static void *disabled(void *arg)
{
    char c;
    int old;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &old);
    long n = read(pipe_fd[0], &c, 1);
    flag = n == 1 ? 1 : -1;
    pthread_setcancelstate(old, NULL);
    pthread_testcancel();
    return arg;
}

static void *spin_async(void *arg)
{
    pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL);
    for (flag = 2;;)
        __asm__ volatile("pause");
    return arg;
}

static int cancels(void *(*f)(void *), const char *data)
{
    pthread_t t;
    void *result;
    struct timespec ts = {0, 50000000};

    if (pthread_create(&t, NULL, f, &ts))
        return 0;
    nanosleep(&ts, NULL);
    pthread_cancel(t);
    nanosleep(&ts, NULL);
    if (data && write(pipe_fd[1], data, 1) != 1)
        return 0;
    return !pthread_join(t, &result) && result == PTHREAD_CANCELED;
}

static void *detached(void *arg)
{
    pthread_mutex_lock(&mutex);
    ++*(int *)arg;
    pthread_cond_signal(&cond);
    pthread_mutex_unlock(&mutex);
    return NULL;
}

static void handler(int sig)
{
    flag = sig;
}

int main(void)
{
    pthread_t t[8];
    void *result;
    long sum = 0;

    setvbuf(stdout, NULL, _IOLBF, 0);
    if (pipe(pipe_fd))
        return 1;
    for (long i = 0; i < 8; i++)
        if (pthread_create(&t[i], NULL, add_tls, (void *)i))
            return 1;
    for (int i = 0; i < 8; i++)
        sum += pthread_join(t[i], &result) ? 0 : (long)result;
    ok(sum == 8 * 42 + 28 && tls == 42, "threads have their own TLS and are joined");

    int ended = 0;
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    for (int i = 0; i < 100; i++)
        if (pthread_create(&t[0], &attr, detached, &ended))
            return 1;
    pthread_mutex_lock(&mutex);
    while (ended < 100)
        pthread_cond_wait(&cond, &mutex);
    pthread_mutex_unlock(&mutex);
    ok(1, "100 detached threads end");

    ok(cancels(in_read, NULL) && cleanups == 1, "cancellation in read");
    ok(cancels(in_sleep, NULL) && cleanups == 2, "cancellation in nanosleep");
    ok(cancels(in_cond_wait, NULL) && cleanups == 3, "cancellation in pthread_cond_wait");
    ok(cancels(disabled, "x") && flag == 1, "a thread with cancellation disabled sees no EINTR");
    ok(cancels(spin_async, NULL), "asynchronous cancellation");

    struct sigaction sa = {.sa_handler = handler};
    sigaction(SIGUSR1, &sa, NULL);
    raise(SIGUSR1);
    ok(flag == SIGUSR1, "a signal handler runs and returns");

    struct itimerval timer = {.it_value.tv_usec = 20000};
    char c;
    sigaction(SIGALRM, &sa, NULL);
    setitimer(ITIMER_REAL, &timer, NULL);
    ok(read(pipe_fd[0], &c, 1) == -1 && errno == EINTR && flag == SIGALRM, "a handler interrupts read");

    errno = 0;
    ok(fork() == -1 && errno == ENOSYS, "fork: ENOSYS");
    errno = 0;
    ok(vfork() == -1 && errno == ENOSYS, "vfork: ENOSYS");
    errno = 0;
    ok(syscall(511) == -1 && errno == ENOSYS, "a call that is not there: ENOSYS");
    errno = 0;
    ok(syscall(100000) == -1 && errno == ENOSYS, "a number beyond the table: ENOSYS");

    struct timespec a, b;
    clock_gettime(CLOCK_MONOTONIC, &a);
    usleep(2000);
    clock_gettime(CLOCK_MONOTONIC, &b);
    long ns = (b.tv_sec - a.tv_sec) * 1000000000L + b.tv_nsec - a.tv_nsec;
    ok(ns >= 2000000, "CLOCK_MONOTONIC goes on");
    errno = 0;
    ok(clock_gettime(12345, &a) == -1 && errno == EINVAL, "an unknown clock: EINVAL");
    struct timeval tv;
    ok(!gettimeofday(&tv, NULL) && llabs((long long)tv.tv_sec - time(NULL)) <= 1, "gettimeofday");

    struct addrinfo *ai = NULL, hints = {.ai_flags = AI_NUMERICHOST, .ai_socktype = SOCK_STREAM};
    ok(!getaddrinfo("127.0.0.1", "80", &hints, &ai) && ai->ai_family == AF_INET, "getaddrinfo");
    freeaddrinfo(ai);

    char buf[64];
    snprintf(buf, sizeof(buf), "%s %d %.3f %lx", "a", -1, 1.0 / 3, 255L);
    ok(!strcmp(buf, "a -1 0.333 ff"), "snprintf");

    int good = 1;
    static char *block[1000];
    for (int i = 0; i < 1000; i++) {
        size_t n = i < 900 ? (size_t)i * 7 + 1 : (size_t)i * 1000;
        block[i] = malloc(n);
        good &= block[i] && malloc_usable_size(block[i]) >= n;
        memset(block[i], i, n);
    }
    for (int i = 0; i < 1000; i++) {
        good &= block[i][0] == (char)i;
        free(block[i]);
    }
    char *aligned = aligned_alloc(4096, 8192);
    good &= aligned && !((size_t)aligned & 4095) && malloc_usable_size(aligned) >= 8192;
    free(aligned);
    ok(good, "malloc");

    struct epoll_event ev;
    ok(epoll_wait(epoll_create1(0), &ev, 1, 5) == 0, "epoll_wait waits in vain");

    printf("1..%d\n", test);
    return failed;
}
