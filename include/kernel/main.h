/* The kernel's start, once the boot protocol's information is in boot_info. */
#ifndef KERNEL_MAIN_H
#define KERNEL_MAIN_H

_Noreturn void kernel_main(void);

#endif
