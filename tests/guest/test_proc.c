/* What /proc and /sys say about CPUs and threads, against what the program does. */
#include "check.h"
#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/syscall.h>

static char *const text = file_text; /* what slurp has read */

static long lines_with(const char *start)
{
    long n = 0;
    for (const char *p = text; p; p = strchr(p, '\n') ? strchr(p, '\n') + 1 : NULL)
        n += !strncmp(p, start, strlen(start));
    return n;
}

static void cpus(void)
{
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    slurp("/proc/stat");
    equal(lines_with("cpu") - 1, online, "/proc/stat: a line for each CPU");
    check(number_after(text, "\nintr ") > 0 && number_after(text, "\nctxt ") > 0 && number_after(text, "\nprocs_running ") >= 1, "its counters");
    slurp("/proc/cpuinfo");
    equal(lines_with("processor\t:"), online, "/proc/cpuinfo: a paragraph for each CPU");
    if (!on_singlet()) /* the rest needs a machine of one's own */
        return;
    char want[16];
    snprintf(want, sizeof(want), online > 1 ? "0-%ld\n" : "%ld\n", online - 1);
    static const char *const lists[] = {"online", "possible", "present"};
    for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
        char path[64];
        snprintf(path, sizeof(path), "/sys/devices/system/cpu/%s", lists[i]);
        slurp(path);
        check(!strcmp(text, want), "%s: %s", path, text);
    }
    DIR *d = opendir("/sys/devices/system/cpu");
    long folders = 0;
    for (struct dirent *e; d && (e = readdir(d));)
        folders += !strncmp(e->d_name, "cpu", 3) && e->d_name[3] >= '0' && e->d_name[3] <= '9';
    if (d)
        closedir(d);
    equal(folders, online, "a folder for each CPU");
    check(slurp("/sys/devices/system/cpu/cpu0/topology/core_id") > 0 && atoi(text) == 0, "cpu0");
    check(slurp("/sys/devices/system/cpu/cpu00/online") < 0 && slurp("/sys/devices/system/cpu/cpu4096/online") < 0 &&
          slurp("/sys/devices/system/cpu/cpu#/online") < 0, "none that is not there");
}

static void burn(uint64_t ns)
{
    struct timespec t;
    uint64_t now, start = 0;
    do {
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
        now = (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
        start = start ? start : now;
    } while (now < start + ns);
}

static void *burner(void *unused)
{
    burn(500000000);
    return NULL;
}

static bool cpu_line(long *busy, long *idle)
{
    long user, nice, system;
    slurp("/proc/stat");
    bool ok = sscanf(text, "cpu %ld %ld %ld %ld", &user, &nice, &system, idle) == 4;
    *busy = user + nice + system;
    return ok;
}

static void times(void)
{
    long busy, idle, then_busy, then_idle;
    double up, idle_s;
    check(cpu_line(&busy, &idle), "/proc/stat");
    pthread_join(start(burner, NULL), NULL);
    cpu_line(&then_busy, &then_idle);
    check(then_busy - busy >= 45, "the CPU time of a thread that has ended is busy time (%ld ticks)", then_busy - busy);
    busy = then_busy;
    idle = then_idle;
    uint64_t start_ns = now_ns();
    for (int i = 0; i < 120 && (i == 0 || then_idle - idle < 20); i++) { /* on a busy host it may take a while */
        sleep_ms(500);
        cpu_line(&then_busy, &then_idle);
    }
    check(then_idle - idle >= 20, "while all sleep the CPUs idle (%ld ticks)", then_idle - idle);
    if (on_singlet()) { /* alone on the machine, on some host */
        long all = (long)((now_ns() - start_ns) / 10000000) * sysconf(_SC_NPROCESSORS_ONLN);
        long seen = then_idle - idle + then_busy - busy;
        check(seen <= all + 5 * sysconf(_SC_NPROCESSORS_ONLN), "no more time than there is (%ld of %ld ticks)", seen, all);
    }
    slurp("/proc/uptime");
    check(sscanf(text, "%lf %lf", &up, &idle_s) == 2 && up > 0 && idle_s > 0 && idle_s <= up * (double)sysconf(_SC_NPROCESSORS_CONF) + 1,
          "/proc/uptime: %s", text);
    double load;
    int running, threads;
    slurp("/proc/loadavg");
    check(sscanf(text, "%lf %*f %*f %d/%d", &load, &running, &threads) == 3 && load >= 0 && load < 10000 && running >= 1 && threads >= running,
          "/proc/loadavg: %s", text);
}

static long columns_of(const char *row)
{
    const char *p = strstr(text, row);
    char *end = p ? strchr(p, ':') + 1 : NULL;
    long n = -1;
    for (char *from = NULL; p && end != from; n++) {
        from = end;
        strtoul(from, &end, 10);
    }
    return n;
}

/* As comments, for who knows what should stand there. */
static void show_devices(void)
{
    for (const char *p = strchr(text, '\n'); p && p[1]; p = strchr(p + 1, '\n'))
        if (p[4] == ':' && p[3] >= '0' && p[3] <= '9')
            note("%.*s", (int)strcspn(p + 1, "\n"), p + 1);
}

/* Columns for CPUs that are online, and the timer's interrupts, of which there have been some. */
static void interrupts(void)
{
    long online = sysconf(_SC_NPROCESSORS_ONLN), cpus = 0;
    sleep_ms(20);
    slurp("/proc/interrupts");
    show_devices();
    for (const char *p = text; (p = strstr(p, "CPU")); p += 3)
        cpus++;
    equal(cpus, online, "/proc/interrupts: a column for each CPU");
    equal(columns_of("LOC:"), online, "a number in each");
    equal(columns_of("TLB:"), online, "also for TLB shootdowns");
    unsigned long sum = 0, timer = 0;
    const char *p = strstr(text, "LOC:");
    for (long i = 0; p && i < online; i++, sum += timer) {
        char *end;
        timer = strtoul(i ? p : p + 4, &end, 10);
        p = end;
    }
    check(sum > 0, "timer interrupts were taken (%lu)", sum);
}

enum how { SPINS, FUTEX, POLL, EPOLL, SLEEP, PIPE, WAYS };
static pthread_mutex_t held = PTHREAD_MUTEX_INITIALIZER;
static int bell[2];
static _Atomic bool stop;
struct subject {
    enum how how;
    _Atomic int tid;
};

static void *subject_main(void *arg)
{
    struct subject *s = arg;
    struct epoll_event event = {.events = EPOLLIN};
    char name[16], byte;
    snprintf(name, sizeof(name), "subject%d", s->how);
    pthread_setname_np(pthread_self(), name);
    setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), 3);
    int ep = epoll_create1(0);
    epoll_ctl(ep, EPOLL_CTL_ADD, bell[0], &event);
    s->tid = (int)syscall(SYS_gettid);
    switch (s->how) {
    case SPINS:
        while (!stop)
            ;
        break;
    case FUTEX:
        pthread_mutex_lock(&held);
        pthread_mutex_unlock(&held);
        break;
    case POLL: {
        fd_set set;
        FD_ZERO(&set);
        FD_SET(bell[0], &set);
        select(bell[0] + 1, &set, NULL, NULL, NULL);
        break;
    }
    case EPOLL: epoll_wait(ep, &event, 1, -1); break;
    case SLEEP:
        while (!stop)
            sleep_ms(500);
        break;
    default: {
        ssize_t r = read(bell[0], &byte, 1);
        (void)r;
    }
    }
    close(ep);
    return NULL;
}

static bool file_of(int tid, const char *name)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/self/task/%d/%s", tid, name);
    return slurp(path) >= 0;
}

static char state_of(int tid)
{
    char state = 0;
    return file_of(tid, "stat") && sscanf(text, "%*d (%*[^)]) %c", &state) == 1 ? state : 0;
}

static void look_at(struct subject *s)
{
    static const char *const reasons[WAYS] = {"0", "futex", "poll", "epoll", "sleep", "wait queue"};
    char name[16];
    int tid = s->tid;
    snprintf(name, sizeof(name), "subject%d\n", s->how);
    check(eventually(state_of(tid) == (s->how == SPINS ? 'R' : 'S')), "%d: state %c", s->how, state_of(tid));
    check(file_of(tid, "comm") && !strcmp(text, name), "%d: comm", s->how);
    int got = -1, nice = -100, cpu = -1, rt = -1, policy = -1;
    check(file_of(tid, "stat") && sscanf(text, "%d %*s %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %d %*d %*d %*u %*u %*d %*u"
          " %*u %*u %*u %*u %*u %*u %*u %*u %*u %*u %*u %*u %*d %d %d %d", &got, &nice, &cpu, &rt, &policy) == 5, "%d: stat", s->how);
    check(got == tid && nice == 3 && cpu >= 0 && cpu < sysconf(_SC_NPROCESSORS_CONF) && rt == 0 && policy == SCHED_OTHER,
          "%d: id %d, nice %d, CPU %d, priority %d, policy %d", s->how, got, nice, cpu, rt, policy);
    check(file_of(tid, "status") && number_after(text, "\nPid:\t") == tid && strstr(text, "\nCpus_allowed:\t") && strstr(text, "\nCpus_allowed_list:\t0") &&
          number_after(text, "\nvoluntary_ctxt_switches:\t") >= 0 && number_after(text, "nonvoluntary_ctxt_switches:\t") >= 0, "%d: status", s->how);
    check(file_of(tid, "schedstat") && strtoull(text, NULL, 10) > 0, "%d: schedstat", s->how);
    if (on_singlet())
        check(eventually(file_of(tid, "wchan") && !strcmp(text, reasons[s->how])), "%d: waits for: %s", s->how, text);
}

static void tasks(void)
{
    static struct subject subjects[WAYS];
    pthread_t t[WAYS];
    stop = false;
    if (pipe(bell) < 0)
        return;
    pthread_mutex_lock(&held);
    for (int i = 0; i < WAYS; i++) {
        subjects[i] = (struct subject){.how = (enum how)i};
        t[i] = start(subject_main, &subjects[i]);
    }
    for (int i = 0; i < WAYS; i++) {
        eventually(subjects[i].tid != 0);
        look_at(&subjects[i]);
    }
    int listed = 0;
    DIR *d = opendir("/proc/self/task");
    for (struct dirent *e; d && (e = readdir(d));)
        for (int i = 0; i < WAYS; i++)
            listed += atoi(e->d_name) == subjects[i].tid;
    if (d)
        closedir(d);
    equal(listed, WAYS, "each is listed once");
    check(file_of((int)syscall(SYS_gettid), "stat") && strstr(text, ") R "), "the reader itself runs");
    stop = true;
    pthread_mutex_unlock(&held);
    for (int i = 0; i < WAYS; i++)
        if (write(bell[1], "x", 1) != 1)
            break;
    for (int i = 0; i < WAYS; i++)
        pthread_join(t[i], NULL);
    check(eventually(!file_of(subjects[0].tid, "stat")), "one that has ended is gone");
    close(bell[0]);
    close(bell[1]);
}

static void affinity(void)
{
    cpu_set_t was, one;
    sched_getaffinity(0, sizeof(was), &was);
    int cpu = 0;
    while (!CPU_ISSET(cpu, &was))
        cpu++;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    sched_setaffinity(0, sizeof(one), &one);
    file_of((int)syscall(SYS_gettid), "status");
    equal(number_after(text, "\nCpus_allowed_list:\t"), cpu, "the affinity of a thread");
    check(!strchr(strstr(text, "\nCpus_allowed_list:\t") ? strstr(text, "\nCpus_allowed_list:\t") : "", '-') ||
          strcspn(strstr(text, "list:\t"), "-") > strcspn(strstr(text, "list:\t"), "\n"), "is one CPU");
    sched_setaffinity(0, sizeof(was), &was);
}

static void lock_statistics(void)
{
    if (!on_singlet()) {
        skip("/proc/lock_stat is not what Linux has by that name");
        return;
    }
    check(slurp("/proc/lock_stat") > 0 && (!strncmp(text, "off", 3) || !strncmp(text, "contended", 9)), "/proc/lock_stat: %.20s", text);
}

int main(void)
{
    cpu_set_t all; /* musl counts the CPUs that the caller may use, and the tests before this one may have pinned it */
    memset(&all, 255, sizeof(all));
    if (on_singlet())
        sched_setaffinity(0, sizeof(all), &all);
    run(cpus);
    run(times);
    run(interrupts);
    run(tasks);
    run(affinity);
    run(lock_statistics);
    return 0;
}
