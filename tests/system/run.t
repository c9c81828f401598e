#!/usr/bin/env python3
"""scripts/run as users call it: ports on 127.0.0.1, Ctrl-C, clear errors."""
import os
import shutil
import signal
import socket
import subprocess

import lib

lib.start("redis.elf", netns=False)
RUN = os.path.join(lib.ROOT, "scripts/run")


def children(pid):
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/stat") as f:
                if int(f.read().rpartition(")")[2].split()[1]) == pid:
                    found.append(int(name))
        except OSError:  # it ended meanwhile
            pass
    return found


def alive(pid):
    try:
        os.kill(pid, 0)
        return True
    except ProcessLookupError:
        return False


def refused(*args):
    process = subprocess.run([RUN, *args], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300)
    assert process.returncode, "no error"
    return process.stderr


for net in ("passt", "user"):
    if net == "passt" and not shutil.which("passt"):
        lib.skip("Redis through passt", "passt is not installed")
        continue
    if net == "passt" and subprocess.run(["unshare", "--user", "true"], capture_output=True).returncode:
        lib.skip("Redis through passt", "user namespaces, which passt needs, are not to be had here")
        continue
    with lib.case(f"Redis through {net}, and Ctrl-C"):
        port = lib.vm.free_port()
        log = open(os.path.join(lib.BUILD, "run.log"), "w+")
        process = subprocess.Popen([RUN, "--net", net, "--port", f"{port}:6379"], stdin=subprocess.DEVNULL,
                                   stdout=log, stderr=log, start_new_session=True)
        try:
            reply = ""
            while "PONG" not in reply:
                log.seek(0)
                assert process.poll() is None, log.read()
                try:
                    with socket.create_connection(("127.0.0.1", port), 5) as s:
                        s.settimeout(5)
                        reply = lib.ask(s, "PING\r\n")
                except (OSError, AssertionError):
                    lib.vm.time.sleep(0.1)
            clients = "50" if net == "passt" else "1"
            lib.run("redis-benchmark", "-p", str(port), "-c", clients, "-n", "2000", "-t", "set,get", "-q")
            below = children(process.pid)
            os.killpg(process.pid, signal.SIGINT)
            lib.equal(process.wait(120), 130)
            for pid in below:
                assert not alive(pid), f"process {pid} is left over"
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait()

with lib.case("a busy port is a clear error"), socket.socket() as s:
    s.bind(("127.0.0.1", 0))
    s.listen()
    port = s.getsockname()[1]
    lib.contains(refused("--port", f"{port}:6379"), f"127.0.0.1:{port}", "--port")

with lib.case("an image that is not there is named"):
    lib.contains(refused("--app", "nosuch"), "nosuch.elf", "make")

with lib.case("microvm cannot boot a CD"):
    lib.contains(refused("--machine", "microvm", "--iso", "/dev/null"), "q35")

lib.done()
