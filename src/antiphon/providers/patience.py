"""How long an answer may say nothing."""

import asyncio

import aiohttp


class Patience:
    """Ends the reading of `content` with `TimeoutError` when nothing comes until the deadline.

    One timer serves a whole answer, and looks now and then whether the deadline has moved: a timer for each of its
    pieces would cost 15 µs of the 50 that a token takes which comes alone. `end` it.
    """

    __slots__ = ("_content", "_deadline", "_loop", "_timer", "_waits")

    def __init__(self, content: aiohttp.StreamReader) -> None:
        self._content = content
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._deadline = 0.0
        self._waits = False

    async def read(self, deadline: float) -> bytes:
        """Whatever comes next, empty at the end. Raises `TimeoutError` at the deadline, in seconds of the loop's clock,
        and what aiohttp does for a connection that is lost."""
        self._deadline = deadline
        if self._timer is None or self._timer.when() > deadline:
            self.end()
            self._timer = self._loop.call_at(deadline, self._look)
        self._waits = True
        try:
            return await self._content.readany()
        finally:
            self._waits = False

    def end(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self._timer = None
        if not self._waits:  # whoever reads is busy with what came before, and sets a deadline when it comes back
            return
        if self._loop.time() < self._deadline:
            self._timer = self._loop.call_at(self._deadline, self._look)
        else:
            self._content.set_exception(TimeoutError())
