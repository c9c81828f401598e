/* Kernel stacks: in the kernel area, with an unmapped page below. May sleep. */
#ifndef MM_KSTACK_H
#define MM_KSTACK_H

#include <stdint.h>

/* Lowest address of a stack of size bytes (whole pages), 0 when there is no memory. */
uint64_t kstack_alloc(unsigned size);

#endif
