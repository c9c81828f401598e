/* The kernel's memory functions under names of their own, beside the host's. */
#define memcpy kernel_memcpy
#define memmove kernel_memmove
#define memset kernel_memset
#include "../../../arch/x86_64/string.S"
