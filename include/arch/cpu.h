/* The processor: set-up of a CPU, features, control registers, extended state. */
#ifndef ARCH_CPU_H
#define ARCH_CPU_H

#include <arch/percpu.h>
#include <kernel/string.h>

struct cpu_features {
    bool xsave, fsgsbase, x2apic, tsc_deadline, invariant_tsc, rdrand, rdseed, hypervisor;
    char vendor[13], brand[49], hypervisor_name[13];
    uint32_t xsave_size; /* bytes of an extended-state area */
    uint64_t xcr0;
    uint32_t hwcap;      /* AT_HWCAP: CPUID 1 EDX */
};
extern struct cpu_features cpu_features;

/* The boot CPU's block at GS, its descriptor tables and interrupt stacks. Before anything that uses percpu(). */
void cpu_init_boot(void);
void cpu_detect(void);
/* Another CPU's descriptor tables and interrupt stacks (NULL: no memory), and its set-up, on that CPU. */
struct arch_cpu *cpu_tables_new(void);
void cpu_init_other(struct percpu *p);

static inline void cpuid(uint32_t leaf, uint32_t sub, uint32_t r[4])
{
    __asm__ volatile("cpuid" : "=a"(r[0]), "=b"(r[1]), "=c"(r[2]), "=d"(r[3]) : "a"(leaf), "c"(sub));
}
static inline uint64_t rdmsr(uint32_t msr)
{
    uint32_t lo, hi;
    __asm__ volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr));
    return (uint64_t)hi << 32 | lo;
}
static inline void wrmsr(uint32_t msr, uint64_t v)
{
    __asm__ volatile("wrmsr" ::"a"((uint32_t)v), "d"((uint32_t)(v >> 32)), "c"(msr) : "memory");
}
static inline uint64_t rdtsc(void)
{
    uint32_t lo, hi;
    __asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
    return (uint64_t)hi << 32 | lo;
}
static inline void irq_enable(void) { __asm__ volatile("sti" ::: "memory"); }
static inline void irq_disable(void) { __asm__ volatile("cli" ::: "memory"); }
/* Interrupts on and halt, without a gap in which one could be lost. */
static inline void irq_enable_and_halt(void) { __asm__ volatile("sti; hlt" ::: "memory"); }
/* Address translations that the CPU remembers: of one page, and of all pages that are not global, with the tables on the way. */
static inline void cpu_flush_page(uint64_t va) { __asm__ volatile("invlpg (%0)" ::"r"(va) : "memory"); }
static inline void cpu_flush_all(void)
{
    uint64_t cr3;
    __asm__ volatile("movq %%cr3, %0; movq %0, %%cr3" : "=r"(cr3)::"memory");
}
static inline void cpu_relax(void) { __asm__ volatile("pause"); }

/* Base of FS: the application's TLS. */
void cpu_set_fs_base(uint64_t base);

/* Saves and restores the extended state (XSAVE, or FXSAVE where there is no XSAVE); area: 64-byte aligned, xsave_size bytes. */
void cpu_xstate_save(void *area);
/* Makes fresh memory an area. Only the header of XSAVE has to be 0 (SDM volume 1, 13.4.2 and 13.7): what is restored was saved before. */
static inline void cpu_xstate_init(void *area)
{
    if (cpu_features.xsave)
        memset((char *)area + 512, 0, 64);
}
void cpu_xstate_restore(const void *area);

/* One byte to the isa-debug-exit device, power-off by ACPI, then whatever else stops a machine. */
_Noreturn void machine_power_off(int status);
_Noreturn void machine_reboot(void);

#endif
