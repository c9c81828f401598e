/* The local APIC: registers, fixed vectors, the timer. */
#ifndef ARCH_APIC_H
#define ARCH_APIC_H

#include <arch/irq.h>
#include <arch/percpu.h>

#define APIC_ID 0x20
#define APIC_TASK_PRIORITY 0x80
#define APIC_EOI 0xb0
#define APIC_SPURIOUS 0xf0
#define APIC_ICR 0x300
#define APIC_ICR_HIGH 0x310
#define APIC_LVT_TIMER 0x320
#define APIC_LVT_LINT0 0x350
#define APIC_LVT_ERROR 0x370
#define APIC_TIMER_INITIAL 0x380
#define APIC_TIMER_CURRENT 0x390
#define APIC_TIMER_DIVIDE 0x3e0

#define IRQ_FIRST_DEVICE 48 /* 32..47: where the 8259s would deliver spurious interrupts */
#define APIC_VECTOR_TIMER 0xef /* the first fixed one */
#define APIC_VECTOR_WAKE 0xf0
#define APIC_VECTOR_TLB 0xf1
#define APIC_VECTOR_TSC 0xf4
#define APIC_VECTOR_SPURIOUS 0xff

#define APIC_ICR_ASSERT 0x4000u  /* fixed delivery, level asserted */
#define APIC_ICR_INIT 0x4500u    /* delivery mode INIT, level asserted */
#define APIC_ICR_NMI 0x4400u
#define APIC_ICR_STARTUP 0x4600u

int irq_init(void);
void irq_init_cpu(void); /* another CPU's local APIC */
void apic_write(unsigned reg, uint32_t v);
uint32_t apic_read(unsigned reg);
/* Sends an interrupt command, which is delivered without anybody waiting for it; interrupts off. */
void apic_send(unsigned apic_id, uint32_t command);
static inline void apic_send_ipi(unsigned apic_id, unsigned vector) { apic_send(apic_id, vector | APIC_ICR_ASSERT); }
/* The same to all CPUs of a set, a bit each by CPU number (PERCPU_MAX of them); interrupts off. */
void apic_send_ipis(const uint64_t *cpus, unsigned vector);

/* vector.c. A fixed vector, the same on all CPUs; before it is used first. */
void irq_set_handler(unsigned vector, irq_handler fn, void *arg);
/* The boot CPU's vectors, and another CPU's (NULL: no memory). */
void irq_cpu_init_boot(void);
struct irq_cpu *irq_cpu_new(void);
/* Whether a device can reach a CPU of this APIC id; irq.c. */
bool irq_reachable(unsigned apic_id);

/* Clocks and the deadline timer: finds out the TSC's rate and wall time; fn runs in interrupt
   context when a deadline has passed. */
void clock_init(void (*fn)(void *arg));
/* What another CPU needs, before it starts (0 or -ENOMEM); and its clock and timer, on that CPU, interrupts off. */
int clock_cpu_init(struct percpu *p);
void clock_init_cpu(void);
/* The next timer interrupt of this CPU, at deadline_ns (monotonic) or a little later; UINT64_MAX: none. Interrupts off. */
void clock_arm(uint64_t deadline_ns);

#endif
