"""`PhoenixClient`: one connection to a server, kept up, and the channels on it."""

import asyncio
import random
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack, suppress
from itertools import count
from typing import Any, Literal, Self

import aiohttp

from antiphon.errors import ServiceError
from antiphon.realtime.client.approach import Approach
from antiphon.realtime.client.channel import ClientChannel
from antiphon.realtime.client.connection import Connection
from antiphon.realtime.client.frames import ClientReply, ServerFrame
from antiphon.realtime.client.options import ClientOptions, Pauses, Source
from antiphon.realtime.client.push import ConnectionLostError, Push
from antiphon.realtime.client.transport import TransportName
from antiphon.realtime.transports.frames import RESTART, TRY_LATER
from antiphon.realtime.wire.base import REPLY
from antiphon.telemetry.logs import get_logger

log = get_logger(__name__)

_GOODBYE_SECONDS = 2.0
"""Of leaving, at most, before a client is closed."""

Status = Literal["connected", "reconnecting", "closed"]


class PhoenixClient:
    """One connection to `url` (the mount, such as http://127.0.0.1:4000/socket), kept up until `close`.

    `params`, `headers` and `token` may be functions, also coroutine functions: they are asked again for every
    connection. `token` goes as a sub-protocol, or by long-poll as a header, where no log of addresses shows it (AU-1).
    `on_status` is told of every change. Everything belongs to one running loop, and code of yours is called by that
    loop, one call after the other.
    """

    def __init__(
        self,
        url: str,
        params: Source[Mapping[str, str]] | None = None,
        *,
        headers: Source[Mapping[str, str]] | None = None,
        token: Source[str] | None = None,
        options: ClientOptions | None = None,
        on_status: Callable[[Status], None] | None = None,
    ) -> None:
        self.options = options or ClientOptions()
        self.close_code: int | None = None
        """With what the last connection ended, None before the first end; up to date when `on_status` is told."""
        self._approach = Approach(url.rstrip("/"), params or {}, headers or {}, token, self.options)
        self._on_status = on_status
        self._refs = map(str, count(1))
        self._session: aiohttp.ClientSession | None = None
        self._connection: Connection | None = None
        self._runner: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()
        self._pauses = Pauses(self.options.reconnect_seconds)
        self._channels: dict[str, ClientChannel] = {}
        self._sent: dict[str, Push] = {}

    # Its life

    async def connect(self) -> None:
        """Opens the connection; raises `ServiceError` when that fails. Later breaks are mended in the background."""
        if self._runner is not None:
            raise ServiceError("this client is connected already: close it first, or make another one")
        async with AsyncExitStack() as undo:
            self._session = await undo.enter_async_context(aiohttp.ClientSession())
            connection = await self._open()
            undo.pop_all()
        self._up(connection)
        self._runner = asyncio.create_task(self._run(connection))

    async def close(self) -> None:
        """Ends the connection and all channels for good. Closing twice is fine."""
        if self.transport == "longpoll":
            await self._leave_all()
        runner, self._runner = self._runner, None
        for channel in list(self._channels.values()):
            channel.end(ServiceError("the client was closed"))
        if runner is not None:
            runner.cancel()
            await asyncio.wait([runner])
            self._down()
            self._tell("closed")
        if self._session is not None:
            await self._session.close()

    async def _leave_all(self) -> None:
        """By long-poll no server sees that a client goes: it would show it for as long as it waits for polls."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_GOODBYE_SECONDS):
                await asyncio.gather(*(channel.leave() for channel in list(self._channels.values())))

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @property
    def connected(self) -> bool:
        """Whether there is a connection now."""
        return self._connection is not None

    @property
    def transport(self) -> TransportName | None:
        """What carries the connection now, None when there is none."""
        return None if self._connection is None else self._connection.transport.name

    def channel(
        self, topic: str, payload: Source[Mapping[str, Any]] | None = None, *, resume: bool = False
    ) -> ClientChannel:
        """The channel of a topic, not joined yet, in place of an earlier one. A payload that is a function is asked
        again for every re-join. With `resume` a re-join names the last cursor it has seen: see `ClientChannel`."""
        if topic in self._channels:
            self._channels[topic].end(ServiceError(f"another channel took the place of this one on {topic}"))
        self._channels[topic] = ClientChannel(self, topic, payload or {}, resume=resume)
        return self._channels[topic]

    # For channels

    def next_ref(self) -> str:
        """A reference that no message of this client had before (JS-10)."""
        return next(self._refs)

    async def until_connected(self) -> None:
        """Returns when there is a connection; raises `ServiceError` when there will be none."""
        while self._connection is None:
            if self._runner is None:
                raise ServiceError("there is no connection to the server: call connect first")
            await self._changed.wait()

    def send(self, join_ref: str | None, push: Push) -> None:
        """Sends it; raises `ConnectionLostError` when there is no connection."""
        if self._connection is None:
            raise ConnectionLostError("there is no connection to the server now")
        if push.ref is not None:
            self._sent[push.ref] = push
        self._connection.write(push.frame(join_ref), push)

    def withdraw(self, push: Push) -> None:
        """Nobody waits for its answer any longer."""
        self._sent.pop(push.ref or "", None)

    def give_up(self, topic: str, error: ServiceError) -> None:
        """What was sent on the topic will not be answered."""
        for push in [push for push in self._sent.values() if push.topic == topic]:
            self.withdraw(push)
            push.fail(error)

    def forget(self, channel: ClientChannel) -> None:
        """The channel is over: nothing is told to it any longer."""
        if self._channels.get(channel.topic) is channel:
            del self._channels[channel.topic]

    # The connection

    async def _open(self) -> Connection:
        assert self._session is not None  # noqa: S101 - `connect` made it
        transport = await self._approach.open(self._session, self._refs)
        return Connection(transport, refs=self._refs, heartbeat_seconds=self.options.heartbeat_seconds)

    async def _run(self, connection: Connection) -> None:
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            await connection.run(self._receive)
            # Only one that lasted counts as mended: a server that lets in and throws out is not asked ever faster.
            if loop.time() - began >= self.options.reconnect_seconds[-1]:
                self._pauses.reset()
            self.close_code = connection.transport.close_code
            log.info("realtime.client_disconnected", code=self.close_code)
            self._down()
            self._tell("reconnecting")
            connection = await self._reopen(connection.transport.retry_after or 0.0)
            self._up(connection)

    async def _reopen(self, least: float) -> Connection:
        if self.close_code in {RESTART, TRY_LATER}:
            least += random.uniform(0, self.options.spread_seconds)  # noqa: S311 - no secret
        while True:
            await asyncio.sleep(max(self._pauses.next(), least))
            try:
                return await self._open()
            except ServiceError as error:
                log.info("realtime.client_reconnect_failed", problem=str(error))
                least = (error.retry_after or 0.0) * random.uniform(1.0, 1.5)  # noqa: S311 - no secret

    def _up(self, connection: Connection) -> None:
        self._connection = connection
        self._changed.set()
        self._tell("connected")
        for channel in list(self._channels.values()):
            channel.connected()

    def _down(self) -> None:
        self._connection = None
        if self._runner is None:
            self._changed.set()
        else:
            self._changed.clear()
        for channel in self._channels.values():
            channel.disconnected()
        sent, self._sent = self._sent, {}
        for push in sent.values():
            push.fail(ConnectionLostError("the connection to the server broke before the answer came"))

    def _receive(self, frame: ServerFrame) -> None:
        channel = self._channels.get(frame.topic)
        if frame.event != REPLY:
            if channel is not None:
                channel.receive(frame.join_ref, frame.event, frame.payload)
            return
        push = self._sent.get(frame.ref or "")
        # A reply on another topic is none of this push (JS-5).
        if push is not None and push.topic == frame.topic and isinstance(frame.payload, ClientReply):
            self.withdraw(push)
            if channel is not None:
                channel.answered(push, frame.payload)
            push.settle(frame.payload)

    def _tell(self, status: Status) -> None:
        if self._on_status is not None:
            asyncio.get_running_loop().call_soon(self._on_status, status)
