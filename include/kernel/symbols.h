/* Names of addresses, for reports. */
#ifndef KERNEL_SYMBOLS_H
#define KERNEL_SYMBOLS_H

#include <kernel/compiler.h>

/* The function or lock at this address and the offset in it; NULL when unknown. */
const char *symbol_name(uint64_t address, uint64_t *offset);
/* The address lies in the kernel's part of the image. */
bool symbol_is_kernel(uint64_t address);

#endif
