/* The jobs. Each makes what it needs, uses it together with threads of its own or with other workers, checks, and takes it away again, so that
   any leak of threads, descriptors or memory adds up over minutes. */
#include "stress.h"
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define HELPERS 3

/* Runs function(argument) in n threads and here, and returns how many returned NULL. */
static int helped(int n, void *(*function)(void *), void *argument)
{
    pthread_t t[HELPERS];
    void *result;
    int made = 0, good = 0;
    while (made < n && pthread_create(&t[made], NULL, function, argument) == 0)
        made++;
    good += function(argument) == NULL;
    for (int i = 0; i < made; i++)
        good += pthread_join(t[i], &result) == 0 && !result;
    return good - made + n; /* a thread that could not be made does no harm */
}

/* All workers meet at these. */
static pthread_mutex_t shared_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_rwlock_t shared_rwlock = PTHREAD_RWLOCK_INITIALIZER;
static long left, right;

static bool mutexes(unsigned *seed)
{
    bool good = true;
    for (int i = 0; i < 500; i++) {
        pthread_mutex_lock(&shared_mutex);
        good = good && left == right;
        left++;
        if (dice(seed, 100) == 0)
            sched_yield();
        right++;
        pthread_mutex_unlock(&shared_mutex);
    }
    return good;
}

static long rw_left, rw_right;
static bool rwlocks(unsigned *seed)
{
    bool good = true;
    for (int i = 0; i < 300; i++) {
        bool writes = dice(seed, 8) == 0;
        if (writes)
            pthread_rwlock_wrlock(&shared_rwlock);
        else
            pthread_rwlock_rdlock(&shared_rwlock);
        good = good && rw_left == rw_right;
        rw_left += writes;
        if (dice(seed, 100) == 0)
            sched_yield();
        rw_right += writes;
        pthread_rwlock_unlock(&shared_rwlock);
    }
    return good;
}

struct meeting {
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    pthread_barrier_t barrier;
    sem_t sem;
    int arrived, generation;
    _Atomic int inside;
};

static void *meet(void *arg)
{
    struct meeting *m = arg;
    for (int i = 0; i < 20; i++) {
        pthread_mutex_lock(&m->mutex);
        int mine = m->generation;
        if (++m->arrived == HELPERS + 1) {
            m->arrived = 0;
            m->generation++;
            pthread_cond_broadcast(&m->cond);
        }
        while (mine == m->generation)
            pthread_cond_wait(&m->cond, &m->mutex);
        pthread_mutex_unlock(&m->mutex);
        pthread_barrier_wait(&m->barrier);
        while (sem_wait(&m->sem) < 0)
            ;
        int now = ++m->inside;
        m->inside--;
        sem_post(&m->sem);
        if (now > 2)
            return m;
    }
    return NULL;
}

/* The numbers of threads must be right here: a helper that could not be made would leave the others waiting. */
static bool meetings(unsigned *seed)
{
    struct meeting m = {.mutex = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER};
    pthread_t t[HELPERS];
    pthread_barrier_init(&m.barrier, NULL, HELPERS + 1);
    sem_init(&m.sem, 0, 2);
    bool good = true;
    for (int i = 0; i < HELPERS; i++)
        while (pthread_create(&t[i], NULL, meet, &m))
            sched_yield();
    good = !meet(&m);
    for (int i = 0; i < HELPERS; i++) {
        void *result;
        good = !pthread_join(t[i], &result) && !result && good;
    }
    sem_destroy(&m.sem);
    pthread_barrier_destroy(&m.barrier);
    return good && m.generation == 20;
}

static __thread char own[2000];
static void *short_thread(void *arg)
{
    bool fresh = !own[0] && !own[sizeof(own) - 1];
    memset(own, 1, sizeof(own));
    return fresh ? NULL : arg;
}
static bool threads(unsigned *seed)
{
    bool good = true;
    for (int i = 0; i < 10; i++) {
        pthread_t t;
        void *result;
        if (pthread_create(&t, NULL, short_thread, seed) == 0)
            good = !pthread_join(t, &result) && !result && good;
    }
    return good;
}

static void unlock(void *mutex) { pthread_mutex_unlock(mutex); }
static void *waits_for_ever(void *arg)
{
    struct meeting *m = arg;
    pthread_mutex_lock(&m->mutex);
    pthread_cleanup_push(unlock, &m->mutex);
    for (;;)
        pthread_cond_wait(&m->cond, &m->mutex);
    pthread_cleanup_pop(0);
    return NULL;
}
static bool cancellation(unsigned *seed)
{
    struct meeting m = {.mutex = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER};
    pthread_t t;
    void *result;
    if (pthread_create(&t, NULL, waits_for_ever, &m))
        return true;
    for (unsigned i = dice(seed, 4); i > 0; i--)
        sched_yield();
    pthread_cancel(t);
    return !pthread_join(t, &result) && result == PTHREAD_CANCELED && !pthread_mutex_trylock(&m.mutex);
}

#define NUMBERS 400
static void *sends_numbers(void *arg)
{
    const int *fd = arg;
    for (unsigned i = 0; i < NUMBERS; i++)
        if (write(fd[1], &i, sizeof(i)) != sizeof(i))
            return arg;
    return NULL;
}
static bool numbers_through(int fd[2])
{
    pthread_t t;
    void *result = fd;
    unsigned i = 0, got;
    while (pthread_create(&t, NULL, sends_numbers, fd))
        sched_yield();
    while (i < NUMBERS && read(fd[0], &got, sizeof(got)) == sizeof(got) && got == i)
        i++;
    if (i < NUMBERS)
        close(fd[0]), fd[0] = -1; /* so that the sender does not block */
    pthread_join(t, &result);
    if (fd[0] >= 0)
        close(fd[0]);
    close(fd[1]);
    return i == NUMBERS && !result;
}
static bool pipes(unsigned *seed)
{
    int fd[2];
    return pipe(fd) == 0 && numbers_through(fd);
}
static bool sockets(unsigned *seed)
{
    int fd[2];
    return socketpair(AF_UNIX, SOCK_STREAM, 0, fd) == 0 && numbers_through(fd);
}

static void *posts(void *arg)
{
    uint64_t one = 1;
    for (int i = 0; i < 100; i++)
        if (write(*(int *)arg, &one, 8) != 8)
            return arg;
    return NULL;
}
static bool eventfds(unsigned *seed)
{
    int fd = eventfd(0, 0);
    pthread_t t;
    uint64_t sum = 0, got;
    void *result;
    if (fd < 0)
        return false;
    while (pthread_create(&t, NULL, posts, &fd))
        sched_yield();
    while (sum < 100 && read(fd, &got, 8) == 8)
        sum += got;
    pthread_join(t, &result);
    close(fd);
    return sum == 100 && !result;
}

static void *turns(void *arg)
{
    _Atomic unsigned *word = arg;
    static _Atomic unsigned next_parity;
    unsigned parity = next_parity++ & 1; /* two threads of a pair may get the same: then one finds no work */
    for (unsigned tries = 0; tries < 200; tries++) {
        unsigned v = *word;
        if (v >= 200)
            break;
        if ((v & 1) == parity) {
            atomic_compare_exchange_strong(word, &v, v + 1);
            syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 8, NULL, NULL, 0);
        } else {
            struct timespec limit = {0, 1000000};
            syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, v, &limit, NULL, 0);
        }
    }
    return NULL;
}
static bool futexes(unsigned *seed)
{
    _Atomic unsigned word = 0;
    return helped(HELPERS, turns, (void *)&word) == HELPERS + 1;
}

static __thread _Atomic int signals;
static void on_signal(int sig) { signals++; }
static void *until_signals(void *arg)
{
    *(_Atomic int *)arg = 1;
    while (signals < 1)
        __asm__ volatile("");
    return NULL;
}
static bool running_signals(unsigned *seed)
{
    static _Atomic bool installed;
    _Atomic int ready = 0;
    pthread_t t;
    if (!installed) {
        struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
        sigaction(SIGUSR1, &action, NULL);
        installed = true;
    }
    if (pthread_create(&t, NULL, until_signals, (void *)&ready))
        return true;
    while (!ready)
        sched_yield();
    pthread_kill(t, SIGUSR1);
    return pthread_join(t, NULL) == 0;
}

static bool mappings(unsigned *seed)
{
    size_t size = 4096u << dice(seed, 6);
    unsigned char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    bool good = true;
    if (p == MAP_FAILED)
        return errno == ENOMEM;
    unsigned char mark = (unsigned char)dice(seed, 255) + 1;
    for (size_t i = 0; i < size; i += 4096) {
        good = good && !p[i];
        p[i] = mark;
    }
    good = good && mprotect(p, size, PROT_READ) == 0;
    sched_yield();
    for (size_t i = 0; i < size; i += 4096)
        good = good && p[i] == mark;
    return munmap(p, size) == 0 && good;
}

static bool sleeps(unsigned *seed)
{
    struct timespec before, after, t = {0, (long)dice(seed, 5000000)};
    clock_gettime(CLOCK_MONOTONIC, &before);
    nanosleep(&t, NULL);
    clock_gettime(CLOCK_MONOTONIC, &after);
    return (after.tv_sec - before.tv_sec) * 1000000000L + after.tv_nsec - before.tv_nsec >= t.tv_nsec;
}

static bool work(unsigned *seed)
{
    for (volatile unsigned i = dice(seed, 1000000); i > 0; i--)
        ;
    return true;
}

static bool migrations(unsigned *seed)
{
    cpu_set_t all, one;
    bool good = true;
    if (sched_getaffinity(0, sizeof(all), &all))
        return false;
    for (int i = 0; i < CPU_SETSIZE; i++) {
        if (!CPU_ISSET(i, &all) || dice(seed, 3))
            continue;
        CPU_ZERO(&one);
        CPU_SET(i, &one);
        good = sched_setaffinity(0, sizeof(one), &one) == 0 && sched_getcpu() == i && good;
    }
    return sched_setaffinity(0, sizeof(all), &all) == 0 && good;
}

const struct job jobs[] = {
    {"mutexes", mutexes},   {"rwlocks", rwlocks},   {"meetings", meetings}, {"threads", threads}, {"cancellation", cancellation},
    {"pipes", pipes},       {"sockets", sockets},   {"eventfds", eventfds}, {"futexes", futexes}, {"signals", running_signals},
    {"mappings", mappings}, {"sleeps", sleeps},     {"work", work},         {"migrations", migrations},
};
const int job_count = sizeof(jobs) / sizeof(jobs[0]);
