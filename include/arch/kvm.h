/* What KVM offers its guests beyond a plain machine (kvm.c). Where there is no KVM all of this is
   there, and does nothing. */
#ifndef ARCH_KVM_H
#define ARCH_KVM_H

#include <kernel/compiler.h>

struct percpu;
struct trap_frame;

/* A CPU's memory that the host reads and writes. Zero where there is no KVM. */
struct kvm_shared {
    /* struct kvm_steal_time of <asm/kvm_para.h> */
    _Atomic uint64_t steal_ns; /* the CPU had work, and the host ran something else */
    uint32_t version, flags;
    _Atomic uint8_t
        preempted; /* KVM_VCPU_PREEMPTED: the host does not run this CPU; KVM_VCPU_FLUSH_TLB */
    uint8_t pad[47];
    uint32_t eoi_done; /* bit 0: the end of this interrupt needs no write to the APIC */
} __attribute__((aligned(64)));

/* What the host has; before the first use of anything here. */
void kvm_init(void);
/* This CPU's shared memory becomes known to the host. */
void kvm_init_cpu(struct percpu *p);
/* The host offers KVM_FEATURE_* (<asm/kvm_para.h>). */
bool kvm_has(unsigned feature);

/* Sends an interrupt command (delivery mode and vector) to all CPUs of the set, a bit each by CPU
   number. False: the host does not do that, and nothing was sent. Interrupts off. */
bool kvm_send_ipis(const uint64_t *cpus, unsigned words, uint32_t command);

/* An exception at a hypercall: the host does not know it. True: f goes on after it, with an error as
   its result. */
bool kvm_skip_hypercall(struct trap_frame *f);

/* The host does not run this CPU now, and forgets its translations before it does again: nobody has
   to wait for it. What was written before is in force for that CPU when this returns true. */
bool kvm_flush_later(struct kvm_shared *shared);

static inline bool kvm_is_preempted(const struct kvm_shared *shared)
{
    return __atomic_load_n(&shared->preempted, __ATOMIC_RELAXED) & 1;
}

/* End of an interrupt: true when the host has taken note without a write to the APIC. One
   instruction, as the host may change the bit between any two. */
static inline bool kvm_eoi(struct kvm_shared *shared)
{
    bool done;
    __asm__ volatile("btrl $0, %1" : "=@ccc"(done), "+m"(shared->eoi_done)::"memory");
    return done;
}

#endif
