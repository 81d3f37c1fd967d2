"""The listener: one port for HTTP and sockets, on uvicorn."""

import asyncio
import errno
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp

from antiphon.errors import ConfigError, ServiceError
from antiphon.realtime.server import Listener, bind
from antiphon.realtime.transports.beginning import connection_class
from antiphon.web.config import ServerSettings


def unavailable(settings: ServerSettings, error: OSError) -> ConfigError:
    """What to do about an address that could not be bound."""
    if error.errno == errno.EADDRINUSE:
        return ConfigError(
            f"Port {settings.port} is in use. Stop the other program, or choose a port: ANTIPHON_SERVER__PORT=4001."
        )
    return ConfigError(f"Cannot listen on {settings.host}:{settings.port}: {error.strerror}.")


class WebServer:
    """Binds, serves, stops. `drain` runs when a stop was asked for, while every socket is still open."""

    def __init__(
        self,
        app: ASGIApp,
        websocket: type[asyncio.Protocol],
        settings: ServerSettings,
        drain: Callable[[], Awaitable[None]],
    ) -> None:
        self._settings = settings
        self._socket: socket.socket | None = None
        config = uvicorn.Config(
            app,
            http=connection_class(),
            ws=websocket,
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,  # `HotPaths` reads them, where somebody looks at them
            server_header=False,
            # Connections that are still open when everything is told: a keep-alive client must not hold the process.
            timeout_graceful_shutdown=2,
        )
        self._server = _Server(config, drain)

    @property
    def url(self) -> str:
        """Where people find it, once it is bound."""
        host = self._settings.host
        port = self._socket.getsockname()[1] if self._socket else self._settings.port
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    @property
    def bound(self) -> bool:
        return self._socket is not None

    @contextmanager
    def bind(self) -> Iterator[None]:
        """Takes the port for the while, so that what follows cannot fail for it. Raises `ConfigError` with what to
        do."""
        settings = self._settings
        if settings.refusal is not None:
            raise ConfigError(settings.refusal)
        try:
            self._socket = bind(settings.host, settings.port)
        except OSError as error:
            raise unavailable(settings, error) from error
        try:
            with self._socket:
                yield
        finally:
            self._socket = None

    async def serve(self, on_ready: Callable[[], object]) -> None:
        """Serves until SIGINT, SIGTERM or `stop`; then drains and closes. Call `bind` before."""
        if self._socket is None:
            raise ServiceError("The server has no port: bind() comes before serve().")
        self._server.on_ready = on_ready
        await self._server.serve(sockets=[self._socket])

    def stop(self) -> None:
        """Asks `serve` to end."""
        self._server.should_exit = True


class _Server(Listener):
    """A listener that tells when it listens."""

    def __init__(self, config: uvicorn.Config, drain: Callable[[], Awaitable[None]]) -> None:
        super().__init__(config, drain)
        self.on_ready: Callable[[], object] = lambda: None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        self.on_ready()
