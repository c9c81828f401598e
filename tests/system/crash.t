#!/usr/bin/env python3
"""A crash in the application is reported on the console and ends the machine; it never hangs."""
import lib

lib.start("crash.elf", netns=False)

# What the report must name, in small letters, and the status (isa-debug-exit keeps seven bits of it).
FAULT = ("sigsegv", "page fault", "rip", "back trace")
WAYS = {
    "null": FAULT, "null-read": FAULT, "null-64k": FAULT, "null-call": FAULT, "wild": FAULT,
    "non-canonical": ("sigsegv", "general protection", "rip"),
    "stack": FAULT, "thread-stack": FAULT, "thread": FAULT,
    "nx": FAULT, "nx-stack": FAULT, "write-text": FAULT, "write-rodata": FAULT,
    "div": ("sigfpe", "divide error", "rip"), "ill": ("sigill", "invalid opcode", "rip"),
    "abort": ("sigabrt",), "assert": ("assertion failed", "sigabrt"), "terminate": ("sigterm",),
}
STATUS = {"sigsegv": 128 + 11, "sigfpe": 128 + 8, "sigill": 128 + 4, "sigabrt": 128 + 6, "sigterm": 128 + 15}


def crash(how, machine):
    with lib.boot("crash", f"crash {how}", machine=machine, net="none") as guest:
        status = guest.status(300)
        assert status is not None, f"hangs:\n{guest.tail()}"
        return status, guest.console().lower()


for how, words in WAYS.items():
    for machine in lib.vm.MACHINES if how in ("null", "stack", "abort") else ("microvm",):
        with lib.case(f"{how} on {machine}"):
            status, text = crash(how, machine)
            lib.contains(text, *words)
            lib.equal(status, next(s for name, s in STATUS.items() if name in words) & 127)

for how, want in (("thread-exit", 42), ("bad-pointer-to-kernel", 41)):
    with lib.case(f"{how}: the status is the program's"):
        lib.equal(crash(how, "microvm")[0], want)

with lib.case("a stuck CPU is reported once with its back trace, and the machine goes on"):
    with lib.boot("crash", "crash stuck", machine="q35", net="none", cpus=2) as guest:
        status = guest.status(300)
        text = guest.console()
        lib.contains(text, "watchdog: CPU 1 is stuck", "watchdog: CPU 1, thread", "rip ", "back trace:", "stuck_thread+0x",
                     "both threads have ended")
        lib.equal(text.count("back trace:"), 1)
        lib.equal(status, 0)

with lib.case("one that is stuck for less than 10 s is not reported"):
    with lib.boot("crash", "crash stuck-briefly", machine="q35", net="none", cpus=2) as guest:
        status = guest.status(300)
        assert "watchdog" not in guest.console(), guest.tail()
        lib.equal(status, 0)

lib.done()
