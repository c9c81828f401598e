/* A QEMU TCG plugin that finds the longest runs of guest instructions with interrupts off, on each vCPU.
 *
 *   gcc -shared -fPIC -O2 -fvisibility=hidden -o irqoff.so irqoff.c
 *   qemu-system-x86_64 -accel tcg -plugin irqoff.so,out=FILE,vectors=ADDRESS,stop=ADDRESS ...
 *
 * vectors: vector_stubs (arch/x86_64/vectors.S), 256 stubs of 16 bytes; stop: the function in which a panic begins. FILE
 * is a shared mapping, which may be read at any time: struct header, then a struct cpu for each vCPU. scripts/bench/irqoff.py
 * makes the arguments and reads the file.
 *
 * Plugins see no registers and no memory, so the state of the interrupt flag is derived from what is executed:
 * - Off: CLI, and the first instruction of a stub, since all gates are interrupt gates. CLI while it is off changes nothing.
 * - On: STI and IRETQ. The instruction after STI still runs without interrupts, so a CLI there continues the run.
 * - An interrupt (vector 32 and up) was let in by a set flag, so its IRETQ sets it, whichever thread and CPU executes it. An
 *   exception that comes while interrupts are off was not: what it interrupted neither sleeps nor changes its CPU, so
 *   these nest, and a count for each vCPU says how many of the next IRETQs return to code with interrupts off.
 * - POPF is taken to leave the flag alone: the kernel has none.
 * An interrupt while the flag is off by this account shows that the account is wrong: that is a `stray`, and the reader must
 * refuse the results.
 *
 * Not counted: what a vCPU does before the kernel's first STI on it, and everything once `stop` was executed. Only code in the upper
 * half of the address space is watched, which leaves out firmware. Lengths are in instructions; each iteration of a REP string
 * instruction counts as one, as it takes time like one. A block that is left early, by a fault, counts as a whole. Where a long run
 * spends its time is sampled: the block that runs after each SAMPLE_EVERY instructions of it.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "qemu_plugin_api.h"

#define MAGIC 0x3146464f515249ull /* "IRQOFF1" */
#define MAX_CPUS 64
#define KEPT 64
#define SAMPLES 28
#define SAMPLE_EVERY 512
#define STUBS 256
#define STUB_BYTES 16
#define FIRST_INTERRUPT 32

enum { STATE_BOOT, STATE_ON, STATE_OFF };

struct run {
    uint64_t insns;
    uint64_t began, ended; /* addresses of the instructions */
    uint64_t sampled; /* in use of: */
    uint64_t samples[SAMPLES]; /* addresses of blocks */
};

/* Written by its vCPU's thread only. scripts/bench/irqoff.py knows the order. */
struct cpu {
    uint64_t insns; /* up to the end of the block that runs now */
    uint64_t state;
    uint64_t start; /* `insns` when the run began; kept after STI for a CLI that follows at once */
    uint64_t enabled; /* `insns` after the newest STI */
    uint64_t nested;
    uint64_t runs, off; /* ended runs, and their instructions */
    uint64_t strays;
    uint64_t kept, least; /* runs in use below; the shortest of them once all are */
    struct run now; /* what is known of the run that goes on, or else of the last one */
    struct run longest[KEPT]; /* one for each pair of addresses */
};

struct header {
    uint64_t magic, cpus, kept, samples, stopped;
};

static struct header *head;
static struct cpu *cpus;
static uint64_t vectors, stop;

PLUGIN_EXPORT int qemu_plugin_version = PLUGIN_VERSION;

/* An instruction's address and how many of its block are left, itself included, in a callback's argument. */
static void *site(uint64_t vaddr, size_t left)
{
    return (void *)(uintptr_t)(vaddr << 16 | left);
}

static uint64_t site_vaddr(const void *arg)
{
    return (uint64_t)((int64_t)(uintptr_t)arg >> 16);
}

/* Instructions that the vCPU executed before this one. */
static uint64_t site_time(const struct cpu *c, const void *arg)
{
    return c->insns - ((uintptr_t)arg & 0xffff);
}

static void keep(struct cpu *c)
{
    const struct run *now = &c->now;
    struct run *least = c->longest;

    if (now->insns <= c->least)
        return;
    for (struct run *r = c->longest; r < c->longest + c->kept; r++) {
        if (r->began == now->began && r->ended == now->ended) {
            if (now->insns > r->insns)
                *r = *now;
            return;
        }
        if (r->insns < least->insns)
            least = r;
    }
    if (c->kept < KEPT) {
        c->longest[c->kept++] = *now;
        return;
    }
    *least = *now;
    c->least = now->insns;
    for (struct run *r = c->longest; r < c->longest + KEPT; r++)
        c->least = r->insns < c->least ? r->insns : c->least;
}

static void begin(struct cpu *c, const void *arg)
{
    c->start = site_time(c, arg);
    c->now.began = site_vaddr(arg);
    c->now.sampled = 0;
    c->state = STATE_OFF;
}

/* time: after the last instruction of the run. */
static void end(struct cpu *c, const void *arg, uint64_t time)
{
    c->now.insns = time - c->start;
    c->now.ended = site_vaddr(arg);
    c->state = STATE_ON;
    c->runs++;
    c->off += c->now.insns;
    keep(c);
}

static struct cpu *watched(unsigned cpu)
{
    return __atomic_load_n(&head->stopped, __ATOMIC_RELAXED) ? NULL : &cpus[cpu % MAX_CPUS];
}

static void on_cli(unsigned cpu, void *arg)
{
    struct cpu *c = watched(cpu);

    if (!c || c->state != STATE_ON)
        return;
    if (c->enabled == site_time(c, arg))
        c->state = STATE_OFF;
    else
        begin(c, arg);
}

static void on_sti(unsigned cpu, void *arg)
{
    struct cpu *c = watched(cpu);

    if (!c)
        return;
    if (c->state == STATE_OFF) {
        c->enabled = site_time(c, arg) + 1;
        end(c, arg, c->enabled + 1);
    }
    c->state = STATE_ON;
}

static void on_stub(unsigned cpu, void *arg)
{
    struct cpu *c = watched(cpu);
    bool interrupt = (site_vaddr(arg) - vectors) / STUB_BYTES >= FIRST_INTERRUPT;

    if (!c)
        return;
    if (interrupt && c->state != STATE_ON) {
        c->strays++;
        c->nested = 0;
        c->state = STATE_ON;
    }
    if (c->state == STATE_OFF)
        c->nested++;
    else if (c->state == STATE_ON)
        begin(c, arg);
}

static void on_iretq(unsigned cpu, void *arg)
{
    struct cpu *c = watched(cpu);

    if (!c || c->state == STATE_BOOT)
        return;
    if (c->nested) {
        c->nested--;
        if (c->state == STATE_ON) /* the handler had them on */
            begin(c, arg);
    } else if (c->state == STATE_OFF) {
        end(c, arg, site_time(c, arg) + 1);
    }
}

static void on_stop(unsigned cpu, void *arg)
{
    (void)cpu;
    (void)arg;
    __atomic_store_n(&head->stopped, 1, __ATOMIC_RELAXED);
}

static void on_block(unsigned cpu, void *arg)
{
    struct cpu *c = &cpus[cpu % MAX_CPUS];

    c->insns += (uintptr_t)arg & 0xffff;
    if (c->state == STATE_OFF && c->insns - c->start > (c->now.sampled + 1) * SAMPLE_EVERY && c->now.sampled < SAMPLES)
        c->now.samples[c->now.sampled++] = site_vaddr(arg);
}

static qemu_plugin_exec_fn *callback_of(uint64_t vaddr, const uint8_t *bytes, size_t size)
{
    if (vaddr == stop)
        return on_stop;
    if (vaddr - vectors < STUBS * STUB_BYTES && (vaddr - vectors) % STUB_BYTES == 0)
        return on_stub;
    if (size == 1 && *bytes == 0xfa)
        return on_cli;
    if (size == 1 && *bytes == 0xfb)
        return on_sti;
    if (size == 2 && bytes[0] == 0x48 && bytes[1] == 0xcf)
        return on_iretq;
    return NULL;
}

static void on_translate(uint64_t id, struct qemu_plugin_tb *tb)
{
    size_t n = qemu_plugin_tb_n_insns(tb);

    (void)id;
    qemu_plugin_register_vcpu_tb_exec_cb(tb, on_block, PLUGIN_NO_REGS, site(qemu_plugin_tb_vaddr(tb), n));
    if (qemu_plugin_tb_vaddr(tb) >> 63 == 0)
        return;
    for (size_t i = 0; i < n; i++) {
        struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
        uint64_t vaddr = qemu_plugin_insn_vaddr(insn);
        qemu_plugin_exec_fn *fn = callback_of(vaddr, qemu_plugin_insn_data(insn), qemu_plugin_insn_size(insn));

        if (fn)
            qemu_plugin_register_vcpu_insn_exec_cb(insn, fn, PLUGIN_NO_REGS, site(vaddr, n - i));
    }
}

static int map_file(const char *path)
{
    size_t size = sizeof(struct header) + MAX_CPUS * sizeof(struct cpu);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    void *at = MAP_FAILED;

    if (fd >= 0 && ftruncate(fd, (off_t)size) == 0)
        at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (at == MAP_FAILED) {
        perror(path);
        return -1;
    }
    close(fd);
    head = at;
    cpus = (struct cpu *)(head + 1);
    *head = (struct header){ MAGIC, MAX_CPUS, KEPT, SAMPLES, 0 };
    return 0;
}

PLUGIN_EXPORT int qemu_plugin_install(uint64_t id, const void *info, int argc, char **argv)
{
    (void)info;
    if (argc != 3 || strncmp(argv[0], "out=", 4) || strncmp(argv[1], "vectors=", 8) || strncmp(argv[2], "stop=", 5)) {
        fprintf(stderr, "irqoff.so: takes out=FILE,vectors=ADDRESS,stop=ADDRESS\n");
        return -1;
    }
    vectors = strtoull(argv[1] + 8, NULL, 0);
    stop = strtoull(argv[2] + 5, NULL, 0);
    if (map_file(argv[0] + 4) < 0)
        return -1;
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translate);
    return 0;
}
