"""A guest under QEMU: start it, read its console, talk to it, end it.

One VM object is one QEMU process, started by list of arguments and ended by its PID. Its network is one of
  tap    tap0 of the namespace that scripts/netns makes: host 10.99.0.1, guest 10.99.0.2
  user   QEMU's user networking with forwarded ports on 127.0.0.1 (few connections only: its backlog is 1)
  none
A thread collects the console; wait_line() and wait_port() wait for something to happen, never for time to
pass, and give up early when QEMU has ended.
"""
import atexit
import ctypes
import os
import re
import select
import signal
import socket
import subprocess
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(ROOT, "build")
HOST, GUEST = "10.99.0.1", "10.99.0.2"
STATIC_IP = [f"--ip={GUEST}/24", f"--defaultgw={HOST}"]
MACHINES = ("q35", "pc", "microvm")


PR_SET_PDEATHSIG = 1
libc = ctypes.CDLL(None)


def die_with_parent():
    """In the child: whatever ends the harness, even SIGKILL, ends its guests, and so their namespace, too."""
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def scratch(name):
    """A path in build/bench/ for this process alone, removed at its end; several may run side by side."""
    path = os.path.join(BUILD, "bench", f"{os.getpid()}-{name}")
    os.makedirs(os.path.dirname(path), exist_ok=True)

    def remove():
        if os.path.exists(path):
            os.remove(path)
    atexit.register(remove)
    return path


class Ended(Exception):
    """The guest ended, or did not do what was waited for."""


def in_netns():
    return os.environ.get("SINGLET_NETNS") == "tap0"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def have_kvm():
    """KVM is used only where the processor has it and the device opens."""
    try:
        with open("/proc/cpuinfo") as f:
            flags = re.search(r"^flags\s*:(.*)$", f.read(), re.M)
        if not flags or not {"vmx", "svm"} & set(flags[1].split()):
            return False
        os.close(os.open("/dev/kvm", os.O_RDWR))
        return True
    except OSError:
        return False


def usual_cmdline(app):
    """Program and arguments as apps/APP/cmdline has them."""
    path = os.path.join(ROOT, "apps", app, "cmdline")
    if not os.path.exists(path):
        return app
    with open(path) as f:
        return " ".join(f.read().split("\n")).strip()


class VM:
    def __init__(self, kernel=None, cmdline="", machine="q35", mem=512, cpus=1, net="tap", forward=(),
                 accel="tcg", initrd=None, iso=None, count=None, icount=False, extra=()):
        """forward: guest ports to forward when net is "user"; count: file for the counting plugin, which counts for each
        vCPU if there are several."""
        self.net, self.ports, self.lines, self.partial, self.stopped = net, {}, [], b"", False
        self.cond = threading.Condition()
        bus = "device" if machine == "microvm" else "pci"
        self.argv = ["qemu-system-x86_64", "-machine", f"{machine},accel={accel}", "-cpu", "max",
                     "-m", str(mem), "-smp", str(cpus), "-display", "none", "-nodefaults", "-no-reboot",
                     "-no-user-config", "-serial", "stdio", "-global", "virtio-mmio.force-legacy=false",
                     "-device", "isa-debug-exit,iobase=0xf4,iosize=0x04", "-device", f"virtio-rng-{bus}"]
        if net == "tap":
            self.argv += ["-netdev", "tap,id=n0,ifname=tap0,script=no,downscript=no"]
        elif net == "user":
            self.ports = {port: free_port() for port in forward}
            rules = "".join(f",hostfwd=tcp:127.0.0.1:{h}-:{g}" for g, h in self.ports.items())
            self.argv += ["-netdev", "user,id=n0" + rules]
        if net != "none":
            self.argv += ["-device", f"virtio-net-{bus},netdev=n0,mac=52:54:00:12:34:56"]
        if kernel:
            self.argv += ["-kernel", kernel, "-append", cmdline]
        if initrd:
            self.argv += ["-initrd", initrd]
        if iso:
            self.argv += ["-cdrom", iso, "-boot", "d"]
        if icount:
            self.argv += ["-icount", "shift=2"]
        if count:
            plugin = os.path.join(BUILD, "count.so")
            self.argv += ["-plugin", f"{plugin},out={count}" + (f",vcpus={cpus}" if cpus > 1 else "")]
        self.argv += extra
        self.began = time.monotonic()
        self.process = subprocess.Popen(self.argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, start_new_session=True,
                                        preexec_fn=die_with_parent)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.stop()

    def _read(self):
        while data := os.read(self.process.stdout.fileno(), 65536):
            with self.cond:
                *whole, self.partial = (self.partial + data).split(b"\n")
                self.lines += [line.rstrip(b"\r").decode(errors="replace") for line in whole]
                self.cond.notify_all()
        with self.cond:
            self.cond.notify_all()

    def console(self):
        with self.cond:
            return "\n".join(self.lines + [self.partial.decode(errors="replace")])

    def tail(self, count=15):
        return "\n".join(self.console().rstrip().split("\n")[-count:])

    def running(self):
        return self.process.poll() is None

    def type(self, text):
        self.process.stdin.write(text.encode())
        self.process.stdin.flush()

    def wait_line(self, pattern, timeout=120):
        """The match of `pattern` in the console, once it is there."""
        end = time.monotonic() + timeout
        while True:
            found = re.search(pattern, self.console(), re.M)
            if found:
                return found
            if not self.reader.is_alive() or time.monotonic() > end:
                why = "in time" if self.reader.is_alive() else "before the guest ended"
                raise Ended(f"no console line like {pattern!r} {why}:\n{self.tail()}")
            with self.cond:
                self.cond.wait(0.2)

    def address(self, port):
        return (GUEST, port) if self.net == "tap" else ("127.0.0.1", self.ports[port])

    def connect(self, port, timeout=60):
        return socket.create_connection(self.address(port), timeout)

    def wait_answer(self, port, ask, want, timeout=180):
        """Seconds from the start until a new connection got `want` as reply to `ask`.

        A SYN that is sent before the guest's driver runs may wait in the tap or be lost, so a further connection is
        tried every now and then while the older ones are still pending; a refusal is tried again at once.
        """
        end = time.monotonic() + timeout
        every = 0.1 if self.net == "tap" else 2
        waiting, next_try = {}, 0
        try:
            while time.monotonic() < end:
                if not self.running():
                    raise Ended(f"the guest ended with status {self.status()}:\n{self.tail()}")
                if time.monotonic() >= next_try:
                    s = socket.socket()
                    s.setblocking(False)
                    s.connect_ex(self.address(port))
                    waiting[s] = select.POLLOUT
                    next_try = time.monotonic() + every
                poll = select.poll()
                for s, event in waiting.items():
                    poll.register(s, event)
                for fd, _ in poll.poll(5):
                    s = next(s for s in waiting if s.fileno() == fd)
                    try:
                        if waiting[s] == select.POLLOUT:
                            s.sendall(ask)
                            waiting[s] = select.POLLIN
                        elif want in s.recv(4096):
                            return time.monotonic() - self.began
                        else:
                            raise ConnectionError
                    except OSError:
                        waiting.pop(s)
                        s.close()
                        next_try = min(next_try, time.monotonic() + 0.005)
        finally:
            for s in waiting:
                s.close()
        raise Ended(f"port {port} did not answer in time:\n{self.tail()}")

    def wait_ping(self, timeout=180):
        return self.wait_answer(6379, b"PING\r\n", b"PONG", timeout)

    def wait_version(self, timeout=180):
        return self.wait_answer(11211, b"version\r\n", b"VERSION", timeout)

    def status(self, timeout=60):
        """The guest's exit status: isa-debug-exit makes (s << 1) | 1 of s, in 8 bits; None if QEMU does not end."""
        try:
            code = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            return None
        self.reader.join(5)
        if code == 1 and re.search(r"^qemu(-system-x86_64)?: (?!warning|terminating)", self.console(), re.M):
            raise Ended(f"QEMU failed:\n{self.tail()}")
        return code >> 1 if code > 0 and code & 1 else code

    def stop(self):
        if self.stopped:
            return
        self.stopped = True
        if self.running():
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.reader.join(5)
        self.process.stdin.close()
        self.process.stdout.close()
