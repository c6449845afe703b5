"""Processes: started on a core of their own, measured from /proc, ended by their id."""
import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time

PROXY_CORE, OTHER_CORE = 0, 1
PRIORITY = -15
START_SECONDS = 10
TICKS = os.sysconf("SC_CLK_TCK")


def require(*names):
    missing = [name for name in names if not shutil.which(name)]
    if missing:
        sys.exit(f"missing: {', '.join(missing)}")


def prefer():
    """Gives this process, and what it starts, precedence over other work on this machine, if that is allowed."""
    with contextlib.suppress(OSError):
        os.setsid()  # where the kernel groups processes by session, the group's priority is what counts
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, PRIORITY)
        with open("/proc/self/autogroup", "w") as group:
            group.write(str(PRIORITY))


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def on_core(core):
    return lambda: os.sched_setaffinity(0, {core})


def foremost(core):
    """On this core, before whatever else wants to run there, if that is allowed: for what must not be late itself where
    it is measured how late others are."""
    def apply():
        on_core(core)()
        with contextlib.suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    return apply


class Process:
    """A server and its children."""

    def __init__(self, argv, log, core, port, placed=on_core):
        with open(log, "wb") as out:
            self.child = subprocess.Popen(argv, stdout=out, stderr=out, preexec_fn=placed(core),
                                          cwd=os.path.dirname(log))
        self.log = log
        self.wait_for(port)

    def wait_for(self, port):
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end:
            if self.child.poll() is not None:
                break
            try:
                socket.create_connection(("127.0.0.1", port), 0.2).close()
                return
            except OSError:
                time.sleep(0.002)
        self.stop()
        with open(self.log, errors="replace") as log:
            raise RuntimeError(f"does not serve: {log.read()[-600:]}")

    def ids(self):
        found = [self.child.pid]
        for pid in found:
            try:
                with open(f"/proc/{pid}/task/{pid}/children") as children:
                    found += [int(child) for child in children.read().split()]
            except OSError:
                pass
        return found

    def cpu_seconds(self):
        ticks = 0
        for pid in self.ids():
            with open(f"/proc/{pid}/stat") as stat:
                fields = stat.read().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / TICKS

    def rss_mib(self):
        kib = 0
        for pid in self.ids():
            with open(f"/proc/{pid}/status") as status:
                kib += sum(int(line.split()[1]) for line in status if line.startswith("VmRSS"))
        return kib / 1024

    def stop(self):
        if self.child.poll() is None:
            self.child.terminate()
            try:
                self.child.wait(5)
            except subprocess.TimeoutExpired:
                self.child.kill()
                self.child.wait()
