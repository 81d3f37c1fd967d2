"""All connections of this process: watched for silence, found by the id of their user, told to go elsewhere."""

import asyncio
import time
from collections.abc import Callable, Iterator
from typing import Any, Literal, Protocol

import msgspec

from antiphon.realtime.admission.connect import Refused
from antiphon.realtime.admission.expiry import Expiry
from antiphon.realtime.config import TransportConfig
from antiphon.realtime.instruments import Instruments
from antiphon.realtime.members.socket import Socket
from antiphon.realtime.transports.frames import GOING_AWAY
from antiphon.telemetry.logs import get_logger

log = get_logger(__name__)

SocketId = Callable[[Socket], Any]

_BEAT_SECONDS = 1.0


class Carried(msgspec.Struct, frozen=True):
    """A socket that is open. `queued` are the bytes that its client has not been given yet; it is `blocked` when it is
    the client that they wait for."""

    socket: Socket
    transport: Literal["websocket", "longpoll"]
    queued: int
    blocked: bool


class Carrier(Protocol):
    """What carries a socket, from its first byte on."""

    def carried(self) -> Carried | None:
        """The socket and how its client keeps up; None before it is open."""

    def check(self, now: float) -> None:
        """Called every now and then: lets go of a client that is silent or takes nothing for too long."""

    def shutdown(self) -> None:
        """Asks the client to come back elsewhere."""


class Sockets:
    """`identify` gives a socket its id. Belongs to the thread of one running loop."""

    def __init__(
        self, limits: TransportConfig, instruments: Instruments, expiry: Expiry, settle: Callable[[], None]
    ) -> None:
        self.identify: SocketId | None = None
        self._limits = limits
        self._instruments = instruments
        self._expiry = expiry
        self._settle = settle
        # In the order of their numbers: the microsecond in which each came, and never the same twice.
        self._connections: dict[Carrier, int] = {}
        self._newest = 0
        self._ids: dict[str, set[Socket]] = {}
        self._beat: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._connections)

    def connected(self, connection: Carrier) -> None:
        """Watches over a connection from now on."""
        self._newest = self._connections[connection] = max(self._newest + 1, time.time_ns() // 1000)
        if self._beat is None:
            self._schedule()

    def disconnected(self, connection: Carrier) -> None:
        """It is gone."""
        self._connections.pop(connection, None)

    def all(self) -> Iterator[tuple[int, Carried]]:
        """The open sockets, the oldest first, by their numbers: Unix times in microseconds."""
        for connection, number in self._connections.items():
            if (carried := connection.carried()) is not None:
                yield number, carried

    def opened(self, socket: Socket) -> None:
        """Takes a new socket in; `Refused` when its id is nonsense (TR-10)."""
        socket.id = self._id_of(socket)
        if socket.id is not None:
            self._ids.setdefault(socket.id, set()).add(socket)
        self._expiry.watch(socket)
        self._instruments.sockets.inc()

    def closed(self, socket: Socket) -> None:
        """The counterpart of `opened`."""
        self._expiry.forget(socket)
        self._instruments.sockets.dec()
        if socket.id is not None:
            others = self._ids.get(socket.id, set())
            others.discard(socket)
            if not others:
                self._ids.pop(socket.id, None)

    def disconnect(self, socket_id: str) -> int:
        """Closes every socket with this id (1001), and returns how many there were."""
        sockets = list(self._ids.get(socket_id, ()))
        for socket in sockets:
            socket.transport.close(GOING_AWAY)
        return len(sockets)

    async def drain(self) -> None:
        """Asks all clients to come back elsewhere (1012), in batches (DC-5)."""
        waiting = list(self._connections)
        if waiting:
            log.info("realtime.draining", sockets=len(waiting))
        while waiting:
            batch, waiting = waiting[: self._limits.drain_batch], waiting[self._limits.drain_batch :]
            for connection in batch:
                connection.shutdown()
            if waiting:
                await asyncio.sleep(self._limits.drain_pause)

    def stop(self) -> None:
        """Watches no longer."""
        if self._beat is not None:
            self._beat.cancel()
            self._beat = None

    def _id_of(self, socket: Socket) -> str | None:
        try:
            found = None if self.identify is None else self.identify(socket)
        except Exception as error:
            log.exception("realtime.socket_id_failed")
            raise Refused(500) from error
        if found is None or isinstance(found, str):
            return found
        log.error("realtime.socket_id_is_no_string", type=type(found).__name__)
        raise Refused

    def _schedule(self) -> None:
        # One timer for all: a limit is noticed at most a quarter of it too late.
        every = min(_BEAT_SECONDS, self._limits.idle_seconds / 4, self._limits.blocked_seconds / 4)
        self._beat = asyncio.get_running_loop().call_later(every, self._check_all)

    def _check_all(self) -> None:
        self._beat = None
        if self._connections:
            self._schedule()  # first: one look that fails must not be the last
        now = asyncio.get_running_loop().time()
        for connection in list(self._connections):
            connection.check(now)
        self._expiry.check()
        self._settle()
