#!/usr/bin/env python3
"""Redis against its own clients."""
import os

import lib

lib.start("redis.elf", linux=True)

with lib.boot("redis") as guest:
    with lib.case("boots and answers", vital=True):
        guest.wait_ping()

    with lib.case("PING, SET, GET, DEL, INCR, EXPIRE"):
        lib.equal(lib.redis_cli("ping"), "PONG")
        lib.equal(lib.redis_cli("set", "k", "value"), "OK")
        lib.equal(lib.redis_cli("get", "k"), "value")
        lib.equal(lib.redis_cli("del", "k"), "1")
        lib.equal(lib.redis_cli("incr", "n"), "1")
        lib.equal(lib.redis_cli("expire", "n", "100"), "1")
        assert 0 < int(lib.redis_cli("pttl", "n")) <= 100000

    with lib.case("a value of 1 MB comes back as it went"):
        value = os.urandom(1 << 19).hex()
        lib.equal(lib.redis_cli("-x", "set", "big", stdin=value), "OK")
        assert lib.redis_cli("get", "big") == value, "another value"
        lib.equal(lib.redis_cli("strlen", "big"), str(1 << 20))

    with lib.case("Lua"):
        lib.equal(lib.redis_cli("eval", "local s = 0 for i = 1, ARGV[1] do s = s + i end return s", "0",
                                "1000"), "500500")
        lib.equal(lib.redis_cli("eval", "return redis.call('get', KEYS[1])", "1", "n"), "1")

    with lib.case("SAVE works"):
        lib.equal(lib.redis_cli("save"), "OK")

    if not lib.LINUX:  # Linux can fork
        with lib.case("BGSAVE and BGREWRITEAOF answer with an error"):
            for command in ("bgsave", "bgrewriteaof"):
                assert "ERR" in lib.redis_cli(command), "no error"
            lib.equal(lib.redis_cli("ping"), "PONG")

    with lib.case("publish and subscribe"), guest.connect(6379) as s:
        lib.contains(lib.ask(s, "SUBSCRIBE news\r\n", b":1\r\n"), "subscribe")
        lib.equal(lib.redis_cli("publish", "news", "hello"), "1")
        got = b""
        while b"hello" not in got:
            data = s.recv(4096)
            assert data, "closed"
            got += data

    with lib.case("a blocked BLPOP is woken by LPUSH"), guest.connect(6379) as s:
        s.sendall(b"BLPOP queue 0\r\n")
        while "blocked_clients:1" not in lib.redis_cli("info", "clients"):
            assert guest.running(), guest.tail()
        lib.equal(lib.redis_cli("lpush", "queue", "job"), "1")
        lib.contains(lib.ask(s, "", b"job\r\n"), "queue")

    with lib.case("200 connections at once, each answered, then all closed"):
        socks = lib.connections(guest, 6379, 200)
        for s in socks:
            s.sendall(b"ECHO abc\r\n")
        for s in socks:
            lib.contains(lib.ask(s, "", b"abc\r\n"), "$3")
        lib.close_all(socks)
        lib.equal(lib.redis_cli("ping"), "PONG")

    for options in ("-c 50 -n 10000", "-c 50 -n 40000 -P 16", "-c 1000 -n 10000", "-c 20 -n 400 -d 1000000"):
        with lib.case(f"redis-benchmark {options}"):
            out = lib.run("redis-benchmark", "-h", lib.GUEST, "-t", "set,get", "--csv", *options.split())
            lib.equal(len(out.splitlines()), 3)

    for clients in ("50", "1000"):
        with lib.case(f"the default suite of redis-benchmark, {clients} connections"):
            out = lib.run("redis-benchmark", "-h", lib.GUEST, "-c", clients, "-n", "2000", "--csv", timeout=900)
            lib.contains(out, "MSET", "LRANGE_600", "SPOP")

    with lib.case("time goes on as the host's does"):
        before = lib.redis_cli("time").split()
        after = lib.redis_cli("time").split()
        assert [int(n) for n in after] > [int(n) for n in before]
        assert abs(int(after[0]) - lib.vm.time.time()) < 3600, f"guest: {after[0]}"

    with lib.case("still answers, with no client left"):
        lib.equal(lib.redis_cli("ping"), "PONG")
        lib.contains(lib.redis_cli("info", "clients"), "connected_clients:1")

    with lib.case("SHUTDOWN ends the machine with status 0"):
        lib.run("redis-cli", "-h", lib.GUEST, "shutdown", "nosave")
        if not lib.LINUX:
            lib.equal(guest.status(), 0)

lib.done()
