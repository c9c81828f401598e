/* Set-up of a CPU: GDT, TSS with its interrupt stacks, IDT, control registers, extended state. Everything runs in ring 0, so the GDT holds one code and one
   data segment, and the TSS is there for the IST only.

   IST 1: interrupts. IST 2: exceptions. IST 3: NMI and machine check. IST 4: double fault. Each stack belongs to one CPU; handlers leave them
   before they sleep (trap.c). */
#include <arch/cpu.h>
#include <kernel/string.h>
#include <mm/kmem.h>
#include <mm/page.h>

#define MSR_FS_BASE 0xc0000100u
#define MSR_GS_BASE 0xc0000101u
#define INTERRUPT_STACK 8192
#define CR4_FSGSBASE (1ul << 16)
#define CR4_OSXSAVE (1ul << 18)

struct tss {
    uint32_t reserved0;
    uint64_t rsp[3], reserved1, ist[7], reserved2;
    uint16_t reserved3, iomap;
} __attribute__((packed));

struct idt_gate {
    uint16_t offset_low, selector;
    uint8_t ist, type;
    uint16_t offset_mid;
    uint32_t offset_high, reserved;
};

struct arch_cpu {
    uint64_t gdt[5];
    struct tss tss;
    uint8_t stack[4][INTERRUPT_STACK] __attribute__((aligned(16)));
};

struct cpu_features cpu_features;
struct percpu *percpu_table[PERCPU_MAX];
unsigned percpu_count;

static struct percpu boot_percpu;
static struct arch_cpu boot_arch;
static struct idt_gate idt[256];
extern char vector_stubs[]; /* vectors.S: 16 bytes each */

static void load_tables(struct arch_cpu *a)
{
    struct {
        uint16_t limit;
        uint64_t base;
    } __attribute__((packed)) gdtr = {sizeof(a->gdt) - 1, (uint64_t)a->gdt}, idtr = {sizeof(idt) - 1, (uint64_t)idt};
    uint64_t tss = (uint64_t)&a->tss;

    a->gdt[1] = 0x00af9b000000ffff;
    a->gdt[2] = 0x00cf93000000ffff;
    a->gdt[3] = (sizeof(a->tss) - 1) | (tss & 0xffffff) << 16 | 0x89ull << 40 | (tss >> 24 & 0xff) << 56;
    a->gdt[4] = tss >> 32;
    for (unsigned i = 0; i < 4; i++)
        a->tss.ist[i] = (uint64_t)a->stack[i] + INTERRUPT_STACK;
    a->tss.iomap = sizeof(a->tss);
    __asm__ volatile("lgdt %0\n\t"
                     "pushq $0x08\n\t"
                     "leaq 1f(%%rip), %%rax\n\t"
                     "pushq %%rax\n\t"
                     "lretq\n"
                     "1: movw $0x10, %%ax\n\t"
                     "movw %%ax, %%ss\n\t"
                     "movw $0x18, %%ax\n\t"
                     "ltr %%ax\n\t"
                     "lidt %1" ::"m"(gdtr), "m"(idtr) : "rax", "memory");
}

static void fill_idt(void)
{
    for (unsigned i = 0; i < 256; i++) {
        uint64_t stub = (uint64_t)vector_stubs + i * 16;
        uint8_t ist = i == 8 ? 4 : i == 2 || i == 18 ? 3 : i < 32 ? 2 : 1;
        idt[i] = (struct idt_gate){(uint16_t)stub, 0x08, ist, 0x8e, (uint16_t)(stub >> 16), (uint32_t)(stub >> 32), 0};
    }
}

void cpu_init_boot(void)
{
    boot_percpu.self = &boot_percpu;
    boot_percpu.arch = &boot_arch;
    percpu_table[0] = &boot_percpu;
    percpu_count = 1;
    wrmsr(MSR_GS_BASE, (uint64_t)&boot_percpu);
    fill_idt();
    load_tables(&boot_arch);
}

struct arch_cpu *cpu_tables_new(void) { return kzalloc(sizeof(struct arch_cpu)); }

/* What cpu_detect has found is the same on all CPUs: it is only switched on. */
void cpu_init_other(struct percpu *p)
{
    uint64_t cr4;

    wrmsr(MSR_GS_BASE, (uint64_t)p);
    load_tables(p->arch);
    __asm__ volatile("fninit; movq %%cr4, %0" : "=r"(cr4));
    cr4 |= (cpu_features.xsave ? CR4_OSXSAVE : 0) | (cpu_features.fsgsbase ? CR4_FSGSBASE : 0);
    __asm__ volatile("movq %0, %%cr4" ::"r"(cr4));
    if (cpu_features.xsave)
        __asm__ volatile("xsetbv" ::"a"((uint32_t)cpu_features.xcr0), "d"(0), "c"(0));
}

static void detect_xstate(uint32_t ecx1)
{
    uint32_t r[4];
    uint64_t cr4;

    __asm__ volatile("fninit");
    cpu_features.xsave_size = 512;
    if (!(ecx1 >> 26 & 1))
        return;
    __asm__ volatile("movq %%cr4, %0" : "=r"(cr4));
    __asm__ volatile("movq %0, %%cr4" ::"r"(cr4 | CR4_OSXSAVE));
    cpuid(13, 0, r);
    /* x87, SSE, AVX, AVX-512; not MPX, PKRU, AMX */
    cpu_features.xcr0 = r[0] & 0xe7;
    if ((cpu_features.xcr0 & 0xe0) != 0xe0)
        cpu_features.xcr0 &= 7;
    __asm__ volatile("xsetbv" ::"a"((uint32_t)cpu_features.xcr0), "d"(0), "c"(0));
    cpuid(13, 0, r);
    cpu_features.xsave_size = r[1];
    cpu_features.xsave = true;
}

void cpu_detect(void)
{
    uint32_t r[4], max;
    struct cpu_features *f = &cpu_features;

    cpuid(0, 0, r);
    max = r[0];
    memcpy(f->vendor, &r[1], 4);
    memcpy(f->vendor + 4, &r[3], 4);
    memcpy(f->vendor + 8, &r[2], 4);
    cpuid(1, 0, r);
    f->hwcap = r[3];
    f->x2apic = r[2] >> 21 & 1;
    f->tsc_deadline = r[2] >> 24 & 1;
    f->rdrand = r[2] >> 30 & 1;
    f->hypervisor = r[2] >> 31;
    detect_xstate(r[2]);
    if (max >= 7) {
        cpuid(7, 0, r);
        f->fsgsbase = r[1] & 1;
        f->rdseed = r[1] >> 18 & 1;
    }
    if (f->fsgsbase) {
        uint64_t cr4;
        __asm__ volatile("movq %%cr4, %0" : "=r"(cr4));
        __asm__ volatile("movq %0, %%cr4" ::"r"(cr4 | CR4_FSGSBASE));
    }
    cpuid(0x80000000, 0, r);
    max = r[0];
    if (max >= 0x80000007) {
        cpuid(0x80000007, 0, r);
        f->invariant_tsc = r[3] >> 8 & 1;
    }
    for (uint32_t i = 0; max >= 0x80000004 && i < 3; i++) {
        cpuid(0x80000002 + i, 0, r);
        memcpy(f->brand + 16 * i, r, 16);
    }
    if (f->hypervisor) {
        cpuid(0x40000000, 0, r);
        memcpy(f->hypervisor_name, &r[1], 12);
    }
}

void cpu_set_fs_base(uint64_t base)
{
    if (cpu_features.fsgsbase)
        __asm__ volatile("wrfsbase %0" ::"r"(base));
    else
        wrmsr(MSR_FS_BASE, base);
}

void cpu_xstate_save(void *area)
{
    if (cpu_features.xsave)
        __asm__ volatile("xsave64 (%0)" ::"r"(area), "a"((uint32_t)cpu_features.xcr0), "d"(0) : "memory");
    else
        __asm__ volatile("fxsave64 (%0)" ::"r"(area) : "memory");
}

void cpu_xstate_restore(const void *area)
{
    if (cpu_features.xsave)
        __asm__ volatile("xrstor64 (%0)" ::"r"(area), "a"((uint32_t)cpu_features.xcr0), "d"(0) : "memory");
    else
        __asm__ volatile("fxrstor64 (%0)" ::"r"(area) : "memory");
}
