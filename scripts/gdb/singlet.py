"""gdb commands for a Singlet kernel: gdb -x scripts/gdb/singlet.py build/APP.debug. See README.md beside it.

All is read from the kernel's own structures by their debug information. A structure that has changed shape is said, not guessed.
"""
import re

import gdb

WORD = gdb.lookup_type("unsigned long")
CHUNK_SLOTS = 512  # sched/thread_table.c
# A thread that sleeps is in these first; what called them says why.
SLEEP_FUNCTIONS = {"switch_stack", "switch_away", "thread_wait", "thread_wait_until", "thread_sleep_until", "waitq_wait", "sleep_until_moved", "sleep_until_turn", "mutex_lock_wait", "thread_yield",
                   "thread_preempt", "preempt_enable_switch", "thread_exit"}


CPU_HALTED = 2  # enum cpu_activity


def static(name, path):
    """A variable by its name and the end of its file's path: other files may have statics of that name."""
    for symbol in gdb.lookup_static_symbols(name):
        if symbol.symtab.filename.endswith(path):
            return symbol.value()
    symbol = gdb.lookup_global_symbol(name)
    if symbol:
        return symbol.value()
    raise gdb.GdbError(f"singlet: no variable {name} in {path}")


def plain(value):
    """Without _Atomic, which gdb does not look through when it follows a pointer."""
    return value.cast(value.type.unqualified().strip_typedefs())


def word(address):
    return int(gdb.Value(address).cast(WORD.pointer()).dereference())


def tailq(head, link):
    """The elements of a TAILQ (queue.h) that are linked by the field `link`."""
    at = head["tqh_first"]
    while at:
        yield at.dereference()
        at = at[link]["tqe_next"]


def tree(root, link):
    """The elements of an RB tree (tree.h) in order."""
    if root:
        yield from tree(root[link]["rbe_left"], link)
        yield root.dereference()
        yield from tree(root[link]["rbe_right"], link)


def cpus():
    table, count = gdb.parse_and_eval("percpu_table"), int(gdb.parse_and_eval("percpu_count"))
    return [table[i].dereference() for i in range(count) if table[i]]


def threads():
    chunks = gdb.parse_and_eval("thread_chunks")
    first, last = chunks.type.range()
    found = []
    for i in range(first, last + 1):
        if not chunks[i]:
            break
        found += [chunks[i][k].dereference() for k in range(CHUNK_SLOTS) if chunks[i][k]]
    return [t for t in found if int(t["listed"]) >= 0]


def running():
    """Address of a thread: the CPU that runs it."""
    return {int(cpu["current"]): int(cpu["id"]) for cpu in cpus()}


def function_at(address):
    block = gdb.execute(f"info symbol {address:#x}", to_string=True)
    found = re.match(r"(\S+)(?: \+ (\d+))? in section", block)
    return (found[1], int(found[2] or 0)) if found else (None, 0)


def saved_frames(thread):
    """(return address, frame pointer) of a thread that does not run; switch_stack (switch.S) pushed rbp, rbx, r12 to r15
    and the control words."""
    sp = int(thread["saved_rsp"])
    if not sp:
        return
    try:
        rbp, rip = word(sp + 48), word(sp + 56)
        for _ in range(64):
            yield rip, rbp
            if rbp & 7 or not rbp:
                return
            above, rip = word(rbp), word(rbp + 8)
            if above <= rbp and above:
                return
            rbp = above
            if not rip:
                return
    except gdb.MemoryError:
        return


def wait_reason(thread):
    """What the kernel says, or else the function that went to sleep."""
    if any(f.name == "wait_reason" for f in thread.type.fields()):
        value = plain(thread["wait_reason"])
        if value.type.code == gdb.TYPE_CODE_PTR:
            return value.string() if value else ""
        return str(value)
    names = [function_at(rip)[0] for rip, _ in saved_frames(thread)]
    return next((n for n in names if n and n.partition(".")[0] not in SLEEP_FUNCTIONS), "")


def state_of(thread, on_cpu):
    if int(thread.address) in on_cpu:
        return "running"
    text = str(plain(thread["state"]))
    if not text.lstrip("-").isdigit():
        return text
    names = [f.name for f in gdb.lookup_type("enum thread_state").fields()]
    return names[int(text)].replace("THREAD_", "").lower() if 0 <= int(text) < len(names) else text


def title(thread):
    return f"{int(thread['tid'])} ({thread['name'].string()})"


class Singlet(gdb.Command):
    """Commands for a Singlet kernel: threads, runq, waiters, log."""

    def __init__(self):
        super().__init__("singlet", gdb.COMMAND_STATUS, prefix=True)


class Threads(gdb.Command):
    """singlet threads [-b]: all threads; -b: with back traces."""

    def __init__(self):
        super().__init__("singlet threads", gdb.COMMAND_STATUS)

    def invoke(self, argument, from_tty):
        on_cpu = running()
        print(f"{'id':>6} {'name':16} {'cpu':>3} {'state':10} in")
        for t in threads():
            runs = int(t.address) in on_cpu
            reason = "" if runs else wait_reason(t)
            print(f"{int(t['tid']):6} {t['name'].string():16} {int(plain(t['cpu'])):3} {state_of(t, on_cpu):10} {reason}".rstrip())
            if "-b" in argument.split() and not runs:
                for rip, _ in saved_frames(t):
                    name, offset = function_at(rip)
                    print(f"         {rip:#018x} {name or '?'}+{offset:#x}")


class Runq(gdb.Command):
    """singlet runq: what each CPU runs and what waits for it."""

    def __init__(self):
        super().__init__("singlet runq", gdb.COMMAND_STATUS)

    def invoke(self, argument, from_tty):
        for cpu in cpus():
            current, queue = cpu["current"].dereference(), cpu["runq"].dereference()
            halted = " halted" if int(plain(queue["activity"])) == CPU_HALTED else ""
            print(f"CPU {int(cpu['id'])}: runs {title(current)}{halted}")
            for priority in range(99, 0, -1):
                for t in tailq(queue["rt"][priority], "rt_link"):
                    print(f"  {title(t)}: priority {priority}")
            for t in tree(queue["fair"]["rbh_root"], "run_link"):
                ran, least = int(t["vruntime_ns"]), int(plain(queue["min_vruntime_ns"]))
                print(f"  {title(t)}: virtual run time {ran} ns, {ran - least:+d}")
            for pushed in (queue["taken"], plain(queue["incoming"])):
                while pushed:
                    print(f"  {title(pushed.dereference())}: woken from elsewhere")
                    pushed = plain(pushed["wake_next"])


class Waiters(gdb.Command):
    """singlet waiters: who waits for which mutex, futex or wait queue."""

    def __init__(self):
        super().__init__("singlet waiters", gdb.COMMAND_STATUS)

    def invoke(self, argument, from_tty):
        self.mutexes()
        self.futexes()
        self.sleepers()

    def mutexes(self):
        """Those with a name; a mutex in an object is found by its waiters (below)."""
        listed = gdb.execute("info variables -q -t ^struct\\ mutex$", to_string=True)
        for line in listed.splitlines():
            found = re.match(r"\d+:\s+(?:static )?struct mutex (\w+);", line)
            if not found:
                continue
            try:
                mutex = gdb.parse_and_eval(found[1])
            except gdb.error:
                continue
            if mutex.type.strip_typedefs().tag == "mutex" and int(plain(mutex["count"])):
                owner = plain(mutex["owner"])
                print(f"mutex {found[1]}: count {int(plain(mutex['count']))}, held by {title(owner.dereference()) if owner else 'nobody'}")
                for head in ("queue", "incoming"):
                    at = plain(mutex[head])
                    while at:
                        print(f"  waits: {title(at['thread'].dereference())}")
                        at = at["next"]

    def futexes(self):
        table = gdb.parse_and_eval("futex_buckets")
        low, high = table.type.range()
        for i in range(low, high + 1):
            head = table[i]["waiters"]
            for waiter in tailq(head, "link"):
                print(f"futex {int(plain(waiter['address'])):#x}: waits: {title(waiter['thread'].dereference())}, bit set"
                      f" {int(waiter['bitset']):#x}, bucket {i}")

    def sleepers(self):
        on_cpu = running()
        for t in threads():
            if int(t.address) in on_cpu:
                continue
            names = [function_at(rip)[0] or "" for rip, _ in saved_frames(t)]
            bases = [n.partition(".")[0] for n in names]
            for kind, function in (("wait queue", "waitq_wait"), ("wait queue", "waitq_wait_then"), ("semaphore", "semaphore_down"),
                                   ("rwlock", "rwlock_read_lock"), ("rwlock", "rwlock_write_lock"), ("mutex", "lock_slow"),
                                   ("mutex", "mutex_lock")):
                if function in bases:
                    callers = [n for n in names[bases.index(function) + 1:] if n and n != "mutex_lock"]
                    print(f"{kind}: waits: {title(t)}, by {' < '.join(callers[:3])}")
                    break


class Log(gdb.Command):
    """singlet log: the kernel's log ring."""

    def __init__(self):
        super().__init__("singlet log", gdb.COMMAND_STATUS)

    def invoke(self, argument, from_tty):
        ring, head = static("ring", "kernel/log.c"), int(plain(static("ring_head", "kernel/log.c")))
        size = ring.type.range()[1] + 1
        data = bytes(gdb.selected_inferior().read_memory(int(ring.address), size))
        if head > size:
            at = head % size
            data = (data[at:] + data[:at]).partition(b"\n")[2]  # the first line is cut off
        else:
            data = data[:head]
        print(data.decode(errors="replace").rstrip("\n"))


Singlet()
Threads()
Runq()
Waiters()
Log()
