/* What a program finds when it starts, and asks of the system: arguments, environment, auxiliary
   vector, names, limits, /proc, devices. */
#include "check.h"
#include <fcntl.h>
#include <poll.h>
#include <sys/auxv.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/times.h>
#include <sys/utsname.h>
#include <sys/wait.h>

extern char **environ;

static void start_up(void)
{
    check(environ != NULL, "an environment");
    setenv("GUEST_TEST", "one", 1);
    setenv("GUEST_TEST", "two", 0);
    check(!strcmp(getenv("GUEST_TEST"), "one"), "setenv");
    unsetenv("GUEST_TEST");
    check(getenv("GUEST_TEST") == NULL, "unsetenv");
    equal(getauxval(AT_PAGESZ), 4096, "AT_PAGESZ");
    const uint64_t *r = (const uint64_t *)getauxval(AT_RANDOM);
    check(r && (r[0] | r[1]) && r[0] != r[1], "AT_RANDOM");
    check(getauxval(AT_PHDR) && getauxval(AT_PHNUM) && getauxval(AT_PHENT) == 56, "program headers");
    check(getauxval(AT_ENTRY) && getauxval(AT_EXECFN), "entry and file name");
    equal(getauxval(AT_SECURE), 0, "AT_SECURE");
    uintptr_t here = (uintptr_t)__builtin_frame_address(0);
    equal(here % 16, 0, "the stack is aligned");
    static int data = 5;
    static int zero[1000];
    check(data == 5 && !zero[0] && !zero[999], "data and bss");
}

static int constructed;
static __attribute__((constructor)) void construct(void) { constructed++; }

static void identity(void)
{
    struct utsname u;
    struct sysinfo s;
    struct rlimit l;
    equal(constructed, 1, "constructors ran");
    equal(uname(&u), 0, "uname");
    check(!strcmp(u.sysname, "Linux") && !strcmp(u.machine, "x86_64") && u.release[0] >= '3' && u.nodename[0], "%s %s", u.sysname, u.release);
    equal(sysinfo(&s), 0, "sysinfo");
    check(s.totalram && s.freeram <= s.totalram && s.mem_unit && s.procs, "its fields");
    check(sysconf(_SC_NPROCESSORS_ONLN) >= 1, "processors");
    check(sysconf(_SC_PHYS_PAGES) > 1000, "pages");
    equal(sysconf(_SC_PAGESIZE), 4096, "the page size");
    equal(getrlimit(RLIMIT_NOFILE, &l), 0, "getrlimit");
    check(l.rlim_cur >= 256 && l.rlim_cur <= l.rlim_max, "descriptors");
    rlim_t was = l.rlim_cur;
    l.rlim_cur = 200;
    equal(setrlimit(RLIMIT_NOFILE, &l), 0, "setrlimit");
    getrlimit(RLIMIT_NOFILE, &l);
    equal(l.rlim_cur, 200, "kept");
    l.rlim_cur = l.rlim_max;
    equal(setrlimit(RLIMIT_NOFILE, &l), 0, "up to the most");
    l.rlim_cur = was;
    setrlimit(RLIMIT_NOFILE, &l);
    l = (struct rlimit){10, 5};
    fails(setrlimit(RLIMIT_CORE, &l), EINVAL, "more than the most");
    check(getpid() > 0 && getppid() >= 0 && getuid() == geteuid(), "identities");
    struct tms t;
    check(times(&t) != (clock_t)-1, "times");
    char name[65];
    equal(gethostname(name, sizeof(name)), 0, "gethostname");
}

static void descriptors_limit(void)
{
    struct rlimit was, l;
    int fds[100], n = 0;
    getrlimit(RLIMIT_NOFILE, &was);
    l = was;
    l.rlim_cur = 40;
    setrlimit(RLIMIT_NOFILE, &l);
    while (n < 100 && (fds[n] = open("/dev/null", O_RDONLY)) >= 0)
        n++;
    check(n < 40 && errno == EMFILE, "RLIMIT_NOFILE holds (%d opened)", n);
    setrlimit(RLIMIT_NOFILE, &was);
    while (n > 0)
        close(fds[--n]);
}

static void unknown_calls(void)
{
    fails(syscall(2000), ENOSYS, "a number beyond all");
    fails(syscall(500), ENOSYS, "an unused number");
    fails(syscall(-5), ENOSYS, "a negative one");
    fails(syscall(0xfffffffffl), ENOSYS, "a very large one");
    if (on_singlet()) {
        /* one address space cannot be two: README says so */
        fails(fork(), ENOSYS, "there is no fork");
        check(system("true") != 0, "so there is no system()");
    } else {
        pid_t p = fork();
        if (p == 0)
            _exit(7);
        int status = 0;
        waitpid(p, &status, 0);
        equal(WEXITSTATUS(status), 7, "fork, where there is one");
    }
}

/* A pointer that is none is an error, not the end. */
static void bad_pointers(void)
{
    static const struct {
        const char *name;
        long number, a[5];
    } calls[] = {
        {"write", SYS_write, {-1, 8, 10}},
        {"read", SYS_read, {-2, 8, 10}},
        {"open", SYS_open, {8, O_RDONLY}},
        {"stat", SYS_stat, {8, 8}},
        {"fstat", SYS_fstat, {-2, 8}},
        {"poll", SYS_poll, {8, 1, 0}},
        {"getrandom", SYS_getrandom, {8, 10, 0}},
        {"pipe2", SYS_pipe2, {8, 0}},
        {"getcwd", SYS_getcwd, {8, 100}},
        {"uname", SYS_uname, {8}},
        {"socketpair", SYS_socketpair, {1, 1, 0, 8}},
        {"futex", SYS_futex, {8, 1, 1}},
        {"writev", SYS_writev, {-1, 8, 2}},
        {"mkdir", SYS_mkdir, {8, 0700}},
        {"readlink", SYS_readlink, {8, 8, 10}},
        {"clock_gettime", SYS_clock_gettime, {1, 8}},
        {"nanosleep", SYS_nanosleep, {8, 0}},
        {"sysinfo", SYS_sysinfo, {8}},
        {"rt_sigaction", SYS_rt_sigaction, {10, 8, 0, 8}},
        {"rt_sigprocmask", SYS_rt_sigprocmask, {0, 8, 0, 8}},
        {"sigaltstack", SYS_sigaltstack, {8, 0}},
        {"prlimit64", SYS_prlimit64, {0, 7, 8, 0}},
        {"getrusage", SYS_getrusage, {0, 8}},
        {"times", SYS_times, {8}},
        {"gettimeofday", SYS_gettimeofday, {8, 0}},
        {"sched_getaffinity", SYS_sched_getaffinity, {0, 128, 8}},
        {"arch_prctl", SYS_arch_prctl, {0x1003, 8}},
        {"prctl", SYS_prctl, {15, 8}},
        {"setitimer", SYS_setitimer, {0, 8, 0}},
    };
    int p[2];
    if (pipe(p) < 0 || write(p[1], "text", 4) != 4)
        return;
    for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
        const long *a = calls[i].a;
        long first = a[0] == -1 ? p[1] : a[0] == -2 ? p[0] : a[0];
        fails(syscall(calls[i].number, first, a[1], a[2], a[3], a[4]), EFAULT, "%s", calls[i].name);
    }
    close(p[0]);
    close(p[1]);
}

static void random_numbers(void)
{
    unsigned char a[64] = {0}, b[64] = {0};
    static unsigned char big[100000];
    equal(getrandom(a, 64, 0), 64, "getrandom");
    equal(getrandom(b, 64, GRND_NONBLOCK), 64, "again");
    check(memcmp(a, b, 64) != 0, "differs");
    equal(getrandom(big, sizeof(big), 0), sizeof(big), "much");
    long ones = 0;
    for (size_t i = 0; i < sizeof(big); i++)
        ones += __builtin_popcount(big[i]);
    check(ones > 395000 && ones < 405000, "about half of the bits are set (%ld of 800,000)", ones);
    fails(getrandom(a, 1, 0x100), EINVAL, "unknown flags");
    equal(getentropy(a, 32), 0, "getentropy");
}

static char *const text = file_text; /* what slurp has read */

static void proc(void)
{
    check(slurp("/proc/meminfo") > 0 && number_after(text, "MemTotal:") > 1000 && number_after(text, "MemFree:") > 0 &&
          number_after(text, "MemAvailable:") > 0, "/proc/meminfo");
    check(slurp("/proc/cpuinfo") > 0 && strstr(text, "processor") && strstr(text, "flags"), "/proc/cpuinfo");
    check(slurp("/proc/stat") > 0 && !strncmp(text, "cpu ", 4) && number_after(text, "btime ") > 1600000000, "/proc/stat");
    check(slurp("/proc/uptime") > 0 && atof(text) >= 0 && strchr(text, '.'), "/proc/uptime");
    check(slurp("/proc/loadavg") > 0 && strchr(text, '/'), "/proc/loadavg");
    check(slurp("/proc/version") > 0 && !strncmp(text, "Linux version ", 14), "/proc/version");
    check(slurp("/proc/sys/net/core/somaxconn") > 0 && atoi(text) >= 128, "somaxconn");
    check(slurp("/proc/sys/vm/overcommit_memory") > 0 && text[0] >= '0' && text[0] <= '2', "overcommit_memory");
    check(slurp("/sys/kernel/mm/transparent_hugepage/enabled") > 0 && strchr(text, '['), "transparent_hugepage/enabled");
    int pid = 0;
    char comm[64], state = 0;
    check(slurp("/proc/self/stat") > 0 && sscanf(text, "%d (%63[^)]) %c", &pid, comm, &state) == 3 && pid == getpid() && state == 'R',
          "/proc/self/stat");
    /* Redis reads resident pages as field 24. */
    int fields = 1;
    for (char *p = text; *p; p++)
        fields += *p == ' ';
    check(fields >= 52, "52 fields (%d)", fields);
    long size = 0, resident = 0;
    check(slurp("/proc/self/statm") > 0 && sscanf(text, "%ld %ld", &size, &resident) == 2 && size >= resident && resident > 0, "/proc/self/statm");
    char *more = mmap(NULL, 8 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memset(more, 1, 8 << 20);
    long then = 0;
    slurp("/proc/self/statm");
    sscanf(text, "%ld %ld", &size, &then);
    check(then >= resident + 1900, "resident pages grow with use (%ld, %ld)", resident, then);
    munmap(more, 8 << 20);
    check(slurp("/proc/self/status") > 0 && number_after(text, "Pid:") == getpid() && number_after(text, "VmRSS:") > 0 &&
          number_after(text, "Threads:") >= 1, "/proc/self/status");
    long n = slurp("/proc/self/cmdline");
    check(n > 1 && text[n - 1] == 0, "/proc/self/cmdline");
    check(slurp("/proc/self/limits") > 0 && strstr(text, "Max open files"), "/proc/self/limits");
    check(slurp("/proc/self/maps") > 0 && strstr(text, "rw-p") && strstr(text, "[stack"), "/proc/self/maps");
    unsigned long from, to, last = 0;
    bool ordered = true;
    for (char *p = text; p && sscanf(p, "%lx-%lx", &from, &to) == 2; p = strchr(p, '\n') ? strchr(p, '\n') + 1 : NULL) {
        ordered = ordered && from >= last && to > from;
        last = to;
    }
    check(ordered, "its areas are in order");
    bool mounts = slurp("/proc/mounts") > 0 && strstr(text, " /proc proc ");
    check(mounts && (!on_singlet() || strstr(text, " / ")), "/proc/mounts"); /* a chroot on Linux has no / there */
    check(readlink("/proc/self/exe", text, sizeof(file_text)) > 0, "/proc/self/exe");
    int fd = open("/proc/self/cmdline", O_RDONLY);
    char name[64], path[256] = "";
    snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
    check(readlink(name, path, sizeof(path)) > 0 && strstr(path, "cmdline"), "/proc/self/fd: %s", path);
    close(fd);
    check(readlink(name, path, sizeof(path)) < 0 && errno == ENOENT, "of a closed one");
    check(open("/proc/nosuch", O_RDONLY) < 0 && errno == ENOENT, "no such file");
    check(open("/proc/nosuch", O_CREAT | O_RDWR, 0600) < 0, "none can be made there");
}

static void devices(void)
{
    char b[100], c[100];
    int fd = open("/dev/null", O_RDWR);
    equal(write(fd, b, 100), 100, "/dev/null takes all");
    equal(read(fd, b, 100), 0, "and gives nothing");
    struct stat s;
    fstat(fd, &s);
    check(S_ISCHR(s.st_mode), "a character device");
    close(fd);
    fd = open("/dev/zero", O_RDWR);
    memset(b, 1, sizeof(b));
    equal(read(fd, b, 100), 100, "/dev/zero");
    memset(c, 0, sizeof(c));
    check(!memcmp(b, c, 100), "zeros");
    equal(write(fd, b, 100), 100, "takes all");
    close(fd);
    fd = open("/dev/full", O_RDWR);
    fails(write(fd, b, 1), ENOSPC, "/dev/full");
    equal(read(fd, b, 1), 1, "reads");
    close(fd);
    fd = open("/dev/urandom", O_RDONLY);
    equal(read(fd, b, 100), 100, "/dev/urandom");
    equal(read(fd, c, 100), 100, "again");
    check(memcmp(b, c, 100) != 0, "differs");
    struct pollfd p = {fd, POLLIN, 0};
    equal(poll(&p, 1, 0), 1, "always ready");
    close(fd);
    fails(ioctl(open("/dev/null", O_RDWR), TCGETS, b), ENOTTY, "/dev/null is no terminal");
}

int main(void)
{
    run(start_up);
    run(identity);
    run(descriptors_limit);
    run(unknown_calls);
    run(bad_pointers);
    run(random_numbers);
    run(proc);
    run(devices);
    return 0;
}
