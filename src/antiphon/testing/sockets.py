"""A client without a network: it joins the channels of an application in the same loop, and sees what they do."""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from itertools import count
from typing import Any, Self
from urllib.parse import urlencode

from antiphon.realtime.admission.connect import ConnectRequest
from antiphon.realtime.admission.origin import Arrival
from antiphon.realtime.client.frames import ServerFrame, decode_frame, encode_push, sendable
from antiphon.realtime.client.push import PushError
from antiphon.realtime.members.socket import Socket
from antiphon.realtime.members.sockets import Carried
from antiphon.realtime.phoenix import Phoenix
from antiphon.realtime.transports.base import Batch
from antiphon.realtime.transports.frames import RESTART
from antiphon.realtime.transports.intake import hand_over, let_in
from antiphon.realtime.wire.base import JOIN, Binary
from antiphon.testing.channels import JoinedChannel

Hear = Callable[[ServerFrame, bool], None]


async def connect(
    app: Phoenix,
    params: Mapping[str, str] | None = None,
    *,
    headers: Mapping[str, str] | None = None,
    timeout: float = 1.0,
) -> "InProcessSocket":
    """A socket of `app`, let in by its `on_connect`; the application need not serve (see `Phoenix.open`).

    Assertions wait up to `timeout` seconds. Raises `Refused` where a client on the network is refused.
    """
    request = ConnectRequest(
        transport="websocket",
        path=f"{app.config.mount}/websocket",
        query=urlencode({**(params or {}), "vsn": "2.0.0"}),
        variables={},
        headers={name.lower(): value for name, value in (headers or {}).items()},
        arrival=Arrival("http", "localhost", "127.0.0.1"),
        peer=None,
    )
    admitted = await let_in(app, app.admission, request)
    carrier = _Carrier(app)
    carrier.socket = Socket(app, carrier, admitted.serializer, admitted.access)
    app.sockets.opened(carrier.socket)
    app.sockets.connected(carrier)
    return InProcessSocket(carrier, timeout)


class InProcessSocket:
    """Many channels, one for each topic; `async with` closes it.

    Frames go through the serializer both ways, so a payload arrives as it would from the wire.
    """

    def __init__(self, carrier: "_Carrier", timeout: float) -> None:
        self.timeout = timeout
        self._carrier = carrier
        self._channels: dict[str, JoinedChannel] = {}
        self._refs = count(1)
        carrier.hear, carrier.ended = self._hear, self._ended

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @property
    def closed_with(self) -> int | None:
        """The code with which the server ended it, None while it has not."""
        return self._carrier.code

    async def join(self, topic: str, payload: Any = None) -> JoinedChannel:
        """Joins, again where it has joined before; raises `PushError` when it is refused."""
        channel = JoinedChannel(topic, next(self._refs), self._say, self.timeout)
        self._channels[topic] = channel
        reply = await channel.reply_to(channel.push(JOIN, {} if payload is None else payload))
        if reply.status != "ok":
            raise PushError(JOIN, reply.status, reply.response)
        channel.response = reply.response
        return channel

    async def close(self) -> None:
        """Hangs up, as a client does that goes away, and lets the channels come to their end. Twice is fine."""
        self._carrier.end(None)
        await asyncio.sleep(0)

    def _say(self, join_ref: str, topic: str, event: str, payload: Any) -> str:
        ref = str(next(self._refs))
        frame = encode_push(join_ref, ref, topic, event, sendable(topic, event, payload))
        self._carrier.say(frame if isinstance(frame, Binary) else frame.decode())
        return ref

    def _hear(self, frame: ServerFrame, broadcast: bool) -> None:
        channel = self._channels.get(frame.topic)
        if channel is not None and frame.join_ref in {None, channel.join_ref}:
            channel.hear(frame, broadcast=broadcast)

    def _ended(self) -> None:
        for channel in self._channels.values():
            channel.lost()


class _Carrier:
    """The transport between the two: nothing waits in it but what the server holds back from reading."""

    def __init__(self, app: Phoenix) -> None:
        self.socket: Socket
        self.hear: Hear
        self.ended: Callable[[], None]
        self.code: int | None = None
        self._app = app
        self._open = True
        self._holding = False
        self._waiting: deque[str | bytes] = deque()

    def say(self, frame: str | bytes) -> None:
        if not self._open:
            raise AssertionError("the socket is closed: nothing can be sent any more")
        self._waiting.append(frame)
        self._go_on()

    def end(self, code: int | None) -> None:
        if self._open:
            self._open, self.code = False, code
            self._app.sockets.disconnected(self)
            self._app.sockets.closed(self.socket)
            self.socket.connection_lost()
            self.ended()

    # Carrier

    def carried(self) -> Carried:
        return Carried(self.socket, "websocket", queued=0, blocked=False)

    def check(self, now: float) -> None:
        """A client in the same loop is never too slow."""

    def shutdown(self) -> None:
        self.end(RESTART)

    # Transport

    def send(self, body: bytes) -> None:
        self._bring(body, broadcast=False)

    @property
    def send_batch(self) -> Callable[[Batch], None]:
        return self._send_batch

    def _send_batch(self, batch: Batch) -> None:
        for body in batch.frames(self.socket.serializer):
            self._bring(body, broadcast=True)

    def _bring(self, body: bytes, *, broadcast: bool) -> None:
        if self._open:
            self.hear(decode_frame(body if isinstance(body, Binary) else body.decode()), broadcast)

    def close(self, code: int) -> None:
        self.end(code)

    def hold_reading(self) -> None:
        self._holding = True

    def resume_reading(self) -> None:
        self._holding = False
        # Not at once: a network brings nothing in the middle of something else.
        asyncio.get_running_loop().call_soon(self._go_on)

    def _go_on(self) -> None:
        while self._waiting and self._open and not self._holding:
            hand_over(self.socket, self._waiting.popleft())
