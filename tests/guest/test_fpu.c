/* Floating point and vector state of several threads that are preempted, fault and sleep all the time. */
#include "check.h"
#include <cpuid.h>
#include <fenv.h>
#include <math.h>
#include <stdatomic.h>
#include <sys/mman.h>

#define ROUNDS 40

static double compute(unsigned seed, bool disturb)
{
    double x = 1 + seed, sum = 0;
    for (int i = 0; i < 20000; i++) {
        x = x * 1.000001 + 1.0 / (i + 1);
        sum += sqrt(x) * 0.5;
        if (disturb && i % 5000 == 0)
            sched_yield();
    }
    return sum;
}

static void *scalar(void *seed)
{
    double want = compute((unsigned)(long)seed, false);
    long bad = 0;
    for (int i = 0; i < ROUNDS; i++)
        bad += compute((unsigned)(long)seed, i & 1) != want;
    return (void *)bad;
}

/* All sixteen registers hold a value of this thread's for a long time, in which only interrupts and page faults can change them. */
static long vector_round(unsigned seed, volatile char *memory, size_t pages)
{
    uint64_t want[2] = {seed * 0x9e3779b97f4a7c15u, ~(uint64_t)seed}, got[16][2];
    memset(got, 0, sizeof(got));
    __asm__ volatile(
        "movdqu (%[want]), %%xmm0\n"
        "movdqa %%xmm0, %%xmm1\n movdqa %%xmm0, %%xmm2\n movdqa %%xmm0, %%xmm3\n movdqa %%xmm0, %%xmm4\n movdqa %%xmm0, %%xmm5\n"
        "movdqa %%xmm0, %%xmm6\n movdqa %%xmm0, %%xmm7\n movdqa %%xmm0, %%xmm8\n movdqa %%xmm0, %%xmm9\n movdqa %%xmm0, %%xmm10\n"
        "movdqa %%xmm0, %%xmm11\n movdqa %%xmm0, %%xmm12\n movdqa %%xmm0, %%xmm13\n movdqa %%xmm0, %%xmm14\n movdqa %%xmm0, %%xmm15\n"
        "mov %[pages], %%rcx\n mov %[memory], %%rax\n"
        "1: movb $1, (%%rax)\n add $4096, %%rax\n"
        "mov $2000, %%rdx\n 2: dec %%rdx\n jnz 2b\n"
        "dec %%rcx\n jnz 1b\n"
        "movdqu %%xmm0, (%[got])\n movdqu %%xmm1, 16(%[got])\n movdqu %%xmm2, 32(%[got])\n movdqu %%xmm3, 48(%[got])\n"
        "movdqu %%xmm4, 64(%[got])\n movdqu %%xmm5, 80(%[got])\n movdqu %%xmm6, 96(%[got])\n movdqu %%xmm7, 112(%[got])\n"
        "movdqu %%xmm8, 128(%[got])\n movdqu %%xmm9, 144(%[got])\n movdqu %%xmm10, 160(%[got])\n movdqu %%xmm11, 176(%[got])\n"
        "movdqu %%xmm12, 192(%[got])\n movdqu %%xmm13, 208(%[got])\n movdqu %%xmm14, 224(%[got])\n movdqu %%xmm15, 240(%[got])\n"
        :: [want] "r"(want), [got] "r"(got), [memory] "r"(memory), [pages] "r"(pages)
        : "rax", "rcx", "rdx", "memory", "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9",
          "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
    long bad = 0;
    for (int i = 0; i < 16; i++)
        bad += got[i][0] != want[0] || got[i][1] != want[1];
    return bad;
}

static void *vectors(void *seed)
{
    size_t pages = 64;
    char *memory = mmap(NULL, pages * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    long bad = 0;
    madvise(memory, pages * 4096, MADV_NOHUGEPAGE);
    for (int i = 0; i < ROUNDS; i++) {
        madvise(memory, pages * 4096, MADV_DONTNEED);
        bad += vector_round((unsigned)(long)seed * 1000 + (unsigned)i, memory, pages);
    }
    munmap(memory, pages * 4096);
    return (void *)bad;
}

static bool have_avx(void)
{
    unsigned a, b, c, d, low, high;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE) || !(c & bit_AVX))
        return false;
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (low & 6) == 6;
}

static long avx_round(uint64_t seed)
{
    uint64_t want[4] = {seed, ~seed, seed * 3, seed * 5}, got[3][4];
    __asm__ volatile("vmovdqu (%[want]), %%ymm0\n vmovdqu %%ymm0, %%ymm7\n vmovdqu %%ymm0, %%ymm15\n"
                     "mov $300000, %%rdx\n 1: dec %%rdx\n jnz 1b\n"
                     "vmovdqu %%ymm0, (%[got])\n vmovdqu %%ymm7, 32(%[got])\n vmovdqu %%ymm15, 64(%[got])\n vzeroupper\n"
                     :: [want] "r"(want), [got] "r"(got) : "rdx", "memory", "cc", "xmm0", "xmm7", "xmm15");
    return memcmp(got[0], want, 32) || memcmp(got[1], want, 32) || memcmp(got[2], want, 32);
}

static void *wide_vectors(void *seed)
{
    long bad = 0;
    for (int i = 0; i < ROUNDS; i++)
        bad += avx_round((uint64_t)seed * 0x123456789abcdefu + (uint64_t)i);
    return (void *)bad;
}

/* x87's stack and both control words are a thread's own. */
static void *rounding(void *mode)
{
    static const int modes[] = {FE_TONEAREST, FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO};
    int mine = modes[(long)mode % 4];
    long bad = 0;
    fesetround(mine);
    volatile double one = 1, three = 3;
    volatile long double lone = 1, lthree = 3;
    double want = one / three;
    long double lwant = lone / lthree;
    for (int i = 0; i < 3000; i++) {
        if (fegetround() != mine || one / three != want || lone / lthree != lwant)
            bad++;
        if (i % 100 == 0)
            i % 200 ? (void)sched_yield() : sleep_ms(1);
    }
    return (void *)bad;
}

static void together(void *(*function)(void *), const char *name)
{
    pthread_t t[4];
    long bad = 0;
    for (long i = 0; i < 4; i++)
        t[i] = start(function, (void *)(i + 1));
    for (int i = 0; i < 4; i++) {
        void *r;
        pthread_join(t[i], &r);
        bad += (long)r;
    }
    equal(bad, 0, "%s: 4 threads", name);
}

static void preempted(void)
{
    together(scalar, "doubles");
    together(vectors, "xmm0 to xmm15, with page faults");
    if (have_avx())
        together(wide_vectors, "ymm");
    else
        skip("no AVX");
    together(rounding, "rounding modes");
}

static void *fresh_state(void *n)
{
    unsigned mxcsr;
    unsigned short cw;
    __asm__("stmxcsr %0\n fnstcw %1" : "=m"(mxcsr), "=m"(cw));
    return (void *)(long)((mxcsr & 0xffc0) << 16 | cw);
}

static void initial(void)
{
    void *r;
    pthread_join(start(fresh_state, NULL), &r);
    equal((long)r >> 16, 0x1f80, "a thread starts with the usual MXCSR");
    equal((long)r & 0xffff, 0x37f, "and x87 control word");
    equal((long)fresh_state(NULL) & 0xffff, 0x37f, "and so did the program");
}

static void functions(void)
{
    volatile double x = 0.5, big = 1e300;
    check(fabs(sin(x) - 0.479425538604203) < 1e-14 && fabs(exp(x) - 1.648721270700128) < 1e-14 && fabs(pow(x, 10) - 0.0009765625) < 1e-18,
          "sin, exp, pow");
    feclearexcept(FE_ALL_EXCEPT);
    volatile double inf = big * big;
    check(isinf(inf) && fetestexcept(FE_OVERFLOW), "overflow: infinity and its flag");
    check(isnan(inf - inf), "not a number");
    volatile long double l = 1.0L;
    check((double)(l / 3 * 3) == 1.0, "long double");
}

int main(void)
{
    run(initial);
    run(functions);
    run(preempted);
    return 0;
}
