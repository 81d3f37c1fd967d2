"""Processes that are forks of a program which has loaded Antiphon already: tests/nursery.py, one for all tests."""

import atexit
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from queue import Queue
from threading import Event, Lock, Thread

ROOT = Path(__file__).parents[1]
LONGEST = 60.0
"""Seconds until the program has loaded everything."""


class Fork:
    """What of `subprocess.Popen` a test needs."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._ended = Event()

    def poll(self) -> int | None:
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        if not self._ended.wait(timeout):
            raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0)
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, how: int) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.pid, how)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def end(self, status: int) -> None:
        self.returncode = status
        self._ended.set()


class Nursery:
    """The program, and what it tells of its forks."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.nursery"],
            cwd=ROOT,
            env={
                "PATH": os.environ.get("PATH", ""),
                "HOME": tempfile.gettempdir(),
                "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}",
                "PYTHONUNBUFFERED": "1",
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self._one_at_a_time = Lock()
        self._born: Queue[Fork] = Queue()
        self._listening = Thread(target=self._listen, daemon=True)
        self._listening.start()

    def fork(self, command: Sequence[str], folder: Path, variables: Mapping[str, str], log: Path) -> Fork:
        """A process that does what this command does. What it says goes to the end of `log`."""
        order = {"command": [*command], "folder": str(folder), "variables": {**variables}, "log": str(log)}
        assert self._process.stdin is not None
        with self._one_at_a_time:
            self._process.stdin.write(json.dumps(order).encode() + b"\n")
            self._process.stdin.flush()
            return self._born.get(timeout=LONGEST)

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(LONGEST)
        self._listening.join(LONGEST)
        self._process.stdout.close()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        alive: dict[int, Fork] = {}
        for line in self._process.stdout:
            told = json.loads(line)
            if "born" in told:
                fork = alive[told["born"]] = Fork(told["born"])
                self._born.put(fork)
            else:
                alive.pop(told["ended"]).end(told["status"])


@cache
def nursery() -> Nursery:
    """The one of this process, which ends with it."""
    made = Nursery()
    atexit.register(made.close)
    return made
