/* Many CPUs: how many there are, on which a thread runs, and where it may run. On one CPU what is
   left is that masks are kept and refused. Who starts this machine says in CPUS how many it gave
   it: fewer would make most of this easy. */
#include "check.h"
#include <sched.h>
#include <stdatomic.h>
#include <sys/syscall.h>

#define MAX_CPUS 256

static int cpus[MAX_CPUS], cpu_count; /* those that this program may use */

static bool only(int cpu, int tid)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    return sched_setaffinity(tid, sizeof(set), &set) == 0;
}

static cpu_set_t all(void)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    for (int i = 0; i < cpu_count; i++)
        CPU_SET(cpus[i], &set);
    return set;
}

static void everywhere(void)
{
    cpu_set_t set = all();
    sched_setaffinity(0, sizeof(set), &set);
}

static int tid_of_caller(void) { return (int)syscall(SYS_gettid); }

static void counting(void)
{
    const char *given = getenv("CPUS");
    if (given)
        equal(cpu_count, atoi(given), "all CPUs that the machine was given");
    equal(sysconf(_SC_NPROCESSORS_ONLN), cpu_count, "sysconf agrees with sched_getaffinity");
    check(sysconf(_SC_NPROCESSORS_CONF) >= cpu_count, "no more online than configured");
    check(sched_getcpu() >= 0, "sched_getcpu");
    unsigned cpu = 77777, node = 77777;
    equal(syscall(SYS_getcpu, &cpu, &node, NULL), 0, "getcpu");
    check(cpu < 77777 && node < 77777, "it says CPU %u, node %u", cpu, node);
    equal(syscall(SYS_getcpu, NULL, NULL, NULL), 0, "getcpu that nobody wants to know");
}

static void masks(void)
{
    cpu_set_t set, got;
    bool kept = true, there = true;
    for (int i = 0; i < cpu_count; i++) {
        kept = kept && only(cpus[i], 0);
        there = there && sched_getcpu() == cpus[i];
        CPU_ZERO(&got);
        kept = kept && sched_getaffinity(0, sizeof(got), &got) == 0 && CPU_COUNT(&got) == 1 && CPU_ISSET(cpus[i], &got);
    }
    check(kept, "each single CPU can be chosen, and the mask reads back");
    check(there, "and when the call returns, the caller is there");
    everywhere();
    CPU_ZERO(&set);
    fails(sched_setaffinity(0, sizeof(set), &set), EINVAL, "no CPU at all");
    CPU_SET(1000, &set);
    fails(sched_setaffinity(0, sizeof(set), &set), EINVAL, "only a CPU that is not there");
    set = all();
    CPU_SET(1000, &set);
    equal(sched_setaffinity(0, sizeof(set), &set), 0, "CPUs that are not there are left out");
    equal(sched_getaffinity(0, sizeof(got), &got), 0, "sched_getaffinity");
    equal(CPU_COUNT(&got), cpu_count, "as the mask shows");
    fails(sched_setaffinity(99999999, sizeof(set), &set), ESRCH, "a thread that is not there");
    fails(sched_getaffinity(99999999, sizeof(set), &set), ESRCH, "the same, asked for");
    fails(syscall(SYS_sched_getaffinity, 0, 1ul, &set), EINVAL, "a mask that is too small");
    fails(syscall(SYS_sched_getaffinity, 0, sizeof(set), 8ul), EFAULT, "a mask at a bad address");
    fails(syscall(SYS_sched_setaffinity, 0, sizeof(set), 8ul), EFAULT, "the same, to be set");
}

static _Atomic int where, its_tid;
static _Atomic bool stop;

static void *shows_where(void *unused)
{
    its_tid = tid_of_caller();
    while (!stop)
        where = sched_getcpu();
    return NULL;
}

static void others(void)
{
    stop = false;
    its_tid = 0;
    where = -1;
    pthread_t t = start(shows_where, NULL);
    eventually(its_tid != 0);
    int moved = 0;
    for (int round = 0; round < 10; round++)
        for (int i = 0; i < cpu_count; i++)
            moved += only(cpus[i], its_tid) && eventually(where == cpus[i]);
    equal(moved, 10 * cpu_count, "a running thread goes where another sends it, by its id");
    cpu_set_t set, got;
    CPU_ZERO(&set);
    CPU_SET(cpus[cpu_count - 1], &set);
    equal(pthread_setaffinity_np(t, sizeof(set), &set), 0, "pthread_setaffinity_np");
    CPU_ZERO(&got);
    equal(pthread_getaffinity_np(t, sizeof(got), &got), 0, "pthread_getaffinity_np");
    check(CPU_EQUAL(&set, &got), "the same mask");
    check(eventually(where == cpus[cpu_count - 1]), "and there it is");
    stop = true;
    pthread_join(t, NULL);
}

static void *own_mask(void *result)
{
    return (void *)(long)(sched_getaffinity(0, sizeof(cpu_set_t), result) == 0);
}

static void inheritance(void)
{
    cpu_set_t got;
    void *good = NULL;
    CPU_ZERO(&got);
    only(cpus[cpu_count - 1], 0);
    pthread_t t = start(own_mask, &got);
    pthread_join(t, &good);
    everywhere();
    check(good && CPU_COUNT(&got) == 1 && CPU_ISSET(cpus[cpu_count - 1], &got), "a new thread has its maker's mask");
}

/* One thread pinned to each CPU: all run at the same time, as each sees the others' counts move
   while it never waits. */
static _Atomic long counts[MAX_CPUS];
static _Atomic int astray;

static void *pinned(void *index)
{
    long self = (long)index;
    only(cpus[self], 0);
    while (!stop) {
        astray += sched_getcpu() != cpus[self];
        atomic_fetch_add_explicit(&counts[self], 1, memory_order_relaxed);
    }
    return NULL;
}

static void one_on_each(void)
{
    pthread_t t[MAX_CPUS];
    stop = false;
    astray = 0;
    for (long i = 0; i < cpu_count; i++) {
        counts[i] = 0;
        t[i] = start(pinned, (void *)i);
    }
    bool all_moved = true;
    for (int i = 0; i < cpu_count; i++)
        all_moved = all_moved && eventually(counts[i] > 1000);
    stop = true;
    for (int i = 0; i < cpu_count; i++)
        pthread_join(t[i], NULL);
    check(all_moved, "a thread on each CPU advances");
    equal(astray, 0, "none was seen elsewhere");
}

/* Threads that nobody pins find their way to all CPUs. */
static _Atomic int running_on[MAX_CPUS];
static void *free_thread(void *index)
{
    while (!stop)
        running_on[(long)index] = sched_getcpu();
    return NULL;
}

static bool all_different(void)
{
    cpu_set_t seen;
    CPU_ZERO(&seen);
    for (int i = 0; i < cpu_count; i++)
        if (running_on[i] >= 0)
            CPU_SET(running_on[i], &seen);
    return CPU_COUNT(&seen) == cpu_count;
}

static void spreading(void)
{
    pthread_t t[MAX_CPUS];
    stop = false;
    for (long i = 0; i < cpu_count; i++) {
        running_on[i] = -1;
        t[i] = start(free_thread, (void *)i);
    }
    check(eventually(all_different()), "%d threads that run get a CPU each", cpu_count);
    stop = true;
    for (int i = 0; i < cpu_count; i++)
        pthread_join(t[i], NULL);
}

/* Threads that change their own CPU all the time, with values on their stacks and in vector
   registers. */
static void *wanderer(void *number)
{
    unsigned seed = (unsigned)(long)number * 7919 + 1;
    double x = (double)(long)number;
    long wrong = 0;
    for (int i = 0; i < 200; i++) {
        int cpu = cpus[(seed = seed * 1103515245 + 12345) % 65536 % (unsigned)cpu_count];
        wrong += !only(cpu, 0) || sched_getcpu() != cpu || x != (double)(long)number;
        __asm__ volatile("" : "+x"(x));
    }
    return (void *)wrong;
}

static void wandering(void)
{
    pthread_t t[6];
    long wrong = 0;
    for (long i = 0; i < 6; i++)
        t[i] = start(wanderer, (void *)i);
    for (int i = 0; i < 6; i++) {
        void *result;
        pthread_join(t[i], &result);
        wrong += (long)result;
    }
    equal(wrong, 0, "6 threads that move 200 times each arrive each time");
}

int main(void)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    sched_getaffinity(0, sizeof(set), &set);
    for (int i = 0; i < CPU_SETSIZE && cpu_count < MAX_CPUS; i++)
        if (CPU_ISSET(i, &set))
            cpus[cpu_count++] = i;
    run(counting);
    run(masks);
    run(others);
    run(inheritance);
    run(one_on_each);
    run(spreading);
    run(wandering);
    return 0;
}
