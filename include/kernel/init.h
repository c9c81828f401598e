/* Start-up order. INIT(stage, fn) registers `void fn(void)`; the stages run one after another on the boot CPU in a
   thread that may sleep (INIT_EARLY: before threads, may not sleep), order inside a stage is not defined. */
#ifndef KERNEL_INIT_H
#define KERNEL_INIT_H

#include <kernel/compiler.h>

typedef void (*init_fn)(void);

/* EARLY: tables and options; BUS: ACPI, PCI; DRIVER: devices are probed; FS: mounts; NET: stack and addresses. */
#define INIT_EARLY 0
#define INIT_BUS 1
#define INIT_FS 2
#define INIT_NET 3 /* the stack, before devices appear */
#define INIT_DRIVER 4
#define INIT_LATE 5 /* addresses are configured; then the application starts */

struct init_entry {
    int stage;
    init_fn fn;
};
#define INIT(stage, fn) LINKER_TABLE(init, struct init_entry, fn) = {stage, fn}

void init_run(int stage);

#endif
