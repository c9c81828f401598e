"""Prints the assembly of the table of names (kernel/symbols.c describes it) of an ELF image: symbols.py IMAGE. It has all functions, and of the data what is called
lock or *_lock, for the lock statistics."""
import subprocess
import sys

BASE = 0xFFFFFFFF80000000


def main():
    out = subprocess.run(["nm", "-n", "-S", sys.argv[1]], capture_output=True, text=True, check=True).stdout
    functions, locks, end = [], [], None
    for line in out.splitlines():
        address, *size, kind, name = line.split()
        if name == "__text_end":
            end = int(address, 16)
        if kind in "bBdD" and size and end and ("_" + name).endswith("_lock"):  # behind the text; before it are offsets in TLS
            locks += [(int(address, 16), name[:60]), (int(address, 16) + int(size[0], 16), "")]
        if kind in "tTwW" and not name.startswith((".", "__kernel_text_")) and (not functions or functions[-1][0] != int(address, 16)):
            functions.append((int(address, 16), name[:60]))
    functions = [f for f in functions if f[0] < end] + [(end, "")]
    for lock, after in zip(locks[::2], locks[1::2]):
        if functions[-1][0] == lock[0]:
            functions.pop()  # the end of the one before
        functions += [lock, after]
    print('.section .symbols, "a"\n.balign 4')
    print(f".long {len(functions)}")
    for address, _ in functions:
        print(f".long {address - BASE:#x}")
    previous = b""
    for _, name in functions:
        text = name.encode()
        shared = 0
        while shared < min(len(text), len(previous), 63) and text[shared] == previous[shared]:
            shared += 1
        print(f'.byte {shared}\n.asciz "{text[shared:].decode()}"')
        previous = text


main()
