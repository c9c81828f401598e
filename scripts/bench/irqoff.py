"""The plugin scripts/plugin/irqoff.c: its arguments for an image, and what it found."""
import collections
import mmap
import os
import struct
import subprocess

import counts
import vm

MAGIC = 0x3146464F515249
HEADER = struct.Struct("<5Q")  # magic, vCPUs, runs kept for each, samples in each, whether a panic ended it
CPU = struct.Struct("<10Q")
STATE_OFF = 2

Cpu = collections.namedtuple("Cpu", "insns state start enabled nested runs off strays kept least")
Run = collections.namedtuple("Run", "insns began ended samples cpu")  # ended: None while it goes on


def arguments(elf, out):
    """For QEMU; None where the image's symbols are not to be had."""
    symbols = counts.Symbols(elf)
    vectors, stop = symbols.address("vector_stubs"), symbols.address("enter_panic")
    if vectors is None or stop is None:
        return None
    return ["-plugin", f"{os.path.join(vm.BUILD, 'irqoff.so')},out={out},vectors={vectors:#x},stop={stop:#x}"]


class Result:
    """What is in the file now: the longest runs first, and sums over all vCPUs."""

    def __init__(self, path):
        with open(path, "rb") as f, mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ) as data:
            magic, cpus, kept, samples, stopped = HEADER.unpack_from(data)
            if magic != MAGIC:
                raise ValueError(f"{path}: not a file of irqoff.so")
            self.longest, self.runs, self.off, self.strays = [], 0, 0, 0
            run = struct.Struct(f"<{4 + samples}Q")
            for number in range(cpus):
                at = HEADER.size + number * (CPU.size + (1 + kept) * run.size)
                cpu = Cpu._make(CPU.unpack_from(data, at))
                self.runs, self.off, self.strays = self.runs + cpu.runs, self.off + cpu.off, self.strays + cpu.strays
                now, *ended = (run.unpack_from(data, at + CPU.size + i * run.size) for i in range(1 + cpu.kept))
                self.longest += [Run(r[0], r[1], r[2], r[4:4 + r[3]], number) for r in ended]
                if cpu.state == STATE_OFF and not stopped:
                    self.longest.append(Run(cpu.insns - cpu.start, now[1], None, now[4:4 + now[3]], number))
        self.longest.sort(key=lambda run: -run.insns)


def place(symbols, address):
    """Where that is: a vector's entry, or function, file and line with the functions it was inlined into."""
    if address is None:
        return "no place yet"
    vector = (address - symbols.address("vector_stubs")) // 16
    if 0 <= vector < 256:
        return f"the entry of vector {vector}"
    debug = symbols.path[:-4] + ".debug"
    out = subprocess.run(["addr2line", "-f", "-i", "-s", "-e", debug, hex(address)], capture_output=True, text=True).stdout
    lines = out.split("\n")
    if lines[0] in ("??", ""):
        return f"{symbols.at(address)} {address:#x}"
    if len(lines) < 4 and lines[0] != symbols.at(address):  # assembly, whose labels addr2line may not know
        lines[0] = symbols.at(address)
    return " < ".join(f"{name} ({line.split(' ')[0]})" for name, line in zip(lines[::2], lines[1::2])) + f" {address:#x}"


def describe(symbols, run):
    text = f"{run.insns} instructions on CPU {run.cpu}: off at {place(symbols, run.began)}, on at {place(symbols, run.ended)}"
    inside = collections.Counter(symbols.at(address) for address in run.samples).most_common(4)
    return text + (", samples: " + ", ".join(f"{name} {times}" for name, times in inside) if inside else "")
