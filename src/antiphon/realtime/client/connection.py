"""One connection, from its opening to its end: frames leave in the order they were written, and it is known to live."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress

from antiphon.realtime.client.frames import ServerFrame, answers_heartbeat, decode_frame, encode_heartbeat
from antiphon.realtime.client.push import ConnectionLostError, Push
from antiphon.realtime.client.transport import UNANSWERED, ClientTransport
from antiphon.realtime.transports.frames import NORMAL
from antiphon.realtime.wire.base import BadFrameError
from antiphon.telemetry.logs import get_logger

log = get_logger(__name__)


class Connection:
    """Made of an open transport; `run` ends with it and closes it."""

    def __init__(self, transport: ClientTransport, *, refs: Iterator[str], heartbeat_seconds: float) -> None:
        self.transport = transport
        self._refs = refs
        self._heartbeat_seconds = heartbeat_seconds
        self._outbox: deque[tuple[bytes, Push | None]] = deque()
        self._wake = asyncio.Event()
        self._unanswered: str | None = None

    def write(self, body: bytes, push: Push | None = None) -> None:
        """Puts a frame behind those written before; never waits. Whoever makes a push waits for it, so few pile up."""
        self._outbox.append((body, push))
        self._wake.set()

    async def run(self, receive: Callable[[ServerFrame], None]) -> None:
        """Gives what comes to `receive` until the connection ends; when this is cancelled it ends it with 1000."""
        tasks = [asyncio.create_task(self._send_all()), asyncio.create_task(self._keep_alive())]
        try:
            while messages := await self.transport.receive():
                for data in messages:
                    self._take(data, receive)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            await self.transport.close(NORMAL)
            for _, push in self._outbox:
                if push is not None:
                    push.fail(ConnectionLostError("the connection to the server broke before this was sent"))

    def _take(self, data: str | bytes, receive: Callable[[ServerFrame], None]) -> None:
        try:
            frame = decode_frame(data)
        except BadFrameError as error:
            log.warning("realtime.client_bad_frame", problem=str(error))
            return
        if answers_heartbeat(frame, self._unanswered):
            self._unanswered = None
        else:
            receive(frame)

    async def _send_all(self) -> None:
        # A broken transport ends the reading too, which tells everybody.
        with suppress(ConnectionLostError):
            while True:
                while self._outbox:
                    for _ in range(await self.transport.send(body for body, _ in self._outbox)):
                        _, push = self._outbox.popleft()
                        if push is not None:
                            push.written()
                self._wake.clear()
                await self._wake.wait()

    async def _keep_alive(self) -> None:
        while True:
            await asyncio.sleep(self._heartbeat_seconds)
            if self._unanswered is not None:
                # The reading ends with this, and the client connects again.
                await self.transport.close(UNANSWERED)
                return
            self._unanswered = next(self._refs)
            self.write(encode_heartbeat(self._unanswered))
