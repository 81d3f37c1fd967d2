"""A real Redis for tests: one that a test starts, kills and fills, or the one that `ANTIPHON_TEST_REDIS` names."""

import os
import shutil
import socket
from pathlib import Path

from tests.servers import LONGEST, Server

GIVEN = os.environ.get("ANTIPHON_TEST_REDIS")
"""The URL of a Redis that runs already, for tests that need not take it down."""

PROGRAM = shutil.which("redis-server")


class RedisServer(Server):
    """`redis-server` on a free port of loopback, with nothing kept on disk. It begins empty after every start.

    with RedisServer() as redis:
        cache = Cache("redis", url=redis.url)
        redis.kill()
    """

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def command(self, folder: Path) -> list[str]:
        assert PROGRAM is not None, "redis-server is not installed"
        keeping = ["--save", "", "--appendonly", "no"]
        return [PROGRAM, "--port", str(self.port), "--bind", "127.0.0.1", *keeping, *self.words]

    def greets(self) -> bool:
        return bool(self.ask("PING"))

    def ask(self, *words: str) -> str:
        """See `ask`."""
        return ask(self.port, *words)


def ask(port: int, *words: str) -> str:
    """Sends a command as a person would, and returns the first piece of the answer."""
    command = f"*{len(words)}\r\n" + "".join(f"${len(word.encode())}\r\n{word}\r\n" for word in words)
    with socket.create_connection(("127.0.0.1", port), timeout=LONGEST) as connection:
        connection.sendall(command.encode())
        return connection.recv(65_536).decode()
