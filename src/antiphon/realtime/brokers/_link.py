"""One connection to a server: what is written in one round of the loop leaves as one, and silence is noticed."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import cast

_HIGH_WATER = 256 * 1024
_LAST = 1.0
"""Seconds for the loop to close a socket that nothing is sent to any more."""

_LOOKS = 3
"""How often the connection is looked at within the time in which something must have been heard."""


class Link(asyncio.Protocol):
    """`lost` is done, with the reason in words, when the connection is over, whoever ended it.

    `timeout` is in seconds, `limit` are the bytes that may wait to be sent. `caught_up` is called when everything can
    be sent again after something could not be.
    """

    def __init__(self, *, timeout: float, limit: int, caught_up: Callable[[], None] = lambda: None) -> None:
        self._loop = asyncio.get_running_loop()
        self.lost: asyncio.Future[str] = self._loop.create_future()
        self._closed = asyncio.Event()
        self._closed.set()
        self._transport: asyncio.Transport | None = None
        self._timeout = timeout
        self._limit = limit
        self._caught_up = caught_up
        self._pending: list[bytes] = []
        self._unsent = 0
        self._scheduled = self._paused = self._overflowed = False
        self._heard = True
        self._left = 0
        self._silent_looks = 0
        self._watch: asyncio.TimerHandle | None = None

    # What the loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._closed.clear()
        self.use(transport)

    def data_received(self, data: bytes) -> None:
        self._heard = True
        if not self.over:  # else it is only read so that what was sent arrives
            self.parse(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self.end(f"the connection broke: {exc}" if exc else "the server closed the connection")
        self._closed.set()

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        self._heard = True  # the other side takes what is sent
        self._flush()

    # What a protocol adds

    def parse(self, data: bytes) -> None:
        """Reads what has arrived. Must not raise: what is no protocol ends the link."""

    def ping(self) -> None:
        """Asks for a sign of life."""

    # For its owner

    def use(self, transport: asyncio.BaseTransport) -> None:
        """From now on this is what carries it."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(_HIGH_WATER)

    def watch(self) -> None:
        """Begins to notice silence. Before that the time is the owner's to keep."""
        self._watch = self._loop.call_later(self._timeout / _LOOKS, self._look)

    def write(self, *pieces: bytes) -> None:
        """Sends, however much waits."""
        self._pending += pieces
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._flush)

    def put(self, head: bytes, body: bytes, tail: bytes) -> bool:
        """Sends, at the end of this round of the loop; False when too much waits already or the link is over."""
        self._unsent += len(head) + len(body)
        if self._unsent > self._limit or self._transport is None:
            self._unsent -= len(head) + len(body)
            self._overflowed = True
            return False
        self._pending += (head, body, tail)
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._flush)
        return True

    @property
    def over(self) -> bool:
        return self.lost.done()

    def end(self, reason: str) -> None:
        """Ends it at once. What was not sent is lost."""
        transport = self._part(reason)
        if transport is not None:
            transport.abort()

    async def close(self, seconds: float) -> None:
        """Sends what waits, for so long at most, and ends it. Returns when its socket is closed."""
        last = b"".join(self._pending)
        transport = self._part("it was stopped")
        if transport is not None:
            try:
                if last:
                    transport.write(last)
                if transport.can_write_eof():
                    # And reads on: a socket that is closed with something unread takes back what it has sent.
                    transport.write_eof()
                else:
                    transport.close()
                await self._wait_closed(seconds)
            finally:
                transport.abort()
        await self._wait_closed(_LAST)

    def _part(self, reason: str) -> asyncio.Transport | None:
        """It is over for those who use it; what carried it is theirs who ask."""
        transport, self._transport = self._transport, None
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        if not self.lost.done():
            self.lost.set_result(reason)
        self._pending.clear()
        return transport

    async def _wait_closed(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._closed.wait()

    def _flush(self) -> None:
        self._scheduled = False
        if self._paused or self._transport is None:
            return
        if self._pending:
            data = b"".join(self._pending)
            self._pending.clear()
            self._transport.write(data)
        self._unsent = self._transport.get_write_buffer_size()
        if self._overflowed and not self._paused:
            self._overflowed = False
            self._caught_up()

    def _look(self) -> None:
        """Every third of the time: a loop that was busy itself has read what had arrived by the second look."""
        left = self._transport.get_write_buffer_size() if self._transport is not None else 0
        if self._heard or left < self._left:
            self._silent_looks = 0
        else:
            self._silent_looks += 1
        self._heard, self._left = False, left
        if self._silent_looks >= _LOOKS:
            self.end(f"it said nothing for {self._timeout:g} s")
            return
        self.ping()
        self.watch()
