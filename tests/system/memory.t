#!/usr/bin/env python3
"""Too little memory is answered by a clear message and an end, never by a hang."""
import lib

lib.start("redis.elf")

for machine in ("q35", "microvm"):
    for mem in (3, 4, 6, 8, 12):
        # Either it serves with that, or it says why not, and ends.
        with lib.case(f"{mem} MB on {machine}"), lib.boot("redis", machine=machine, mem=mem) as guest:
            try:
                guest.wait_ping(90)
            except lib.vm.Ended:
                status = guest.status(5)
                assert status is not None, f"hangs:\n{guest.tail()}"
                assert status, "ended with status 0"
                lib.contains(guest.console().lower(), "memory")

FILL = "for i = 1, 200000 do redis.call('set', 'key' .. i, string.rep('x', 1000)) end"

with lib.case("with --maxmemory, more data than fits: an error, and it goes on"), \
        lib.boot("redis", lib.vm.usual_cmdline("redis") + " --maxmemory 20mb", mem=64) as guest:
    guest.wait_ping()
    commands = "".join(f"set key{i} {'x' * 1000}\n" for i in range(30000))
    out = lib.subprocess.run(["redis-cli", "-h", lib.GUEST], input=commands, capture_output=True, text=True, timeout=300)
    lib.contains(out.stdout, "OOM")
    lib.equal(lib.redis_cli("ping"), "PONG")

with lib.case("without it, more data than fits: says so and ends"), lib.boot("redis", mem=64) as guest:
    guest.wait_ping()
    lib.subprocess.run(["redis-cli", "-h", lib.GUEST, "eval", FILL, "0"], capture_output=True, timeout=600)
    status = guest.status(300)
    assert status, f"status {status}:\n{guest.tail()}"
    lib.contains(guest.console().lower(), "memory")

lib.done()
