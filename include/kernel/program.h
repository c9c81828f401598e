/* The application: its start, its threads' state, its end. */
#ifndef KERNEL_PROGRAM_H
#define KERNEL_PROGRAM_H

#include <kernel/compiler.h>
#include <kernel/signal_pending.h>

struct thread;

/* What an application thread has beside a kernel thread. */
struct app_thread {
    int *clear_child_tid;
    void *robust_list;
    size_t robust_list_size;
    uint64_t alt_stack, alt_stack_size;
    struct signal_pending signals;
    uint64_t waited_signals; /* by rt_sigtimedwait: pending even if they are ignored; written by this thread only */
    uint64_t start_rsp;
    int (*start_fn)(void *);
    void *start_arg;
};

/* True if the application has a thread of this id now. Holds it for a moment (thread_hold). */
bool app_thread_exists(int tid);
/* The thread (thread id 1) that runs fn and then, by program_start, the program. NULL when there is no memory. */
struct thread *program_main_thread(void (*fn)(void *));
/* Lays out stack, arguments, environment and auxiliary vector, and jumps to the program. argv[0] is the name. */
_Noreturn void program_start(char **argv, char **envp);
/* Name of the program, for messages. */
const char *program_name(void);
/* Closes all files, quiets the devices and powers off; status reaches the host. Sleeps: only where no lock of the kernel is held. */
_Noreturn void program_exit(int status);
/* The same at once, for a program that failed in the middle of a system call. */
_Noreturn void program_abandon(int status);
/* Arguments as in /proc/self/cmdline: strings with their ends, one after the other; *size gets their length. */
const char *program_cmdline(size_t *size);

#endif
