/* A QEMU TCG plugin that counts what a guest executes, in a file which anybody may read meanwhile.
 *
 *   gcc -shared -fPIC -O2 -fvisibility=hidden -o count.so count.c
 *   qemu-system-x86_64 -accel tcg -plugin count.so,out=FILE[,vcpus=N] ...
 *
 * FILE is a shared mapping: a header page with the counters, then one slot for each translated block
 * (address, instructions, executions, and how many instructions the machine had executed when the
 * block was first translated, which is when it first ran). scripts/bench/counts.py reads it.
 * The counters are bumped by code that TCG puts into the block itself, so they are always current and
 * cost about a tenth of the speed. The additions are not atomic: exact for one vCPU only. With vcpus=N each
 * block calls a function that counts for its vCPU alone: exact for any number, at half of the speed; only the
 * counters of the slots and of the header stay as they are, and become approximate.
 *
 * What is counted, and how:
 * - TCG executes each iteration of a REP string instruction as a block of its own that holds nothing
 *   else; those executions go to `rep`, all other instructions to `insns`.
 * - A block that is left early by a fault or by a device access counts as a whole.
 * - Plugins do not see port I/O, so OUT, IN, WRMSR, HLT, CPUID and IRET are recognised by their bytes when
 *   they are translated, and their executions counted. IRET stands for interrupts and exceptions.
 * - A mark is a NOP with a displacement of its own (tests/bench/mark.h), which no kernel knows about: it records the
 *   counters of all vCPUs at that moment, so a program brackets what is to be counted from inside the guest.
 *   It is exact to the block it is in.
 * - Stores that reach a device (`mmio`; interrupt controllers, 0xfec00000 to 0xfeefffff, in `apic`): only
 *   16- and 32-bit MOV and XCHG to memory are watched, since that is how notifications, doorbells and
 *   the local APIC are written; to watch all stores would cost several times the speed.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "qemu_plugin_api.h"

#define MAGIC 0x31544e554f43ull /* "COUNT1" */
#define MAX_SLOTS (1u << 20)
#define HASH_SIZE (2 * MAX_SLOTS)

#define MAX_MARKS (1u << 16)
#define MAX_CPUS 64
#define MARK_CPUS 8

enum { SLOT_REP = 1 };

struct slot {
    uint64_t vaddr;
    uint64_t execs;
    uint64_t first; /* `insns` when it was translated first */
    uint32_t insns;
    uint32_t flags;
};

/* The order of the counters is known to scripts/bench/counts.py. */
struct header {
    uint64_t magic;
    uint64_t slots; /* in use; grows after the slot is filled in */
    uint64_t dropped; /* blocks for which there was no slot */
    uint64_t insns, rep;
    uint64_t out, in, wrmsr, hlt, cpuid, iret;
    uint64_t mmio, apic;
    uint64_t vcpus; /* of the argument; 0 without */
    uint64_t marks; /* recorded, or dropped where beyond MAX_MARKS */
};

/* Behind the slots, in the order in which they are here. */
struct cpu {
    uint64_t insns, halts; /* HLT and MWAIT */
    uint64_t unused[6];    /* a cache line each: its vCPU's host thread writes it all the time */
};
struct mark {
    uint64_t id, cpu;
    uint64_t insns[MARK_CPUS];
};

static struct header *head;
static struct slot *slots;
static struct cpu *cpus;
static struct mark *marks;
static uint32_t hash[HASH_SIZE]; /* slot number + 1, or 0; open addressing */

PLUGIN_EXPORT int qemu_plugin_version = PLUGIN_VERSION;

/* The slot for this block; a block that is translated anew keeps its slot. QEMU holds a lock meanwhile. */
static struct slot *slot_get(uint64_t vaddr, uint32_t insns, uint32_t flags)
{
    uint64_t at = (vaddr * 0x9e3779b97f4a7c15ull + insns) >> 20;

    for (;; at++) {
        uint32_t *entry = &hash[at % HASH_SIZE];
        struct slot *s = slots + *entry - 1;

        if (*entry && s->vaddr == vaddr && s->insns == insns && s->flags == flags)
            return s;
        if (*entry)
            continue;
        if (head->slots == MAX_SLOTS) {
            head->dropped++;
            return NULL;
        }
        s = slots + head->slots;
        *s = (struct slot){ vaddr, 0, head->insns, insns, flags };
        *entry = (uint32_t)++head->slots;
        return s;
    }
}

struct opcode {
    const uint8_t *byte; /* the opcode, after the prefixes */
    size_t left;         /* bytes from there to the end */
    bool rep, wide;      /* F2 or F3; REX.W */
};

static struct opcode decode(struct qemu_plugin_insn *insn)
{
    struct opcode op = { qemu_plugin_insn_data(insn), qemu_plugin_insn_size(insn), false, false };

    for (; op.left > 1; op.byte++, op.left--) {
        uint8_t b = *op.byte;

        if (b == 0xf2 || b == 0xf3)
            op.rep = true;
        else if ((b & 0xf0) == 0x40) /* REX; INC and DEC in 32-bit code are one byte long, so not last */
            op.wide = b & 8;
        else if (b != 0x66 && b != 0x67 && b != 0x2e && b != 0x36 && b != 0x3e && b != 0x26 &&
                 b != 0x64 && b != 0x65 && b != 0xf0)
            break;
    }
    return op;
}

static bool is_rep_string(struct opcode op)
{
    uint8_t b = op.left ? *op.byte : 0;

    return op.rep && ((b >= 0xa4 && b <= 0xa7) || (b >= 0xaa && b <= 0xaf) || (b >= 0x6c && b <= 0x6f));
}

/* The counter for an instruction that leaves the guest on real hardware, or NULL. */
static uint64_t *counter_of(struct opcode op)
{
    switch (op.left ? *op.byte : 0) {
    case 0xe6: case 0xe7: case 0xee: case 0xef: case 0x6e: case 0x6f:
        return &head->out;
    case 0xe4: case 0xe5: case 0xec: case 0xed: case 0x6c: case 0x6d:
        return &head->in;
    case 0xf4:
        return &head->hlt;
    case 0xcf:
        return &head->iret;
    case 0x0f:
        if (op.left == 2 && op.byte[1] == 0x30)
            return &head->wrmsr;
        if (op.left == 2 && op.byte[1] == 0xa2)
            return &head->cpuid;
    }
    return NULL;
}

/* HLT; MWAIT, which is 0F 01 C9. */
static bool is_halt(struct opcode op)
{
    return op.left && (*op.byte == 0xf4 || (op.left == 3 && op.byte[0] == 0x0f && op.byte[1] == 0x01 &&
                                            op.byte[2] == 0xc9));
}

/* nopl disp32(%rax,%rax), where the displacement is 0x4d524bNN: the number of the mark, or -1. */
static int mark_of(struct opcode op)
{
    static const uint8_t head_bytes[] = { 0x0f, 0x1f, 0x84, 0x00 }, tail[] = { 0x4b, 0x52, 0x4d };

    if (op.left != 8 || memcmp(op.byte, head_bytes, 4) || memcmp(op.byte + 5, tail, 3))
        return -1;
    return op.byte[4];
}

static void on_mark(unsigned cpu, void *arg)
{
    uint64_t at = __atomic_fetch_add(&head->marks, 1, __ATOMIC_RELAXED);

    if (at >= MAX_MARKS)
        return;
    struct mark *m = &marks[at];
    m->id = (uint64_t)(uintptr_t)arg;
    m->cpu = cpu;
    for (unsigned i = 0; i < MARK_CPUS; i++)
        m->insns[i] = head->vcpus ? __atomic_load_n(&cpus[i].insns, __ATOMIC_RELAXED) : i ? 0 : head->insns;
}

static void on_block(unsigned cpu, void *arg)
{
    cpus[cpu % MAX_CPUS].insns += (uint64_t)(uintptr_t)arg;
}

static void on_halt(unsigned cpu, void *arg)
{
    (void)arg;
    cpus[cpu % MAX_CPUS].halts++;
}

static bool is_word_store(struct opcode op)
{
    return !op.wide && op.left >= 2 && (*op.byte == 0x89 || *op.byte == 0xc7 || *op.byte == 0x87 ||
                                        *op.byte == 0xa3) && (*op.byte == 0xa3 || op.byte[1] < 0xc0);
}

static void on_store(unsigned cpu, uint32_t access, uint64_t vaddr, void *arg)
{
    struct qemu_plugin_hwaddr *where = qemu_plugin_get_hwaddr(access, vaddr);

    (void)cpu;
    (void)arg;
    if (!where || !qemu_plugin_hwaddr_is_io(where))
        return;
    uint64_t phys = qemu_plugin_hwaddr_phys_addr(where);
    if (phys >= 0xfec00000 && phys < 0xfef00000)
        head->apic++;
    else
        head->mmio++;
}

static void on_translate(uint64_t id, struct qemu_plugin_tb *tb)
{
    size_t n = qemu_plugin_tb_n_insns(tb);
    bool rep = n == 1 && is_rep_string(decode(qemu_plugin_tb_get_insn(tb, 0)));
    struct slot *slot = slot_get(qemu_plugin_tb_vaddr(tb), (uint32_t)n, rep ? SLOT_REP : 0);

    (void)id;
    qemu_plugin_register_vcpu_tb_exec_inline(tb, PLUGIN_ADD_U64, rep ? &head->rep : &head->insns, n);
    if (slot)
        qemu_plugin_register_vcpu_tb_exec_inline(tb, PLUGIN_ADD_U64, &slot->execs, 1);

    if (head->vcpus && !rep)
        qemu_plugin_register_vcpu_tb_exec_cb(tb, on_block, PLUGIN_NO_REGS, (void *)n);

    for (size_t i = 0; i < n; i++) {
        struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
        struct opcode op = decode(insn);
        uint64_t *counter = counter_of(op);
        int mark = mark_of(op);

        if (mark >= 0)
            qemu_plugin_register_vcpu_insn_exec_cb(insn, on_mark, PLUGIN_NO_REGS, (void *)(uintptr_t)mark);
        if (is_halt(op))
            qemu_plugin_register_vcpu_insn_exec_cb(insn, on_halt, PLUGIN_NO_REGS, NULL);

        if (counter)
            qemu_plugin_register_vcpu_insn_exec_inline(insn, PLUGIN_ADD_U64, counter, 1);
        if (is_word_store(op))
            qemu_plugin_register_vcpu_mem_cb(insn, on_store, PLUGIN_NO_REGS, PLUGIN_MEM_WRITE, NULL);
    }
}

static int map_file(const char *path)
{
    size_t size = 4096 + MAX_SLOTS * sizeof(struct slot) + MAX_CPUS * sizeof(struct cpu) +
                  MAX_MARKS * sizeof(struct mark);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    void *at;

    if (fd < 0 || ftruncate(fd, (off_t)size) < 0) {
        perror(path);
        return -1;
    }
    at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (at == MAP_FAILED) {
        perror(path);
        return -1;
    }
    head = at;
    slots = (struct slot *)((char *)at + 4096);
    cpus = (struct cpu *)(slots + MAX_SLOTS);
    marks = (struct mark *)(cpus + MAX_CPUS);
    head->magic = MAGIC;
    return 0;
}

PLUGIN_EXPORT int qemu_plugin_install(uint64_t id, const void *info, int argc, char **argv)
{
    (void)info;
    if (argc < 1 || argc > 2 || strncmp(argv[0], "out=", 4) || (argc == 2 && strncmp(argv[1], "vcpus=", 6))) {
        fprintf(stderr, "count.so: takes out=FILE[,vcpus=N]\n");
        return -1;
    }
    if (map_file(argv[0] + 4) < 0)
        return -1;
    if (argc == 2)
        head->vcpus = strtoul(argv[1] + 6, NULL, 10);
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translate);
    return 0;
}
