"""The single measurements. Each takes a running VM, or what is needed to start one, and returns a dict."""
import os
import re
import subprocess
import time

import counts
import linux_guest
import vm

CONNECTIONS = 50
OPTIONS = {"redis": "--appendonly no", "memcached": "-m 64 -c 4096 -t 1"}
# What a test sends: program, request, pipelining.
TESTS = {
    "get": ("redis", "get", 1), "set": ("redis", "set", 1),
    "get16": ("redis", "get", 16), "set16": ("redis", "set", 16),
    "mcget": ("memcached", "get", 1), "mcset": ("memcached", "set", 1),
    "mcget16": ("memcached", "get", 16), "mcset16": ("memcached", "set", 16),
}


def build_tools():
    """Compiles plugins and load client where they are missing or older than their source."""
    here = os.path.dirname(os.path.abspath(__file__))
    os.makedirs(os.path.join(vm.BUILD, "bench"), exist_ok=True)
    for output, source, flags in (
            ("count.so", "../plugin/count.c", ["-shared", "-fPIC", "-fvisibility=hidden"]),
            ("irqoff.so", "../plugin/irqoff.c", ["-shared", "-fPIC", "-fvisibility=hidden"]),
            ("mcload", "mcload.c", ["-std=gnu17"])):
        source, output = os.path.join(here, source), os.path.join(vm.BUILD, output)
        if not os.path.exists(output) or os.path.getmtime(output) < os.path.getmtime(source):
            subprocess.run(["gcc", "-O2", "-Wall", "-Wextra", "-Werror", *flags, "-o", output, source],
                           check=True)


class System:
    """One of the systems that are compared: how to start it with an application in it."""

    def __init__(self, name, machine, elfs, icount=False):
        self.name, self.machine, self.elfs, self.icount = name, machine, elfs, icount

    def start(self, app, mem=512, count=None, extra="", small=False):
        if self.name == "linux":
            what = linux_guest.guest(app, self.machine, extra, self.icount, small)
        else:
            line = " ".join([*vm.STATIC_IP, extra, vm.usual_cmdline(app), OPTIONS[app]])
            what = {"kernel": self.elfs[app], "cmdline": line, "machine": self.machine}
        return vm.VM(**what, mem=mem, count=count, icount=self.icount)

    def size(self, app):
        """Bytes of what has to be stored or sent to run it, without debug information."""
        if self.name == "linux":
            kernel, folder = linux_guest.find_kernel()
            return os.path.getsize(kernel) + os.path.getsize(linux_guest.make_initramfs(app, folder, True))
        stripped = vm.scratch("stripped.elf")
        subprocess.run(["strip", "-o", stripped, self.elfs[app]], check=True)
        return os.path.getsize(stripped)


def wait_ready(guest, app, timeout=180):
    return guest.wait_ping(timeout) if app == "redis" else guest.wait_version(timeout)


def boot(system, guest, counter_file, app):
    """From power-on to the first answer; of our image also from its entry to main()."""
    seconds = wait_ready(guest, app)
    source = counts.Counts(counter_file)
    result = {"instructions": source.insns(), "seconds": seconds}
    if system.name == "singlet":
        blocks, symbols = source.blocks(), counts.Symbols(system.elfs[app])
        symbols.find_slide(blocks)
        entry = counts.first_run(blocks, counts.pvh_entry(system.elfs[app]))
        main = counts.first_run(blocks, symbols.address("main"))
        if entry is not None and main is not None:
            result.update(firmware=entry, before_main=main - entry)
    return result


def load(app, request, pipeline, requests, connections=CONNECTIONS, size=3):
    """One run of the load client; requests a second and percentiles in milliseconds."""
    options = ["-h", vm.GUEST, "-c", str(connections), "-P", str(pipeline), "-d", str(size),
               "-n", str(requests), "-t", request]
    program = ["redis-benchmark", "--csv"] if app == "redis" else [os.path.join(vm.BUILD, "mcload")]
    done = subprocess.run(program + options, capture_output=True, text=True, timeout=900)
    if done.returncode or "rror" in done.stderr:
        raise vm.Ended(f"{program[0]} failed: {done.stderr.strip() or done.stdout.strip()}")
    if app == "memcached":
        found = {k: float(v) for k, v in re.findall(r"(\w+)=([\d.]+)", done.stdout)}
        return {"rps": found["rps"], "p50": found["p50"], "p99": found["p99"]}
    row = [field.strip('"') for field in done.stdout.splitlines()[-1].split(",")]
    return {"rps": float(row[1]), "p50": float(row[4]), "p99": float(row[6])}


def requests_for(app, request, pipeline, seconds):
    """How many requests last about that long; also warms the guest up."""
    rate = load(app, request, pipeline, 3000 * pipeline)["rps"]
    unit = CONNECTIONS * pipeline
    return max(int(rate * seconds) // unit, 20) * unit


def per_request(guest, counter_file, test, seconds):
    """Counters before and after a load of `seconds`, divided by the requests; with the blocks between."""
    app, request, pipeline = TESTS[test]
    if request == "get" and app == "redis":
        load(app, "set", pipeline, 100 * pipeline)  # so that there is something to get
    requests = requests_for(app, request, pipeline, seconds)
    source = counts.Counts(counter_file)
    blocks = source.blocks()
    before = source.read()
    result = load(app, request, pipeline, requests)
    after = source.read()
    blocks = counts.difference(source.blocks(), blocks)
    each = {name: (after[name] - before[name]) / requests for name in after}
    low = sum(counts.weight(b) for b in blocks if b.vaddr < 1 << 47) / requests
    result.update(requests=requests, instructions=each["insns"], rep=each["rep"], low_half=low,
                  notifications=each["out"] + each["mmio"], interrupts=each["iret"],
                  apic=each["apic"] + each["wrmsr"], halts=each["hlt"])
    return result, blocks


def idle(counter_file, quiet=10, seconds=10):
    time.sleep(quiet)
    source = counts.Counts(counter_file)
    before, began = source.insns(), time.monotonic()
    time.sleep(seconds)
    return {"instructions_a_second": (source.insns() - before) / (time.monotonic() - began)}


def serves_with(system, app, mem):
    """Whether it boots with `mem` MB and answers under load, and after it."""
    try:
        with system.start(app, mem=mem, small=True) as guest:
            wait_ready(guest, app, 60)
            for request in ("set", "get"):
                load(app, request, 1, 5000)
                load(app, request, 16, 20000)
            wait_ready(guest, app, 30)
            return guest.running()
    except (vm.Ended, subprocess.TimeoutExpired):
        return False


def least_memory(system, app, say):
    """Bisection between 2 and 256 MB: to 1 MB below 32, then to 4."""
    bad, good = 1, 256
    if not serves_with(system, app, good):
        raise vm.Ended(f"does not serve even with {good} MB")
    while good - bad > (1 if good <= 32 else 4):
        middle = (good + bad) // 2
        if good > 36:
            middle = (middle + 3) // 4 * 4
        ok = serves_with(system, app, middle)
        say(f"    {middle} MB: {'serves' if ok else 'does not'}")
        good, bad = (middle, bad) if ok else (good, middle)
    return {"mb": good}
