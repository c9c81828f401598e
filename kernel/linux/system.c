/* What the system is: names, sizes, limits, identities, random numbers. There is one user, root. */
#include <arch/cpu.h>
#include <asm/errno.h>
#include <fs/file.h>
#include <kernel/clock.h>
#include <kernel/cpu_usage.h>
#include <kernel/log.h>
#include <kernel/program.h>
#include <kernel/random.h>
#include <kernel/string.h>
#include <kernel/syscall.h>
#include <kernel/user.h>
#include <linux/random.h>
#include <linux/resource.h>
#include <linux/sysinfo.h>
#include <linux/utsname.h>
#include <mm/page.h>
#include <sched/internal.h>

static char hostname[__NEW_UTS_LEN + 1] = "singlet";

SYSCALL(uname, 1, "buf", SYSCALL_COMPLETE)
long sys_uname(struct new_utsname *u)
{
    if (!user_range_ok(u, sizeof(*u)))
        return -EFAULT;
    memset(u, 0, sizeof(*u));
    strlcpy(u->sysname, "Linux", sizeof(u->sysname)); /* the ABI's name: programs look at it */
    strlcpy(u->nodename, hostname, sizeof(u->nodename));
    strlcpy(u->release, "6.1.0-singlet", sizeof(u->release));
    strlcpy(u->version, "Singlet", sizeof(u->version));
    strlcpy(u->machine, "x86_64", sizeof(u->machine));
    strlcpy(u->domainname, "(none)", sizeof(u->domainname));
    return 0;
}

SYSCALL(sethostname, 2, "name, len", SYSCALL_COMPLETE)
long sys_sethostname(const char *name, size_t len)
{
    if (len > __NEW_UTS_LEN)
        return -EINVAL;
    memcpy(hostname, name, len);
    hostname[len] = 0;
    return 0;
}

SYSCALL(sysinfo, 1, "info", SYSCALL_COMPLETE)
long sys_sysinfo(struct sysinfo *s)
{
    if (!user_range_ok(s, sizeof(*s)))
        return -EFAULT;
    memset(s, 0, sizeof(*s));
    s->uptime = (long)(clock_monotonic_ns() / NS_PER_SEC);
    s->totalram = page_total_bytes();
    s->freeram = page_free_bytes();
    s->mem_unit = 1;
    for (unsigned slot = 0; thread_after(&slot);)
        s->procs++;
    return 0;
}

static struct rlimit64 limits[RLIM_NLIMITS] = {
    [RLIMIT_CPU ... RLIMIT_DATA] = {RLIM64_INFINITY, RLIM64_INFINITY},
    [RLIMIT_STACK] = {8 << 20, RLIM64_INFINITY},
    [RLIMIT_CORE] = {0, 0},
    [RLIMIT_RSS ... RLIMIT_NPROC] = {RLIM64_INFINITY, RLIM64_INFINITY},
    [RLIMIT_NOFILE] = {1048576, 1048576},
    [RLIMIT_MEMLOCK ... RLIM_NLIMITS - 1] = {RLIM64_INFINITY, RLIM64_INFINITY},
};

SYSCALL(prlimit64, 4, "pid, resource, new_limit, old_limit", SYSCALL_PARTIAL) /* values are kept; RLIMIT_NOFILE's is the table's own */
long sys_prlimit64(int pid, unsigned resource, const struct rlimit64 *new, struct rlimit64 *old)
{
    if (pid != 0 && pid != 1)
        return -ESRCH;
    if (resource >= RLIM_NLIMITS)
        return -EINVAL;
    if ((new && !user_range_ok(new, sizeof(*new))) || (old && !user_range_ok(old, sizeof(*old))))
        return -EFAULT;
    struct rlimit64 was = limits[resource];
    if (new) {
        if (new->rlim_cur > new->rlim_max)
            return -EINVAL;
        if (resource == RLIMIT_NOFILE && new->rlim_max > 1048576)
            return -EPERM;
        limits[resource] = *new;
        if (resource == RLIMIT_NOFILE)
            fd_limit_set((unsigned)MIN(new->rlim_cur, 1048576ul));
    }
    if (old)
        *old = was;
    return 0;
}
SYSCALL(getrlimit, 2, "resource, limit", SYSCALL_COMPLETE)
long sys_getrlimit(unsigned resource, struct rlimit64 *limit) { return sys_prlimit64(0, resource, NULL, limit); }
SYSCALL(setrlimit, 2, "resource, limit", SYSCALL_PARTIAL)
long sys_setrlimit(unsigned resource, const struct rlimit64 *limit) { return sys_prlimit64(0, resource, limit, NULL); }

SYSCALL(getrusage, 2, "who, usage", SYSCALL_PARTIAL) /* times and context switches; the rest is 0 */
long sys_getrusage(int who, struct rusage *u)
{
    if (who != RUSAGE_SELF && who != RUSAGE_THREAD && who != RUSAGE_CHILDREN)
        return -EINVAL;
    if (!user_range_ok(u, sizeof(*u)))
        return -EFAULT;
    struct cpu_usage used = {0};
    if (who == RUSAGE_SELF)
        used = cpu_usage_process();
    else if (who == RUSAGE_THREAD)
        used = cpu_usage_self();
    memset(u, 0, sizeof(*u));
    u->ru_utime.tv_sec = (long)(used.cpu_ns / NS_PER_SEC);
    u->ru_utime.tv_usec = (long)(used.cpu_ns % NS_PER_SEC / 1000);
    u->ru_nvcsw = (long)used.voluntary;
    u->ru_nivcsw = (long)used.involuntary;
    return 0;
}

SYSCALL(getrandom, 3, "buf, len, flags", SYSCALL_COMPLETE)
long sys_getrandom(void *buf, size_t len, unsigned flags)
{
    if (flags & ~(unsigned)(GRND_NONBLOCK | GRND_RANDOM | GRND_INSECURE))
        return -EINVAL;
    if (!user_range_ok(buf, len))
        return -EFAULT;
    len = MIN(len, (size_t)33554431);
    for (size_t done = 0; done < len; done += 4096) /* in parts: preemption is off while one is made */
        random_bytes((char *)buf + done, MIN(len - done, (size_t)4096));
    return (long)len;
}

SYSCALL(syslog, 3, "type, buf, len", SYSCALL_PARTIAL) /* sizes and reading */
long sys_syslog(int type, char *buf, int len)
{
    if (type == 10)
        return 16384;
    return (type == 3 || type == 4) && len >= 0 ? (long)log_read(buf, (size_t)len) : -EINVAL;
}

SYSCALL(getuid, 0, "", SYSCALL_COMPLETE)
long sys_getuid(void) { return 0; }
SYSCALL(geteuid, 0, "", SYSCALL_COMPLETE)
long sys_geteuid(void) { return 0; }
SYSCALL(getgid, 0, "", SYSCALL_COMPLETE)
long sys_getgid(void) { return 0; }
SYSCALL(getegid, 0, "", SYSCALL_COMPLETE)
long sys_getegid(void) { return 0; }
SYSCALL(getgroups, 2, "size, list", SYSCALL_COMPLETE)
long sys_getgroups(int size, unsigned *list) { return 0; }

/* One user: any change of identity that is not to root is refused as Linux refuses it to somebody without the right. */
static long become(unsigned id) { return id == 0 || id == (unsigned)-1 ? 0 : -EPERM; }
SYSCALL(setuid, 1, "uid", SYSCALL_COMPLETE)
long sys_setuid(unsigned id) { return become(id); }
SYSCALL(setgid, 1, "gid", SYSCALL_COMPLETE)
long sys_setgid(unsigned id) { return become(id); }
SYSCALL(setresuid, 3, "ruid, euid, suid", SYSCALL_COMPLETE)
long sys_setresuid(unsigned r, unsigned e, unsigned s) { return become(r) | become(e) | become(s); }
SYSCALL(setresgid, 3, "rgid, egid, sgid", SYSCALL_COMPLETE)
long sys_setresgid(unsigned r, unsigned e, unsigned s) { return become(r) | become(e) | become(s); }
SYSCALL(setgroups, 2, "size, list", SYSCALL_COMPLETE)
long sys_setgroups(size_t size, const unsigned *list) { return size == 0 || (size == 1 && list[0] == 0) ? 0 : -EPERM; }
