/* Registers as an interrupt or exception saved them, and the entry points of vectors.S. */
#ifndef ARCH_TRAP_H
#define ARCH_TRAP_H

#include <kernel/compiler.h>

struct trap_frame {
    uint64_t r15, r14, r13, r12, r11, r10, r9, r8, rbp, rdi, rsi, rdx, rcx, rbx, rax;
    uint64_t vector, error;
    uint64_t rip, cs, rflags, rsp, ss; /* pushed by the CPU */
};

/* Prints registers and a back trace of the frame. */
void trap_report(const struct trap_frame *f);
/* Back trace by frame pointers, starting at this rip and rbp. */
void backtrace_print(uint64_t rip, uint64_t rbp);

#endif
