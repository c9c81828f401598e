/* Time between the files of arch/x86_64: clock.c, clock_read.c, kvmclock.c, tsc_sync.c. */
#ifndef ARCH_CLOCK_INTERNAL_H
#define ARCH_CLOCK_INTERNAL_H

#include <kernel/compiler.h>

/* Nanoseconds as a line over the TSC: (tsc * mult >> 32) + offset, modulo 2^64. So neither a TSC
   below that of the line's making nor an offset below zero is a special case. */
struct clock_line {
    uint64_t mult; /* ns for one count, 32.32; 0: none */
    uint64_t offset;
};
static inline uint64_t clock_scale(uint64_t tsc, uint64_t mult)
{
    return (uint64_t)(((unsigned __int128)tsc * mult) >> 32);
}
static inline uint64_t clock_line_at(const struct clock_line *l, uint64_t tsc)
{
    return clock_scale(tsc, l->mult) + l->offset;
}
/* The line of that slope which shows ns at tsc. */
static inline struct clock_line clock_line_through(uint64_t tsc, uint64_t ns, uint64_t mult)
{
    return (struct clock_line){mult, ns - clock_scale(tsc, mult)};
}

/* KVM: Documentation/virt/kvm/x86/msr.rst. The host writes it before it lets the CPU run; an odd
   version: it is writing now. */
struct pvclock_time {
    _Atomic uint32_t version;
    uint32_t pad0;
    _Atomic uint64_t tsc_timestamp, system_time;
    _Atomic uint32_t tsc_to_system_mul;
    _Atomic int8_t tsc_shift;
    _Atomic uint8_t flags;
    uint8_t pad[2];
};
_Static_assert(sizeof(struct pvclock_time) == 32, "the host's layout");

struct clock_cpu {
    /* With interrupts off, this CPU only, but for the page's host. */
    struct pvclock_time page __attribute__((aligned(64)));
    uint32_t page_seen;     /* the version that line was made from */
    bool page_bad;          /* said so in the log */
    struct clock_line line; /* of this CPU alone, where the CPUs' TSCs do not agree */
    /* tsc_sync.c: this CPU asks, the boot CPU answers. */
    _Atomic uint32_t asked __attribute__((aligned(64)));
    _Atomic uint32_t answered;
    _Atomic uint64_t answer;
    _Atomic bool apart; /* not equal, that is; ordered by asked */
};

/* clock_read.c */
void clock_start(const struct clock_line *line); /* before there is a second CPU */
struct clock_line clock_current_line(void);      /* mult 0: each CPU has its own */
/* Time goes on by that line, from what it shows now if the line shows less: the offset that it got
   in the end. False: somebody else changes it just now; try again later. Any context. */
bool clock_change(struct clock_line to, uint64_t *offset);
/* From now on each CPU reads by its own line, plus offset (or more, as above). For good. Interrupts
   off. */
bool clock_change_to_each(uint64_t offset);
/* A change that is not complete yet is looked at: at timer interrupts, a few instructions. */
void clock_settle(void);
/* All of the machine's TSC readings are made here; a function of the test on the host. */
#ifdef HOST_BUILD
uint64_t clock_tsc(void);
#else
/* Not moved by the compiler. The CPU may take it a little out of order: CHANGE_MARGIN_NS. */
static inline uint64_t clock_tsc(void)
{
    uint32_t lo, hi;
    __asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi)::"memory");
    return (uint64_t)hi << 32 | lo;
}
#endif

/* clock.c: what a nanosecond is to the deadline timer. */
void clock_set_timer_rate(uint64_t ns_per_tsc);

/* kvmclock.c. On the boot CPU: time begins at entry_tsc, by the host's clock. False: there is none. */
bool kvmclock_start(uint64_t entry_tsc);
void kvmclock_init_cpu(struct clock_cpu *c); /* on another CPU */
bool kvmclock_used(void);
/* Since 1970, from the host; false: not known. */
bool kvmclock_wall_ns(uint64_t *ns);
/* The page's version is another than the one seen: makes the CPU's line from it; and, from the timer,
   changes the time of all. The line of this CPU only; interrupts off. */
void kvmclock_refresh(struct clock_cpu *c);
void kvmclock_follow(struct clock_cpu *c);
static inline bool kvmclock_changed(const struct clock_cpu *c)
{
    return __atomic_load_n(&c->page.version, __ATOMIC_RELAXED) != c->page_seen;
}

/* tsc_sync.c */
void tsc_sync_init(void);
/* On another CPU, interrupts off, before it goes online: compares its TSC with the boot CPU's. Sleeps in
   HLT until the boot CPU has answered. */
void tsc_sync_cpu(struct clock_cpu *c);
/* The boot CPU's TSC less this one's lies between them. */
struct tsc_bounds {
    int64_t low, high;
};
#define TSC_BOUNDS_NONE ((struct tsc_bounds){INT64_MIN, INT64_MAX})
/* The boot CPU's TSC was `there` at a moment between two readings of our own. */
static inline void tsc_bounds_narrow(struct tsc_bounds *b, uint64_t before, uint64_t there, uint64_t after)
{
    int64_t low = (int64_t)(there - after), high = (int64_t)(there - before);
    b->low = MAX(b->low, low);
    b->high = MIN(b->high, high);
}
/* What to add to our TSC: 0 where nothing speaks against equality. */
static inline int64_t tsc_bounds_offset(const struct tsc_bounds *b)
{
    return b->low <= 0 && b->high >= 0 ? 0 : b->low / 2 + b->high / 2;
}

#endif
