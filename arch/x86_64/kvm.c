/* KVM's offers to a guest: the end of an interrupt without leaving the guest (PV EOI), interrupts
   to many CPUs at once (PV IPI), the time that the host gave to others (steal time), whether a CPU
   runs at all, and a TLB flush for one that does not.

   A flush goes thus: the host sets KVM_VCPU_PREEMPTED when it takes the CPU away, and exchanges the
   byte for 0 before the guest goes on there; if it finds KVM_VCPU_FLUSH_TLB it flushes first. So
   whoever manages to add that bit to a byte with the other one set (compare-and-swap) knows that
   the CPU runs nothing before it has been flushed.

   A CPU registers its memory when it comes up, before it takes interrupts. Nothing is taken back: a
   reset, which is how this machine reboots, clears these registers in the host, and the memory is
   the kernel's for good.

   Linux's Documentation/virt/kvm/x86: cpuid.rst, msr.rst, hypercalls.rst. */
#include <arch/apic.h>
#include <arch/cpu.h>
#include <arch/kvm.h>
#include <arch/kvm_hypercall.h>
#include <arch/trap.h>
#include <kernel/log.h>
#include <kernel/string.h>
#include <linux/kvm_para.h>
#include <mm/page.h>
#include <stdatomic.h>

#define HYPERVISOR_LEAVES 0x40000000u
#define LEAVES_STEP 0x100u /* a host that offers Hyper-V's interface has KVM's leaves after it */
#define LEAVES_PLACES 4u
#define BATCH 128u /* APIC ids of one call */

typedef unsigned __int128 batch_bits;

/* Constant after kvm_init. */
static uint32_t features, hints;
static bool amd;

_Static_assert(offsetof(struct kvm_shared, preempted) ==
                       offsetof(struct kvm_steal_time, preempted) &&
                   offsetof(struct kvm_shared, eoi_done) == sizeof(struct kvm_steal_time),
               "steal time");
_Static_assert(KVM_VCPU_PREEMPTED == 1, "kvm_is_preempted");

bool kvm_has(unsigned feature) { return features >> feature & 1; }

/* KVM's first leaf, 0: there is none. */
static uint32_t find_leaves(void)
{
    uint32_t r[4];

    for (uint32_t i = 0; cpu_features.hypervisor && i < LEAVES_PLACES; i++) {
        uint32_t leaf = HYPERVISOR_LEAVES + i * LEAVES_STEP;
        cpuid(leaf, 0, r);
        if (memcmp(&r[1], KVM_SIGNATURE, 12) == 0)
            return leaf;
        if (i == 0 && r[0] < leaf) /* no hypervisor with leaves */
            return 0;
    }
    return 0;
}

/* Sends to nobody. The CPU's vendor says which instruction it is, but a guest may be told another
   vendor than the host's. */
static bool find_hypercall(void)
{
    static const uint64_t nobody[4];

    if (kvm_hypercall(amd, KVM_HC_SEND_IPI, nobody) >= 0)
        return true;
    amd = !amd;
    return kvm_hypercall(amd, KVM_HC_SEND_IPI, nobody) >= 0;
}

void kvm_init(void)
{
    uint32_t r[4], leaf = find_leaves();

    if (leaf == 0)
        return;
    cpuid(leaf + KVM_CPUID_FEATURES - KVM_CPUID_SIGNATURE, 0, r);
    features = r[0];
    hints = r[3];
    amd = strcmp(cpu_features.vendor, "AuthenticAMD") == 0 ||
          strcmp(cpu_features.vendor, "HygonGenuine") == 0;
    if (kvm_has(KVM_FEATURE_PV_SEND_IPI) && !find_hypercall()) {
        log_warn("kvm: no hypercall works: interrupts to many CPUs are sent one by one");
        features &= ~(1u << KVM_FEATURE_PV_SEND_IPI);
    }
    log_info("kvm: features %#x", features);
}

bool kvm_skip_hypercall(struct trap_frame *f)
{
    if (f->rip != (uint64_t)kvm_vmcall_insn && f->rip != (uint64_t)kvm_vmmcall_insn)
        return false;
    f->rip += KVM_HYPERCALL_BYTES;
    f->rax = (uint64_t)-KVM_ENOSYS;
    return true;
}

void kvm_init_cpu(struct percpu *p)
{
    if (kvm_has(KVM_FEATURE_STEAL_TIME))
        wrmsr(MSR_KVM_STEAL_TIME, virt_to_phys(&p->kvm) | KVM_MSR_ENABLED);
    if (kvm_has(KVM_FEATURE_PV_EOI))
        wrmsr(MSR_KVM_PV_EOI_EN, virt_to_phys(&p->kvm.eoi_done) | KVM_MSR_ENABLED);
}

/* On a host that never takes a CPU away (hint "realtime") the flag is not kept. */
bool kvm_flush_later(struct kvm_shared *shared)
{
    if (!kvm_has(KVM_FEATURE_PV_TLB_FLUSH) || !kvm_has(KVM_FEATURE_STEAL_TIME) ||
        hints >> KVM_HINTS_REALTIME & 1)
        return false;
    uint8_t state = atomic_load_explicit(&shared->preempted, memory_order_relaxed);
    if (!(state & KVM_VCPU_PREEMPTED))
        return false;
    /* seq_cst: the page tables were changed before; and only success says that it still does not
       run, even if the flag is there from an earlier flush */
    return atomic_compare_exchange_strong_explicit(&shared->preempted, &state,
                                                   state | KVM_VCPU_FLUSH_TLB, memory_order_seq_cst,
                                                   memory_order_relaxed);
}

struct batch {
    uint32_t command, first, last; /* APIC ids */
    batch_bits bits;               /* from `first` on; 0: empty */
};

/* A host that refuses gets them one by one. */
static void send_batch(struct batch *b)
{
    const uint64_t args[4] = {(uint64_t)b->bits, (uint64_t)(b->bits >> 64), b->first,
                              b->command & 0x7ff};

    if (b->bits && kvm_hypercall(amd, KVM_HC_SEND_IPI, args) < 0)
        for (uint32_t i = 0; i < BATCH; i++)
            if (b->bits >> i & 1)
                apic_send(b->first + i, b->command);
    b->bits = 0;
}

/* Ids may come in any order; those that lie too far apart need another call. */
static void add_to_batch(struct batch *b, uint32_t id)
{
    if (b->bits && id < b->first && b->last - id < BATCH) {
        b->bits <<= b->first - id;
        b->first = id;
    } else if (b->bits && (id < b->first || id - b->first >= BATCH)) {
        send_batch(b);
    }
    if (!b->bits)
        b->first = b->last = id;
    b->last = MAX(b->last, id);
    b->bits |= (batch_bits)1 << (id - b->first);
}

bool kvm_send_ipis(const uint64_t *cpus, unsigned words, uint32_t command)
{
    struct batch b = {.command = command};

    if (!kvm_has(KVM_FEATURE_PV_SEND_IPI))
        return false;
    for (unsigned w = 0; w < words; w++)
        for (uint64_t bits = cpus[w]; bits; bits &= bits - 1)
            add_to_batch(&b, percpu_table[w * 64 + (unsigned)__builtin_ctzll(bits)]->apic_id);
    send_batch(&b);
    return true;
}
