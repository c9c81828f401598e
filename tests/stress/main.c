/* stress SECONDS [WORKERS]: workers do jobs at random for so long; prints TAP. Warm-up is a tenth of the time: what is cached then
   (threads, stacks, the heap) may stay, and the level after it is what the end is compared with. */
#include "stress.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define MAX_WORKERS 64
#define LOST_S 20
#define HANGS_S 120
#define MEMORY_SLACK_KB 16384 /* what the heap and the kernel's caches may keep besides */

struct worker {
    pthread_t thread;
    _Atomic int job;            /* -1: none */
    _Atomic unsigned long done; /* operations */
    unsigned long seen;         /* watchdog */
    int still_s;
};
static struct worker workers[MAX_WORKERS];
static int worker_count = 16;
static _Atomic bool stop, pause_all;
static _Atomic int paused;
static _Atomic unsigned long wrong[32], operations[32];

static void *worker(void *arg)
{
    struct worker *w = arg;
    unsigned seed = (unsigned)(w - workers) * 2654435761u + (unsigned)time(NULL);
    while (!stop) {
        if (pause_all) {
            w->job = -1;
            paused++;
            while (pause_all)
                usleep(10000);
            paused--;
            continue;
        }
        int job = (int)dice(&seed, (unsigned)job_count);
        w->job = job;
        wrong[job] += !jobs[job].run(&seed);
        operations[job]++;
        w->done++;
    }
    w->job = -1;
    return NULL;
}

/* The number behind `key` in a file of /proc, -1 if it is not there. */
static long number_in(const char *path, const char *key)
{
    char line[200];
    long value = -1;
    FILE *f = fopen(path, "r");
    if (!f)
        return -1;
    while (value < 0 && fgets(line, sizeof(line), f))
        if (!strncmp(line, key, strlen(key)))
            value = atol(line + strlen(key));
    fclose(f);
    return value;
}

/* Called each second: counts each operation that lasts too long once; true when one lasts so long that it will never end. */
static unsigned long lost;
static bool watch(void)
{
    bool hangs = false;
    for (int i = 0; i < worker_count; i++) {
        struct worker *w = &workers[i];
        if (w->job < 0 || w->done != w->seen) {
            w->seen = w->done;
            w->still_s = 0;
            continue;
        }
        if (++w->still_s == LOST_S) {
            lost++;
            printf("# worker %d: %s lasts for %d s\n", i, jobs[w->job].name, LOST_S);
        }
        hangs = hangs || w->still_s >= HANGS_S;
    }
    return hangs;
}

static bool watch_for(long seconds)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    for (time_t end = now.tv_sec + seconds; now.tv_sec < end; clock_gettime(CLOCK_MONOTONIC, &now)) {
        sleep(1);
        if (watch())
            return false;
    }
    return true;
}

/* Between operations nothing but the workers is there. */
static bool level(long *threads, long *kb)
{
    pause_all = true;
    for (int s = 0; paused < worker_count; s++) {
        sleep(1);
        if (watch() || s > HANGS_S + 30)
            return false;
    }
    sleep(1); /* the last detached remains */
    *threads = number_in("/proc/self/status", "Threads:");
    *kb = number_in("/proc/meminfo", "MemAvailable:");
    pause_all = false;
    return true;
}

static int check_count, failed;
static void check(bool good, const char *what)
{
    failed += !good;
    printf("%sok %d - %s\n", good ? "" : "not ", ++check_count, what);
}

static void finish(bool hung)
{
    check(!hung, "nothing hangs");
    check(lost == 0, "no operation lasted for 20 s (lost wake-ups)");
    for (int i = 0; i < job_count; i++) {
        printf("# %s: %lu operations, %lu wrong\n", jobs[i].name, operations[i], wrong[i]);
        check(operations[i] > 0 && wrong[i] == 0, jobs[i].name);
    }
}

int main(int argc, char **argv)
{
    long seconds = argc > 1 ? atol(argv[1]) : 60, threads[2] = {0, 0}, kb[2] = {0, 0};
    worker_count = argc > 2 ? atoi(argv[2]) : worker_count;
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (worker_count < 1 || worker_count > MAX_WORKERS)
        return 2;
    for (int i = 0; i < worker_count; i++) {
        workers[i].job = -1;
        if (pthread_create(&workers[i].thread, NULL, worker, &workers[i]))
            return 2;
    }
    long warm_up = seconds / 10 + 1;
    bool good = watch_for(warm_up) && level(&threads[0], &kb[0]);
    printf("# after %ld s: %ld threads, %ld kB available\n", warm_up, threads[0], kb[0]);
    good = good && watch_for(seconds - warm_up) && level(&threads[1], &kb[1]);
    printf("# in the end: %ld threads, %ld kB available\n", threads[1], kb[1]);
    if (good) {
        stop = true;
        for (int i = 0; i < worker_count; i++)
            pthread_join(workers[i].thread, NULL);
    }
    finish(!good);
    check(threads[0] > 0 && threads[0] == threads[1], "as many threads as before");
    check(kb[0] > 0 && kb[1] + MEMORY_SLACK_KB >= kb[0], "as much memory as before");
    printf("1..%d\n", check_count);
    fflush(stdout);
    _exit(failed != 0);
}
