#!/usr/bin/env python3
"""Whatever comes from the network, the guest goes on serving. All of it stays inside the namespace."""
import random
import socket
import struct

import frames
import lib

lib.start("redis.elf", linux=True)
rng = random.Random(1)


def still_serves(guest):
    assert guest.running(), f"ended:\n{guest.tail(40)}"
    guest.wait_ping(300)
    lib.equal(lib.redis_cli("set", "alive", "yes"), "OK")
    lib.equal(lib.redis_cli("get", "alive"), "yes")


lib.run("ip", "link", "set", "tap0", "mtu", "9000")  # so that the host lets large frames through
tap = frames.Tap()

with lib.boot("redis") as guest:
    with lib.case("unsound frames while it boots", vital=True):
        for _ in range(400):
            tap.send(frames.odd(rng))
        still_serves(guest)

    with lib.case("garbage on connections"):
        for _ in range(100):
            with guest.connect(6379) as s:
                try:
                    s.sendall(rng.randbytes(rng.randrange(1, 5000)))
                except OSError:
                    pass
        for text in (b"*-1\r\n", b"*1000000000\r\n", b"*1\r\n$-5\r\n", b"*1\r\n$999999999999\r\n", b"\0" * 100000,
                     b"x" * 70000, b"*3\r\n$3\r\nSET\r\n"):
            with guest.connect(6379) as s:
                s.sendall(text)
        still_serves(guest)

    with lib.case("connections that are reset in the middle"):
        for _ in range(300):
            s = guest.connect(6379)
            s.sendall(b"*1\r\n$4\r\nPI")
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            s.close()
        still_serves(guest)

    with lib.case("500 connections that say nothing, and one that does"):
        socks = lib.connections(guest, 6379, 500)
        still_serves(guest)
        lib.close_all(socks)
        still_serves(guest)

    with lib.case("a client that asks for much and reads nothing"):
        lib.redis_cli("eval", "redis.call('set', 'large', string.rep('x', 100000))", "0")
        with guest.connect(6379) as s:
            s.sendall(b"GET large\r\n" * 64)
            still_serves(guest)
        still_serves(guest)

    with lib.case("UDP to closed ports"):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            for _ in range(2000):
                try:
                    s.sendto(rng.randbytes(rng.randrange(1400)), (lib.GUEST, rng.randrange(1, 65536)))
                except OSError:  # the answer to the one before: port unreachable
                    pass
        still_serves(guest)

    with lib.case("20,000 unsound frames"):
        for _ in range(20000):
            tap.send(frames.odd(rng))
        assert tap.sent > 10000, f"only {tap.sent} sent"
        still_serves(guest)

    with lib.case("frames longer than the MTU"):
        for size in (1501, 1518, 1519, 2048, 4096, 8986):
            for _ in range(20):
                tap.send(frames.ipv4(rng.randbytes(size - 20), rng.choice((1, 6, 17))))
                tap.send(frames.ethernet(0x0800, rng.randbytes(size)))
        still_serves(guest)

    with lib.case("a flood of 20,000 SYNs from addresses that do not answer"):
        for i in range(20000):
            source = f"10.99.0.{3 + i % 250}" if i % 2 else f"198.51.100.{i % 250}"
            tap.send(frames.tcp(source, rng.randrange(1024, 65536), 6379, 2, 6, b"\x02\x04\x05\xb4"))
        still_serves(guest)

    with lib.case("SYNs to ports where nobody listens"):
        for port in range(1, 3000):
            tap.send(frames.tcp("10.99.0.9", 4000, port if port != 6379 else 1, 2))
        still_serves(guest)

    with lib.case("stray segments of an established connection"), guest.connect(6379) as s:
        lib.contains(lib.ask(s, "PING\r\n"), "PONG")
        port = s.getsockname()[1]
        for _ in range(2000):
            tap.send(frames.tcp(lib.HOST, port, 6379, rng.choice((0, 1, 2, 4, 16, 18, 20, 24, 41)),
                                data=rng.randbytes(rng.randrange(100))))
        lib.contains(lib.ask(s, "PING\r\n"), "PONG")  # none was in the window but by a rare chance

    with lib.case("it answers ARP"):
        lib.run("ip", "neighbour", "del", lib.GUEST, "dev", "tap0")
        still_serves(guest)

    with lib.case("after all this: a load without an error"):
        out = lib.run("redis-benchmark", "-h", lib.GUEST, "-t", "set,get", "-n", "5000", "--csv")
        lib.equal(len(out.splitlines()), 3)
        lib.contains(lib.redis_cli("info", "clients"), "connected_clients:1")

lib.done()
