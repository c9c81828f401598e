/* The arithmetic of KVM's time pages, apart from the machine: the host tests run it on pages of their own making. */
#ifndef ARCH_PVCLOCK_H
#define ARCH_PVCLOCK_H

#include <arch/clock_internal.h>

#define PVCLOCK_TSC_STABLE 1u    /* all CPUs' pages and TSCs agree; means something with KVM_FEATURE_CLOCKSOURCE_STABLE only */
#define PVCLOCK_GUEST_STOPPED 2u /* the machine was paused; the guest clears it */
#define PVCLOCK_TRIES 8u         /* the host writes the page of a CPU while that CPU does not run: once more is enough */

/* What a page says, whole. */
struct pvclock_values {
    uint32_t version;
    uint8_t flags;
    struct clock_line line; /* the host's time over the TSC */
};

/* False: it never was whole in PVCLOCK_TRIES looks, or what it says is no clock: a TSC slower than 100 kHz or faster than 100 GHz. out->version is set in any case. */
bool pvclock_read(const struct pvclock_time *page, struct pvclock_values *out);

#endif
