"""A real Redis for tests: one that a test starts, kills and fills, or the one that `ANTIPHON_TEST_REDIS` names."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from typing import Self

LONGEST = 20.0
"""Seconds within which it must have started or ended."""

GIVEN = os.environ.get("ANTIPHON_TEST_REDIS")
"""The URL of a Redis that runs already, for tests that need not take it down."""

PROGRAM = shutil.which("redis-server")


class RedisServer:
    """`redis-server` on a free port of loopback, with nothing kept on disk. It begins empty after every start.

    with RedisServer() as redis:
        cache = Cache("redis", url=redis.url)
        redis.kill()
    """

    def __init__(self, *options: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self._options = options
        self._folder = tempfile.TemporaryDirectory(prefix="antiphon-redis-")
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def running(self) -> bool:
        return self._process is not None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self._folder.cleanup()

    def start(self, *options: str) -> None:
        """Starts it on its port and returns when it answers."""
        assert PROGRAM is not None, "redis-server is not installed"
        command = [PROGRAM, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        self._process = subprocess.Popen(
            [*command, *self._options, *options],
            cwd=self._folder.name,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        give_up = time.monotonic() + LONGEST
        while True:
            try:
                self.ask("PING")
            except OSError:
                assert self._process.poll() is None, f"redis-server ended with {self._process.returncode}"
                assert time.monotonic() < give_up, "redis-server does not answer"
                time.sleep(0.005)
            else:
                return

    def kill(self) -> None:
        """As `kill -9` does. Does nothing when it does not run."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(LONGEST)
            self._process = None

    def restart(self, *options: str) -> None:
        """Kills it and starts it again, empty."""
        self.kill()
        self.start(*options)

    def pause(self) -> None:
        """It stays connected and answers nobody."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def ask(self, *words: str) -> str:
        """Sends a command as a person would, and returns the first piece of the answer."""
        command = f"*{len(words)}\r\n" + "".join(f"${len(word.encode())}\r\n{word}\r\n" for word in words)
        with socket.create_connection(("127.0.0.1", self.port), timeout=LONGEST) as connection:
            connection.sendall(command.encode())
            return connection.recv(65_536).decode()

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None, "redis-server does not run"
        self._process.send_signal(number)
