/*
 * System calls as plain function calls.
 *
 * The kernel exports a table of functions, one for each Linux system-call number. With a constant
 * number, which is what musl nearly always has, a call becomes `call
 * *singlet_syscall_table+8*n(%rip)`: no trap, and only the arguments that there are. Functions
 * follow the C ABI and return -errno.
 */
#define __SYSCALL_LL_E(x) (x)
#define __SYSCALL_LL_O(x) (x)

#define SINGLET_NR_SYSCALLS 512

extern __attribute__((__visibility__("hidden")))
long (*const singlet_syscall_table[SINGLET_NR_SYSCALLS])(long, long, long, long, long, long);

/* Any number, also one that the compiler does not know; -ENOSYS if it is out of range. */
__attribute__((__visibility__("hidden")))
long singlet_syscall(long n, long a, long b, long c, long d, long e, long f);

#define SINGLET_DIRECT(n) (__builtin_constant_p(n) && (unsigned long)(n) < SINGLET_NR_SYSCALLS)
#define SINGLET_INLINE static inline __attribute__((__always_inline__, __unused__))

SINGLET_INLINE long __syscall0(long n)
{
    if (SINGLET_DIRECT(n))
        return ((long (*)(void))singlet_syscall_table[n])();
    return singlet_syscall(n, 0, 0, 0, 0, 0, 0);
}

SINGLET_INLINE long __syscall1(long n, long a)
{
    if (SINGLET_DIRECT(n))
        return ((long (*)(long))singlet_syscall_table[n])(a);
    return singlet_syscall(n, a, 0, 0, 0, 0, 0);
}

SINGLET_INLINE long __syscall2(long n, long a, long b)
{
    if (SINGLET_DIRECT(n))
        return ((long (*)(long, long))singlet_syscall_table[n])(a, b);
    return singlet_syscall(n, a, b, 0, 0, 0, 0);
}

SINGLET_INLINE long __syscall3(long n, long a, long b, long c)
{
    if (SINGLET_DIRECT(n))
        return ((long (*)(long, long, long))singlet_syscall_table[n])(a, b, c);
    return singlet_syscall(n, a, b, c, 0, 0, 0);
}

SINGLET_INLINE long __syscall4(long n, long a, long b, long c, long d)
{
    if (SINGLET_DIRECT(n))
        return ((long (*)(long, long, long, long))singlet_syscall_table[n])(a, b, c, d);
    return singlet_syscall(n, a, b, c, d, 0, 0);
}

SINGLET_INLINE long __syscall5(long n, long a, long b, long c, long d, long e)
{
    if (SINGLET_DIRECT(n))
        return ((long (*)(long, long, long, long, long))singlet_syscall_table[n])(a, b, c, d, e);
    return singlet_syscall(n, a, b, c, d, e, 0);
}

SINGLET_INLINE long __syscall6(long n, long a, long b, long c, long d, long e, long f)
{
    if (SINGLET_DIRECT(n))
        return singlet_syscall_table[n](a, b, c, d, e, f);
    return singlet_syscall(n, a, b, c, d, e, f);
}

/* No vDSO here: clock_gettime is the function call that a vDSO would be. */

#define IPC_64 0
