/*
 * A direct call of the kernel's function, which reads the TSC: no vDSO, no fallback for old
 * kernels.
 */
#include <time.h>
#include "syscall.h"

int __clock_gettime(clockid_t clk, struct timespec *ts)
{
    long r = __syscall(SYS_clock_gettime, clk, ts);

    return __builtin_expect(r, 0) ? __syscall_ret(r) : 0;
}

weak_alias(__clock_gettime, clock_gettime);
