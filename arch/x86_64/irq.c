/* Interrupt controllers: the local APIC (x2APIC where the CPU has it, else xAPIC in memory) and the
   IOAPICs. The 8259s are masked. The layout comes from the ACPI MADT; without ACPI the PC's
   defaults are used (one IOAPIC at 0xfec00000).

   Messages and IOAPICs name a CPU by 8 bits of APIC id, and by 15 where KVM says so
   (KVM_FEATURE_MSI_EXT_DEST_ID): bits 14..8 then lie in bits 11..5 of a message's address, and in
   bits 55..49 of an IOAPIC's entry.

   Intel SDM volume 3, chapter 11; 82093AA data sheet; ACPI 6.5, 5.2.12. */
#include <arch/apic.h>
#include <arch/cpu.h>
#include <arch/io.h>
#include <arch/irq.h>
#include <arch/trap_internal.h>
#include <asm/errno.h>
#include <drivers/acpi.h>
#include <linux/kvm_para.h>
#include <mm/kmem.h>
#include <mm/mapping.h>
#include <stdatomic.h>

#define MSR_APIC_BASE 0x1bu
#define APIC_DEFAULT 0xfee00000ull
#define MAX_IOAPICS 8
#define IOAPIC_ENTRY(input) (0x10 + 2 * (input))
#define APIC_ID_MAX 0xfeu /* 0xff: all of them */
#define APIC_ID_MAX_EXTENDED 0x7ffeu

struct ioapic {
    volatile uint32_t *regs;
    unsigned gsi_base, inputs;
};
struct override {
    unsigned gsi;
    bool level, active_low;
};
struct gsi_irq {
    struct irq irq;
    bool active_low, aimed;
};

static struct ioapic ioapics[MAX_IOAPICS];
static unsigned ioapic_count;
static struct override overrides[16];
static volatile uint32_t *apic; /* NULL: x2APIC */

void apic_write(unsigned reg, uint32_t v)
{
    if (apic)
        apic[reg / 4] = v;
    else
        wrmsr(0x800 + reg / 16, v);
}

uint32_t apic_read(unsigned reg) { return apic ? apic[reg / 4] : (uint32_t)rdmsr(0x800 + reg / 16); }

void irq_handle(unsigned vector)
{
    irq_call(vector);
    if (vector != APIC_VECTOR_SPURIOUS && !kvm_eoi(&percpu()->kvm))
        apic_write(APIC_EOI, 0);
}

bool irq_reachable(unsigned apic_id)
{
    return apic_id <= (kvm_has(KVM_FEATURE_MSI_EXT_DEST_ID) ? APIC_ID_MAX_EXTENDED : APIC_ID_MAX);
}

static uint32_t destination(const struct irq *irq)
{
    return percpu_table[atomic_load_explicit(&irq->cpu, memory_order_relaxed)]->apic_id;
}

/* SDM 11.11: fixed delivery, edge, to one APIC id. */
void irq_msi_message(const struct irq *irq, uint64_t *address, uint32_t *data)
{
    uint32_t id = destination(irq);
    *address = APIC_DEFAULT | (id & 0xff) << 12 | (id >> 8) << 5;
    *data = irq->vector;
}

static uint32_t ioapic_read(const struct ioapic *io, unsigned reg)
{
    io->regs[0] = reg;
    return io->regs[4];
}

static void ioapic_write(const struct ioapic *io, unsigned reg, uint32_t v)
{
    io->regs[0] = reg;
    io->regs[4] = v;
}

static struct ioapic *ioapic_of(unsigned gsi)
{
    for (unsigned i = 0; i < ioapic_count; i++)
        if (gsi - ioapics[i].gsi_base < ioapics[i].inputs)
            return &ioapics[i];
    return NULL;
}

/* The vector is the same on each CPU, so one register is all that moving takes, and no interrupt
   meets half a change. */
static int aim_gsi(struct irq *irq)
{
    struct gsi_irq *g = CONTAINER_OF(irq, struct gsi_irq, irq);
    struct ioapic *io = ioapic_of(irq->line);
    if (!io)
        return -ENODEV;
    unsigned reg = IOAPIC_ENTRY(irq->line - io->gsi_base);
    uint32_t id = destination(irq);
    ioapic_write(io, reg + 1, (id & 0xff) << 24 | (id >> 8) << 17);
    if (!g->aimed)
        ioapic_write(io, reg, irq->vector | (g->active_low ? 1u << 13 : 0) | (irq->level ? 1u << 15 : 0));
    g->aimed = true;
    return 0;
}

int irq_gsi_route(unsigned gsi, bool level, bool active_low, const char *device, irq_handler fn, void *arg)
{
    struct gsi_irq *g = kzalloc(sizeof(*g));
    if (!g)
        return -ENOMEM;
    g->irq = (struct irq){.fn = fn, .arg = arg, .chip = "IO-APIC", .device = device, .line = gsi, .level = level,
                          .place = IRQ_ANY_CPU, .aim = aim_gsi};
    g->active_low = active_low;
    int err = irq_add(&g->irq);
    if (err)
        kfree(g);
    return err;
}

unsigned irq_isa_gsi(unsigned isa, bool *level, bool *active_low)
{
    *level = isa < 16 && overrides[isa].level;
    *active_low = isa < 16 && overrides[isa].active_low;
    return isa < 16 ? overrides[isa].gsi : isa;
}

static void add_ioapic(uint64_t phys, unsigned gsi_base)
{
    if (ioapic_count == MAX_IOAPICS)
        return;
    struct ioapic *io = &ioapics[ioapic_count];
    io->regs = mapping_mmio(phys, 32);
    if (!io->regs)
        return;
    io->gsi_base = gsi_base;
    io->inputs = (ioapic_read(io, 1) >> 16 & 0xff) + 1; /* reset state: all inputs masked */
    ioapic_count++;
}

static void read_madt(const struct acpi_header *madt, uint64_t *apic_phys)
{
    const uint8_t *p = (const uint8_t *)madt, *end = p + madt->length;
    if (madt->length < 44)
        return;
    *apic_phys = *(const uint32_t *)(p + 36);
    for (p += 44; p + 2 <= end && p[1] >= 2 && p + p[1] <= end; p += p[1]) {
        if (p[0] == 1 && p[1] >= 12) {
            add_ioapic(*(const uint32_t *)(p + 4), *(const uint32_t *)(p + 8));
        } else if (p[0] == 2 && p[1] >= 10 && p[3] < 16) {
            uint16_t flags = *(const uint16_t *)(p + 8);
            overrides[p[3]] = (struct override){*(const uint32_t *)(p + 4), (flags >> 2 & 3) == 3,
                                                (flags & 3) == 3};
        } else if (p[0] == 5 && p[1] >= 12) {
            *apic_phys = *(const uint64_t *)(p + 4);
        }
    }
}

int irq_init(void)
{
    uint64_t apic_phys = APIC_DEFAULT;

    outb(0x21, 0xff); /* the 8259s stay silent */
    outb(0xa1, 0xff);
    for (unsigned i = 0; i < 16; i++)
        overrides[i] = (struct override){i, false, false};
    const struct acpi_header *madt = acpi_table("APIC", 0);
    if (madt)
        read_madt(madt, &apic_phys);
    else
        add_ioapic(0xfec00000, 0);
    if (!cpu_features.x2apic) {
        apic = mapping_mmio(apic_phys, 4096);
        if (!apic)
            return -ENOMEM;
    }
    kvm_init();
    irq_cpu_init_boot();
    irq_init_cpu();
    percpu()->apic_id = apic ? apic_read(APIC_ID) >> 24 : apic_read(APIC_ID);
    return 0;
}

void irq_init_cpu(void)
{
    kvm_init_cpu(percpu());
    wrmsr(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) | (apic ? 0x800 : 0xc00));
    apic_write(APIC_SPURIOUS, 0x100 | APIC_VECTOR_SPURIOUS);
    apic_write(APIC_LVT_LINT0, 1u << 16);
    apic_write(APIC_LVT_ERROR, 1u << 16);
    apic_write(APIC_TASK_PRIORITY, 0);
}

/* The x2APIC's register write orders nothing: what was stored before must be visible to the CPU
   that gets the interrupt (SDM 11.12.3). */
void apic_send(unsigned apic_id, uint32_t command)
{
    if (apic) {
        apic[APIC_ICR_HIGH / 4] = apic_id << 24;
        apic[APIC_ICR / 4] = command;
    } else {
        __asm__ volatile("mfence; lfence" ::: "memory");
        wrmsr(0x830, (uint64_t)apic_id << 32 | command);
    }
}

void apic_send_ipis(const uint64_t *cpus, unsigned vector)
{
    unsigned n = 0;

    for (unsigned w = 0; w < PERCPU_MAX / 64; w++)
        n += (unsigned)__builtin_popcountll(cpus[w]);
    if (n > 1 && kvm_send_ipis(cpus, PERCPU_MAX / 64, vector | APIC_ICR_ASSERT))
        return;
    for (unsigned w = 0; w < PERCPU_MAX / 64; w++)
        for (uint64_t bits = cpus[w]; bits; bits &= bits - 1)
            apic_send_ipi(percpu_table[w * 64 + (unsigned)__builtin_ctzll(bits)]->apic_id, vector);
}
