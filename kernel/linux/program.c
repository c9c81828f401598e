/* The program: its main thread, the stack that the Linux ABI wants (arguments, environment, auxiliary vector; System V ABI AMD64 3.4.1), and its end. */
#include <arch/cpu.h>
#include <arch/paging.h>
#include <asm/errno.h>
#include <drivers/driver.h>
#include <fs/file.h>
#include <fs/poll.h>
#include <kernel/boot.h>
#include <kernel/lock_report.h>
#include <kernel/log.h>
#include <kernel/panic.h>
#include <kernel/posix_timer.h>
#include <kernel/program.h>
#include <kernel/random.h>
#include <kernel/string.h>
#include <kernel/syscall.h>
#include <linux/auxvec.h>
#include <linux/elf.h>
#include <mm/kmem.h>
#include <mm/vm.h>
#include <sched/internal.h>
#include <stdatomic.h>

#define STACK_SIZE (8ul << 20)
#define STACK_GUARD (1ul << 20) /* below it, so that an overflow meets no other mapping: as on Linux */
#define MAX_STRINGS_BYTES (1ul << 16)

_Noreturn void enter_program(uint64_t rsp, uint64_t entry);
extern void _start(void); /* the program's first instruction (musl's crt1) */
extern const Elf64_Ehdr __image_start;

static struct app_thread main_app;
static char name[16] = "program";
static const char *cmdline_start;
static size_t cmdline_size;

const char *program_name(void) { return name; }

const char *program_cmdline(size_t *size)
{
    *size = cmdline_size;
    return cmdline_start;
}

struct thread *program_main_thread(void (*fn)(void *))
{
    struct thread *t = thread_new("init", fn, NULL);
    if (t) {
        signal_pending_init(&main_app.signals);
        atomic_store_explicit(&t->app, &main_app, memory_order_release);
        if (t->tid != 1) /* it is the process's id */
            panic("program: the first thread has id %d", t->tid);
    }
    return t;
}

/* Pushes a string; returns its address on the stack. */
static uint64_t push_string(uint64_t *sp, const char *s)
{
    size_t n = strlen(s) + 1;
    *sp -= n;
    memcpy((void *)*sp, s, n);
    return *sp;
}

_Noreturn void program_start(char **argv, char **envp)
{
    size_t argc = 0, envc = 0, bytes = 0;
    while (argv[argc])
        bytes += strlen(argv[argc++]) + 9;
    while (envp[envc])
        bytes += strlen(envp[envc++]) + 9;
    long base = bytes < MAX_STRINGS_BYTES ? vm_map(0, STACK_GUARD + STACK_SIZE, VM_READ | VM_WRITE | VM_STACK | VM_NORESERVE, NULL, 0) : -E2BIG;
    if (base >= 0 && vm_protect((uint64_t)base, STACK_GUARD, 0))
        base = -ENOMEM;
    if (base < 0)
        panic("program: no stack: error %ld", base);

    const char *slash = strrchr(argv[0], '/');
    strlcpy(name, slash ? slash + 1 : argv[0], sizeof(name));
    strlcpy(thread_current()->name, name, sizeof(name));
    uint64_t sp = (uint64_t)base + STACK_GUARD + STACK_SIZE - 16, random_at, name_at;
    name_at = push_string(&sp, argv[0]);
    uint64_t *env_at = kmalloc((envc + argc + 1) * 8), *arg_at = env_at + envc;
    if (!env_at)
        panic("program: no memory for %zu arguments", argc);
    for (size_t i = envc; i > 0; i--)
        env_at[i - 1] = push_string(&sp, envp[i - 1]);
    uint64_t end = sp;
    for (size_t i = argc; i > 0; i--)
        arg_at[i - 1] = push_string(&sp, argv[i - 1]);
    cmdline_start = (const char *)sp;
    cmdline_size = end - sp;
    sp = ALIGN_DOWN(sp - 16, 16);
    random_at = sp;
    random_bytes((void *)sp, 16);

    const uint64_t aux[][2] = {
        {AT_PHDR, (uint64_t)&__image_start + __image_start.e_phoff}, {AT_PHENT, sizeof(Elf64_Phdr)},
        {AT_PHNUM, __image_start.e_phnum}, {AT_PAGESZ, PAGE_SIZE}, {AT_BASE, 0}, {AT_FLAGS, 0}, {AT_ENTRY, (uint64_t)_start},
        {AT_UID, 0}, {AT_EUID, 0}, {AT_GID, 0}, {AT_EGID, 0}, {AT_SECURE, 0}, {AT_RANDOM, random_at},
        {AT_HWCAP, cpu_features.hwcap}, {AT_CLKTCK, 100}, {AT_EXECFN, name_at}, {AT_NULL, 0}};
    size_t count = 1 + argc + 1 + envc + 1 + 2 * ARRAY_SIZE(aux);
    sp = ALIGN_DOWN(sp - count * 8, 16);
    uint64_t *p = (uint64_t *)sp;
    *p++ = argc;
    for (size_t i = 0; i < argc; i++)
        *p++ = arg_at[i];
    *p++ = 0;
    for (size_t i = 0; i < envc; i++)
        *p++ = env_at[i];
    *p++ = 0;
    memcpy(p, aux, sizeof(aux));
    kfree(env_at);
    enter_program(sp, (uint64_t)_start);
}

/* As on Linux when a process ends, its connections are closed, so that peers learn of it; what that queues is sent before the devices stop. */
static void close_files(void)
{
    fd_close_range(0, UINT32_MAX);
    for (int i = 0; i < 100 && poll_progress(); i++) /* bounded: peers may go on talking */
        ;
}

_Noreturn void program_abandon(int status)
{
    lock_report_at_end();
    report_printf("%s: exit status %d\n", name, status);
    machine_power_off(status);
}

_Noreturn void program_exit(int status)
{
    static _Atomic bool ending;
    if (atomic_exchange_explicit(&ending, true, memory_order_relaxed)) /* another thread is at it */
        for (;;) {
            thread_wait_prepare();
            thread_wait();
        }
    timers_end();
    close_files();
    devices_shutdown();
    program_abandon(status);
}

SYSCALL(exit_group, 1, "status", SYSCALL_COMPLETE)
long sys_exit_group(int status) { program_exit(status & 0xff); }

SYSCALL(reboot, 4, "magic, magic2, cmd, arg", SYSCALL_PARTIAL) /* no kexec, no Ctrl-Alt-Del handling */
long sys_reboot(unsigned magic, unsigned magic2, unsigned cmd, void *arg)
{
    if (magic != 0xfee1dead || (magic2 != 672274793 && magic2 != 85072278 && magic2 != 369367448 && magic2 != 537993216))
        return -EINVAL;
    switch (cmd) {
    case 0x01234567:
        devices_shutdown();
        machine_reboot();
    case 0x4321fedc: case 0xcdef0123: program_exit(0);
    default: return -EINVAL;
    }
}
