/* A detached thread's end: unmaps the stack it runs on, so the kernel does it all in one call. */
#include "pthread_impl.h"

hidden _Noreturn void singlet_exit_unmap(void *base, size_t size);

void __unmapself(void *base, size_t size)
{
    singlet_exit_unmap(base, size);
}
