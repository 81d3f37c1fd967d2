"""A WebSocket on any ASGI server, which does the framing.

What it cannot know is whether the client pings: to be heard it has to send a message, as its heart beats do.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from antiphon.realtime.admission.admission import Admitted
from antiphon.realtime.members.socket import Socket
from antiphon.realtime.members.sockets import Carried
from antiphon.realtime.transports.base import Batch
from antiphon.realtime.transports.frames import PROTOCOL_ERROR, RESTART, TRY_LATER
from antiphon.realtime.transports.intake import hand_over
from antiphon.realtime.transports.scope import Receive, Send
from antiphon.realtime.transports.unsent import Unsent
from antiphon.telemetry.logs import get_logger

if TYPE_CHECKING:
    from antiphon.realtime.phoenix import Phoenix

log = get_logger(__name__)

_ENOUGH_BYTES = 64 * 1024
"""With more output waiting, nothing further is read."""


class AsgiWebSocket:
    """Carries one socket, from its acceptance to its end, both of which happen in `run`."""

    __slots__ = (
        "_app", "_blocked_since", "_closing", "_code", "_heard", "_held", "_loop", "_quiet", "_receive", "_resumed",
        "_send", "_socket", "_stirred", "_unsent", "_writer",
    )  # fmt: skip

    def __init__(self, app: "Phoenix", admitted: Admitted, receive: Receive, send: Send) -> None:
        """Raises `Refused` when the application gives the socket an id that is nonsense (TR-10)."""
        self._app = app
        self._receive = receive
        self._send = send
        self._loop = asyncio.get_running_loop()
        self._heard = self._loop.time()
        self._blocked_since: float | None = None
        self._code: int | None = None
        self._closing = False
        self._held = False
        self._resumed = asyncio.Event()
        self._stirred = asyncio.Event()
        self._quiet = asyncio.Event()
        self._writer: asyncio.Task[None] | None = None
        self._unsent = Unsent(app, admitted.serializer, self._give_up)
        self._socket = Socket(app, self, admitted.serializer, admitted.access)
        app.sockets.opened(self._socket)
        app.sockets.connected(self)

    async def run(self, subprotocol: str | None) -> None:
        """Returns when the connection is over."""
        reader: asyncio.Task[None] | None = None
        try:
            await self._send({"type": "websocket.accept", "subprotocol": subprotocol})
            reader = self._loop.create_task(self._read())
            self._writer = self._loop.create_task(self._write())
            await asyncio.wait((reader, self._writer), return_when=asyncio.FIRST_COMPLETED)
            if self._code is not None:
                await self._say_goodbye(self._code, reader)
        finally:
            self._app.sockets.disconnected(self)
            self._app.sockets.closed(self._socket)
            if not self._closing:
                self._closing = True
                self._socket.connection_lost()
            await _ended(reader, self._writer)

    # Input

    async def _read(self) -> None:
        while True:
            while self._held:
                self._resumed.clear()
                await self._resumed.wait()
            if self._unsent.size > _ENOUGH_BYTES:
                self._quiet.clear()
                await self._quiet.wait()
            message = await self._receive()
            if message["type"] != "websocket.receive":
                return
            self._heard = self._loop.time()
            if not self._closing:
                text = message.get("text")
                hand_over(self._socket, message["bytes"] if text is None else text)

    def hold_reading(self) -> None:
        """See `Transport`."""
        self._held = True

    def resume_reading(self) -> None:
        """See `Transport`."""
        self._held = False
        self._heard = self._loop.time()
        self._resumed.set()

    # Output

    def send(self, body: bytes) -> None:
        """See `Transport`."""
        if not self._closing:
            self._app.frames_sent += 1
            self._unsent.add(body)
            self._stirred.set()

    @property
    def send_batch(self) -> Callable[[Batch], None]:
        """See `Transport`."""
        return self._send_batch

    def _send_batch(self, batch: Batch) -> None:
        if not self._closing:
            self._unsent.add_batch(batch)
            self._stirred.set()

    async def _write(self) -> None:
        while not self._closing or len(self._unsent):
            for frame in self._unsent.take():
                await self._write_message(frame)
            if not len(self._unsent):
                self._quiet.set()
                self._stirred.clear()
                if not self._closing:
                    await self._stirred.wait()

    async def _write_message(self, frame: bytes) -> None:
        message = {"text": str(frame, "utf-8")} if type(frame) is bytes else {"bytes": bytes(frame)}
        # Whoever sees this set while the loop does something else sees a server that waits for the client.
        self._blocked_since, self._unsent.slow = self._loop.time(), True
        await self._send({"type": "websocket.send", **message})
        self._blocked_since, self._unsent.slow = None, False

    # Closing

    def carried(self) -> Carried:
        """See `Carrier`."""
        return Carried(self._socket, "websocket", self._unsent.size, self._blocked_since is not None)

    def check(self, now: float) -> None:
        """See `Carrier`."""
        if self._closing:
            return
        limits = self._app.limits
        if self._blocked_since is not None:
            if now - self._blocked_since > limits.blocked_seconds:
                self._give_up("seconds")
        elif not self._held and now - self._heard > limits.idle_seconds:
            self._app.limit_log.met("idle_seconds", "realtime.silent")
            self.close(PROTOCOL_ERROR)

    def shutdown(self) -> None:
        """See `Carrier`."""
        self.close(RESTART)

    def close(self, code: int) -> None:
        """See `Transport`. Never 1000 (JS-7)."""
        if self._closing:
            return
        self._closing, self._code, self._held = True, code, False
        self._app.instruments.closed.labels(str(code)).inc()
        if self._blocked_since is not None and self._writer is not None:
            self._writer.cancel()
        for waited_for in (self._stirred, self._resumed, self._quiet):
            waited_for.set()
        self._socket.connection_lost()

    def _give_up(self, limit: str) -> None:
        self._app.limit_log.met(f"blocked_{limit}", "realtime.slow_consumer", limit=limit, queued=self._unsent.size)
        self.close(TRY_LATER)

    async def _say_goodbye(self, code: int, reader: "asyncio.Task[None]") -> None:
        """The server sends what it was given, and the close: granian not before nobody waits for a message."""
        with suppress(TimeoutError, OSError):
            async with asyncio.timeout(self._app.limits.close_seconds):
                await _ended(self._writer, cancel=False)
                await _ended(reader)
                await self._send({"type": "websocket.close", "code": code})


async def _ended(*tasks: "asyncio.Task[Any] | None", cancel: bool = True) -> None:
    running = [task for task in tasks if task is not None]
    for task in running:
        if cancel:
            task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
