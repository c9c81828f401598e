#!/usr/bin/env python3
"""Each way to boot on each machine ends in a Redis that answers; memory sizes; an address by DHCP."""
import os

import lib

lib.start("redis.elf", linux=True)

for machine in lib.vm.MACHINES:
    with lib.case(f"PVH on {machine}"), lib.boot("redis", machine=machine) as guest:
        guest.wait_ping()

for mem in (64, 3072, 6144) if not lib.LINUX else ():
    with lib.case(f"{mem} MB of memory"), lib.boot("redis", mem=mem) as guest:
        guest.wait_ping()

for machine in ("q35", "pc"):
    iso, name = os.path.join(lib.BUILD, "redis.iso"), f"GRUB from a CD on {machine}"
    if not os.path.exists(iso):
        lib.skip(name, "build/redis.iso is not built (make iso)")
        continue
    # GRUB brings its own command line, without an address: this asks for one by DHCP, too.
    with lib.case(name), lib.vm.VM(iso=iso, machine=machine, net="user", forward=[6379]) as guest:
        guest.wait_ping()

for machine in lib.vm.MACHINES if not lib.LINUX else ():
    with lib.case(f"address by DHCP on {machine}"), \
            lib.boot("redis", machine=machine, net="user", forward=[6379]) as guest:
        guest.wait_ping()

with lib.case("several CPUs given to it"), lib.boot("redis", cpus=4) as guest:
    guest.wait_ping()

lib.done()
