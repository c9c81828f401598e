/* Interrupts and exceptions after vectors.S. Where code may go on sleeping (demand paging, preemption), the frame is moved from the CPU's
   interrupt stack to the thread's kernel stack first: below the interrupted stack pointer if that is in use already, else at its top.

   A page fault first asks mm (vm_fault). What mm cannot mend is the application's: a signal, and without a handler for it a report and the end of
   the machine. A fault at an address of the kernel's half from kernel code is our own error: panic. */
#include <arch/cpu.h>
#include <arch/irq.h>
#include <arch/kvm.h>
#include <arch/paging.h>
#include <arch/trap.h>
#include <arch/trap_internal.h>
#include <asm/errno.h>
#include <kernel/log.h>
#include <kernel/signal_fault.h>
#include <kernel/symbols.h>
#include <linux/signal.h>
#include <mm/vm.h>
#include <sched/internal.h>
#include <sched/watchdog.h>
#include <stdatomic.h>

#define RFLAGS_IF 0x200u
#define VECTOR_NMI 2
#define VECTOR_DOUBLE_FAULT 8
#define VECTOR_PAGE_FAULT 14
#define VECTOR_MACHINE_CHECK 18

static struct trap_frame *thread_stack_place(struct trap_frame *f, struct thread *t)
{
    uint64_t top = t->kernel_stack_top, base = t->kernel_stack_base;
    uint64_t at = f->rsp > base && f->rsp <= top ? f->rsp : top;
    return (struct trap_frame *)(ALIGN_DOWN(at, 16) - sizeof(*f));
}

static bool may_sleep(const struct trap_frame *f)
{
    const struct percpu *p = percpu();
    return (f->rflags & RFLAGS_IF) && !p->preempt_count && !p->interrupt_depth && p->current;
}

struct trap_frame *exception_stack(struct trap_frame *f)
{
    if (f->vector == VECTOR_NMI || f->vector == VECTOR_DOUBLE_FAULT || f->vector == VECTOR_MACHINE_CHECK || !may_sleep(f))
        return f;
    struct thread *t = thread_current();
    struct trap_frame *to = thread_stack_place(f, t);
    return (uint64_t)to < t->kernel_stack_base + 2048 ? f : to; /* no room: be reported from here */
}

struct trap_frame *interrupt_dispatch(struct trap_frame *f)
{
    struct percpu *p = percpu();

    p->interrupt_depth++;
    atomic_store_explicit(&p->interrupts, atomic_load_explicit(&p->interrupts, memory_order_relaxed) + 1, memory_order_relaxed);
    irq_handle((unsigned)f->vector);
    p->interrupt_depth--;
    if (!p->need_resched || !may_sleep(f) || thread_is_idle(p->current))
        return NULL;
    return thread_stack_place(f, p->current);
}

static int fault_signal(const struct trap_frame *f, int *code)
{
    *code = SI_KERNEL;
    switch (f->vector) {
    case 0: *code = FPE_INTDIV; return SIGFPE;
    case 16: case 19: *code = FPE_FLTINV; return SIGFPE;
    case 1: case 3: *code = TRAP_BRKPT; return SIGTRAP;
    case 6: *code = ILL_ILLOPN; return SIGILL;
    case 17: *code = BUS_ADRALN; return SIGBUS;
    default: return SIGSEGV;
    }
}

static const char *const names[32] = {
    [0] = "divide error", [1] = "debug", [2] = "NMI", [3] = "breakpoint", [4] = "overflow", [5] = "bound",
    [6] = "invalid opcode", [7] = "no FPU", [8] = "double fault (kernel stack overflow?)", [10] = "invalid TSS",
    [11] = "segment not present", [12] = "stack fault", [13] = "general protection fault", [14] = "page fault", [16] = "x87 error",
    [17] = "alignment check", [18] = "machine check", [19] = "SIMD error", [21] = "control protection"};

const char *trap_name(uint64_t vector) { return vector < 32 && names[vector] ? names[vector] : "exception"; }

void exception_dispatch(struct trap_frame *f)
{
    uint64_t address = 0;
    bool sleepable = may_sleep(f);
    struct thread *t = thread_current();

    if ((f->vector == VECTOR_NMI && watchdog_nmi(f)) || unlikely(kvm_skip_hypercall(f)))
        return;
    if (f->vector == VECTOR_PAGE_FAULT)
        __asm__ volatile("movq %%cr2, %0" : "=r"(address));
    if (f->vector == VECTOR_NMI || f->vector == VECTOR_DOUBLE_FAULT || f->vector == VECTOR_MACHINE_CHECK || !sleepable)
        trap_panic(f, address);
    t->live_xstate++; /* the application's vector registers are in the CPU: a switch must save them */
    irq_enable();
    int sig = SIGSEGV, code = SEGV_MAPERR;
    bool done = false;
    if (f->vector == VECTOR_PAGE_FAULT) {
        if (address < KERNEL_HALF) {
            int err = vm_fault(address, (f->error & 2) != 0, (f->error & 16) != 0);
            done = err == 0;
            if (err == -EACCES)
                code = SEGV_ACCERR;
            if (err == -ENOMEM) {
                sig = SIGBUS;
                code = BUS_ADRERR;
            }
        } else if (symbol_is_kernel(f->rip)) {
            trap_panic(f, address);
        } else {
            code = SEGV_ACCERR;
        }
    } else {
        sig = fault_signal(f, &code);
        if (symbol_is_kernel(f->rip))
            trap_panic(f, address);
    }
    if (!done)
        signal_fault(f, sig, code, f->vector == VECTOR_PAGE_FAULT ? address : f->rip);
    irq_disable();
    t->live_xstate--;
}
