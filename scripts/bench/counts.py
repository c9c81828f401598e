"""Reads what scripts/plugin/count.c writes, live or as a snapshot, and attributes it to symbols.

A snapshot is a copy of the used part of the file. Differences of two of them give what ran in between.
"""
import bisect
import collections
import mmap
import os
import re
import struct
import subprocess

MAGIC = 0x31544E554F43
NAMES = ("slots", "dropped", "insns", "rep", "out", "in", "wrmsr", "hlt", "cpuid", "iret", "mmio", "apic", "vcpus",
         "marks")
HEADER = struct.Struct("<15Q")
SLOT = struct.Struct("<QQQII")  # address, executions, insns at first execution, instructions, flags
SLOTS_AT = 4096
MAX_SLOTS, MAX_CPUS, MAX_MARKS, MARK_CPUS = 1 << 20, 64, 1 << 16, 8
CPU = struct.Struct("<8Q")  # instructions, halts, unused
MARK = struct.Struct("<10Q")  # number, vCPU, instructions of the first 8 vCPUs
FLAG_REP = 1

Block = collections.namedtuple("Block", "vaddr execs first insns flags")
Cpu = collections.namedtuple("Cpu", "insns halts")
Mark = collections.namedtuple("Mark", "id cpu insns")


class Counts:
    """One counter file; reading costs microseconds and never disturbs the guest."""

    def __init__(self, path):
        with open(path, "rb") as f:
            self.map = mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ)
        if HEADER.unpack_from(self.map)[0] != MAGIC:
            raise ValueError(f"{path}: not a counter file")

    def read(self):
        return dict(zip(NAMES, HEADER.unpack_from(self.map)[1:]))

    def insns(self):
        return self.read()["insns"]

    def cpus(self):
        """Exact counters of each vCPU, where the plugin was told their number (else halts only)."""
        at = SLOTS_AT + MAX_SLOTS * SLOT.size
        return [Cpu._make(CPU.unpack_from(self.map, at + i * CPU.size)[:2]) for i in range(MAX_CPUS)]

    def marks(self):
        """What the program inside has marked, in order."""
        at = SLOTS_AT + MAX_SLOTS * SLOT.size + MAX_CPUS * CPU.size
        count = min(self.read()["marks"], MAX_MARKS)
        rows = MARK.iter_unpack(self.map[at:at + count * MARK.size])
        return [Mark(row[0], row[1], row[2:]) for row in rows]

    def used(self):
        return SLOTS_AT + self.read()["slots"] * SLOT.size

    def blocks(self):
        return [Block._make(b) for b in SLOT.iter_unpack(self.map[SLOTS_AT:self.used()])]

    def save(self, path):
        with open(path, "wb") as f:
            f.write(self.map[:self.used()])


def difference(now, before):
    """Blocks with the executions since `before` (an earlier list of blocks of the same file)."""
    old = {(b.vaddr, b.insns, b.flags): b.execs for b in before}
    changed = (b._replace(execs=b.execs - old.get((b.vaddr, b.insns, b.flags), 0)) for b in now)
    return [b for b in changed if b.execs]


def run_nm(path):
    if path.endswith(".elf") and os.path.exists(path[:-4] + ".debug"):  # the image itself is stripped
        path = path[:-4] + ".debug"
    # -f posix: name, type, value, size, so that a name may hold anything but a blank
    out = subprocess.run(["nm", "-f", "posix", "--defined-only", path], capture_output=True, text=True)
    if out.returncode:
        raise SystemExit(f"profile: nm {path}: {out.stderr.strip()}")
    return [line.split() for line in out.stdout.splitlines() if len(line.split()) >= 3]


def first_run(blocks, vaddr):
    """After how many instructions since power-on the block at vaddr ran first, or None."""
    return min((b.first for b in blocks if b.vaddr == vaddr), default=None)


def pvh_entry(path):
    """The 32-bit entry point that the ELF file's PVH note names (Xen, elfnote.h: XEN_ELFNOTE_PHYS32_ENTRY = 18)."""
    with open(path, "rb") as f:
        data = f.read()
    found = re.search(rb"\x04\0\0\0([\x04\x08])\0\0\0\x12\0\0\0Xen\0(....)", data, re.S)
    return int.from_bytes(found[2], "little") if found else None


class Symbols:
    """Code symbols by address, from an ELF file or from text in the form of System.map or /proc/kallsyms."""

    def __init__(self, path):
        with open(path, "rb") as f:
            self.is_elf = f.read(4) == b"\x7fELF"
        if self.is_elf:
            found = [(int(p[2], 16), p[0]) for p in run_nm(path) if p[1] in "tTwWiu"]
        else:
            with open(path) as f:
                lines = (line.split() for line in f)
                found = [(int(p[0], 16), p[2]) for p in lines if len(p) >= 3 and p[1] in "tTwW"]
        found.sort()
        self.path, self.slide = path, 0
        self.starts = [a for a, _ in found]
        self.names = [n for _, n in found]

    def find_slide(self, blocks):
        """An image that is placed at random: the distance that most symbols agree on.

        A called function is a block of its own, so block minus symbol is the slide for many of them.
        """
        by_page_offset = collections.defaultdict(list)
        for start in self.starts:
            by_page_offset[start & 0xFFF].append(start)
        votes = collections.Counter()
        hot = sorted((b for b in blocks if b.vaddr >= 1 << 63), key=lambda b: -b.execs)[:3000]
        for block in hot:
            for start in by_page_offset[block.vaddr & 0xFFF]:
                votes[block.vaddr - start] += 1
        if votes:
            best, count = votes.most_common(1)[0]
            if count > 2 * votes[0]:
                self.slide = best
        return self.slide

    def index(self, vaddr):
        """The number of the symbol that vaddr is in, or -1."""
        i = bisect.bisect_right(self.starts, vaddr - self.slide) - 1
        return -1 if i >= 0 and vaddr - self.slide - self.starts[i] > 1 << 20 else i

    def at(self, vaddr):
        i = self.index(vaddr)
        return self.names[i] if i >= 0 else None

    def owners(self, objects):
        """For each symbol, which of the objects (name: set of symbols) it is from; one more entry, None, for -1.

        A name that several have, or none, is taken to be where its neighbour before it is: linkers keep files together.
        """
        result, last = [], None
        for name in self.names:
            having = [o for o in objects if name in objects[o]]
            if having and (len(having) == 1 or last not in having):
                last = having[0]
            result.append(last)
        return result + [None]

    def address(self, name):
        return self.starts[self.names.index(name)] + self.slide if name in self.names else None

    def folders(self, blocks, depth=2):
        """Source folder of each block's address, by its line information (addr2line)."""
        wanted = sorted({b.vaddr for b in blocks})
        text = "\n".join(hex((a - self.slide) % (1 << 64)) for a in wanted)
        out = subprocess.run(["addr2line", "-e", self.path], input=text, capture_output=True, text=True)
        root = os.getcwd() + "/"
        result = {}
        for address, line in zip(wanted, out.stdout.splitlines()):
            path = os.path.normpath(line.split(":")[0]).replace(root, "")
            parts = path.lstrip("/").split("/")[:-1]
            result[address] = "/".join(parts[:depth]) if parts else "?"
        return result


def weight(block):
    """Instructions, without the iterations of REP."""
    return 0 if block.flags & FLAG_REP else block.execs * block.insns


def by_symbol(blocks, symbols):
    total = collections.Counter()
    for block in blocks:
        name = symbols.at(block.vaddr) if symbols else None
        if name is None:
            name = f"[{block.vaddr >> 12:x}000]" if block.vaddr >= 1 << 47 else "[low half]"
        total[name] += weight(block)
    return total


def grouping(groups, symbols):
    """A function that names the group of a block. groups: pairs of name and what belongs to it:

    LO-HI (hexadecimal addresses), /REGEX/ (of symbol names), or an object file or archive (its symbols).
    """
    tests, objects = [], {}
    for name, spec in groups:
        found = re.fullmatch(r"(?:0x)?([0-9a-f]+)-(?:0x)?([0-9a-f]+)", spec)
        if found:
            low, high = int(found[1], 16), int(found[2], 16)
            tests.append((name, lambda block, low=low, high=high: low <= block.vaddr < high))
        elif re.fullmatch("/.*/", spec) and not os.path.exists(spec):
            find = re.compile(spec[1:-1]).search
            tests.append((name, lambda block, find=find: find(symbols.at(block.vaddr) or "")))
        else:
            objects[name] = {p[0] for p in run_nm(spec) if p[1] in "tTwW"}
    owners = symbols.owners(objects)

    def group(block):
        for name, test in tests:
            if test(block):
                return name
        return owners[symbols.index(block.vaddr)] or "(other)"
    return group


def image_parts(elf, build):
    """The groups of a linked image, by what it was linked from."""
    app = os.path.basename(elf).rpartition(".")[0]
    parts = {"application": f"apps/{app}/app.o", "libc": "libc/libc.a", "kernel": "kernel.o"}
    paths = {name: os.path.join(build, path) for name, path in parts.items()}
    return [(name, path) for name, path in paths.items() if os.path.exists(path)]


LOW_HALF = "0-800000000000"
