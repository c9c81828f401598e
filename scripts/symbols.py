"""Prints the assembly of the table of function names (kernel/symbols.c describes it) of an ELF image: symbols.py IMAGE."""
import subprocess
import sys

BASE = 0xFFFFFFFF80000000


def main():
    out = subprocess.run(["nm", "-n", sys.argv[1]], capture_output=True, text=True, check=True).stdout
    functions, end = [], None
    for line in out.splitlines():
        address, kind, name = line.split(maxsplit=2)
        if name == "__text_end":
            end = int(address, 16)
        if kind in "tTwW" and not name.startswith((".", "__kernel_text_")) and (not functions or functions[-1][0] != int(address, 16)):
            functions.append((int(address, 16), name[:60]))
    functions = [f for f in functions if f[0] < end] + [(end, "")]
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
