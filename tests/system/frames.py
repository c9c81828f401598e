"""Ethernet frames made by hand, sound and unsound, and a raw socket on the tap to send them."""
import random
import socket
import struct

GUEST_MAC, OUR_MAC = bytes.fromhex("525400123456"), bytes.fromhex("024242424242")
GUEST = socket.inet_aton("10.99.0.2")
ETH = {"ip": 0x0800, "arp": 0x0806, "ip6": 0x86DD}


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ethernet(kind, payload, to=GUEST_MAC):
    return to + OUR_MAC + struct.pack("!H", kind) + payload


def ipv4(payload, protocol, source="10.99.0.9", length=None, ihl=5, version=4, fragment=0, options=b"", ident=1):
    length = 20 + len(options) + len(payload) if length is None else length
    head = struct.pack("!BBHHHBBH4s4s", version << 4 | ihl, 0, length & 0xFFFF, ident, fragment, 64,
                       protocol, 0, socket.inet_aton(source), GUEST) + options
    head = head[:10] + struct.pack("!H", checksum(head)) + head[12:]
    return ethernet(ETH["ip"], head + payload)


def tcp(source, port, to, flags, offset=5, options=b"", data=b"", **ip):
    head = struct.pack("!HHIIBBHHH", port, to, random.getrandbits(32), 0, offset << 4, flags, 1024, 0, 0)
    segment = head + options + data
    pseudo = socket.inet_aton(source) + GUEST + struct.pack("!HH", 6, len(segment))
    segment = segment[:16] + struct.pack("!H", checksum(pseudo + segment)) + segment[18:]
    return ipv4(segment, 6, source, **ip)


def odd(rng):
    """One unsound frame."""
    some = rng.randbytes(rng.choice((0, 1, 3, 8, 19, 20, 21, 40, 64, 200, 1400)))
    return rng.choice((
        lambda: ethernet(rng.getrandbits(16), some),
        lambda: ethernet(ETH["ip"], some),
        lambda: ethernet(ETH["ip6"], some),
        lambda: ethernet(ETH["ip6"], b"\x60" + some),
        lambda: ethernet(ETH["arp"], some),
        lambda: ethernet(ETH["arp"], struct.pack("!HHBBH", 1, 0x800, rng.getrandbits(8), rng.getrandbits(8), 1)
                         + some, b"\xff" * 6),
        lambda: ipv4(some, 6, length=rng.getrandbits(16)),
        lambda: ipv4(some, rng.getrandbits(8)),
        lambda: ipv4(some, 17, version=rng.getrandbits(4)),
        lambda: ipv4(some, 17, ihl=rng.getrandbits(4)),
        lambda: ipv4(some, 6, ihl=6 + rng.getrandbits(3), options=some[:40]),
        lambda: ipv4(some, rng.choice((1, 6, 17)), fragment=rng.getrandbits(16), ident=rng.getrandbits(2)),
        lambda: ipv4(some, 1),
        lambda: tcp("10.99.0.9", rng.getrandbits(16), 6379, rng.getrandbits(8), rng.getrandbits(4), some[:40]),
        lambda: tcp("10.99.0.9", 0, 6379, 2),
        lambda: tcp("10.99.0.2", 6379, 6379, 2),  # from itself to itself
        lambda: tcp("127.0.0.1", 6379, 6379, 2),
        lambda: tcp("255.255.255.255", 80, 6379, 2),
        lambda: tcp("10.99.0.9", 1234, 6379, 2, 15, bytes([2, 0]) + some[:38]),
        lambda: tcp("10.99.0.9", 1234, 6379, 2, 15, bytes([3, 255]) + some[:38]),
        lambda: ipv4(struct.pack("!HHHH", 53, rng.getrandbits(16), rng.getrandbits(16), 1) + some, 17),
    ))()


class Tap:
    def __init__(self):
        self.sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        self.sock.bind(("tap0", 0))
        self.sent = self.refused = 0

    def send(self, frame):
        """A frame that the host will not send (too short, too long, queue full) is counted and left out."""
        try:
            self.sock.send(frame)
            self.sent += 1
        except OSError:
            self.refused += 1
