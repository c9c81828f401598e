/* Handlers of faults that mend the cause and return, or step over it: every register and vector register is as it was. */
#include "check.h"
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <ucontext.h>

static char *page;
static volatile int faults, code;
static sigjmp_buf back;

static void spoil_vectors(void)
{
    __asm__ volatile("pcmpeqd %%xmm0, %%xmm0\n movdqa %%xmm0, %%xmm1\n movdqa %%xmm0, %%xmm7\n movdqa %%xmm0, %%xmm15\n"
                     "fldz\n fstp %%st(0)" ::: "xmm0", "xmm1", "xmm7", "xmm15");
}

static void mend(int sig, siginfo_t *info, void *context)
{
    faults++;
    code = info->si_code;
    mprotect(page, 4096, PROT_READ | PROT_WRITE);
    spoil_vectors();
}

struct state {
    uint64_t r[14]; /* rax rbx rcx rdx rsi r8 .. r15 rbp */
    uint64_t flags;
    unsigned char xmm[16][16];
};

/* Fills all registers, stores a byte through rdi, and saves all registers. */
void fault_probe(struct state *in, struct state *out, char *address);
__asm__(".pushsection .text\n"
        ".globl fault_probe\n"
        "fault_probe:\n"
        " push %rbx\n push %rbp\n push %r12\n push %r13\n push %r14\n push %r15\n push %rsi\n"
        " mov %rdi, %rax\n mov %rdx, %rdi\n"
        " movdqu 120(%rax), %xmm0\n movdqu 136(%rax), %xmm1\n movdqu 152(%rax), %xmm2\n movdqu 168(%rax), %xmm3\n"
        " movdqu 184(%rax), %xmm4\n movdqu 200(%rax), %xmm5\n movdqu 216(%rax), %xmm6\n movdqu 232(%rax), %xmm7\n"
        " movdqu 248(%rax), %xmm8\n movdqu 264(%rax), %xmm9\n movdqu 280(%rax), %xmm10\n movdqu 296(%rax), %xmm11\n"
        " movdqu 312(%rax), %xmm12\n movdqu 328(%rax), %xmm13\n movdqu 344(%rax), %xmm14\n movdqu 360(%rax), %xmm15\n"
        " mov 8(%rax), %rbx\n mov 16(%rax), %rcx\n mov 24(%rax), %rdx\n mov 32(%rax), %rsi\n"
        " mov 40(%rax), %r8\n mov 48(%rax), %r9\n mov 56(%rax), %r10\n mov 64(%rax), %r11\n mov 72(%rax), %r12\n"
        " mov 80(%rax), %r13\n mov 88(%rax), %r14\n mov 96(%rax), %r15\n mov 104(%rax), %rbp\n"
        " movb $0x5a, -1(%rsp)\n" /* in the red zone */
        " mov 0(%rax), %rax\n"
        " stc\n"
        " movb $1, (%rdi)\n"
        " xchg %rax, (%rsp)\n" /* rax = out, its value on the stack */
        " mov %rbx, 8(%rax)\n mov %rcx, 16(%rax)\n mov %rdx, 24(%rax)\n mov %rsi, 32(%rax)\n"
        " mov %r8, 40(%rax)\n mov %r9, 48(%rax)\n mov %r10, 56(%rax)\n mov %r11, 64(%rax)\n mov %r12, 72(%rax)\n"
        " mov %r13, 80(%rax)\n mov %r14, 88(%rax)\n mov %r15, 96(%rax)\n mov %rbp, 104(%rax)\n"
        " setc 112(%rax)\n"
        " mov -1(%rsp), %cl\n mov %cl, 113(%rax)\n"
        " pop %rcx\n mov %rcx, 0(%rax)\n"
        " movdqu %xmm0, 120(%rax)\n movdqu %xmm1, 136(%rax)\n movdqu %xmm2, 152(%rax)\n movdqu %xmm3, 168(%rax)\n"
        " movdqu %xmm4, 184(%rax)\n movdqu %xmm5, 200(%rax)\n movdqu %xmm6, 216(%rax)\n movdqu %xmm7, 232(%rax)\n"
        " movdqu %xmm8, 248(%rax)\n movdqu %xmm9, 264(%rax)\n movdqu %xmm10, 280(%rax)\n movdqu %xmm11, 296(%rax)\n"
        " movdqu %xmm12, 312(%rax)\n movdqu %xmm13, 328(%rax)\n movdqu %xmm14, 344(%rax)\n movdqu %xmm15, 360(%rax)\n"
        " pop %r15\n pop %r14\n pop %r13\n pop %r12\n pop %rbp\n pop %rbx\n ret\n"
        ".popsection\n");

static bool same_state(int round)
{
    struct state in, out;
    pattern_fill(&in, sizeof(in), 0, (unsigned)round);
    memset(&out, 0, sizeof(out));
    fault_probe(&in, &out, page + 100);
    bool good = true;
    for (int i = 0; i < 14; i++)
        if (in.r[i] != out.r[i]) {
            note("general register %d: %#lx, not %#lx", i, out.r[i], in.r[i]);
            good = false;
        }
    for (int i = 0; i < 16; i++)
        if (memcmp(in.xmm[i], out.xmm[i], 16)) {
            note("xmm%d differs", i);
            good = false;
        }
    if ((out.flags & 0xffff) != 0x5a01) {
        note("carry and red zone: %#lx", out.flags & 0xffff);
        good = false;
    }
    return good;
}

static void mended(void)
{
    struct sigaction a = {.sa_sigaction = mend, .sa_flags = SA_SIGINFO};
    sigaction(SIGSEGV, &a, NULL);
    page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int good = 0;
    faults = 0;
    for (int i = 0; i < 50; i++) {
        mprotect(page, 4096, i & 1 ? PROT_READ : PROT_NONE);
        good += same_state(i) && page[100] == 1;
    }
    equal(faults, 50, "50 faults");
    equal(good, 50, "mended and resumed: all registers as they were");
    equal(code, SEGV_ACCERR, "SEGV_ACCERR");
    good = 0;
    for (int i = 0; i < 20; i++) { /* a page that comes on demand: no handler */
        madvise(page, 4096, MADV_DONTNEED);
        good += same_state(100 + i);
    }
    equal(good, 20, "a page that comes on demand: all registers as they were");
    munmap(page, 4096);
    signal(SIGSEGV, SIG_DFL);
}

static void step_over(int sig, siginfo_t *info, void *context)
{
    ucontext_t *u = context;
    faults++;
    code = info->si_code;
    u->uc_mcontext.gregs[REG_RIP] += 2;
    u->uc_mcontext.gregs[REG_RAX] = 77;
    u->uc_mcontext.gregs[REG_R12] ^= 1;
    spoil_vectors();
}

static void stepped_over(void)
{
    struct sigaction a = {.sa_sigaction = step_over, .sa_flags = SA_SIGINFO};
    long rax = 0, r12 = 0;
    sigaction(SIGILL, &a, NULL);
    sigaction(SIGFPE, &a, NULL);
    faults = 0;
    __asm__ volatile("mov $40, %%r12\n ud2\n mov %%r12, %1" : "=a"(rax), "=r"(r12) : "a"(1l) : "r12", "memory");
    equal(faults, 1, "ud2: SIGILL");
    check(code == ILL_ILLOPN || code == ILL_ILLOPC, "si_code");
    equal(rax, 77, "the handler changes a register");
    equal(r12, 41, "and another");
    rax = 5;
    unsigned zero = 0, rdx = 0;
    __asm__ volatile("xorl %%edx, %%edx\n divl %%ecx" : "+a"(rax), "+d"(rdx) : "c"(zero) : "memory");
    equal(faults, 2, "division by zero: SIGFPE");
    equal(code, FPE_INTDIV, "FPE_INTDIV");
    equal(rax, 77, "stepped over");
    signal(SIGILL, SIG_DFL);
    signal(SIGFPE, SIG_DFL);
}

static void jump(int sig) { siglongjmp(back, sig); }

static void jumped_out(void)
{
    signal(SIGFPE, jump);
    signal(SIGSEGV, jump);
    signal(SIGILL, jump);
    volatile int good = 0;
    volatile double kept = 1.5;
    for (volatile int i = 0; i < 100; i++) {
        int sig = sigsetjmp(back, 1);
        if (sig == 0) {
            if (i % 3 == 0)
                *(volatile int *)8 = 1;
            else if (i % 3 == 1)
                __asm__ volatile("ud2");
            else
                __asm__ volatile("xorl %%edx, %%edx\n xorl %%ecx, %%ecx\n divl %%ecx" ::: "eax", "ecx", "edx");
        } else {
            kept += 0.25;
            good += sig == (i % 3 == 0 ? SIGSEGV : i % 3 == 1 ? SIGILL : SIGFPE);
        }
    }
    equal(good, 100, "100 jumps out of handlers");
    check(kept == 26.5, "arithmetic goes on");
    signal(SIGFPE, SIG_DFL);
    signal(SIGSEGV, SIG_DFL);
    signal(SIGILL, SIG_DFL);
}

static char alternate[65536];
static volatile bool ran_there;
static void on_overflow(int sig)
{
    char here;
    ran_there = &here >= alternate && &here < alternate + sizeof(alternate);
    siglongjmp(back, 1);
}

static volatile int depth_limit = 1 << 30;
static __attribute__((noinline)) int recurse(int n)
{
    volatile char frame[512];
    frame[0] = (char)n;
    if (n > depth_limit)
        return 0;
    return recurse(n + 1) + frame[0];
}

static void *overflow_thread(void *nothing)
{
    static char own[65536];
    stack_t s = {.ss_sp = own, .ss_size = sizeof(own)};
    sigaltstack(&s, NULL);
    if (sigsetjmp(back, 1) == 0)
        recurse(0);
    return (void *)1;
}

static void overflow(void)
{
    stack_t s = {.ss_sp = alternate, .ss_size = sizeof(alternate)}, none = {.ss_flags = SS_DISABLE};
    struct sigaction a = {.sa_handler = on_overflow, .sa_flags = SA_ONSTACK};
    sigaltstack(&s, NULL);
    sigaction(SIGSEGV, &a, NULL);
    ran_there = false;
    if (sigsetjmp(back, 1) == 0)
        recurse(0);
    check(ran_there, "the main stack overflows: a handler on the alternate stack");
    sigaltstack(&none, NULL);
    void *good = NULL;
    pthread_join(start(overflow_thread, NULL), &good);
    check(good != NULL, "and on a thread's");
    signal(SIGSEGV, SIG_DFL);
}

int main(void)
{
    run(mended);
    run(stepped_over);
    run(jumped_out);
    run(overflow);
    return 0;
}
