#!/usr/bin/env python3
"""Many CPUs: the programs of tests/guest, Redis and memcached with several threads under load, and boots. There are more vCPUs here than the host has
CPUs, so each loses its CPU at any instruction."""
import os
import re
import socket
import time

import lib
import measure

BOOTS = 30
lib.start("tests.elf", "schedbench.elf", "redis.elf", "memcached.elf", hangs=7200)
measure.build_tools()


def online(cpus, machine):
    """How many CPUs a program finds."""
    with lib.boot("schedbench", "schedbench", machine=machine, net="none", cpus=cpus) as guest:
        return int(guest.wait_line(r"^bench cpus online=(\d+)", 120)[1])


for machine in ("q35", "microvm"):
    for cpus in (1, 2, 4, 8):
        with lib.case(f"{machine}: {cpus} CPUs are found by a program"):
            lib.equal(online(cpus, machine), cpus)

with lib.case(f"{BOOTS} boots with 8 CPUs, each with a program that ends"):
    for number in range(BOOTS):
        with lib.boot("hello", "hello 1 2", machine=("q35", "microvm")[number % 2], net="none", cpus=8) as guest:
            status = guest.status(120)
            assert status == 1, f"boot {number + 1}: status {status}:\n{guest.tail(40)}"

for cpus in (1, 2, 4, 8):
    with lib.boot("tests", "tests", [f"--env=CPUS={cpus}"], net="none", cpus=cpus, mem=1024) as guest:
        status = guest.status(1500)
        lib.pass_on(f"{cpus} CPUs", guest.console(), status)

with lib.case("the network card's interrupts leave the boot CPU when the others have come"):
    with lib.boot("tests", "tests proc/times proc/interrupts", cpus=4) as guest, \
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        while guest.running():
            s.sendto(b"to nobody", (lib.GUEST, 9))
            time.sleep(0.01)
        rows = re.findall(r"^#\s+\d+:\s+(\d+)\s+(\d+)\s+(\d+)\s+(\d+)\s+PCI-MSI\s+1-edge", guest.console(), re.M)
        assert any(int(n) for row in rows for n in row[1:]), guest.tail(40)

options = "redis-server --save '' --protected-mode no --io-threads 4 --io-threads-do-reads yes"
with lib.boot("redis", options, cpus=4) as guest:
    with lib.case("Redis with 4 I/O threads answers", vital=True):
        guest.wait_ping()
        lib.contains(lib.redis_cli("config", "get", "io-threads"), "4")

    for options in ("-c 50 -n 20000", "-c 50 -n 100000 -P 16", "-c 200 -n 20000", "-c 20 -n 400 -d 1000000"):
        with lib.case(f"redis-benchmark {options}, 4 CPUs"):
            out = lib.run("redis-benchmark", "-h", lib.GUEST, "-t", "set,get", "--threads", "2", "--csv", *options.split(),
                          timeout=900)
            lib.equal(len(out.splitlines()), 3)

    with lib.case("a value of 1 MB comes back as it went"):
        value = os.urandom(1 << 19).hex()
        lib.equal(lib.redis_cli("-x", "set", "big", stdin=value), "OK")
        assert lib.redis_cli("get", "big") == value, "another value"

    with lib.case("still answers, and ends with status 0"):
        lib.equal(lib.redis_cli("ping"), "PONG")
        lib.run("redis-cli", "-h", lib.GUEST, "shutdown", "nosave")
        lib.equal(guest.status(), 0)

with lib.boot("memcached", "memcached -c 4096 -t 4", cpus=4) as guest:
    with lib.case("memcached with 4 workers answers", vital=True):
        guest.wait_version()

    for options in ("-t set -c 50 -n 20000", "-t get -c 50 -n 20000", "-t get -c 50 -P 16 -n 50000",
                    "-t set -c 400 -n 10000", "-t get -c 400 -n 10000", "-t get -c 20 -n 2000 -d 100000"):
        with lib.case(f"mcload {options}, 4 CPUs"):
            lib.run(os.path.join(lib.BUILD, "mcload"), "-h", lib.GUEST, *options.split(), timeout=900)

    with lib.case("still answers, with 4 workers"), guest.connect(11211) as s:
        lib.contains(lib.ask(s, "stats settings\r\n", b"END\r\n"), "STAT num_threads 4")

lib.done()
