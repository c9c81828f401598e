"""The Linux guest to compare with: Debian's cloud kernel with Debian's redis-server or memcached.

The initramfs is made here from what is installed: busybox, the program with its shared libraries, and the
modules that virtio needs. Its /init loads the modules, sets a static address, and executes the program.
They come from build/guest-linux/root, where scripts/setup unpacks them, or else from what is installed here.
"""
import glob
import gzip
import os
import re
import shutil
import subprocess

from vm import BUILD, GUEST, HOST, scratch

MODULES = ("virtio_pci", "virtio_mmio", "virtio_net", "virtio-rng")
PROGRAMS = {
    "redis": ["/usr/bin/redis-server", "--save", "", "--appendonly", "no", "--protected-mode", "no"],
    "memcached": ["/usr/bin/memcached", "-u", "root", "-m", "64", "-c", "4096", "-t", "1"],
}
CMDLINE = "console=ttyS0 quiet nokaslr norandmaps panic=-1 rdinit=/init"

INIT = """#!/bin/busybox sh
/bin/busybox mkdir -p /proc /sys /dev /tmp
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sysfs /sys
/bin/busybox mount -t devtmpfs dev /dev
for m in %(modules)s; do /bin/busybox insmod /modules/$m.ko; done
/bin/busybox ip link set lo up
/bin/busybox ip address add %(guest)s/24 dev eth0
/bin/busybox ip link set eth0 up
/bin/busybox ip route add default via %(host)s
echo 1024 >/proc/sys/net/core/somaxconn
ulimit -n 20000
[ -z "$kallsyms" ] || /bin/busybox nc -ll -p 7 -e /bin/busybox cat /proc/kallsyms &
exec %(program)s
"""


# Where scripts/setup unpacks Debian's packages for the guest; without it, what is installed here is taken.
ROOT = os.path.join(BUILD, "guest-linux", "root")


def find_kernel():
    """The kernel image and the folder of its modules."""
    for boot, modules in ((ROOT + "/boot", ROOT + "/lib/modules/*"), ("/boot", "/lib/modules/*")):
        kernels = sorted(glob.glob(boot + "/vmlinuz*cloud*") or glob.glob(boot + "/vmlinuz*"))
        for kernel in reversed(kernels):
            version = kernel.partition("vmlinuz-")[2]
            for folder in sorted(glob.glob(modules), reverse=True):
                if not version or os.path.basename(folder) == version:
                    return kernel, folder
    raise SystemExit("bench: no Linux guest kernel: install linux-image-cloud-amd64")


def module_order(folder):
    """Files to load, each after the ones it depends on."""
    depends, order = {}, []
    if not os.path.exists(folder + "/modules.dep"):  # unpacked, not installed
        depmod = shutil.which("depmod") or "/sbin/depmod"
        subprocess.run([depmod, "-b", ROOT, os.path.basename(folder)], check=True)
    with open(folder + "/modules.dep") as f:
        for line in f:
            name, _, rest = line.partition(":")
            depends[name] = rest.split()

    def add(path):
        for other in depends[path]:
            add(other)
        if path not in order:
            order.append(path)

    for module in MODULES:
        for path in depends:
            if os.path.basename(path) == module + ".ko":
                add(path)
    return [os.path.join(folder, path) for path in order]


def program_files(program):
    """The program, its interpreter and its libraries: (path in the guest, file here)."""
    loader, search = "/lib64/ld-linux-x86-64.so.2", ["/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu"]
    root = ROOT if os.path.exists(ROOT + program) and os.path.exists(ROOT + loader) else ""
    out = subprocess.run([root + loader, "--list", "--library-path", ":".join(root + d for d in search), root + program],
                         capture_output=True, text=True, check=True).stdout
    found = set(re.findall(r"=> (/\S+) \(0x", out))
    files = {program: root + program, loader: root + loader}
    files.update({f[len(root):]: f for f in found if f.startswith(root)})
    return sorted(files.items())


def cpio(entries):
    """An archive in the "newc" format (Linux, early-userspace/buffer-format). entries: (path, mode, data)."""
    out, made = bytearray(), set()

    def put(name, mode, data):
        fields = [len(made) + 1, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0]
        out.extend(b"070701" + b"".join(b"%08X" % f for f in fields) + name.encode() + b"\0")
        out.extend(b"\0" * (-len(out) % 4))
        out.extend(data)
        out.extend(b"\0" * (-len(out) % 4))
        made.add(name)

    for path, mode, data in entries:
        parts = path.strip("/").split("/")
        for i in range(1, len(parts)):
            folder = "/".join(parts[:i])
            if folder not in made:
                put(folder, 0o40755, b"")
        put("/".join(parts), mode, data)
    put("TRAILER!!!", 0, b"")
    return bytes(out)


def make_initramfs(app, folder, small=False):
    """Writes build/bench/linux-APP.cpio and returns its path.

    As it is, it boots faster (by 500 million instructions); compressed (small), it needs less memory and space.
    """
    def read(path):
        with open(path, "rb") as f:
            return f.read()

    argv = PROGRAMS[app]
    modules = module_order(folder)
    names = [os.path.basename(m)[:-3] for m in modules]
    init = INIT % {"modules": " ".join(names), "guest": GUEST, "host": HOST,
                   "program": " ".join(a or "''" for a in argv)}
    entries = [("/init", 0o100755, init.encode()), ("/bin/busybox", 0o100755, read("/bin/busybox"))]
    entries += [(f"/modules/{n}.ko", 0o100644, read(m)) for n, m in zip(names, modules)]
    entries += [(p, 0o100755, read(f)) for p, f in program_files(argv[0])]
    entries.append(("/etc/passwd", 0o100644, b"root::0:0::/:/bin/sh\n"))
    path = os.path.join(BUILD, "bench", f"linux-{app}.cpio" + (".gz" if small else ""))
    own = scratch(os.path.basename(path))
    with open(own, "wb") as f:
        f.write(gzip.compress(cpio(entries)) if small else cpio(entries))
    os.replace(own, path)  # another process may be reading the old one
    return path


def tsc_khz(icount):
    """What TCG's TSC runs at: the host's own, or one tick a nanosecond with -icount."""
    with open("/proc/cpuinfo") as f:
        found = None if icount else re.search(r"^cpu MHz\s*: ([\d.]+)", f.read(), re.M)
    return int(float(found[1]) * 1000) if found else 1000000


def guest(app, machine, extra="", icount=False, small=False):
    """What VM() needs to start this guest."""
    kernel, folder = find_kernel()
    line = CMDLINE + " " + extra
    if machine == "microvm":  # nothing there to calibrate the TSC against that TCG would emulate well
        line += f" tsc_early_khz={tsc_khz(icount)}"
    return {"kernel": kernel, "initrd": make_initramfs(app, folder, small), "cmdline": line,
            "machine": machine}
