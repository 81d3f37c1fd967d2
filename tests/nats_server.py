"""A real NATS for tests, which a test starts, kills and pauses."""

import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Self

LONGEST = 20.0
"""Seconds within which it must have started or ended."""

PROGRAM = shutil.which("nats-server")


class NatsServer:
    """`nats-server` on a free port of loopback. Lines of configuration may be given.

    with NatsServer("max_payload: 4096") as nats:
        broker = NatsBroker(nats.url)
        nats.kill()
    """

    def __init__(self, *lines: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self._lines = lines
        self._folder = tempfile.TemporaryDirectory(prefix="antiphon-nats-")
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self._folder.cleanup()

    def start(self) -> None:
        """Starts it on its port and returns when it greets."""
        assert PROGRAM is not None, "nats-server is not installed"
        config = Path(self._folder.name, "nats.conf")
        config.write_text("\n".join((f"listen: 127.0.0.1:{self.port}", *self._lines)))
        self._process = subprocess.Popen(
            [PROGRAM, "-c", str(config)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        give_up = time.monotonic() + LONGEST
        while not self._greets():
            assert self._process.poll() is None, f"nats-server ended with {self._process.returncode}"
            assert time.monotonic() < give_up, "nats-server does not greet"
            time.sleep(0.005)

    def kill(self) -> None:
        """As `kill -9` does. Does nothing when it does not run."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(LONGEST)
            self._process = None

    def restart(self) -> None:
        self.kill()
        self.start()

    def pause(self) -> None:
        """It stays connected and answers nobody."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def _greets(self) -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=LONGEST) as connection:
            return connection.recv(5) == b"INFO "
        return False

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None, "nats-server does not run"
        self._process.send_signal(number)
