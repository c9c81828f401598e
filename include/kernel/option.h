/* Options of the kernel command line, `--name=value` or `--name`, before the program's name. OPTION() registers one; a handler
   returns 0 or a negative errno, which ends the boot with a message that names the option. value is NULL for `--name` alone. */
#ifndef KERNEL_OPTION_H
#define KERNEL_OPTION_H

#include <kernel/compiler.h>

struct option {
    const char *name;     /* without the dashes */
    const char *argument; /* shown in --help, e.g. "ADDR/BITS"; NULL: takes none */
    const char *help;
    int (*handle)(const char *value);
};
#define OPTION(id, ...) LINKER_TABLE(option, struct option, id) = {__VA_ARGS__}

#endif
