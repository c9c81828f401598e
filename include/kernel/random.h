/* Random numbers: ChaCha20 with fast key erasure, seeded at boot. Never sleeps, any context but NMI. */
#ifndef KERNEL_RANDOM_H
#define KERNEL_RANDOM_H

#include <stddef.h>
#include <stdint.h>

/* At boot, before anything else here. */
void random_init(void);
/* A state for another CPU, before it is started. 0 or -ENOMEM. */
struct percpu;
int random_cpu_init(struct percpu *p);
void random_bytes(void *buf, size_t n);
uint64_t random_u64(void);
/* Mixes in entropy from a device or a boot loader. */
void random_add(const void *buf, size_t n);

#endif
