/* The kernel starts fn(arg) on the new stack itself; no thread returns twice from here. */
#include <stdarg.h>
#include <features.h>

hidden long singlet_clone(unsigned long flags, void *stack_top, int *ptid, int *ctid,
                          unsigned long tls, int (*fn)(void *), void *arg);

hidden int __clone(int (*fn)(void *), void *stack, int flags, void *arg, ...)
{
    va_list ap;

    va_start(ap, arg);
    int *ptid = va_arg(ap, int *);
    unsigned long tls = va_arg(ap, unsigned long);
    int *ctid = va_arg(ap, int *);
    va_end(ap);
    stack = (void *)((unsigned long)stack & -16UL);
    return singlet_clone((unsigned)flags, stack, ptid, ctid, tls, fn, arg);
}
