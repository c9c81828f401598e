#!/usr/bin/env python3
"""Interrupts never stay off for long, counted in guest instructions by the plugin scripts/plugin/irqoff.c, from each CPU's first STI on: programs of
tests/guest, Redis and memcached under load, on 1 and on 4 CPUs."""
import os
import subprocess

import lib
import counts
import irqoff
import measure

# Three times the longest that was seen, 5,400 instructions, in a round figure: the interrupt with the first random bytes from a device. The longest of the
# scheduler was 3,500, the wake-up interrupt of tls_many on 4 CPUs (wake_take_incoming, which takes a few threads at a time).
LIMIT = 16000
PROGRAMS = ("schedule", "contention", "producer", "tls_many", "unmap", "running")
SHOWN = 5  # of the longest runs, also where all is well

lib.start("tests.elf", "redis.elf", "memcached.elf", hangs=600)
try:
    measure.build_tools()
except (OSError, subprocess.CalledProcessError) as problem:
    lib.skip_all(f"the plugin cannot be built: {problem}")


def watch(app, args, cpus, name, work, **more):
    """One guest: `work` is done with it, then the runs of each CPU are looked at."""
    elf, found = os.path.join(lib.BUILD, app + ".elf"), lib.vm.scratch(f"{app}-{cpus}.irqoff")
    plugin = irqoff.arguments(elf, found)
    if plugin is None:
        lib.skip(name, f"build/{app}.debug has no vector_stubs or no enter_panic")
        return
    with lib.boot(app, args, cpus=cpus, extra=plugin, **more) as guest, lib.case(f"{name}: does its work"):
        work(guest)
    result, symbols = irqoff.Result(found), counts.Symbols(elf)
    lib.comment(f"{result.runs} runs, {result.off} instructions; the longest:",
                *(irqoff.describe(symbols, run) for run in result.longest[:SHOWN]))
    with lib.case(f"{name}: interrupts were off and on again, and none came while they were off"):
        assert result.runs > 1000, f"only {result.runs} runs were seen"
        lib.equal(result.strays, 0)
    with lib.case(f"{name}: no more than {LIMIT} instructions with interrupts off"):
        long = [run for run in result.longest if run.insns > LIMIT]
        assert not long, "\n".join(irqoff.describe(symbols, run) for run in long)


def guest_tests(guest):
    lib.equal(guest.status(300), 0)


def redis_load(guest):
    guest.wait_ping()
    for options in ("-c 50 -n 3000", "-c 50 -n 16000 -P 16", "-c 200 -n 2000", "-c 10 -n 100 -d 200000"):
        lib.run("redis-benchmark", "-h", lib.GUEST, "-t", "set,get", "--csv", *options.split())


def memcached_load(guest):
    guest.wait_version()
    for options in ("-t set -c 50 -n 3000", "-t get -c 50 -P 16 -n 16000", "-t get -c 200 -n 2000",
                    "-t set -c 10 -n 100 -d 100000"):
        lib.run(os.path.join(lib.BUILD, "mcload"), "-h", lib.GUEST, *options.split())


for cpus in (1, 4):
    watch("tests", " ".join(("tests", *PROGRAMS)), cpus, f"guest tests, -smp {cpus}", guest_tests, net="none", mem=1024)
    io_threads = f"--io-threads {cpus} --io-threads-do-reads yes"
    watch("redis", f"redis-server --save '' --protected-mode no {io_threads}", cpus, f"Redis, -smp {cpus}", redis_load)
    watch("memcached", f"memcached -c 4096 -t {cpus}", cpus, f"memcached, -smp {cpus}", memcached_load)

lib.done()
