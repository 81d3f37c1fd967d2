"""The reference room as people start it: a process of its own."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Self

ROOT = Path(__file__).parents[3]
LONGEST = 20.0
"""Seconds until a test that waits for something gives up."""


class ReferenceServer:
    """`examples/reference_room.py` on one port, which it keeps when it is started again."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """What a client is told, without a scheme."""
        return f"127.0.0.1:{self.port}/socket"

    def start(self) -> Self:
        """Returns when it takes connections."""
        self._process = subprocess.Popen(
            [sys.executable, str(ROOT / "examples" / "reference_room.py"), "--port", str(self.port)],
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "src")},
            stdin=subprocess.DEVNULL,
        )
        give_up = time.monotonic() + LONGEST
        while not self._listens():
            assert self._process.poll() is None, f"the reference room ended with {self._process.returncode}"
            assert time.monotonic() < give_up, "the reference room did not begin to listen"
            time.sleep(0.01)
        return self

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """Asks it to go, and returns when it has."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(LONGEST)
            self._process = None

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0
