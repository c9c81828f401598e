#!/usr/bin/env python3
"""A crash in the application is reported on the console and ends the machine; it never hangs."""
import lib

lib.start("crash.elf", netns=False)

for how in ("null", "stack", "abort"):
    for machine in lib.vm.MACHINES:
        with lib.case(f"{how} on {machine}"), \
                lib.boot("crash", f"crash {how}", machine=machine, net="none") as guest:
            status = guest.status(300)
            assert status is not None, f"hangs:\n{guest.tail()}"
            assert status, f"ended with status 0:\n{guest.tail()}"
            if how != "abort":
                # The address of the crash, and where it was.
                lib.contains(guest.console().lower(), "fault", "rip")

lib.done()
