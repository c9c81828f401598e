#!/usr/bin/env python3
"""The programs in tests/guest, inside the guest: their TAP is passed on. And as a Linux program, where all must pass, too."""
import os
import re
import subprocess

import lib

lib.start("tests.elf", netns=False)


def pass_on(name, text, status):
    """Each check of the run becomes one of ours; a run that ended early is one that failed."""
    planned, seen = None, 0
    for line in text.split("\n"):
        line = line.rstrip("\r")
        check = re.match(r"(not )?ok \d+ - (.*)", line)
        if check:
            seen += 1
            lib.count += 1
            lib.failed += bool(check[1])
            print(f"{check[1] or ''}ok {lib.count} - {name}: {check[2]}")
        elif re.match(r"1\.\.\d+$", line):
            planned = int(line[3:])
        elif line.startswith("#   "):
            print(line)
    with lib.case(f"{name}: runs to its end"):
        assert planned == seen and status is not None, \
            f"{seen} checks of {planned} planned, status {status}:\n" + "\n".join(text.split("\n")[-30:])
        lib.equal(status, 1 if re.search("^not ok", text, re.M) else 0)


for machine in ("q35", "microvm"):
    with lib.boot("tests", "tests", machine=machine, net="none") as guest:
        pass_on(machine, *reversed((guest.status(1200), guest.console())))

program = os.path.join(lib.BUILD, "guest-host/tests")
if os.path.exists(program):
    run = subprocess.run([program], capture_output=True, text=True, timeout=600)
    pass_on("Linux", run.stdout, run.returncode)
else:
    lib.skip("Linux", "build/guest-host/tests is not built (make guest-host)")

lib.done()
