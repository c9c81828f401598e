#!/usr/bin/env python3
"""memcached by its text protocol, and under load that compares every byte of the replies."""
import os

import lib
import measure

lib.start("memcached.elf", linux=True)
measure.build_tools()

with lib.boot("memcached", lib.vm.usual_cmdline("memcached") + " -c 4096") as guest:
    with lib.case("boots and answers", vital=True):
        guest.wait_version()

    with lib.case("set, get, add, incr, delete"), guest.connect(11211) as s:
        lib.equal(lib.ask(s, "set k 5 0 5\r\nvalue\r\n"), "STORED\r\n")
        lib.equal(lib.ask(s, "get k\r\n", b"END\r\n"), "VALUE k 5 5\r\nvalue\r\nEND\r\n")
        lib.equal(lib.ask(s, "add k 0 0 1\r\nx\r\n"), "NOT_STORED\r\n")
        lib.equal(lib.ask(s, "set n 0 0 2\r\n41\r\n"), "STORED\r\n")
        lib.equal(lib.ask(s, "incr n 1\r\n"), "42\r\n")
        lib.equal(lib.ask(s, "delete k\r\n"), "DELETED\r\n")
        lib.equal(lib.ask(s, "get k\r\n", b"END\r\n"), "END\r\n")

    with lib.case("a value of 1,000,000 bytes comes back as it went"), guest.connect(11211) as s:
        value = os.urandom(500000).hex().encode()
        lib.equal(lib.ask(s, b"set big 0 0 1000000\r\n" + value + b"\r\n"), "STORED\r\n")
        reply = lib.ask(s, "get big\r\n", b"END\r\n").encode()
        assert reply == b"VALUE big 0 1000000\r\n" + value + b"\r\nEND\r\n", "another value"

    with lib.case("stats"), guest.connect(11211) as s:
        lib.contains(lib.ask(s, "stats\r\n", b"END\r\n"), "STAT curr_connections", "STAT threads")

    with lib.case("200 connections at once, each answered"):
        socks = lib.connections(guest, 11211, 200)
        for s in socks:
            s.sendall(b"version\r\n")
        for s in socks:
            lib.contains(lib.ask(s, ""), "VERSION")
        lib.close_all(socks)

    for options in ("-t set -c 50 -n 10000", "-t get -c 50 -n 10000", "-t get -c 50 -P 16 -n 20000",
                    "-t set -c 1000 -n 10000", "-t get -c 1000 -n 10000", "-t get -c 20 -n 2000 -d 100000"):
        with lib.case(f"mcload {options}"):
            lib.run(os.path.join(lib.BUILD, "mcload"), "-h", lib.GUEST, *options.split())

    with lib.case("still answers"), guest.connect(11211) as s:
        lib.contains(lib.ask(s, "version\r\n"), "VERSION")

lib.done()
