/* The clocks that programs name by a clockid_t, for whoever measures or waits on one. */
#ifndef KERNEL_CLOCKS_H
#define KERNEL_CLOCKS_H

#include <kernel/compiler.h>
#include <sys/queue.h>

enum clock_kind {
    CLOCK_OF_BOOT,    /* monotonic time, under all its names */
    CLOCK_OF_WALL,    /* UTC and TAI: may be set */
    CLOCK_OF_PROCESS, /* CPU time of the application */
    CLOCK_OF_THREAD,  /* CPU time of the thread tid */
};
struct clock_ref {
    enum clock_kind kind;
    int tid;
};

/* What clock id names, the dynamic ids of pthread_getcpuclockid(3) included; the calling thread's
   CPU clock by its number. 0, -EINVAL: there is no such clock, or no such thread. Sleeps for other
   threads' clocks. */
int clock_resolve(int id, struct clock_ref *clock) WARN_UNUSED;
/* True for the fixed clocks that can be read but not waited for (coarse, raw). */
bool clock_only_read(int id);
/* 0, -ESRCH: its thread has ended. Sleeps for CPU clocks. */
int clock_now(const struct clock_ref *clock, uint64_t *ns) WARN_UNUSED;

/* A CPU clock stands still while nobody runs, so waiting for it is looking again and again: first
   after the least time in which it can get there, then at distances that grow while it does not
   move. Zero-initialise it for each wait. */
struct clock_patience {
    uint64_t seen_ns, step_ns;
};
/* The monotonic instant at which to look whether the clock, which shows now_ns, has reached
 * target_ns. */
uint64_t clock_look_at(const struct clock_ref *clock, uint64_t now_ns, uint64_t target_ns,
                       struct clock_patience *p);

/* Setting the wall clock tells everybody who waits for one of its times. stepped is called under
   the list's mutex: it may wake and arm, and takes no lock in whose scope a watch is added or
   removed. */
struct wall_watch {
    void (*stepped)(struct wall_watch *w);
    LIST_ENTRY(wall_watch) link; /* private */
    bool watching;               /* private */
};
void wall_watch_add(struct wall_watch *w);
void wall_watch_remove(struct wall_watch *w); /* after this stepped does not run any more */
/* Between them the wall clock is not set: a deadline computed from it is known to whoever sets it
 * next. */
void wall_hold(void);
void wall_release(void);
void wall_set(uint64_t realtime_ns);

#endif
