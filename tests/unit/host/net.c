/* The kernel around the network stack, for host tests: one thread, simulated time, and sleeping means calling sim_idle(), which the test
   provides: it moves packets and time. Deterministic, so a failing seed fails again. */
#include <asm/errno.h>
#include <fs/file.h>
#include <fs/poll.h>
#include <kernel/clock.h>
#include <kernel/log.h>
#include <kernel/print.h>
#include <kernel/random.h>
#include <kernel/string.h>
#include <mm/kmem.h>
#include <mm/page.h>
#include <sched/thread.h>
#include <sched/timer.h>
#include <sched/waitq.h>

#include "net_sim.h"

void *malloc(size_t size);
void *calloc(size_t n, size_t size);
void *realloc(void *p, size_t n);
void *aligned_alloc(size_t alignment, size_t size);
void free(void *p);
_Noreturn void abort(void);
int vsnprintf(char *buf, size_t size, const char *fmt, va_list ap);
int printf(const char *fmt, ...);

uint64_t sim_now = 1000000000;
unsigned sim_alloc_fail; /* one allocation in this many fails; 0: none */
long sim_allocated;
bool sim_verbose;
static uint64_t rng = 88172645463325252u;
_Thread_local struct percpu host_percpu;

uint64_t random_u64(void)
{
    rng ^= rng << 13;
    rng ^= rng >> 7;
    rng ^= rng << 17;
    return rng * 0x2545f4914f6cdd1du;
}
void sim_seed(uint64_t seed) { rng = seed * 0x9e3779b97f4a7c15u + 1; }
void random_bytes(void *buf, size_t n)
{
    for (size_t i = 0; i < n; i++)
        ((uint8_t *)buf)[i] = (uint8_t)(random_u64() >> 32);
}

static bool fail(void) { return sim_alloc_fail != 0 && random_u64() % sim_alloc_fail == 0; }
void *kmalloc(size_t size)
{
    if (fail())
        return NULL;
    sim_allocated++;
    return malloc(size);
}
void *kzalloc(size_t size)
{
    void *p = kmalloc(size);
    return p != NULL ? memset(p, 0, size) : NULL;
}
void kfree(void *p)
{
    sim_allocated -= p != NULL;
    free(p);
}
void *pages_alloc(unsigned order) { return fail() ? NULL : aligned_alloc(PAGE_SIZE, PAGE_SIZE << order); }
void *pages_alloc_zeroed(unsigned order)
{
    void *p = pages_alloc(order);
    return p != NULL ? memset(p, 0, PAGE_SIZE << order) : NULL;
}
void pages_free(void *p, unsigned order) { free(p); }
uint64_t page_free_bytes(void) { return 64ull << 20; }
uint64_t page_total_bytes(void) { return 128ull << 20; }

uint64_t clock_monotonic_ns(void) { return sim_now; }

void mutex_lock(struct mutex *m)
{
    if (m->count != 0)
        panic("host: mutex taken twice");
    m->count = 1;
}
bool mutex_trylock(struct mutex *m)
{
    if (m->count != 0)
        return false;
    m->count = 1;
    return true;
}
void mutex_unlock(struct mutex *m)
{
    if (m->count == 0)
        panic("host: mutex not held");
    m->count = 0;
}
bool mutex_held(const struct mutex *m) { return m->count != 0; }

int waitq_wait(struct waitq *q, struct mutex *m, uint64_t deadline, bool interruptible)
{
    return waitq_wait_then(q, m, deadline, interruptible, NULL);
}
int waitq_wait_then(struct waitq *q, struct mutex *m, uint64_t deadline, bool interruptible, void (*released)(void))
{
    mutex_unlock(m);
    if (released != NULL)
        released();
    sim_idle();
    mutex_lock(m);
    return sim_now >= deadline ? -ETIMEDOUT : 0;
}
int waitq_wake(struct waitq *q, int n) { return 0; }

static unsigned batch;
unsigned *thread_net_batch(void) { return &batch; }
struct thread *thread_create(const char *name, void (*fn)(void *), void *arg) { return (struct thread *)&batch; }
_Noreturn void thread_exit(void) { abort(); }
void thread_yield(void) {}
void thread_wake(struct thread *t) {}
void thread_wait_prepare(void) {}
void thread_wait_cancel(void) {}
const char *thread_wait_reason(const char *reason) { return NULL; }
void thread_wait_until(uint64_t deadline) {}
void timer_arm(struct timer *t, uint64_t deadline) {}

void signal_send_self(int sig);
void signal_send_self(int sig) { sim_signals++; }
unsigned sim_signals;

int vfs_write_file(const char *path, const void *data, size_t len);
int vfs_write_file(const char *path, const void *data, size_t len) { return 0; }

/* Files without a descriptor table. */
struct file *file_new(const struct file_ops *ops, int flags, void *priv)
{
    struct file *f = kzalloc(sizeof(*f));
    if (f == NULL)
        return NULL;
    f->ops = ops;
    f->flags = flags;
    f->refs = 1;
    f->priv = priv;
    poll_source_init(&f->poll_source);
    return f;
}
void file_release(struct file *f)
{
    f->ops->release(f);
    kfree(f);
}

void log_printf(enum log_level level, const char *fmt, ...)
{
    char line[256];
    va_list ap;

    if (!sim_verbose)
        return;
    va_start(ap, fmt);
    vsnprintf(line, sizeof(line), fmt, ap);
    va_end(ap);
    printf("# %s\n", line);
}
_Noreturn void panic(const char *fmt, ...)
{
    char line[256];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(line, sizeof(line), fmt, ap);
    va_end(ap);
    printf("Bail out! panic: %s\n", line);
    abort();
}

size_t strlcpy(char *dst, const char *src, size_t size)
{
    size_t n = strlen(src);
    if (size > 0) {
        size_t copy = n < size - 1 ? n : size - 1;
        memcpy(dst, src, copy);
        dst[copy] = 0;
    }
    return n;
}
