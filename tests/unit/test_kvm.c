/* SOURCES: tests/unit/host/host.c */
/* SANITIZE: thread */
/* arch/x86_64/kvm.c on a host of its own: CPUID, MSRs and hypercalls are functions of this test.
   Detection, registration, the sets of a PV IPI for all kinds of APIC ids, the end of an interrupt,
   and, with a thread that plays the host, that a CPU which was promised a flush runs nothing before
   it. */
#include <arch/cpu.h>
#include <arch/kvm_hypercall.h>
#include <arch/percpu.h>
#include <arch/trap.h>
#include <kernel/log.h>
#include <kernel/string.h>
#include <linux/kvm_para.h>
#include "delays.h"

#include "tap.h"

static void fake_cpuid(uint32_t leaf, uint32_t sub, uint32_t r[4]);
static void fake_wrmsr(uint32_t msr, uint64_t value);
static long fake_hypercall(bool amd, unsigned long number, const uint64_t args[4]);
#define cpuid fake_cpuid
#define wrmsr fake_wrmsr
#define kvm_hypercall fake_hypercall
#include "../../arch/x86_64/kvm.c"

#include "host/host.h"

#define CPUS 200
#define ROUNDS 20000

struct cpu_features cpu_features;
struct percpu *percpu_table[PERCPU_MAX];
unsigned percpu_count = CPUS;
static struct percpu cpus[CPUS];

static uint32_t kvm_at, offered, hinted; /* first leaf, 0: no KVM */
static uint64_t steal_msr, eoi_msr;
static unsigned sent[1024], calls, singles; /* interrupts by APIC id */
static uint32_t sent_command;
static bool refuse, called_amd, number_good, lowest_good;

static void fake_cpuid(uint32_t leaf, uint32_t sub, uint32_t r[4])
{
    memset(r, 0, 16);
    if (leaf == 0x40000000 && kvm_at != leaf) {
        r[0] = kvm_at ? 0x40000005 : 0;
        memcpy(&r[1], kvm_at ? "Microsoft Hv" : "TCGTCGTCGTCG", 12);
    }
    if (kvm_at && leaf == kvm_at) {
        r[0] = kvm_at + 1;
        memcpy(&r[1], "KVMKVMKVM\0\0", 12);
    }
    if (kvm_at && leaf == kvm_at + 1) {
        r[0] = offered;
        r[3] = hinted;
    }
}

static void fake_wrmsr(uint32_t msr, uint64_t value)
{
    if (msr == MSR_KVM_STEAL_TIME)
        steal_msr = value;
    if (msr == MSR_KVM_PV_EOI_EN)
        eoi_msr = value;
}

const char kvm_vmcall_insn[4], kvm_vmmcall_insn[4];
static bool host_is_amd, host_is_neither;

static long fake_hypercall(bool is_amd, unsigned long number, const uint64_t args[4])
{
    long delivered = 0;
    if (is_amd != host_is_amd || host_is_neither)
        return -KVM_ENOSYS;
    if (!(args[0] | args[1]))
        return 0;
    calls++;
    called_amd = is_amd;
    number_good = number_good && number == KVM_HC_SEND_IPI;
    lowest_good = lowest_good && (args[0] & 1) && args[2] + 127 < ARRAY_SIZE(sent) + 128;
    if (refuse)
        return -KVM_ENOSYS;
    sent_command = (uint32_t)args[3];
    for (unsigned i = 0; i < 128; i++) {
        if (args[i / 64] >> (i % 64) & 1) {
            sent[args[2] + i]++;
            delivered++;
        }
    }
    return delivered;
}

void apic_send(unsigned apic_id, uint32_t command)
{
    singles++;
    sent_command = command;
    sent[apic_id]++;
}

static void detect(uint32_t at, uint32_t features_offered, uint32_t hints_given, const char *vendor)
{
    features = hints = 0;
    kvm_at = at;
    offered = features_offered;
    hinted = hints_given;
    cpu_features.hypervisor = true;
    host_is_amd = strcmp(vendor, "AuthenticAMD") == 0;
    strlcpy(cpu_features.vendor, vendor, sizeof(cpu_features.vendor));
    kvm_init();
}

static void detection(void)
{
    detect(0, UINT32_MAX, 0, "GenuineIntel");
    ok(!kvm_has(KVM_FEATURE_PV_EOI) && !kvm_has(0), "no KVM, no features");
    detect(0x40000000, 1 << KVM_FEATURE_PV_EOI, 0, "GenuineIntel");
    ok(kvm_has(KVM_FEATURE_PV_EOI) && !kvm_has(KVM_FEATURE_STEAL_TIME) && !amd,
       "features, of an Intel CPU");
    detect(0x40000100, 1 << KVM_FEATURE_STEAL_TIME, 0, "AuthenticAMD");
    ok(kvm_has(KVM_FEATURE_STEAL_TIME) && amd, "behind Hyper-V's leaves, and of an AMD CPU");
    detect(0x40000000, 1 << KVM_FEATURE_PV_SEND_IPI, 0, "AuthenticAMD");
    host_is_amd = false;
    kvm_init();
    ok(kvm_has(KVM_FEATURE_PV_SEND_IPI) && !amd, "an AMD CPU by name only: the other hypercall");
    host_is_neither = true;
    kvm_init();
    ok(!kvm_has(KVM_FEATURE_PV_SEND_IPI), "no hypercall works: no PV IPI");
    host_is_neither = false;
    struct trap_frame f = {.rip = (uint64_t)kvm_vmmcall_insn, .rax = KVM_HC_SEND_IPI};
    ok(kvm_skip_hypercall(&f) && f.rip == (uint64_t)kvm_vmmcall_insn + 3 &&
           f.rax == (uint64_t)-KVM_ENOSYS && !kvm_skip_hypercall(&f),
       "an exception at a hypercall is its error");
    cpu_features.hypervisor = false;
    features = 0;
    kvm_init();
    ok(features == 0, "no hypervisor, no look at its leaves");
}

static void registration(void)
{
    struct percpu *p = &cpus[0];
    detect(0x40000000, 0, 0, "GenuineIntel");
    kvm_init_cpu(p);
    ok(steal_msr == 0 && eoi_msr == 0, "what is not offered is not registered");
    detect(0x40000000, 1 << KVM_FEATURE_STEAL_TIME | 1 << KVM_FEATURE_PV_EOI, 0, "GenuineIntel");
    kvm_init_cpu(p);
    ok(steal_msr == (virt_to_phys(&p->kvm) | 1) && virt_to_phys(&p->kvm) % 64 == 0,
       "steal time, aligned to 64 bytes");
    ok(eoi_msr == (virt_to_phys(&p->kvm.eoi_done) | 1) && virt_to_phys(&p->kvm.eoi_done) % 4 == 0,
       "the word for PV EOI");
}

static void end_of_interrupt(void)
{
    struct kvm_shared *s = &cpus[0].kvm;
    s->eoi_done = 0;
    ok(!kvm_eoi(s) && s->eoi_done == 0, "no offer: the APIC must be written");
    s->eoi_done = 1;
    ok(kvm_eoi(s) && s->eoi_done == 0, "an offer is taken by clearing it");
    ok(!kvm_eoi(s), "and it holds for one interrupt");
}

/* Each CPU of the set got one interrupt, and nobody else. Ids: id_of(cpu). */
static bool send_to(const uint64_t *set, uint32_t (*id_of)(unsigned cpu))
{
    unsigned expected[ARRAY_SIZE(sent)] = {0};
    memset(sent, 0, sizeof(sent));
    calls = singles = 0;
    number_good = lowest_good = true;
    for (unsigned i = 0; i < CPUS; i++) {
        cpus[i].apic_id = id_of(i);
        percpu_table[i] = &cpus[i];
        expected[id_of(i)] += set[i / 64] >> (i % 64) & 1;
    }
    bool done = kvm_send_ipis(set, PERCPU_MAX / 64, 0x40f1);
    return done && number_good && lowest_good && memcmp(sent, expected, sizeof(sent)) == 0;
}

static uint32_t same(unsigned cpu) { return cpu; }
static uint32_t backwards(unsigned cpu) { return 300 - cpu; }
static uint32_t sparse(unsigned cpu)
{
    return cpu * 3 / 2;
} /* 0..298, as with three cores a package */
static uint32_t scattered(unsigned cpu) { return cpu * 157 % 307; }
static uint32_t far(unsigned cpu) { return cpu % 2 ? 700 + cpu : cpu; }

static void interrupts(void)
{
    static uint32_t (*const ids[])(unsigned) = {same, backwards, sparse, scattered, far};
    uint64_t set[PERCPU_MAX / 64] = {0};
    detect(0x40000000, 0, 0, "GenuineIntel");
    ok(!kvm_send_ipis(set, ARRAY_SIZE(set), 0x40f1), "a host that does not send to many says so");
    detect(0x40000000, 1 << KVM_FEATURE_PV_SEND_IPI, 0, "AuthenticAMD");
    ok(send_to(set, same) && calls == 0, "nobody: no call");
    set[1] = 1ull << 6 | 1ull << 63;
    ok(send_to(set, same) && calls == 1 && singles == 0 && called_amd, "two CPUs, one call");
    ok(sent_command == 0xf1, "with delivery mode and vector");
    ok(send_to(set, backwards) && calls == 1, "ids that go down, one call");
    memset(set, 0xff, CPUS / 8);
    ok(send_to(set, same) && calls == 2, "200 CPUs with ids 0 to 199: two calls");
    ok(send_to(set, backwards) && calls == 2, "the same backwards");
    ok(send_to(set, sparse) && calls == 3, "ids 0 to 298 with holes: three calls");
    refuse = true;
    ok(send_to(set, sparse) && singles == CPUS && sent_command == 0x40f1,
       "a host that refuses: one by one");
    refuse = false;
    bool good = true;
    for (unsigned round = 0; round < 2000; round++) {
        for (unsigned i = 0; i < CPUS; i++) {
            uint64_t bit = 1ull << (i % 64);
            set[i / 64] = delay_random() % (round % 9 + 2) ? set[i / 64] & ~bit : set[i / 64] | bit;
        }
        good = good && send_to(set, ids[round % ARRAY_SIZE(ids)]);
    }
    ok(good, "any set, any ids: each gets one interrupt");
}

/* The host's side: takes the CPU away and gives it back, flushing where it was asked to; between,
   the guest works with the translation that its TLB holds. */
static struct kvm_shared *shared = &cpus[1].kvm;
static _Atomic long page_table, tlb; /* generations */
static _Atomic long promised;        /* the initiator does not wait for this and older ones */
static _Atomic bool over, stale;
static long flushed_by_host;

static void host_and_guest(void *arg)
{
    while (!atomic_load_explicit(&over, memory_order_relaxed)) {
        atomic_store_explicit(&shared->preempted, KVM_VCPU_PREEMPTED, memory_order_seq_cst);
        delay();
        if (atomic_exchange_explicit(&shared->preempted, 0, memory_order_seq_cst) &
            KVM_VCPU_FLUSH_TLB) {
            atomic_store_explicit(&tlb, atomic_load_explicit(&page_table, memory_order_seq_cst),
                                  memory_order_relaxed);
            flushed_by_host++;
        }
        for (unsigned i = 0; i < 4; i++) {
            long seen = atomic_load_explicit(&promised, memory_order_acquire);
            if (atomic_load_explicit(&tlb, memory_order_relaxed) < seen)
                atomic_store_explicit(&stale, true, memory_order_relaxed);
        }
    }
}

static void flush_protocol(void)
{
    uint32_t both = 1 << KVM_FEATURE_PV_TLB_FLUSH | 1 << KVM_FEATURE_STEAL_TIME;
    shared->preempted = KVM_VCPU_PREEMPTED;
    detect(0x40000000, 1 << KVM_FEATURE_PV_TLB_FLUSH, 0, "GenuineIntel");
    ok(!kvm_flush_later(shared), "no flush without steal time");
    detect(0x40000000, both, 1 << KVM_HINTS_REALTIME, "GenuineIntel");
    ok(!kvm_flush_later(shared), "nor on a host that never takes a CPU away");
    detect(0x40000000, both, 0, "GenuineIntel");
    shared->preempted = 0;
    ok(!kvm_is_preempted(shared) && !kvm_flush_later(shared) && shared->preempted == 0,
       "a CPU that runs must answer itself");
    shared->preempted = KVM_VCPU_PREEMPTED;
    ok(kvm_is_preempted(shared) && kvm_flush_later(shared) && shared->preempted == 3,
       "one that does not is flushed by the host");
    ok(kvm_flush_later(shared) && shared->preempted == 3, "also a second time");

    shared->preempted = 0;
    struct host_thread *host = host_spawn(host_and_guest, NULL);
    long later = 0;
    for (long number = 1; number <= ROUNDS; number++) {
        atomic_store_explicit(&page_table, number, memory_order_relaxed);
        if (!kvm_flush_later(shared))
            continue; /* would be interrupted and waited for */
        later++;
        atomic_store_explicit(&promised, number, memory_order_release);
    }
    atomic_store_explicit(&over, true, memory_order_relaxed);
    host_join(host);
    printf("# %ld of %d promised, %ld flushes of the host\n", later, ROUNDS, flushed_by_host);
    ok(later > 0 && flushed_by_host > 0, "some were promised");
    ok(!stale, "and no CPU ran with an old translation after a promise");
}

int main(void)
{
    detection();
    registration();
    end_of_interrupt();
    interrupts();
    flush_protocol();
    return done();
}
