/* Marks for the counting plugin (scripts/plugin/count.c): a NOP whose displacement nobody else uses. On every kernel and every
   processor it does nothing; the plugin records the instruction counters of all vCPUs when it is executed. */
#ifndef BENCH_MARK_H
#define BENCH_MARK_H

enum mark {
    MARK_EMPTY_BEGIN = 1, MARK_EMPTY_END, /* nothing between them: what a bracket itself counts */
    MARK_HANDOVER_BEGIN, MARK_HANDOVER_END,
    MARK_CREATE_BEGIN, MARK_CREATE_END,
    MARK_WAKE, MARK_WAKER_DONE, MARK_AWAKE,
    MARK_PIPE_BEGIN, MARK_PIPE_END,
    MARK_STREAM_BEGIN, MARK_STREAM_END,
    MARK_EVENTFD_BEGIN, MARK_EVENTFD_END,
    MARK_LOOKUP_BEGIN, MARK_LOOKUP_END,
};

#define MARK(id) __asm__ volatile("nopl 0x4d524b00+%c0(%%rax,%%rax)" ::"i"(id) : "memory")

#endif
