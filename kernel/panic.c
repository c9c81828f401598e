/* The end: reason, registers, back trace, the newest log lines that the console has not shown, command line. Uses nothing that could fail: no locks, no allocation. A panic
   in a panic stops at once. */
#include <arch/cpu.h>
#include <arch/paging.h>
#include <arch/serial.h>
#include <arch/trap_internal.h>
#include <kernel/boot.h>
#include <kernel/log.h>
#include <kernel/panic.h>
#include <kernel/print.h>
#include <kernel/string.h>
#include <kernel/symbols.h>
#include <sched/internal.h>
#include <stdatomic.h>

#define PANIC_STATUS 127 /* exit status of a panic */
#define MAX_FRAMES 32

static _Atomic bool panicking;

void report_printf(const char *fmt, ...)
{
    char line[256];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(line, sizeof(line), fmt, ap);
    va_end(ap);
    serial_write(line, MIN((size_t)n, sizeof(line) - 1));
}

static void print_address(const char *prefix, uint64_t address)
{
    uint64_t offset = 0;
    const char *name = symbol_name(address, &offset);
    if (name)
        report_printf("%s%016lx %s+0x%lx\n", prefix, address, name, offset);
    else
        report_printf("%s%016lx\n", prefix, address);
}

/* The two words at a frame pointer can be read: it lies in the image, the kernel area, the direct map or resident application memory. */
static bool readable(uint64_t rbp)
{
    unsigned flags;
    return rbp && !(rbp & 7) && paging_lookup(rbp, NULL, &flags) && paging_lookup(rbp + 15, NULL, NULL);
}

void backtrace_print(uint64_t rip, uint64_t rbp)
{
    report_printf("back trace:\n");
    print_address("  ", rip);
    for (int i = 0; i < MAX_FRAMES && readable(rbp); i++) {
        const uint64_t *frame = (const uint64_t *)rbp;
        if (!frame[1])
            break;
        print_address("  ", frame[1] - 1);
        if (frame[0] <= rbp && readable(frame[0]) && i > 2)
            break;
        rbp = frame[0];
    }
}

void trap_report(const struct trap_frame *f)
{
    report_printf("rip %016lx rsp %016lx rflags %08lx\n", f->rip, f->rsp, f->rflags);
    report_printf("rax %016lx rbx %016lx rcx %016lx rdx %016lx\n", f->rax, f->rbx, f->rcx, f->rdx);
    report_printf("rsi %016lx rdi %016lx rbp %016lx r8  %016lx\n", f->rsi, f->rdi, f->rbp, f->r8);
    report_printf("r9  %016lx r10 %016lx r11 %016lx r12 %016lx\n", f->r9, f->r10, f->r11, f->r12);
    report_printf("r13 %016lx r14 %016lx r15 %016lx\n", f->r13, f->r14, f->r15);
    backtrace_print(f->rip, f->rbp);
}

static void enter_panic(void)
{
    irq_disable();
    if (atomic_exchange_explicit(&panicking, true, memory_order_relaxed))
        machine_power_off(PANIC_STATUS);
}

static void print_context(void)
{
    struct thread *t = percpu()->current;
    report_printf("CPU %u, thread %d (%s), command line: %s\n", percpu()->id, t ? t->tid : 0, t ? t->name : "none",
                  boot_info.cmdline);
}

void panic(const char *fmt, ...)
{
    char line[256];
    va_list ap;
    enter_panic();
    va_start(ap, fmt);
    vsnprintf(line, sizeof(line), fmt, ap);
    va_end(ap);
    report_printf("\npanic: %s\n", line);
    print_context();
    backtrace_print((uint64_t)__builtin_return_address(0) - 1, (uint64_t)__builtin_frame_address(0));
    machine_power_off(PANIC_STATUS);
}

void trap_panic(const struct trap_frame *f, uint64_t address)
{
    enter_panic();
    report_printf("\npanic: %s in the kernel (vector %lu, error %#lx, address %#lx)\n", trap_name(f->vector), f->vector, f->error,
                  address);
    print_context();
    trap_report(f);
    machine_power_off(PANIC_STATUS);
}
