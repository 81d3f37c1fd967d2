"""A uvicorn server for an application that runs by itself: an ASGI application, and a protocol for upgrades."""

import asyncio
import gc
import signal
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import uvicorn

from antiphon.errors import ServiceError
from antiphon.realtime.transports.beginning import connection_class
from antiphon.realtime.workers import is_worker
from antiphon.runtime.threads import run_async

_DRAIN_SECONDS = 5
_BACKLOG = 2048


def bind(host: str, port: int) -> socket.socket:
    """A socket that listens there, on the first address of that name; port 0 takes a free one. A worker of several
    shares the port with the others. Raises `OSError`."""
    return _listener(*_found(host, port))


def _found(host: str, port: int) -> tuple[int, tuple[Any, ...]]:
    """Family and address; may ask a name server."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    return found[0][0], found[0][4][:2]


def _listener(family: int, address: tuple[Any, ...]) -> socket.socket:
    listener = socket.create_server(address, family=family, backlog=_BACKLOG, reuse_port=is_worker())
    listener.setblocking(False)
    # asyncio turns Nagle off where the socket says that it is TCP; one that was accepted says nothing.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


class Listener(uvicorn.Server):
    """uvicorn, which ends when it has stopped: it would raise the signal again, and kill whoever closes things then.

    A terminal that is closed (SIGHUP) stops it as SIGTERM does, unless it was started to survive that (`nohup`).
    `drain` runs before connections are closed: nobody is left waiting for an answer by then.
    """

    def __init__(self, config: uvicorn.Config, drain: Callable[[], Awaitable[None]]) -> None:
        super().__init__(config)
        self._drain = drain

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        try:
            await super().serve(sockets)
        finally:
            gc.unfreeze()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        # What a started house is made of stays as long as it does. Looking through it for garbage again and again would
        # hold up everybody on every full collection.
        gc.freeze()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        draining = asyncio.ensure_future(self._drain())
        # There is no event for a second signal.
        while not draining.done() and not self.force_exit:
            await asyncio.wait({draining}, timeout=0.1)
        if not draining.done():
            draining.cancel()
        await asyncio.gather(draining, return_exceptions=self.force_exit)
        await super().shutdown(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """The second signal, whichever it is, asks to waste no more time."""
        self.force_exit = self.should_exit
        super().handle_exit(sig, frame)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        with super().capture_signals(), self._hangup():
            yield
            self._captured_signals.clear()

    @contextmanager
    def _hangup(self) -> Iterator[None]:
        hangup = getattr(signal, "SIGHUP", None)
        here = threading.current_thread() is threading.main_thread()
        if hangup is None or not here or signal.getsignal(hangup) is not signal.SIG_DFL:
            yield
            return
        signal.signal(hangup, self.handle_exit)
        try:
            yield
        finally:
            signal.signal(hangup, signal.SIG_DFL)


class Server:
    """`http`, an ASGI application, answers what is no upgrade; `protocol` takes the rest.

    `start` binds, `wait` returns when it is over, `stop` ends it, `drain` is that of `Listener`.
    """

    def __init__(
        self,
        http: Callable[[Any, Any, Any], Awaitable[None]],
        protocol: type[asyncio.Protocol],
        drain: Callable[[], Awaitable[None]],
    ) -> None:
        self._http = http
        self._drain = drain
        self._protocol = protocol
        self._listener: socket.socket | None = None
        self._uvicorn: uvicorn.Server | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def port(self) -> int:
        """The port bound."""
        if self._listener is None:
            raise ServiceError("the server is not listening")
        return int(self._listener.getsockname()[1])

    async def start(self, host: str, port: int) -> None:
        """Binds and begins to accept; raises `ServiceError` when the address is taken or not ours."""
        loop = asyncio.get_running_loop()
        try:
            # Not bound in the thread: when this is cancelled meanwhile, nobody would close the socket.
            self._listener = _listener(*await run_async(_found, host, port))
        except OSError as error:
            raise ServiceError(
                f"cannot listen on {host}:{port} ({error.strerror}): choose another address or port"
            ) from error
        config = uvicorn.Config(
            self._http,
            interface="asgi3",
            http=connection_class(),
            ws=self._protocol,
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=_DRAIN_SECONDS,
        )
        self._uvicorn = Listener(config, self._drain)
        self._task = loop.create_task(self._uvicorn.serve(sockets=[self._listener]))
        try:
            while not self._uvicorn.started and not self._task.done():  # noqa: ASYNC110 - uvicorn has no event for it
                await asyncio.sleep(0)
        except asyncio.CancelledError:
            await self.stop()
            raise

    async def wait(self) -> None:
        """Returns when the server has stopped, by `stop` or by a signal."""
        if self._task is not None:
            await asyncio.shield(self._task)

    def end(self) -> None:
        """Asks it to stop; `wait` tells when it has."""
        if self._uvicorn is not None:
            self._uvicorn.should_exit = True

    async def stop(self) -> None:
        """Stops accepting, lets connections end, returns when all is closed."""
        if self._uvicorn is not None and self._task is not None:
            self._uvicorn.should_exit = True
            await self._task
