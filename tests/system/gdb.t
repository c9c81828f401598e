#!/usr/bin/env python3
"""The commands of scripts/gdb, on Redis by QEMU's gdb stub on a socket of its own."""
import os
import re
import shutil

import lib

lib.start("redis.elf")
if not shutil.which("gdb"):
    lib.skip_all("no gdb here")
DEBUG = os.path.join(lib.BUILD, "redis.debug")
SCRIPT = os.path.join(lib.ROOT, "scripts/gdb/singlet.py")
stub = lib.vm.scratch("gdb")


def singlet(*commands):
    """The commands' output; the guest stands still meanwhile and goes on afterwards."""
    each = [a for c in commands for a in ("-ex", f"singlet {c}")]
    return lib.run("gdb", "-nx", "-q", "-batch", "-ex", f"target remote {stub}", "-x", SCRIPT, *each, "-ex", "detach", DEBUG)


with lib.boot("redis", extra=("-chardev", f"socket,id=stub,path={stub},server=on,wait=off", "-gdb", "chardev:stub")) as guest:
    with lib.case("boots and answers", vital=True):
        guest.wait_ping()

    with lib.case("singlet threads: the idle thread, Redis and its background threads"):
        out = singlet("threads")
        for name in ("idle0", "redis-server", "bio_close_file"):
            lib.contains(out, name)
        assert re.search(r"^ +\d+ +bio_close_file +\d+ +waiting +\S*futex\S*", out, re.M), out

    with lib.case("singlet threads -b: back traces from the saved stacks"):
        out = singlet("threads -b")
        assert re.search(r"0x[0-9a-f]{16} switch_away\S*\+0x", out), out
        lib.contains(out, " futex_wait+")

    with lib.case("singlet runq: a line for each CPU"):
        assert re.search(r"^CPU 0: runs \d+ \(\S+\)", singlet("runq"), re.M)

    with lib.case("singlet waiters: the background threads at their futexes, kernel threads at wait queues"):
        out = singlet("waiters")
        assert re.search(r"^futex 0x[0-9a-f]+: waits: \d+ \(bio_close_file\)", out, re.M), out
        assert re.search(r"^wait queue: waits: \d+ \(timers\), by soft_timer_thread", out, re.M), out

    with lib.case("singlet log: what the kernel logged"):
        lib.contains(singlet("log"), "virtio-net")

    with lib.case("the guest goes on afterwards"):
        lib.equal(lib.redis_cli("ping"), "PONG")

lib.done()
