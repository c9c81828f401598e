"""What the system tests share: TAP output, and images under QEMU (scripts/bench/vm.py) in a network namespace.

A test file begins with `lib.start(...)`, which skips the file where something it needs is not there and moves into a
namespace; then come `with lib.case("what is claimed"):` blocks, each one test, which fails by an exception; and
`lib.done()`. Nothing depends on how long a thing takes: time limits are generous and only end what hangs.
`GUEST=linux` runs the same tests against the Linux guest, to try the tests themselves.
"""
import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import traceback

sys.dont_write_bytecode = True
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "scripts/bench"))
import linux_guest  # noqa: E402
import vm  # noqa: E402

LINUX = os.environ.get("GUEST") == "linux"
BUILD, GUEST, HOST = vm.BUILD, vm.GUEST, vm.HOST
HANGS = 1500  # seconds after which a file gives up
socket.setdefaulttimeout(120)
count = failed = 0
guest = None  # the one that was started last


def skip_all(why):
    print(f"1..0 # SKIP {why}")
    sys.exit(0)


def start(*images, netns=True, linux=False, hangs=HANGS):
    """Skips without the images; then goes on in a namespace with a tap. linux: makes sense for GUEST=linux, too.
    hangs: after so many seconds the file gives up."""
    sys.stdout.reconfigure(line_buffering=True)
    if LINUX and not linux:
        skip_all("says nothing about the Linux guest")
    for image in images if not LINUX else ():
        if not os.path.exists(os.path.join(BUILD, image)):
            skip_all(f"build/{image} is not built")
    if netns and not vm.in_netns():
        command = os.path.join(ROOT, "scripts/netns")
        probe = subprocess.run([command, "true"], capture_output=True, text=True)
        if probe.returncode:
            skip_all(probe.stderr.strip() or "no network namespace to be had")
        os.execv(command, ["netns", sys.executable, *sys.argv])
    signal.signal(signal.SIGALRM, on_alarm)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    signal.alarm(hangs)


def done():
    print(f"1..{count}")
    sys.exit(1 if failed else 0)


@contextlib.contextmanager
def case(name, vital=False):
    """One test: passed if the block ends without an exception. Without a vital one, or a guest, the file ends."""
    global count, failed
    count += 1
    try:
        yield
        print(f"ok {count} - {name}")
        return
    except Exception as problem:
        failed += 1
        frames = traceback.extract_tb(problem.__traceback__)
        where = next((f for f in reversed(frames) if f.filename.endswith(".t")), frames[-1])
        not_ok(name, f"{os.path.basename(where.filename)}:{where.lineno}: {where.line}",
               str(problem) or type(problem).__name__)
    if guest and not guest.stopped and not guest.running():
        comment("the guest has ended:", guest.tail(40))
        done()
    if vital:
        done()


def comment(*texts):
    for line in "\n".join(texts).split("\n"):
        print(f"#   {line}")


def not_ok(name, *texts):
    """A failed test. To stderr, too: prove passes that on when it is not asked for every line."""
    print(f"not ok {count} - {name}")
    if texts:
        comment(*texts)
    print(f"# {os.path.basename(sys.argv[0])}: not ok {count} - {name}", *texts, sep="\n#   ", file=sys.stderr, flush=True)


def on_alarm(*_):
    global count, failed
    count, failed = count + 1, failed + 1
    not_ok("nothing hangs", "given up; the console ends so:", guest.tail(40) if guest else "(no guest)")
    done()


def skip(name, why):
    global count
    count += 1
    print(f"ok {count} - {name} # SKIP {why}")


def equal(got, want):
    assert got == want, f"got {got!r}, want {want!r}"


def contains(text, *wanted):
    for want in wanted:
        assert want in text, f"no {want!r} in:\n{text[-3000:]}"


def boot(app, args=None, options=(), machine="q35", net="tap", **more):
    """Starts build/APP.elf; `args`: program and arguments (the usual ones), `options`: the kernel's."""
    global guest
    if LINUX:
        guest = vm.VM(**linux_guest.guest(app, machine), net=net, **more)
        return guest
    options = [*(vm.STATIC_IP if net == "tap" else []), *options]
    line = " ".join([*options, vm.usual_cmdline(app) if args is None else args])
    guest = vm.VM(os.path.join(BUILD, app + ".elf"), line, machine=machine, net=net, **more)
    return guest


def run(*argv, stdin=None, timeout=300):
    """Output of a program that must succeed."""
    process = subprocess.run(argv, input=stdin, capture_output=True, text=True, timeout=timeout)
    assert process.returncode == 0, f"{argv[0]}: {process.stdout[-2000:]}{process.stderr[-2000:]}"
    return process.stdout


def redis_cli(*args, stdin=None):
    """One command by redis-cli; an error reply is returned as text as well."""
    return run("redis-cli", "-h", GUEST, *args, stdin=stdin, timeout=120).strip()


def ask(sock, text, end=b"\r\n"):
    """Sends a request on a text protocol and reads to the end marker."""
    sock.sendall(text if isinstance(text, bytes) else text.encode())
    got = b""
    while not got.endswith(end):
        data = sock.recv(65536)
        assert data, f"closed after {got[-200:]!r}"
        got += data
    return got.decode(errors="replace")


def connections(guest, port, number):
    """That many connections at once, all established."""
    return [guest.connect(port) for _ in range(number)]


def pass_on(name, text, status):
    """TAP of a program inside: each check of the run becomes one of ours; a run that ended early is one that failed."""
    global count, failed
    planned, seen, last_failed = None, 0, False
    for line in text.split("\n"):
        line = line.rstrip("\r")
        check = re.match(r"(not )?ok \d+ - (.*)", line)
        if check:
            seen += 1
            count, failed = count + 1, failed + bool(check[1])
            last_failed = bool(check[1])
            if last_failed:
                not_ok(f"{name}: {check[2]}")
            else:
                print(f"ok {count} - {name}: {check[2]}")
        elif re.match(r"1\.\.\d+$", line):
            planned = int(line[3:])
        elif line.startswith("#   "):
            comment(line[4:])
            if last_failed:
                print(line, file=sys.stderr, flush=True)
    with case(f"{name}: runs to its end"):
        assert planned == seen and status is not None, \
            f"{seen} checks of {planned} planned, status {status}:\n" + "\n".join(text.split("\n")[-30:])
        equal(status, 1 if re.search("^not ok", text, re.M) else 0)


def close_all(socks):
    for s in socks:
        s.close()
