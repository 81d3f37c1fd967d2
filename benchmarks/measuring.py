"""Means of measuring: CPU seconds of this process and of others, processes that say when they are ready, loops."""

import asyncio
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

import uvloop

Case = Callable[[], float]
"""One round of a case: how much of the module's unit one piece of work took."""

ROOT = Path(__file__).parents[1]
_PATIENCE = 30.0


def cpu_seconds(pid: int) -> float:
    """What all threads of a process have run for, user and system, to the nanosecond (Linux)."""
    threads = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(thread.read_text().split()[0]) for thread in threads) / 1e9


def resident_mib(pid: int) -> float:
    """The memory a process holds (Linux)."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def spinning(work: Callable[[], object], seconds: float) -> Case:
    """Microseconds of CPU one call of `work` takes, in rounds of about so many seconds."""
    units = 1
    while (took := _spin(work, units)) < seconds / 4:
        units *= 2
    units = max(1, round(units * seconds / took))
    return lambda: _spin(work, units) / units * 1e6


def _spin(work: Callable[[], object], units: int) -> float:
    began = time.process_time()
    for _ in range(units):
        work()
    return time.process_time() - began


def awaiting(runner: asyncio.Runner, work: Callable[[], Coroutine[Any, Any, int]]) -> Case:
    """Microseconds of CPU, in all threads of this process, for each of the pieces of work that `work` says it did."""

    def case() -> float:
        began = time.process_time()
        done = runner.run(work())
        return (time.process_time() - began) / done * 1e6

    return case


@contextmanager
def fast_loop() -> Iterator[asyncio.Runner]:
    """The event loop that the server uses."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        yield runner


@contextmanager
def process(*arguments: str, ready: str, folder: Path, **variables: str) -> Iterator[tuple[int, str]]:
    """A Python process with no settings but these, ended at the end: its id, and the group in `ready` that it wrote."""
    with program(sys.executable, *arguments, ready=ready, folder=folder, variables=variables) as started:
        yield started


@contextmanager
def program(
    *command: str,
    ready: str,
    folder: Path,
    core: int | None = None,
    variables: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[tuple[int, str]]:
    """The same for any program, kept on one core if told to."""
    log = folder / f"{len(list(folder.glob('*.log')))}.log"
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}
    with log.open("wb") as output:
        running = subprocess.Popen(
            command,
            cwd=folder,
            env={**environment, "PYTHONUNBUFFERED": "1", **variables},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        if core is not None:
            os.sched_setaffinity(running.pid, {core})
        yield running.pid, _awaited(running, log, re.compile(ready))
    finally:
        running.kill()  # nothing of it is kept, and a polite end takes its time
        running.wait(_PATIENCE)


def _awaited(running: "subprocess.Popen[bytes]", log: Path, ready: re.Pattern[str]) -> str:
    give_up = time.monotonic() + _PATIENCE
    while not (found := ready.search(log.read_text())):
        if running.poll() is not None or time.monotonic() > give_up:
            raise RuntimeError(f"{running.args!r} did not become ready:\n{log.read_text()}")
        time.sleep(0.005)
    return found[1]
