"""A Redis with a replica, watched by a real Sentinel that makes the replica the master when the master is gone."""

import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from tests.redis_server import LONGEST, RedisServer

PROGRAM = shutil.which("redis-sentinel")
SERVICE = "house"

_CONFIGURATION = """
bind 127.0.0.1
port {port}
sentinel monitor {service} 127.0.0.1 {master} 1
sentinel down-after-milliseconds {service} 300
sentinel failover-timeout {service} 2000
"""


class SentinelServer:
    """Everything on loopback and on free ports.

    with SentinelServer() as sentinel:
        broker = RedisBroker(sentinel.url)
        sentinel.master.kill()
    """

    def __init__(self) -> None:
        self.master = RedisServer("--repl-diskless-sync-delay", "0")
        self.replica = RedisServer("--replicaof", "127.0.0.1", str(self.master.port))
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self._life = ExitStack()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis+sentinel://127.0.0.1:{self.port}/{SERVICE}"

    def __enter__(self) -> Self:
        assert PROGRAM is not None, "redis-sentinel is not installed"
        folder = self._life.enter_context(tempfile.TemporaryDirectory(prefix="antiphon-sentinel-"))
        self._life.enter_context(self.master)
        self._life.enter_context(self.replica)
        _until(lambda: "master_link_status:up" in self.replica.ask("INFO", "replication"), "the replica has no master")
        config = Path(folder, "sentinel.conf")
        config.write_text(_CONFIGURATION.format(port=self.port, service=SERVICE, master=self.master.port))
        self._process = subprocess.Popen(
            [PROGRAM, str(config)],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._life.callback(self._kill, self._process)
        _until(lambda: "slaves=1" in self.ask("INFO", "sentinel"), "Sentinel does not find the replica")
        return self

    def __exit__(self, *_: object) -> None:
        self._life.close()

    def ask(self, *words: str) -> str:
        """As `RedisServer.ask`, empty while it does not listen."""
        command = f"*{len(words)}\r\n" + "".join(f"${len(word)}\r\n{word}\r\n" for word in words)
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=LONGEST) as connection:
                connection.sendall(command.encode())
                return connection.recv(65_536).decode()
        except OSError:
            return ""

    @staticmethod
    def _kill(process: subprocess.Popen[bytes]) -> None:
        process.kill()
        process.wait(LONGEST)


def _until(done: Callable[[], bool], otherwise: str) -> None:
    give_up = time.monotonic() + LONGEST
    while not done():
        assert time.monotonic() < give_up, otherwise
        time.sleep(0.01)
