"""A Redis with a replica, watched by a real Sentinel that makes the replica the master when the master is gone."""

import shutil
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from tests.redis_server import RedisServer, ask
from tests.servers import LONGEST, Server

PROGRAM = shutil.which("redis-sentinel")
SERVICE = "house"

_CONFIGURATION = """
bind 127.0.0.1
port {port}
sentinel monitor {service} 127.0.0.1 {master} 1
sentinel down-after-milliseconds {service} 300
sentinel failover-timeout {service} 2000
"""


class SentinelServer(Server):
    """Everything on loopback and on free ports.

    with SentinelServer() as sentinel:
        broker = open_broker(ClusterSettings(url=sentinel.url))
        sentinel.master.kill()
    """

    def __init__(self) -> None:
        super().__init__()
        self.master = RedisServer("--repl-diskless-sync-delay", "0")
        self.replica = RedisServer("--replicaof", "127.0.0.1", str(self.master.port))
        self._others = ExitStack()

    @property
    def url(self) -> str:
        return f"redis+sentinel://127.0.0.1:{self.port}/{SERVICE}"

    def __enter__(self) -> Self:
        self._others.enter_context(self.master)
        self._others.enter_context(self.replica)
        _until(lambda: "master_link_status:up" in self.replica.ask("INFO", "replication"), "the replica has no master")
        return super().__enter__()

    def __exit__(self, *_: object) -> None:
        super().__exit__()
        self._others.close()

    def command(self, folder: Path) -> list[str]:
        assert PROGRAM is not None, "redis-sentinel is not installed"
        config = folder / "sentinel.conf"
        config.write_text(_CONFIGURATION.format(port=self.port, service=SERVICE, master=self.master.port))
        return [PROGRAM, str(config)]

    def greets(self) -> bool:
        """Once it has found the replica."""
        return "slaves=1" in ask(self.port, "INFO", "sentinel")


def _until(done: Callable[[], bool], otherwise: str) -> None:
    give_up = time.monotonic() + LONGEST
    while not done():
        assert time.monotonic() < give_up, otherwise
        time.sleep(0.01)
