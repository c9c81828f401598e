/* What ap.S and smp.c share: where a started CPU begins, and what it finds there. */
#ifndef ARCH_AP_H
#define ARCH_AP_H

#define AP_TRAMPOLINE 0x8000 /* physical, below 1 MiB, page-aligned; mm leaves the first 64 KiB alone */
#define AP_APIC_ID 0
#define AP_STACK 8
#define AP_PERCPU 16
#define AP_SIZE 24

#endif
