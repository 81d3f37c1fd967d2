"""A long-poll session: a socket whose client comes by, to fetch what there is for it and to leave what it says."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from antiphon.realtime.admission.admission import Admitted
from antiphon.realtime.members.socket import Socket
from antiphon.realtime.members.sockets import Carried
from antiphon.realtime.transports.base import Batch
from antiphon.realtime.transports.frames import PROTOCOL_ERROR, RESTART, TRY_LATER
from antiphon.realtime.transports.intake import hand_over
from antiphon.realtime.transports.longpoll_frames import GONE, TAKEN, TOO_SLOW
from antiphon.realtime.transports.unsent import Unsent
from antiphon.realtime.wire.base import JOIN, Serializer
from antiphon.telemetry.logs import get_logger

if TYPE_CHECKING:
    from antiphon.realtime.phoenix import Phoenix

log = get_logger(__name__)

MOST_AT_ONCE = 8
"""Polls, and posts, of one session that may wait. A client has one of each, and some left from lost connections."""


class LongPollSession:
    """Carries one socket. It ends when the application closes it, when too much waits in it, and when no poll came for
    `longpoll_inactive_seconds`; `ended` is called then.
    """

    __slots__ = (
        "_app", "_closed", "_end", "_ended", "_loop", "_poll", "_polls", "_posts", "_progress", "_readable", "_seen",
        "_socket", "_turn", "_unsent",
    )  # fmt: skip

    def __init__(self, app: "Phoenix", admitted: Admitted, serializer: Serializer, ended: Callable[[], object]) -> None:
        """Raises `Refused` when the application gives the socket an id that is nonsense (TR-10)."""
        self._app = app
        self._ended = ended
        self._loop = asyncio.get_running_loop()
        self._seen = self._loop.time()
        self._closed = False
        self._end: asyncio.Future[None] = self._loop.create_future()
        self._poll: asyncio.Future[None] | None = None
        self._polls: dict[asyncio.Future[None], None] = {}
        self._posts = 0
        self._turn = asyncio.Lock()
        self._progress: asyncio.Future[None] | None = None
        self._readable = asyncio.Event()
        self._readable.set()
        self._unsent = Unsent(app, serializer, self._give_up)
        self._unsent.slow = True
        self._socket = Socket(app, self, serializer, admitted.access)
        app.sockets.opened(self._socket)
        app.sockets.connected(self)

    # What the client asks

    async def fetch(self) -> list[bytes]:
        """The frames that wait; else those that come first within the window. A later call takes over from this one,
        which gets none then (LP-13). When it is cancelled nothing is lost."""
        try:
            return self._unsent.take() if len(self._unsent) or self._closed else await self._next()
        finally:
            self._seen = self._loop.time()

    async def _next(self) -> list[bytes]:
        if len(self._polls) == MOST_AT_ONCE:
            oldest = next(iter(self._polls))
            del self._polls[oldest]
            _wake(oldest)
        self._poll = mine = self._loop.create_future()
        self._polls[mine] = None
        self._unsent.slow = False
        try:
            window = self._app.limits.longpoll_window
            await asyncio.wait((mine, self._end), timeout=window, return_when=asyncio.FIRST_COMPLETED)
            return self._unsent.take() if self._poll is mine else []
        finally:
            self._polls.pop(mine, None)
            if self._poll is mine:
                self._poll = None
                self._unsent.slow = True

    async def take(self, frames: list[str | bytes]) -> int:
        """Hands frames to the socket in their order, joins until they are answered (LP-7), and returns what to tell the
        client. What is not handled within the window is not handled at all."""
        if self._posts == MOST_AT_ONCE:
            return TOO_SLOW
        self._posts += 1
        try:
            async with asyncio.timeout(self._app.limits.longpoll_window), self._turn:
                for data in frames:
                    await self._readable.wait()
                    await asyncio.sleep(0)  # others come in between: each frame may take long to read
                    if self._closed or not await self._handled(data):
                        return GONE
        except TimeoutError:
            return TOO_SLOW
        finally:
            self._posts -= 1
        return TAKEN

    async def _handled(self, data: str | bytes) -> bool:
        frame = hand_over(self._socket, data)
        if frame is None:
            return False
        if frame.event == JOIN:
            while not self._closed and self._socket.is_joining(frame.topic):
                self._progress = self._loop.create_future()
                await self._progress
        return True

    # Transport

    def send(self, body: bytes) -> None:
        """See `Transport`."""
        if not self._closed:
            self._app.frames_sent += 1
            self._unsent.add(body)
            self._notice()

    @property
    def send_batch(self) -> Callable[[Batch], None]:
        """See `Transport`."""
        return self._send_batch

    def _send_batch(self, batch: Batch) -> None:
        if not self._closed:
            self._unsent.add_batch(batch)
            self._notice()

    def close(self, code: int) -> None:
        """Ends the session; a poll that waits is answered now, the next one is told that it is gone."""
        if self._closed:
            return
        self._closed = True
        self._app.instruments.closed.labels(str(code)).inc()
        self._app.sockets.disconnected(self)
        self._app.sockets.closed(self._socket)
        self._ended()
        self._end.set_result(None)
        self._readable.set()
        self._socket.connection_lost()
        self._notice()

    def hold_reading(self) -> None:
        """See `Transport`."""
        self._readable.clear()

    def resume_reading(self) -> None:
        """See `Transport`."""
        self._readable.set()

    # Carrier

    def carried(self) -> Carried:
        """See `Carrier`."""
        return Carried(self._socket, "longpoll", self._unsent.size, bool(len(self._unsent)) and not self._polls)

    def check(self, now: float) -> None:
        """See `Carrier`. A client that only posts cannot hear anything: it is not there (LP-12)."""
        if not self._polls and now - self._seen > self._app.limits.longpoll_inactive_seconds:
            self._app.limit_log.met("longpoll_inactive_seconds", "realtime.silent")
            self.close(PROTOCOL_ERROR)

    def shutdown(self) -> None:
        """See `Carrier`."""
        self.close(RESTART)

    def _give_up(self, limit: str) -> None:
        self._app.limit_log.met(f"blocked_{limit}", "realtime.slow_consumer", limit=limit, queued=self._unsent.size)
        self.close(TRY_LATER)

    def _notice(self) -> None:
        """Wakes the poll when there is something for it, and the post that waits for the answer to a join."""
        if len(self._unsent):
            _wake(self._poll)
        _wake(self._progress)


def _wake(waiting: "asyncio.Future[None] | None") -> None:
    if waiting is not None and not waiting.done():
        waiting.set_result(None)
