/* The C library functions that lwIP uses are the kernel's. */
#include <kernel/string.h>
