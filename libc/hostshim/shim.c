/*
 * The kernel's side of the contract, by real Linux system calls: test only. The same application
 * objects and the same libc.a that go into an image link with this into a static Linux program,
 * which can be run, counted and debugged on the host. Cancellation by signal works as well, because
 * Linux interrupts the call.
 */
#include <stddef.h>

#define NR 512

static long raw(long n, long a, long b, long c, long d, long e, long f)
{
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    long ret;

    __asm__ volatile("syscall" : "=a"(ret)
                     : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return ret;
}

long singlet_syscall(long n, long a, long b, long c, long d, long e, long f)
{
    return (unsigned long)n < NR ? raw(n, a, b, c, d, e, f) : -38;
}

/* There is no fork in a unikernel. */
static long no_process(void)
{
    return -38;
}

/*
 * A stub for each number: 16 bytes, so that the table can be made by arithmetic in the assembler.
 */
__asm__(".text\n"
        ".balign 16\n"
        "shim_stubs:\n"
        ".set i, 0\n"
        ".rept 512\n"
        ".balign 16\n"
        "mov $i, %eax\n"
        "mov %rcx, %r10\n"
        "syscall\n"
        "ret\n"
        ".set i, i + 1\n"
        ".endr\n"
        ".section .data.rel.ro, \"aw\"\n"
        ".balign 8\n"
        ".global singlet_syscall_table\n"
        ".hidden singlet_syscall_table\n"
        "singlet_syscall_table:\n"
        ".set i, 0\n"
        ".rept 512\n"
        ".if i == 57 || i == 58\n"
        ".quad no_process\n"
        ".elseif i == 15\n"
        ".quad shim_sigreturn\n"
        ".else\n"
        ".quad shim_stubs + 16 * i\n"
        ".endif\n"
        ".set i, i + 1\n"
        ".endr\n"
        ".text\n"
        "shim_sigreturn:\n"
        "add $8, %rsp\n" /* Linux wants the frame where the restorer was entered. */
        "mov $15, %eax\n"
        "syscall\n"
        /* long shim_clone(flags, stack, ptid, ctid, tls, fn, arg) */
        ".global singlet_clone\n"
        ".hidden singlet_clone\n"
        "singlet_clone:\n"
        "mov 8(%rsp), %rax\n"
        "sub $16, %rsi\n"
        "mov %rax, (%rsi)\n"
        "mov %rcx, %r10\n"
        "mov $56, %eax\n"
        "syscall\n"
        "test %eax, %eax\n"
        "jnz 1f\n"
        "xor %ebp, %ebp\n"
        "mov (%rsp), %rdi\n"
        "call *%r9\n"
        "mov %eax, %edi\n"
        "mov $60, %eax\n"
        "syscall\n"
        "1: ret\n"
        ".global singlet_exit_unmap\n"
        ".hidden singlet_exit_unmap\n"
        "singlet_exit_unmap:\n"
        "mov $11, %eax\n"
        "syscall\n"
        "xor %edi, %edi\n"
        "mov $60, %eax\n"
        "syscall\n");

static __attribute__((used)) void *const keep = (void *)no_process;
