#!/usr/bin/env python3
"""A wrong command line is an error that says what is right, and ends with a status other than 0."""
import lib

lib.start("hello.elf", "tests.elf", netns=False)

OPTIONS = ("--env", "--cwd", "--ip", "--defaultgw", "--nameserver", "--verbose", "--help")


def console_and_status(*options, args="hello"):
    with lib.boot("hello", args, options, net="none") as guest:
        return guest.status(300), guest.console()


with lib.case("an unknown option lists the options"):
    status, text = console_and_status("--nosuch=1")
    lib.contains(text, "nosuch", *OPTIONS)
    assert status, f"exit status {status}"

with lib.case("--help lists the options and ends"):
    status, text = console_and_status("--help")
    lib.contains(text, *OPTIONS)
    assert status is not None, "did not end"

for option in ("--ip=10.0.0.300/24", "--ip=10.0.0.1/77", "--ip=", "--defaultgw=x", "--env=", "--cwd=/nosuch"):
    with lib.case(f"{option} is refused"):
        status, text = console_and_status(option)
        assert status, f"exit status {status}"
        lib.contains(text, option.split("=")[0].strip("-"))

with lib.case("--lock-stats: at the end a list of the mutexes that were waited for"):
    with lib.boot("tests", "tests contention", options=["--lock-stats"], net="none", cpus=2) as guest:
        status, text = guest.status(600), guest.console()
        lib.contains(text, "lock statistics:", "contended")
        lib.equal(status, 0)

with lib.case("a program that is not there is named"):
    status, text = console_and_status(args="nosuchprogram 1 2")
    lib.contains(text, "nosuchprogram")
    assert status, f"exit status {status}"

with lib.case("an unfinished quotation is refused"):
    status, text = console_and_status(args='hello "one')
    assert status, f"exit status {status}"

with lib.case("a very long command line does not hang it"):
    status, text = console_and_status(args="hello 7 " + "x" * 3000)
    assert status is not None, "did not end"

lib.done()
