#!/usr/bin/env python3
"""The programs in tests/guest, inside the guest: their TAP is passed on. And as a Linux program, where all must pass, too."""
import os
import subprocess

import lib

lib.start("tests.elf", netns=False)


for machine in ("q35", "microvm"):
    with lib.boot("tests", "tests", ["--env=CPUS=1"], machine=machine, net="none") as guest:
        lib.pass_on(machine, *reversed((guest.status(1200), guest.console())))

program = os.path.join(lib.BUILD, "guest-host/tests")
if os.path.exists(program):
    run = subprocess.run([program], capture_output=True, text=True, timeout=600)
    lib.pass_on("Linux", run.stdout, run.returncode)
else:
    lib.skip("Linux", "build/guest-host/tests is not built (make guest-host)")

lib.done()
