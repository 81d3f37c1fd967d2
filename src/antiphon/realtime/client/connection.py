"""One WebSocket, from its opening to its end: frames leave in the order they were written, and it is known to live."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress

import aiohttp
import msgspec

from antiphon.realtime.client.frames import ServerFrame, decode_frame, encode_push
from antiphon.realtime.client.push import ConnectionLostError, Push
from antiphon.realtime.transports.frames import NORMAL
from antiphon.realtime.wire.base import CONTROL_TOPIC, HEARTBEAT, BadFrameError, Binary
from antiphon.telemetry.logs import get_logger

log = get_logger(__name__)

_UNANSWERED = 4000
"""Close code for a server that leaves a heartbeat unanswered."""
_EMPTY = msgspec.Raw(b"{}")


class Connection:
    """Made of an open socket; `run` ends with it and closes it."""

    def __init__(
        self, socket: aiohttp.ClientWebSocketResponse, *, refs: Iterator[str], heartbeat_seconds: float
    ) -> None:
        self._socket = socket
        self._refs = refs
        self._heartbeat_seconds = heartbeat_seconds
        self._outbox: deque[tuple[bytes, Push | None]] = deque()
        self._wake = asyncio.Event()
        self._unanswered: str | None = None
        self._ending = NORMAL

    @property
    def close_code(self) -> int | None:
        """With what it ended, None while it stands."""
        return self._socket.close_code

    def write(self, body: bytes, push: Push | None = None) -> None:
        """Puts a frame behind those written before; never waits. Whoever makes a push waits for it, so few pile up."""
        self._outbox.append((body, push))
        self._wake.set()

    async def run(self, receive: Callable[[ServerFrame], None]) -> None:
        """Gives what comes to `receive` until the connection ends; when this is cancelled it ends it with 1000."""
        tasks = [asyncio.create_task(self._send_all()), asyncio.create_task(self._keep_alive())]
        try:
            async for message in self._socket:
                if message.type in {aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY}:
                    self._take(message.data, receive)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            await self._socket.close(code=self._ending)
            for _, push in self._outbox:
                if push is not None:
                    push.fail(ConnectionLostError("the connection to the server broke before this was sent"))

    def _take(self, data: str | bytes, receive: Callable[[ServerFrame], None]) -> None:
        try:
            frame = decode_frame(data)
        except BadFrameError as error:
            log.warning("realtime.client_bad_frame", problem=str(error))
            return
        if frame.topic == CONTROL_TOPIC and frame.ref is not None and frame.ref == self._unanswered:
            self._unanswered = None
        else:
            receive(frame)

    async def _send_all(self) -> None:
        # A broken connection ends the reading too, which tells everybody.
        with suppress(OSError, aiohttp.ClientError):
            while True:
                while self._outbox:
                    body, push = self._outbox[0]
                    kind = aiohttp.WSMsgType.BINARY if isinstance(body, Binary) else aiohttp.WSMsgType.TEXT
                    await self._socket.send_frame(body, kind)
                    self._outbox.popleft()
                    if push is not None:
                        push.written()
                self._wake.clear()
                await self._wake.wait()

    async def _keep_alive(self) -> None:
        while True:
            await asyncio.sleep(self._heartbeat_seconds)
            if self._unanswered is not None:
                # The reading ends with this, and the client connects again.
                self._ending = _UNANSWERED
                await self._socket.close(code=_UNANSWERED)
                return
            self._unanswered = next(self._refs)
            self.write(encode_push(None, self._unanswered, CONTROL_TOPIC, HEARTBEAT, _EMPTY))
