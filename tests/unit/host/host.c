/* The kernel's lower half for unit tests, by the host's C library: memory, mutexes, wait queues, threads, clocks, random numbers, the log.

   Compiled with the host's headers, so it declares the kernel's functions itself, with compatible types. A mutex is a futex of three
   states in the first word of struct mutex; a thread's wake-up is a semaphore. Allocations can be made to fail one by one. */
#define _GNU_SOURCE
#include "host.h"
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* A test that links the real thing, or has its own, wins. */
#pragma weak kmalloc
#pragma weak kzalloc
#pragma weak kfree
#pragma weak krealloc
#pragma weak kmem_held_bytes
#pragma weak pages_alloc
#pragma weak pages_alloc_zeroed
#pragma weak pages_free
#pragma weak page_total_bytes
#pragma weak page_free_bytes
#pragma weak kstrdup
#pragma weak strlcpy
#pragma weak thread_interrupted
#pragma weak thread_wake
#pragma weak preempt_enable_switch
#pragma weak clock_monotonic_ns
#pragma weak clock_realtime_ns
#pragma weak mutex_lock
#pragma weak mutex_trylock
#pragma weak mutex_unlock
#pragma weak mutex_held
#pragma weak waitq_wait
#pragma weak waitq_wake
#pragma weak log_printf
#pragma weak panic
#pragma weak random_u64
#pragma weak random_bytes
#pragma weak random_add
#pragma weak signal_send_self
#pragma weak signal_mask_swap
#pragma weak percpu_count

/* ---- memory ---- */

static _Atomic uint64_t allocated;
static _Atomic long fail_in; /* allocations until one fails; 0: none fails */
static _Atomic uint64_t free_bytes = UINT64_MAX;

void host_fail_allocation(unsigned long n) { atomic_store(&fail_in, (long)n); }
uint64_t host_allocated(void) { return atomic_load(&allocated); }
void host_set_free_bytes(uint64_t n) { atomic_store(&free_bytes, n); }

static bool must_fail(void)
{
    return atomic_load(&fail_in) > 0 && atomic_fetch_sub(&fail_in, 1) == 1;
}

struct header {
    size_t size;
    size_t pad[7]; /* alignment 64 */
};

void *kmalloc(size_t size)
{
    if (must_fail() || size > 128 << 10)
        return NULL;
    /* The gap is the header's alignment, so that an overrun meets the sanitizer's red zone. */
    struct header *h = NULL;
    if (posix_memalign((void **)&h, 64, sizeof(*h) + size))
        return NULL;
    h->size = size;
    memset(h + 1, 0xa5, size);
    atomic_fetch_add(&allocated, size);
    return h + 1;
}

void kfree(void *p)
{
    if (!p)
        return;
    struct header *h = (struct header *)p - 1;
    atomic_fetch_sub(&allocated, h->size);
    free(h);
}

void *kzalloc(size_t size)
{
    void *p = kmalloc(size);
    return p ? memset(p, 0, size) : NULL;
}

void *krealloc(void *p, size_t size)
{
    void *q = kmalloc(size);
    if (q && p) {
        size_t old = ((struct header *)p - 1)->size;
        memcpy(q, p, old < size ? old : size);
        kfree(p);
    }
    return q;
}

uint64_t kmem_held_bytes(void) { return atomic_load(&allocated); }

void *pages_alloc(unsigned order)
{
    void *p = NULL;
    if (must_fail() || posix_memalign(&p, 4096, 4096ul << order))
        return NULL;
    memset(p, 0xa5, 4096ul << order);
    atomic_fetch_add(&allocated, 4096ul << order);
    return p;
}

void *pages_alloc_zeroed(unsigned order)
{
    void *p = pages_alloc(order);
    return p ? memset(p, 0, 4096ul << order) : NULL;
}

void pages_free(void *p, unsigned order)
{
    atomic_fetch_sub(&allocated, 4096ul << order);
    free(p);
}

uint64_t page_total_bytes(void) { return 256ull << 20; }
uint64_t page_free_bytes(void) { return atomic_load(&free_bytes); }

char *kstrdup(const char *s)
{
    size_t n = strlen(s) + 1;
    char *p = kmalloc(n);
    return p ? memcpy(p, s, n) : NULL;
}

size_t strlcpy(char *dst, const char *src, size_t size)
{
    size_t n = strlen(src);
    if (size) {
        size_t k = n < size ? n : size - 1;
        memcpy(dst, src, k);
        dst[k] = 0;
    }
    return n;
}

/* ---- threads ---- */

struct thread {
    sem_t wake;
    _Atomic bool waiting, woken;
    pthread_t pthread;
    void (*fn)(void *);
    void *arg;
    int id;
    const char *wait_reason;
    struct thread *next_ended;
};

/* Layout as in include/arch/percpu.h, with room to spare (test_rcu.c asserts that it is enough). */
struct percpu {
    struct percpu *self;
    struct thread *current;
    unsigned preempt_count, need_resched;
    uint64_t rest[128]; /* at least as large */
} __attribute__((aligned(64)));
_Thread_local struct percpu host_percpu;
unsigned percpu_count = 1;
static _Atomic int next_id = 1;

static struct thread *thread_make(void)
{
    struct thread *t = calloc(1, sizeof(*t));
    sem_init(&t->wake, 0, 0);
    t->id = atomic_fetch_add(&next_id, 1);
    return t;
}

__attribute__((constructor)) static void main_thread_init(void) { host_percpu.current = thread_make(); }

static void *thread_main(void *arg)
{
    struct thread *t = arg;
    host_percpu.current = t;
    t->fn(t->arg);
    return NULL;
}

struct host_thread *host_spawn(void (*fn)(void *), void *arg)
{
    struct thread *t = thread_make();
    t->fn = fn;
    t->arg = arg;
    if (pthread_create(&t->pthread, NULL, thread_main, t))
        abort();
    return (struct host_thread *)t;
}

void host_join(struct host_thread *h)
{
    struct thread *t = (struct thread *)h;
    pthread_join(t->pthread, NULL);
    /* As in the kernel, thread structures are never given back: a wake-up may come late. */
    static struct thread *_Atomic ended;
    t->next_ended = atomic_exchange(&ended, t);
}

struct thread *thread_create(const char *name, void (*fn)(void *), void *arg)
{
    (void)name;
    struct thread *t = (struct thread *)host_spawn(fn, arg);
    pthread_detach(t->pthread);
    return t;
}

_Noreturn void thread_exit(void) { pthread_exit(NULL); }
void thread_yield(void) { sched_yield(); }
const char *thread_wait_reason(const char *reason)
{
    struct thread *t = host_percpu.current;
    const char *outer = t->wait_reason;
    t->wait_reason = reason;
    return outer;
}
void host_yield(void) { sched_yield(); }
int thread_id(const struct thread *t) { return t->id; }
bool thread_interrupted(void) { return false; }
void preempt_enable_switch(void) {}

uint64_t clock_monotonic_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}
uint64_t clock_realtime_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

void thread_wait_prepare(void)
{
    struct thread *t = host_percpu.current;
    while (sem_trywait(&t->wake) == 0)
        ;
    atomic_store(&t->waiting, true);
}
void thread_wait_cancel(void) { atomic_store(&host_percpu.current->waiting, false); }

void thread_wait_until(uint64_t deadline_ns)
{
    struct thread *t = host_percpu.current;
    struct timespec ts = {(time_t)(deadline_ns / 1000000000u), (long)(deadline_ns % 1000000000u)};
    while (atomic_load(&t->waiting)) {
        int r = deadline_ns == UINT64_MAX ? sem_wait(&t->wake)
                                          : sem_clockwait(&t->wake, CLOCK_MONOTONIC, &ts);
        if (r == 0 || errno == ETIMEDOUT)
            break;
    }
    atomic_store(&t->waiting, false);
}
void thread_wait(void) { thread_wait_until(UINT64_MAX); }
void thread_wake(struct thread *t)
{
    if (atomic_exchange(&t->waiting, false))
        sem_post(&t->wake);
}
void thread_sleep_until(uint64_t deadline_ns)
{
    struct timespec ts = {(time_t)(deadline_ns / 1000000000u), (long)(deadline_ns % 1000000000u)};
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL);
}

/* ---- mutex ---- */

struct mutex { /* size and first field as in include/sched/mutex.h */
    _Atomic int state; /* 0: free, 1: held, 2: held and somebody may wait */
    unsigned handoff;
    void *_Atomic owner;
    void *rest[2];
    unsigned sequence;
};

static void futex(_Atomic int *p, int op, int value)
{
    syscall(SYS_futex, p, op | FUTEX_PRIVATE_FLAG, value, NULL, NULL, 0);
}

bool mutex_trylock(struct mutex *m)
{
    int free = 0;
    if (!atomic_compare_exchange_strong(&m->state, &free, 1))
        return false;
    atomic_store(&m->owner, host_percpu.current);
    return true;
}

void mutex_lock(struct mutex *m)
{
    if (!mutex_trylock(m)) {
        if (atomic_load(&m->owner) == host_percpu.current)
            abort(); /* taken twice */
        while (atomic_exchange(&m->state, 2) != 0)
            futex(&m->state, FUTEX_WAIT, 2);
        atomic_store(&m->owner, host_percpu.current);
    }
}

void mutex_unlock(struct mutex *m)
{
    if (atomic_load(&m->owner) != host_percpu.current)
        abort();
    atomic_store(&m->owner, NULL);
    if (atomic_exchange(&m->state, 0) == 2)
        futex(&m->state, FUTEX_WAKE, 1);
}

bool mutex_held(const struct mutex *m) { return atomic_load(&((struct mutex *)m)->owner) == host_percpu.current; }

/* ---- wait queues ---- */

struct waitq_entry {
    TAILQ_ENTRY(waitq_entry) link;
    struct thread *thread;
    bool queued;
};
TAILQ_HEAD(waitq, waitq_entry);

int waitq_wait(struct waitq *q, struct mutex *m, uint64_t deadline_ns, bool interruptible)
{
    (void)interruptible;
    struct waitq_entry e = {.thread = host_percpu.current, .queued = true};
    TAILQ_INSERT_TAIL(q, &e, link);
    thread_wait_prepare();
    mutex_unlock(m);
    thread_wait_until(deadline_ns);
    mutex_lock(m);
    if (!e.queued)
        return 0;
    TAILQ_REMOVE(q, &e, link);
    return clock_monotonic_ns() >= deadline_ns ? -ETIMEDOUT : 0;
}

int waitq_wake(struct waitq *q, int n)
{
    int woken = 0;
    struct waitq_entry *e;
    while (woken < n && (e = TAILQ_FIRST(q))) {
        TAILQ_REMOVE(q, e, link);
        e->queued = false;
        thread_wake(e->thread);
        woken++;
    }
    return woken;
}

/* ---- the rest ---- */

void log_printf(int level, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fprintf(stderr, "# log %d: ", level);
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
    va_end(ap);
}

_Noreturn void panic(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fprintf(stderr, "# panic: ");
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
    va_end(ap);
    abort();
}

static _Atomic uint64_t random_state;
uint64_t host_seed(void)
{
    const char *s = getenv("SEED");
    return s ? strtoull(s, NULL, 0) : 1;
}
uint64_t random_u64(void) /* splitmix64 */
{
    if (!atomic_load(&random_state))
        atomic_store(&random_state, host_seed() * 0x2545f4914f6cdd1dull + 1);
    uint64_t z = atomic_fetch_add(&random_state, 0x9e3779b97f4a7c15ull);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}
void random_bytes(void *buf, size_t n)
{
    for (size_t i = 0; i < n; i++)
        ((uint8_t *)buf)[i] = (uint8_t)random_u64();
}
void random_add(const void *buf, size_t n) { (void)buf, (void)n; }

int host_signals_sent;
void signal_send_self(int sig) { (void)sig, host_signals_sent++; }
uint64_t signal_mask_swap(uint64_t mask) { return mask & 0; }

void *host_read_file(const char *path, size_t *size)
{
    FILE *f = fopen(path, "rb");
    if (!f)
        return NULL;
    fseek(f, 0, SEEK_END);
    *size = (size_t)ftell(f);
    rewind(f);
    void *p = NULL;
    if (posix_memalign(&p, 4096, *size + 1) || fread(p, 1, *size, f) != *size)
        abort();
    fclose(f);
    return p;
}
int host_run(const char *command) { return system(command); }
void *host_malloc(size_t n) { return malloc(n); }
void host_free(void *p) { free(p); }

/* Tests without /proc. */
struct vnode;
__attribute__((weak)) bool synthfs_is_text(const struct vnode *v) { return false; }
