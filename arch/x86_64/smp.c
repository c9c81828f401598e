/* Start of the other CPUs. All get INIT and then a start-up IPI at once and come up in parallel
   (boot/ap.S); nobody waits here.

   Intel SDM volume 3: 9.4.4 (the INIT-SIPI-SIPI sequence; hypervisors and CPUs of this century need
   no pause after INIT). ACPI 6.5, 5.2.12.2 and 5.2.12.12 (MADT: local APIC, local x2APIC). */
#include <arch/ap.h>
#include <arch/apic.h>
#include <arch/boot.h>
#include <arch/cpu.h>
#include <arch/paging.h>
#include <arch/smp.h>
#include <asm/errno.h>
#include <drivers/acpi.h>
#include <kernel/string.h>
#include <mm/kmem.h>

#define MADT_LOCAL_APIC 0
#define MADT_LOCAL_X2APIC 9
#define MADT_ENABLED 1u

struct ap {
    uint32_t apic_id;
    uint64_t stack_top;
    struct percpu *percpu;
};
_Static_assert(offsetof(struct ap, apic_id) == AP_APIC_ID && offsetof(struct ap, stack_top) == AP_STACK &&
                   offsetof(struct ap, percpu) == AP_PERCPU && sizeof(struct ap) == AP_SIZE, "ap.S");

/* Read by ap.S. */
struct ap *ap_table;
unsigned ap_count;
uint64_t ap_cr3;
_Noreturn void ap_main(struct percpu *p);

unsigned smp_list(unsigned *apic_ids, unsigned max)
{
    const struct acpi_header *madt = acpi_table("APIC", 0);
    unsigned n = 0, self = percpu()->apic_id;
    if (!madt || madt->length < 44)
        return 0;
    const uint8_t *p = (const uint8_t *)madt, *end = p + madt->length;
    for (p += 44; p + 2 <= end && p[1] >= 2 && p + p[1] <= end && n < max; p += p[1]) {
        unsigned id, flags;
        if (p[0] == MADT_LOCAL_APIC && p[1] >= 8) {
            id = p[3];
            flags = *(const uint32_t *)(p + 4);
        } else if (p[0] == MADT_LOCAL_X2APIC && p[1] >= 16) {
            id = *(const uint32_t *)(p + 4);
            flags = *(const uint32_t *)(p + 8);
        } else {
            continue;
        }
        bool known = id == self;
        for (unsigned i = 0; i < n; i++)
            known = known || apic_ids[i] == id;
        if ((flags & MADT_ENABLED) && !known)
            apic_ids[n++] = id;
    }
    return n;
}

struct percpu *smp_percpu_new(unsigned id, unsigned apic_id)
{
    struct percpu *p = kzalloc(sizeof(*p));
    if (!p)
        return NULL;
    p->self = p;
    p->id = id;
    p->apic_id = apic_id;
    p->arch = cpu_tables_new();
    p->irqs = irq_cpu_new();
    if (!p->arch || !p->irqs) {
        kfree(p->arch);
        kfree(p->irqs);
        kfree(p);
        return NULL;
    }
    return p;
}

static void send(const struct percpu *p, uint32_t command)
{
    uint64_t flags = irq_save();
    apic_send(p->apic_id, command);
    irq_restore(flags);
}

int smp_start(unsigned count, uint64_t (*stack_top)(const struct percpu *p))
{
    extern char ap_start[], ap_end[];

    if (count <= 1)
        return 0;
    ap_table = kzalloc((count - 1) * sizeof(*ap_table));
    if (!ap_table)
        return -ENOMEM;
    ap_count = count - 1;
    ap_cr3 = paging_root();
    for (unsigned i = 1; i < count; i++)
        ap_table[i - 1] = (struct ap){percpu_table[i]->apic_id, stack_top(percpu_table[i]), percpu_table[i]};
    memcpy(phys_to_virt(AP_TRAMPOLINE), ap_start, (size_t)(ap_end - ap_start));
    for (unsigned i = 1; i < count; i++)
        send(percpu_table[i], APIC_ICR_INIT);
    for (unsigned i = 1; i < count; i++)
        smp_start_again(percpu_table[i]);
    return 0;
}

void smp_start_again(const struct percpu *p) { send(p, APIC_ICR_STARTUP | AP_TRAMPOLINE >> 12); }

/* From ap.S, on the idle thread's stack. */
void ap_main(struct percpu *p)
{
    cpu_init_other(p);
    irq_init_cpu();
    clock_init_cpu();
    smp_online();
}
