/* What threads do, for /proc and the REST API. */
#ifndef SCHED_REPORT_H
#define SCHED_REPORT_H

#include <arch/percpu.h>
#include <sched/cputime.h>

struct thread_info {
    int id, cpu; /* the CPU it runs or ran on last */
    char name[16];
    char state; /* R: runs or waits for a CPU, S: sleeps, I: a CPU's idle thread, N: not started yet */
    bool application;
    uint64_t cpu_ns;
    uint64_t switches, preemptions, migrations; /* switches: times it was given a CPU; preemptions: interruptions, of which some changed nothing */
    const char *wait_reason; /* a constant; NULL unless it sleeps */
    int nice, policy, priority; /* as asked for; priority: 1..99 for real time, else 0 */
    uint64_t affinity[PERCPU_MAX / 64];
};

/* Fills in the first max threads, in the order of their places in the table, and returns how many there are. A snapshot: threads go on meanwhile. May sleep. */
int thread_report(struct thread_info *out, unsigned max);
/* One thread: 0 or -ESRCH. May sleep. */
int thread_report_one(int id, struct thread_info *out);
/* The id after this one of the application's threads, in the order of the table; -1: there is none. Begin with -1. */
int thread_report_next(int id);

#endif
