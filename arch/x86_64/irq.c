/* Interrupt controllers: the local APIC (x2APIC where the CPU has it, else xAPIC in memory), IOAPICs, and the vectors. The 8259s are masked. The layout
   comes from the ACPI MADT; without ACPI the PC's defaults are used (one IOAPIC at 0xfec00000).

   Vectors: 32..47 unused (where the 8259s would deliver spurious interrupts), 48..0xee for devices, 0xef timer, 0xf0 wake-up, 0xff spurious.
   Intel SDM volume 3, chapter 11; 82093AA data sheet; ACPI 6.5, 5.2.12. */
#include <arch/apic.h>
#include <arch/cpu.h>
#include <arch/io.h>
#include <arch/irq.h>
#include <arch/trap_internal.h>
#include <asm/errno.h>
#include <drivers/acpi.h>
#include <kernel/log.h>
#include <mm/mapping.h>

#define MSR_APIC_BASE 0x1bu
#define APIC_DEFAULT 0xfee00000ull
#define FIRST_DEVICE_VECTOR 48
#define LAST_DEVICE_VECTOR 0xee
#define MAX_IOAPICS 8

struct handler {
    irq_handler fn;
    void *arg;
};
struct ioapic {
    volatile uint32_t *regs;
    unsigned gsi_base, inputs;
};
struct override {
    unsigned gsi;
    bool level, active_low;
};

static struct handler handlers[256]; /* set before the interrupt is unmasked, on one CPU */
static struct ioapic ioapics[MAX_IOAPICS];
static unsigned ioapic_count;
static struct override overrides[16];
static volatile uint32_t *apic; /* NULL: x2APIC */
static uint64_t spurious_count;

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
    struct handler *h = &handlers[vector];
    if (h->fn)
        h->fn(h->arg);
    else
        spurious_count++;
    if (vector != APIC_VECTOR_SPURIOUS)
        apic_write(APIC_EOI, 0);
}

void irq_set_handler(int vector, irq_handler fn, void *arg) { handlers[vector] = (struct handler){fn, arg}; }

int irq_vector_alloc(irq_handler fn, void *arg)
{
    for (int v = FIRST_DEVICE_VECTOR; v <= LAST_DEVICE_VECTOR; v++) {
        if (!handlers[v].fn) {
            irq_set_handler(v, fn, arg);
            return v;
        }
    }
    return -ENOSPC;
}

void irq_vector_free(int vector) { handlers[vector] = (struct handler){NULL, NULL}; }

void irq_msi_message(int vector, uint64_t *address, uint32_t *data)
{
    /* SDM 11.11: fixed delivery, edge, to one APIC id (of the boot CPU, below 255) */
    *address = APIC_DEFAULT | (uint64_t)percpu_table[0]->apic_id << 12;
    *data = (uint32_t)vector;
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

int irq_gsi_route(unsigned gsi, int vector, bool level, bool active_low)
{
    struct ioapic *io = ioapic_of(gsi);
    if (!io)
        return -ENODEV;
    unsigned reg = 0x10 + 2 * (gsi - io->gsi_base);
    ioapic_write(io, reg + 1, percpu_table[0]->apic_id << 24);
    ioapic_write(io, reg, (uint32_t)vector | (active_low ? 1u << 13 : 0) | (level ? 1u << 15 : 0));
    return 0;
}

void irq_gsi_mask(unsigned gsi, bool masked)
{
    struct ioapic *io = ioapic_of(gsi);
    if (!io)
        return;
    unsigned reg = 0x10 + 2 * (gsi - io->gsi_base);
    uint32_t v = ioapic_read(io, reg) & ~(1u << 16);
    ioapic_write(io, reg, v | (masked ? 1u << 16 : 0));
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
            overrides[p[3]] = (struct override){*(const uint32_t *)(p + 4), (flags >> 2 & 3) == 3, (flags & 3) == 3};
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
    irq_init_cpu();
    percpu()->apic_id = apic ? apic_read(APIC_ID) >> 24 : apic_read(APIC_ID);
    return 0;
}

void irq_init_cpu(void)
{
    wrmsr(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) | (apic ? 0x800 : 0xc00));
    apic_write(APIC_SPURIOUS, 0x100 | APIC_VECTOR_SPURIOUS);
    apic_write(APIC_LVT_LINT0, 1u << 16);
    apic_write(APIC_LVT_ERROR, 1u << 16);
    apic_write(APIC_TASK_PRIORITY, 0);
}

/* The x2APIC's register write orders nothing: what was stored before must be visible to the CPU that gets the interrupt (SDM 11.12.3). */
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
