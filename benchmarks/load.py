"""Servers under load: each on a core of its own, the generator on another, what it says as data.

Every server is a process that serves the reference room as far as it is asked for here: `floor.c` (what the kernel
alone asks), ours, and the library `websockets`. `ANTIPHON_BENCH_URL` (`ws://127.0.0.1:4100/socket/websocket?vsn=2.0.0`)
and `ANTIPHON_BENCH_PID` add one that runs already: another implementation's.
"""

import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.measuring import ROOT, program

FLOOR, BARE, OURS, PEER, YOURS = "C floor", "bare Python", "antiphon", "websockets and json", "yours"

_READY = r"listening on (\d+)"
_COMMANDS = {
    BARE: (sys.executable, "-m", "benchmarks.bare"),
    OURS: (sys.executable, "-m", "benchmarks.rooms", "antiphon"),
    PEER: (sys.executable, "-m", "benchmarks.rooms", "websockets"),
}


class Serving(NamedTuple):
    pid: int
    url: str


class Ground:
    """A folder with the compiled programs. The first core of this process serves, the last one generates."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        cores = sorted(os.sched_getaffinity(0))
        self.core, self._generating = cores[0], cores[-1]
        for name in ("phxload", "floor"):
            source = ROOT / "benchmarks" / f"{name}.c"
            subprocess.run([compiler(), "-O2", "-o", str(folder / name), str(source)], check=True)

    def serving(self, name: str) -> AbstractContextManager[Serving]:
        """One server, for as long as it is needed; `YOURS` is never started nor ended."""
        return nullcontext(_running()) if name == YOURS else self._started(name)

    @contextmanager
    def _started(self, name: str) -> Iterator[Serving]:
        command = _COMMANDS.get(name, (str(self.folder / "floor"),))
        with program(*command, ready=_READY, folder=self.folder, core=self.core) as (pid, port):
            yield Serving(pid, f"ws://127.0.0.1:{port}/socket/websocket?vsn=2.0.0")

    def load(self, server: Serving, options: str) -> Mapping[str, Any]:
        """One run of the generator; `phxload --help` tells the options, its last line what is returned."""
        command = [str(self.folder / "phxload"), "--url", server.url, "--pid", str(server.pid)]
        command += ["--core", str(self._generating), "--spin", *options.split()]
        output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        result: dict[str, Any] = json.loads(output.partition("RESULT ")[2])
        if result["errors"] or result["ready"] < result["conns"]:
            raise RuntimeError(f"{options}: {result}")
        return result


def servers() -> tuple[str, ...]:
    """Who is measured."""
    return (FLOOR, BARE, OURS, PEER, *((YOURS,) if "ANTIPHON_BENCH_URL" in os.environ else ()))


def _running() -> Serving:
    return Serving(int(os.environ["ANTIPHON_BENCH_PID"]), os.environ["ANTIPHON_BENCH_URL"])


def compiler() -> str:
    """The C compiler; without one there is nothing to measure with, and it says so."""
    found = shutil.which("cc")
    if found is None:
        sys.exit("benchmarks/phxload.c needs a C compiler: install one (on Debian and Ubuntu: gcc).")
    return found


@contextmanager
def ground() -> Iterator[Ground]:
    """The place for one benchmark. As many files as are allowed: its servers inherit that."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with tempfile.TemporaryDirectory() as name:
        yield Ground(Path(name))


@contextmanager
def ground_with_servers() -> Iterator[tuple[Ground, dict[str, Serving]]]:
    """The same with one of every server, started once for all rounds."""
    with ground() as place, ExitStack() as opened:
        yield place, {name: opened.enter_context(place.serving(name)) for name in servers()}
