/* mmap and its family, with and without huge pages; faults are caught by a handler on an alternate stack. */
#include "check.h"
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>

#define PAGE 4096ul
#define HUGE (2ul << 20)
#define RW (PROT_READ | PROT_WRITE)
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)

static sigjmp_buf back;
static volatile int fault_code, fault_signal;
static void *volatile fault_address;
static char alternate[65536];

static void on_fault(int sig, siginfo_t *info, void *context)
{
    fault_signal = sig;
    fault_code = info->si_code;
    fault_address = info->si_addr;
    siglongjmp(back, 1);
}

static void catch_faults(void)
{
    stack_t s = {.ss_sp = alternate, .ss_size = sizeof(alternate)};
    struct sigaction a = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigaltstack(&s, NULL);
    sigaction(SIGSEGV, &a, NULL);
    sigaction(SIGBUS, &a, NULL);
}

/* The signal that a read or write of this byte gives; 0 for none. */
static int touch(volatile char *p, bool write)
{
    fault_signal = 0;
    if (sigsetjmp(back, 1) == 0) {
        if (write)
            *p = *p;
        else
            (void)*p;
    }
    return fault_signal;
}

static bool zeros(const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (p[i])
            return false;
    return true;
}

static char *map(size_t size) { return mmap(NULL, size, RW, ANON, -1, 0); }

static void anonymous(void)
{
    char *p = map(10 * PAGE);
    check(p != MAP_FAILED && zeros(p, 10 * PAGE), "10 pages of zeros");
    pattern_fill(p, 10 * PAGE, 0, 1);
    equal(munmap(p + 3 * PAGE, 2 * PAGE), 0, "a hole in the middle");
    check(pattern_good(p, 3 * PAGE, 0, 1) && pattern_good(p + 5 * PAGE, 5 * PAGE, 5 * PAGE, 1), "the rest is as it was");
    equal(touch(p + 3 * PAGE, false), SIGSEGV, "the hole faults");
    check(fault_code == SEGV_MAPERR && fault_address == p + 3 * PAGE, "SEGV_MAPERR, with the address");
    equal(touch(p + 5 * PAGE - 1, true), SIGSEGV, "to its last byte");
    equal(munmap(p, 10 * PAGE), 0, "munmap over a hole");
    equal(touch(p, false), SIGSEGV, "all gone");
    fails((long)mmap(NULL, 0, RW, ANON, -1, 0), EINVAL, "no length");
    fails((long)mmap(NULL, PAGE, RW, MAP_ANONYMOUS, -1, 0), EINVAL, "neither private nor shared");
    fails(munmap(p + 1, PAGE), EINVAL, "munmap: unaligned");
    p = mmap(NULL, 4 * PAGE, RW, ANON | MAP_POPULATE, -1, 0);
    unsigned char v[4] = {0};
    equal(mincore(p, 4 * PAGE, v), 0, "mincore");
    check(v[0] & v[1] & v[2] & v[3] & 1, "MAP_POPULATE: all there");
    munmap(p, 4 * PAGE);
    p = mmap(NULL, 16 * PAGE, RW, ANON | MAP_NORESERVE, -1, 0);
    madvise(p, 16 * PAGE, MADV_NOHUGEPAGE);
    p[PAGE] = 1;
    mincore(p, 4 * PAGE, v);
    check(!(v[0] & 1) && (v[1] & 1) && !(v[2] & 1), "without it: only what was touched");
    munmap(p, 16 * PAGE);
    fails(mincore(p, PAGE, v), ENOMEM, "mincore of nothing");
}

static void fixed(void)
{
    char *p = map(8 * PAGE);
    pattern_fill(p, 8 * PAGE, 0, 2);
    check(mmap(p + 2 * PAGE, 2 * PAGE, RW, ANON | MAP_FIXED, -1, 0) == p + 2 * PAGE, "MAP_FIXED over a mapping");
    check(zeros(p + 2 * PAGE, 2 * PAGE), "new pages");
    check(pattern_good(p, 2 * PAGE, 0, 2) && pattern_good(p + 4 * PAGE, 4 * PAGE, 4 * PAGE, 2), "those beside it stay");
    fails((long)mmap(p + PAGE, PAGE, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0), EEXIST, "MAP_FIXED_NOREPLACE: taken");
    munmap(p + 4 * PAGE, PAGE);
    check(mmap(p + 4 * PAGE, PAGE, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0) == p + 4 * PAGE, "MAP_FIXED_NOREPLACE: free");
    fails((long)mmap(p + 1, PAGE, RW, ANON | MAP_FIXED, -1, 0), EINVAL, "MAP_FIXED: unaligned");
    munmap(p, 8 * PAGE);
    char *hint = map(2 * PAGE);
    munmap(hint, 2 * PAGE);
    char *q = mmap(hint, PAGE, RW, ANON, -1, 0);
    check(q == hint, "a hint that is free is taken");
    char *r = mmap(hint, PAGE, RW, ANON, -1, 0);
    check(r != MAP_FAILED && r != q, "one that is not free is a place elsewhere");
    munmap(q, PAGE);
    munmap(r, PAGE);
    fails((long)mmap(NULL, 1ul << 46, RW, ANON, -1, 0), ENOMEM, "64 TiB: ENOMEM");
    fails((long)mmap(NULL, (size_t)-PAGE, RW, ANON, -1, 0), ENOMEM, "the whole address space: ENOMEM");
    void *m = malloc(1ul << 47);
    check(m == NULL, "malloc of twice that: NULL");
    free(m);
}

static void protection(void)
{
    char *p = map(6 * PAGE);
    pattern_fill(p, 6 * PAGE, 0, 3);
    equal(mprotect(p + PAGE, PAGE, PROT_NONE), 0, "PROT_NONE");
    equal(touch(p + PAGE, false), SIGSEGV, "cannot be read");
    equal(fault_code, SEGV_ACCERR, "SEGV_ACCERR");
    equal(mprotect(p + 2 * PAGE, 2 * PAGE, PROT_READ), 0, "PROT_READ");
    equal(touch(p + 2 * PAGE, false), 0, "can be read");
    equal(touch(p + 2 * PAGE + 5, true), SIGSEGV, "cannot be written");
    check(fault_code == SEGV_ACCERR && fault_address == p + 2 * PAGE + 5, "SEGV_ACCERR, with the address");
    equal(touch(p, true) | touch(p + 4 * PAGE, true), 0, "those beside it can");
    equal(mprotect(p, 6 * PAGE, RW), 0, "all writable again");
    check(pattern_good(p, 6 * PAGE, 0, 3), "content");
    equal(touch(p + PAGE, true), 0, "writes go through");
    munmap(p + 5 * PAGE, PAGE);
    fails(mprotect(p, 6 * PAGE, PROT_READ), ENOMEM, "over a hole: ENOMEM");
    fails(syscall(SYS_mprotect, p + 1, PAGE, PROT_READ), EINVAL, "unaligned"); /* musl rounds */
    munmap(p, 6 * PAGE);
    p = mmap(NULL, 2 * PAGE, PROT_NONE, ANON, -1, 0);
    equal(touch(p, false), SIGSEGV, "reserved with PROT_NONE");
    mprotect(p, PAGE, RW);
    equal(touch(p, true), 0, "made usable");
    equal(touch(p + PAGE, true), SIGSEGV, "the other page is not");
    munmap(p, 2 * PAGE);
    /* mov $42, %eax; ret */
    static const unsigned char code[] = {0xb8, 42, 0, 0, 0, 0xc3};
    p = map(PAGE);
    memcpy(p, code, sizeof(code));
    mprotect(p, PAGE, PROT_READ | PROT_EXEC);
    equal(((int (*)(void))(void *)p)(), 42, "code that was made executable runs");
    mprotect(p, PAGE, RW);
    fault_signal = 0;
    if (sigsetjmp(back, 1) == 0)
        ((int (*)(void))(void *)p)();
    equal(fault_signal, SIGSEGV, "data does not");
    munmap(p, PAGE);
}

static void remap(void)
{
    char *p = map(4 * PAGE), *q;
    pattern_fill(p, 4 * PAGE, 0, 4);
    q = mremap(p, 4 * PAGE, 40 * PAGE, MREMAP_MAYMOVE);
    check(q != MAP_FAILED && pattern_good(q, 4 * PAGE, 0, 4) && zeros(q + 4 * PAGE, 36 * PAGE), "grown: content and zeros");
    pattern_fill(q, 40 * PAGE, 0, 5);
    check(mremap(q, 40 * PAGE, 10 * PAGE, 0) == q && pattern_good(q, 10 * PAGE, 0, 5), "shrunk in place");
    equal(touch(q + 10 * PAGE, false), SIGSEGV, "the rest is gone");
    char *wall = mmap(q + 10 * PAGE, PAGE, RW, ANON | MAP_FIXED, -1, 0);
    fails((long)mremap(q, 10 * PAGE, 12 * PAGE, 0), ENOMEM, "may not move and cannot grow");
    p = mremap(q, 10 * PAGE, 12 * PAGE, MREMAP_MAYMOVE);
    check(p != MAP_FAILED && p != q && pattern_good(p, 10 * PAGE, 0, 5), "moved");
    equal(touch(q, false), SIGSEGV, "the old place is empty");
    munmap(wall, PAGE);
    char *target = map(20 * PAGE);
    q = mremap(p, 12 * PAGE, 12 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, target + PAGE);
    check(q == target + PAGE && pattern_good(q, 10 * PAGE, 0, 5), "MREMAP_FIXED");
    munmap(target, 20 * PAGE);
    fails((long)mremap(target, PAGE, 2 * PAGE, MREMAP_MAYMOVE), EFAULT, "nothing there: EFAULT");
    size_t size = 8 * HUGE;
    p = map(size);
    pattern_fill(p, size, 0, 6);
    for (int i = 0; i < 3; i++) {
        q = mremap(p, size, size + 3 * HUGE + 5 * PAGE, MREMAP_MAYMOVE);
        if (!check(q != MAP_FAILED && pattern_good(q, 8 * HUGE, 0, 6), "16 MB grown, %d", i))
            return;
        p = q, size += 3 * HUGE + 5 * PAGE;
        q = map(PAGE); /* likely in the way of the next growth */
    }
    munmap(p, size);
}

static void huge(void)
{
    char *base = map(6 * HUGE), *p = (char *)(((uintptr_t)base + HUGE - 1) & -HUGE);
    size_t n = 4 * HUGE;
    madvise(p, n, MADV_HUGEPAGE);
    pattern_fill(p, n, 0, 7);
    equal(munmap(p + HUGE + 5 * PAGE, 3 * PAGE), 0, "a hole in a 2 MB page");
    check(pattern_good(p, HUGE + 5 * PAGE, 0, 7) && pattern_good(p + HUGE + 8 * PAGE, n - HUGE - 8 * PAGE, HUGE + 8 * PAGE, 7),
          "content around it");
    equal(mprotect(p + 2 * HUGE + 7 * PAGE, 100 * PAGE, PROT_READ), 0, "a part read-only");
    equal(touch(p + 2 * HUGE + 8 * PAGE, true), SIGSEGV, "is");
    equal(touch(p + 2 * HUGE + 6 * PAGE, true) | touch(p + 2 * HUGE + 107 * PAGE, true), 0, "the pages beside it are not");
    check(pattern_good(p + 2 * HUGE, 2 * HUGE, 2 * HUGE, 7), "content");
    equal(mprotect(p + 2 * HUGE, HUGE, RW), 0, "all writable");
    equal(madvise(p + 3 * HUGE + PAGE, 2 * PAGE, MADV_DONTNEED), 0, "MADV_DONTNEED inside a 2 MB page");
    check(zeros(p + 3 * HUGE + PAGE, 2 * PAGE), "gives zeros");
    check(pattern_good(p + 3 * HUGE, PAGE, 3 * HUGE, 7) && pattern_good(p + 3 * HUGE + 3 * PAGE, HUGE - 3 * PAGE, 3 * HUGE + 3 * PAGE, 7),
          "content beside it");
    equal(munmap(p, HUGE / 2), 0, "half of a 2 MB page");
    check(pattern_good(p + HUGE / 2, HUGE / 2, HUGE / 2, 7), "the other half");
    munmap(base, 6 * HUGE);
}

static void discard(void)
{
    char *p = map(8 * PAGE);
    pattern_fill(p, 8 * PAGE, 0, 8);
    equal(madvise(p + PAGE, 3 * PAGE, MADV_DONTNEED), 0, "MADV_DONTNEED");
    check(zeros(p + PAGE, 3 * PAGE), "zeros");
    check(pattern_good(p, PAGE, 0, 8) && pattern_good(p + 4 * PAGE, 4 * PAGE, 4 * PAGE, 8), "the rest");
    fails(madvise(p + 1, PAGE, MADV_DONTNEED), EINVAL, "unaligned");
    fails(madvise(p, PAGE, 9999), EINVAL, "unknown advice");
    munmap(p, 8 * PAGE);
    fails(madvise(p, PAGE, MADV_DONTNEED), ENOMEM, "nothing there");
}

/* Linux and Singlet give the program break; musl's own sbrk() does not, so by system call. */
static char *brk_to(char *p) { return (char *)syscall(SYS_brk, p); }

static void program_break(void)
{
    char *p = brk_to(NULL);
    check(p != NULL, "the break");
    check(brk_to(p + 5 * PAGE) == p + 5 * PAGE, "grows");
    pattern_fill(p, 5 * PAGE, 0, 9);
    check(pattern_good(p, 5 * PAGE, 0, 9), "can be used");
    check(brk_to(p + 2 * PAGE) == p + 2 * PAGE, "shrinks");
    check(brk_to(p + 3 * PAGE) == p + 3 * PAGE, "grows again");
    check(pattern_good(p, PAGE, 0, 9), "content below");
    if ((uintptr_t)p % PAGE == 0)
        check(zeros(p + 2 * PAGE, PAGE), "zeros above");
    check(brk_to((char *)PAGE) == p + 3 * PAGE, "an impossible break: no change");
    brk_to(p);
}

static void files(void)
{
    int fd = open("mapped", O_CREAT | O_RDWR | O_TRUNC, 0600);
    static char text[3 * PAGE];
    pattern_fill(text, sizeof(text), 0, 10);
    write(fd, text, 2 * PAGE + 100);
    char *p = mmap(NULL, 3 * PAGE, RW, MAP_PRIVATE, fd, 0);
    if (!check(p != MAP_FAILED, "a private mapping of a file"))
        return;
    check(pattern_good(p, 2 * PAGE + 100, 0, 10) && zeros(p + 2 * PAGE + 100, PAGE - 100), "content, and zeros to the page's end");
    p[5] = 'X';
    char c;
    pread(fd, &c, 1, 5);
    check(c == text[5] && p[5] == 'X' && pattern_good(p + 6, PAGE - 6, 6, 10), "a write stays private");
    munmap(p, 3 * PAGE);
    p = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, PAGE);
    check(p != MAP_FAILED && pattern_good(p, PAGE, PAGE, 10), "at an offset");
    munmap(p, PAGE);
    fails((long)mmap(NULL, PAGE, RW, MAP_PRIVATE, fd, 100), EINVAL, "at an odd offset");
    p = mmap(NULL, PAGE, RW, MAP_SHARED, fd, 0);
    if (p != MAP_FAILED) {
        p[7] = 'Y';
        msync(p, PAGE, MS_SYNC);
        pread(fd, &c, 1, 7);
        equal(c, 'Y', "a shared mapping writes to the file");
        pwrite(fd, "Z", 1, 8);
        equal(p[8], 'Z', "and shows what is written to it");
        munmap(p, PAGE);
    } else {
        check(on_singlet() && (errno == EACCES || errno == ENODEV), "shared writable mappings of files are refused");
    }
    close(fd);
    fd = open("mapped", O_RDONLY);
    fails((long)mmap(NULL, PAGE, RW, MAP_SHARED, fd, 0), EACCES, "shared and writable of one opened for reading");
    close(fd);
    fails((long)mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 0), EBADF, "of a closed one");
    unlink("mapped");
}

/* A file that was mapped, in whatever way that ended, is gone when its last name and descriptor are. */
static void mapped_files_go(void)
{
    enum { SIZE = 1 << 20, ROUNDS = 60 };
    static char b[SIZE];
    struct sysinfo before, after;
    int good = 0;
    sysinfo(&before);
    for (int i = 0; i < ROUNDS; i++) {
        int fd = open("/tmp/mapped", O_RDWR | O_CREAT, 0600), reader = open("/tmp/mapped", O_RDONLY);
        good += write(fd, b, SIZE) == SIZE;
        void *p = mmap(NULL, SIZE, i & 1 ? PROT_READ : RW, i & 1 ? MAP_SHARED : MAP_PRIVATE, fd, 0);
        good += p != MAP_FAILED && munmap(p, SIZE) == 0;
        good += mmap(NULL, SIZE, RW, MAP_SHARED, reader, 0) == MAP_FAILED;
        good += mmap((void *)(1ul << 47), SIZE, PROT_READ, MAP_SHARED | MAP_FIXED, reader, 0) == MAP_FAILED;
        close(fd);
        close(reader);
        unlink("/tmp/mapped");
    }
    sysinfo(&after);
    equal(good, 4 * ROUNDS, "written, mapped, unmapped, refused, removed");
    if (on_singlet()) /* elsewhere others use memory, too */
        check(after.freeram * after.mem_unit + 16 * SIZE > before.freeram * before.mem_unit, "%d files of 1 MB leave nothing (%ld kB)", ROUNDS,
              (long)((before.freeram - after.freeram) * before.mem_unit / 1024));
}

static void nulls(void)
{
    for (size_t at = 0; at < 65536; at += 4095)
        if (touch((char *)at, at & 1) != SIGSEGV || fault_address != (char *)at)
            check(false, "address %zu", at);
    equal(touch((char *)65535, false), SIGSEGV, "nothing in the first 64 KB");
    equal(touch((char *)0x0000700000000123, true), SIGSEGV, "nor at an address never mapped");
}

/* Cuts a large area into pieces at random places, and compares with a model. */
static void random_pieces(void)
{
    enum { PAGES = 2048 };
    static unsigned char state[PAGES]; /* 0 unmapped, 1 zero, 2 pattern; +4 read-only */
    char *p = map(PAGES * PAGE);
    unsigned long seed = 1;
    int bad = 0;
    memset(state, 1, sizeof(state));
    for (int round = 0; round < 400; round++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        size_t from = (seed >> 33) % PAGES, n = 1 + (seed >> 20) % 7 * ((seed >> 50) % 60 + 1);
        if (from + n > PAGES)
            n = PAGES - from;
        char *at = p + from * PAGE;
        switch ((seed >> 60) % 5) {
        case 0:
            munmap(at, n * PAGE);
            memset(state + from, 0, n);
            break;
        case 1:
            if (mmap(at, n * PAGE, RW, ANON | MAP_FIXED, -1, 0) != at)
                bad++;
            memset(state + from, 1, n);
            break;
        case 2:
            for (size_t i = from; i < from + n; i++)
                if (state[i] == 1 || state[i] == 2) {
                    memset(p + i * PAGE, (int)(i & 127) + 1, PAGE);
                    state[i] = 2;
                }
            break;
        case 3:
            for (size_t i = from; i < from + n; i++)
                if (state[i] && mprotect(p + i * PAGE, PAGE, PROT_READ) == 0)
                    state[i] |= 4;
            break;
        default:
            for (size_t i = from; i < from + n; i++)
                if (state[i] && mprotect(p + i * PAGE, PAGE, RW) == 0)
                    state[i] &= 3;
        }
    }
    for (size_t i = 0; i < PAGES && bad < 5; i++) {
        char want = (state[i] & 3) == 2 ? (char)((i & 127) + 1) : 0;
        int sig = touch(p + i * PAGE + 17, false);
        bool good = state[i] ? sig == 0 && p[i * PAGE + 17] == want && p[i * PAGE + PAGE - 1] == want : sig == SIGSEGV;
        if (good && state[i])
            good = (touch(p + i * PAGE, true) == 0) == !(state[i] & 4);
        bad += !good;
    }
    equal(bad, 0, "400 random changes of 2,048 pages");
    munmap(p, PAGES * PAGE);
}

int main(void)
{
    catch_faults();
    run(anonymous);
    run(fixed);
    run(protection);
    run(remap);
    run(huge);
    run(discard);
    run(program_break);
    run(files);
    run(mapped_files_go);
    run(nulls);
    run(random_pieces);
    signal(SIGSEGV, SIG_DFL);
    signal(SIGBUS, SIG_DFL);
    return 0;
}
