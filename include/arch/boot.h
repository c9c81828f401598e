/* Entered from boot/entry.S. */
#ifndef ARCH_BOOT_H
#define ARCH_BOOT_H

#include <stdint.h>

#define PHYS_MAX (1ull << 40) /* the direct map: 1 TiB */

_Noreturn void boot_main(uint64_t info, uint64_t magic, uint64_t tsc);

#endif
