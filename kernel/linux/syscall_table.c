/* The table of system calls, made at boot from the SYSCALL() lines. Linked programs call through it (singlet_syscall_table); a number that nobody serves answers ENOSYS, is
   counted, and is named in the log once. */
#include <asm/errno.h>
#include <kernel/init.h>
#include <kernel/log.h>
#include <kernel/syscall.h>
#include <sched/internal.h>
#include <stdatomic.h>

_Static_assert(offsetof(struct thread, interrupted) == 0, "syscall_stubs.S knows it");

__attribute__((visibility("default"))) syscall_fn singlet_syscall_table[SYSCALL_MAX];
syscall_fn syscall_functions[SYSCALL_MAX]; /* behind the stubs of interruptible calls */

extern const uint64_t syscall_stubs[]; /* number, stub; ends with -1 */
extern char syscall_missing_entries[]; /* 16 bytes each */

static _Atomic uint32_t missing_counts[SYSCALL_MAX];

long syscall_missing(unsigned nr)
{
    if (atomic_fetch_add_explicit(&missing_counts[nr], 1, memory_order_relaxed) == 0)
        log_warn("system call %u is not there: ENOSYS", nr);
    return -ENOSYS;
}

__attribute__((visibility("default"))) long singlet_syscall(long n, long a, long b, long c, long d, long e, long f)
{
    return n >= 0 && n < SYSCALL_MAX ? singlet_syscall_table[n](a, b, c, d, e, f) : -ENOSYS;
}

static void make_table(void)
{
    for (unsigned i = 0; i < SYSCALL_MAX; i++)
        singlet_syscall_table[i] = (syscall_fn)(syscall_missing_entries + 16 * i);
    LINKER_TABLE_FOREACH(syscall, struct syscall_entry, s)
        singlet_syscall_table[s->nr] = (syscall_fn)s->fn;
    for (const uint64_t *s = syscall_stubs; s[0] != UINT64_MAX; s += 2) {
        if ((char *)singlet_syscall_table[s[0]] == syscall_missing_entries + 16 * s[0])
            continue;
        syscall_functions[s[0]] = singlet_syscall_table[s[0]];
        singlet_syscall_table[s[0]] = (syscall_fn)s[1];
    }
}
INIT(INIT_EARLY, make_table);
