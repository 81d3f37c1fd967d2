"""Programs of others that serve on loopback, which a test starts, kills and pauses."""

import signal
import socket
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from contextlib import suppress
from pathlib import Path
from typing import Self

LONGEST = 20.0
"""Seconds within which one must have started or ended."""


class Server(ABC):
    """One that runs within its `with`, on a free port, with a folder of its own. `words` are what it is configured
    with, in its own words; others count from the next start on."""

    def __init__(self, *words: str) -> None:
        self.words = words
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self._folder = tempfile.TemporaryDirectory(prefix="antiphon-server-")
        self._process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def command(self, folder: Path) -> list[str]:
        """What starts it."""

    @abstractmethod
    def greets(self) -> bool:
        """Whether it can be used. May raise `OSError`."""

    @property
    def running(self) -> bool:
        return self._process is not None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self._folder.cleanup()

    def start(self) -> None:
        """Starts it on its port and returns when it can be used."""
        folder = Path(self._folder.name)
        command = self.command(folder)
        self._process = subprocess.Popen(
            command, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        give_up = time.monotonic() + LONGEST
        while not self._usable():
            assert self._process.poll() is None, f"{command[0]} ended with {self._process.returncode}"
            assert time.monotonic() < give_up, f"{command[0]} does not answer"
            time.sleep(0.005)

    def kill(self) -> None:
        """As `kill -9` does. Does nothing when it does not run."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(LONGEST)
            self._process = None

    def restart(self) -> None:
        """Kills it and starts it again."""
        self.kill()
        self.start()

    def pause(self) -> None:
        """It stays connected and answers nobody."""
        self.signal(signal.SIGSTOP)

    def resume(self) -> None:
        self.signal(signal.SIGCONT)

    def signal(self, number: signal.Signals) -> None:
        assert self._process is not None, "it does not run"
        self._process.send_signal(number)

    def _usable(self) -> bool:
        with suppress(OSError):
            return self.greets()
        return False
