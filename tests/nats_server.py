"""A real NATS for tests, which a test starts, kills, pauses and configures."""

import shutil
import signal
import socket
from pathlib import Path

from tests.servers import LONGEST, Server

PROGRAM = shutil.which("nats-server")


class NatsServer(Server):
    """`nats-server` on a free port of loopback. `words` are lines of its configuration.

    with NatsServer("max_payload: 4096") as nats:
        broker = open_broker(ClusterSettings(url=nats.url))
        nats.kill()
    """

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    def command(self, folder: Path) -> list[str]:
        assert PROGRAM is not None, "nats-server is not installed"
        return [PROGRAM, "-c", str(self._configure(folder))]

    def greets(self) -> bool:
        with socket.create_connection(("127.0.0.1", self.port), timeout=LONGEST) as connection:
            return connection.recv(5) == b"INFO "

    def reload(self, *lines: str) -> None:
        """From some moment on these lines count and those before do not."""
        self.words = lines
        self._configure(Path(self._folder.name))
        self.signal(signal.SIGHUP)

    def _configure(self, folder: Path) -> Path:
        config = folder / "nats.conf"
        config.write_text("\n".join((f"listen: 127.0.0.1:{self.port}", *self.words)))
        return config
