"""The outside of a sandbox: a small process between the house and a worker, that ends the worker and all it started.

It is run as a file by `python -I -S` and needs nothing but the standard library, so it is there within milliseconds.
It reads one job, forks the worker, and looks every `_TICK` seconds at all that descends from it: what a worker leaves
behind becomes its own child (PR_SET_CHILD_SUBREAPER, prctl(2)), also out of a session of its own. It ends everything
when the worker ends, when a limit is reached, and when its standard input closes: that is how it hears that the house
no longer wants the answer, or is dead. Processor time is a bucket that fills by `cpus` a second: while it is empty,
everything is stopped.
"""

import ctypes
import importlib
import json
import os
import resource
import select
import shutil
import signal
import stat
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

_PR_SET_CHILD_SUBREAPER = 36
_TICK = 0.02
_STORAGE_TICKS = 5  # walking through a folder costs more than looking at processes
_BURST_SECONDS = 0.05  # that much of its share may be saved up
_CLOCK = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_CHUNK = 65_536


class Process(NamedTuple):
    """What /proc/<pid>/stat says (proc_pid_stat(5)). `cpu` is in seconds, with that of its children that are over."""

    parent: int
    zombie: bool
    cpu: float
    resident: int


class Family:
    """All that descends from this process. Those that were there before, and what descends from them, are strangers."""

    def __init__(self) -> None:
        self._strangers: set[int] = _listed() - {os.getpid()}

    def look(self) -> dict[int, Process]:
        listed = _listed()
        self._strangers = self._strangers & listed | {0}  # what entered a container from outside has no parent in it
        unknown = {pid: found for pid in listed - self._strangers if (found := _read(pid))}
        ours: set[int] = {os.getpid()}
        while more := {pid for pid, found in unknown.items() if found.parent in ours} - ours:
            ours |= more
        # Only a child of a stranger is one: a parent that was born while the list was made is not on it yet.
        theirs = {pid for pid, found in unknown.items() if found.parent in self._strangers}
        self._strangers |= theirs - ours
        return {pid: unknown[pid] for pid in ours if pid in unknown and pid != os.getpid()}

    def signal(self, number: int) -> None:
        """To everybody, and to those who are born meanwhile."""
        told: set[int] = set()
        while fresh := set(self.look()) - told:
            for pid in fresh:
                with suppress(ProcessLookupError):
                    os.kill(pid, number)
            told |= fresh

    def end(self) -> None:
        """Returns when nobody is left. They are stopped first, so that nobody has children while others die."""
        self.signal(signal.SIGSTOP)
        while left := self.look():
            for pid, found in left.items():
                if not found.zombie:
                    with suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
            with suppress(ChildProcessError):
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass
            time.sleep(0.001)


class Share:
    """Processor time as a bucket. Everything is stopped while it is empty, and goes on when it is filled again."""

    def __init__(self, cpus: float, family: Family) -> None:
        self._cpus = cpus
        self._family = family
        self._saved = 0.0
        self._used: float | None = None
        self._then = time.monotonic()
        self._stopped = False

    def settle(self, used: float) -> None:
        """`used` is in seconds, of all processes since their beginning."""
        now = time.monotonic()
        spent = used - (used if self._used is None else self._used)
        self._saved = min(self._saved + (now - self._then) * self._cpus, _BURST_SECONDS * self._cpus) - spent
        self._then, self._used = now, used
        if self._saved < 0 or self._stopped:
            self._stopped = self._saved < 0
            self._family.signal(signal.SIGSTOP if self._stopped else signal.SIGCONT)


class Supervisor:
    """One worker from its beginning to its end; `run` is called once."""

    def __init__(self, job: dict[str, Any], work: Callable[[dict[str, Any], int], None]) -> None:
        self._job = job
        self._work = work
        self._family = Family()
        self._share = Share(job["cpus"], self._family)
        self._told = bytearray()
        self._ticks = 0

    def run(self) -> str:
        """The name of the limit that was reached; `over` when the worker ended by itself, `left` when nobody waits."""
        self._pipe, theirs = os.pipe()
        self._worker = os.fork()
        if not self._worker:
            try:
                self._work(self._job, theirs)
            finally:
                os._exit(0)
        os.close(theirs)
        os.set_blocking(self._pipe, False)
        poll = select.poll()
        poll.register(0, select.POLLIN)
        poll.register(self._pipe, select.POLLIN)
        sys.stdout.write(f"{self._worker}\n")
        sys.stdout.flush()
        while True:
            events = dict(poll.poll(_TICK * 1000))
            if self._pipe in events and not self._read():
                poll.unregister(self._pipe)
            if end := self._look(left=0 in events):
                return end

    @property
    def told(self) -> bytes:
        """What the worker wrote."""
        return bytes(self._told)

    def end(self) -> None:
        self._family.end()

    def _look(self, *, left: bool) -> str:
        if left:
            return "left"
        if len(self._told) > self._job["output"]:
            return "output"
        if self._reap():
            self._read()
            return "output" if len(self._told) > self._job["output"] else "over"
        family = self._family.look()
        if len(family) > self._job["processes"]:
            return "processes"
        if sum(each.resident for each in family.values()) > self._job["memory"] < _proportional(family):
            return "memory"
        if self._told:
            over = resource.getrusage(resource.RUSAGE_CHILDREN)
            self._share.settle(sum(each.cpu for each in family.values()) + over.ru_utime + over.ru_stime)
        self._ticks += 1
        if not self._ticks % _STORAGE_TICKS and _size(self._job["folder"]) > self._job["storage"]:
            return "storage"
        return ""

    def _read(self) -> bool:
        """Takes what the worker has written; false when nothing will come any more."""
        with suppress(BlockingIOError):
            while len(self._told) <= self._job["output"]:
                if not (data := os.read(self._pipe, _CHUNK)):
                    return False
                self._told += data
        return True

    def _reap(self) -> bool:
        """Whether the worker is over. Others that ended are forgotten too."""
        over = False
        with suppress(ChildProcessError):
            while pid := os.waitpid(-1, os.WNOHANG)[0]:
                over = over or pid == self._worker
        return over


def _listed() -> set[int]:
    return {int(name) for name in os.listdir("/proc") if name.isdecimal()}  # noqa: PTH208 - ten times as fast


def _read(pid: int) -> Process | None:
    try:
        with open(f"/proc/{pid}/stat", "rb", buffering=0) as file:  # noqa: PTH123 - every tick, for every process
            fields = file.read(1024).rpartition(b")")[2].split()  # the name before it may hold anything
    except OSError:
        return None
    ticks = sum(map(int, fields[11:15]))
    return Process(int(fields[1]), fields[0] in b"ZX", ticks / _CLOCK, int(fields[21]) * _PAGE)


def _proportional(pids: Iterable[int]) -> int:
    """Bytes in memory, with what several share counted once: exact, and too slow for every tick."""
    total = 0
    for pid in pids:
        with suppress(OSError), open(f"/proc/{pid}/smaps_rollup", "rb") as file:  # noqa: PTH123
            total += sum(int(line.split()[1]) * 1024 for line in file if line.startswith(b"Pss:"))
    return total


def _size(folder: str) -> int:
    total = 0
    for path, folders, files in os.walk(folder):
        for name in (*folders, *files):
            with suppress(OSError):
                total += os.lstat(f"{path}/{name}").st_blocks * 512
    return total


def _remove(folder: str) -> None:
    """Also what the worker has closed to itself."""

    def open_up(_: object, path: str, __: object) -> None:
        with suppress(OSError):
            Path(path).parent.chmod(stat.S_IRWXU)
            Path(path).chmod(stat.S_IRWXU)

    shutil.rmtree(folder, onerror=open_up)
    shutil.rmtree(folder, ignore_errors=True)


def main() -> None:
    """Reads a job from standard input; writes the worker's process id on a line, and then how it ended and what it
    told."""
    job = json.loads(sys.stdin.buffer.readline())
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    job["supervisor"] = os.getpid()
    os.mkdir(job["folder"], stat.S_IRWXU)  # noqa: PTH102 - named by nobody else, and only once
    os.environ.update(job["environ"])
    sys.path[:] = job["path"]
    supervisor = Supervisor(job, importlib.import_module("antiphon.security.worker").work)
    try:
        end = supervisor.run()
    finally:
        supervisor.end()
        _remove(job["folder"])
    sys.stdout.buffer.write(end.encode() + b"\n" + supervisor.told)


if __name__ == "__main__":
    main()
