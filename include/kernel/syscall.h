/* System calls. Each is one line in the file that implements it:

       SYSCALL(read, 3, "fd, buf, count", SYSCALL_COMPLETE) long sys_read(int fd, void *buf, size_t count) { ... }

   Arguments and result follow the x86_64 Linux ABI: registers hold longs, the result is >= 0 or a negative errno. The table, ENOSYS
   accounting, tracing and the documentation come from these lines. */
#ifndef KERNEL_SYSCALL_H
#define KERNEL_SYSCALL_H

#include <asm/errno.h>
#include <asm/unistd.h>
#include <kernel/compiler.h>
#include <kernel/init.h>

#define SYSCALL_COMPLETE 0
#define SYSCALL_PARTIAL 1 /* some flags answer with an error: the file's head says which */

struct syscall_entry {
    uint16_t nr;
    uint8_t argc;
    uint8_t completeness;
    const char *name;
    const char *args; /* names, separated by commas */
    void *fn;
};
#define SYSCALL(name_, argc_, args_, completeness_)                                                \
    extern __typeof__(long()) sys_##name_;                                                         \
    LINKER_TABLE(syscall, struct syscall_entry, name_) = {                                         \
        .nr = __NR_##name_, .argc = argc_, .completeness = completeness_, .name = #name_,          \
        .args = args_, .fn = (void *)sys_##name_};

#define SYSCALL_MAX 512
typedef long (*syscall_fn)(long, long, long, long, long, long);

#endif
