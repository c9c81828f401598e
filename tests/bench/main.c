/* Runs the benchmarks that its arguments name, in that order. It is the only program of its machine, so it does not end by itself but
   says that it is done. */
#include "bench.h"
#include <errno.h>
#include <linux/futex.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static const struct {
    const char *name;
    void (*run)(void);
} benches[] = {
    {"handover", bench_handover}, {"create", bench_create},           {"wake", bench_wake},
    {"fair2", bench_fair2},       {"fair5", bench_fair5},             {"nice", bench_nice},
    {"spread", bench_spread},     {"interactive", bench_interactive}, {"idle", bench_idle},
    {"pipe", bench_pipe},         {"stream", bench_stream},           {"eventfd", bench_eventfd},
    {"lookup", bench_lookup},
};

long cpu_count;

uint64_t clock_ns(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

void sleep_ns(uint64_t ns)
{
    struct timespec t = {(time_t)(ns / 1000000000u), (long)(ns % 1000000000u)};
    while (nanosleep(&t, &t) < 0 && errno == EINTR)
        ;
}

bool pin(int tid, int cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    return sched_setaffinity(tid, sizeof(set), &set) == 0;
}

bool unpin(int tid)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    for (long i = cpu_count - 1; i >= 0; i--)
        CPU_SET(i, &set);
    return sched_setaffinity(tid, sizeof(set), &set) == 0;
}

void unavailable(const char *name, const char *what)
{
    printf("bench %s unavailable=%s errno=%d\n", name, what, errno);
}

void futex_wait(_Atomic int *word, int value)
{
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
}

void futex_wake(_Atomic int *word, int n) { syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, n, NULL, NULL, 0); }

int main(int argc, char **argv)
{
    cpu_count = sysconf(_SC_NPROCESSORS_ONLN); /* before anything is pinned: musl counts the caller's mask */
    setvbuf(stdout, NULL, _IOLBF, 0);
    printf("bench cpus online=%ld\n", cpu_count);
    for (int i = 1; i < argc; i++)
        for (size_t b = 0; b < sizeof(benches) / sizeof(benches[0]); b++)
            if (!strcmp(argv[i], benches[b].name))
                benches[b].run();
    printf("bench end\n");
    for (;;)
        pause();
}
