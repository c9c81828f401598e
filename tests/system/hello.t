#!/usr/bin/env python3
"""The program's output and exit status reach the host, on every machine, with and without a network card."""
import subprocess

import lib

lib.start("hello.elf", netns=False)

for machine in lib.vm.MACHINES:
    # isa-debug-exit leaves seven bits of a status.
    for status in (0, 1, 42, 127):
        with lib.case(f"exit status {status} on {machine}"), \
                lib.boot("hello", f"hello {status}", machine=machine, net="none") as guest:
            guest.wait_line("Hello from hello, with 1 argument$")
            lib.equal(guest.status(), status)

with lib.case("quoted arguments and environment"), \
        lib.boot("hello", 'hello 3 "two words" ""', ["--env=A=b"], net="none") as guest:
    guest.wait_line("with 3 arguments$")
    lib.equal(guest.status(), 3)

with lib.case("scripts/run passes output and status on"):
    process = subprocess.run([lib.ROOT + "/scripts/run", "--app", "hello", "--net", "none", "--", "hello", "5"],
                             stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300)
    lib.contains(process.stdout, "Hello from hello")
    lib.equal(process.returncode, 5)

lib.done()
