"""A line of things that one listener is told, in order, beside whoever tells them."""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVarTuple

Things = TypeVarTuple("Things")

WAITING = 1_000
"""What may wait in a line; what comes when there is so much is left out."""

log = logging.getLogger(__name__)


class Line(Generic[*Things]):
    """However slow its listener is, nobody waits for it. `listen` raises only what nothing can be done about."""

    def __init__(self, name: str, listen: Callable[[*Things], Awaitable[object]]) -> None:
        self._name = name
        self._listen = listen
        self._waiting: deque[tuple[*Things]] = deque()
        self._left_out = 0
        self._work: asyncio.Task[None] | None = None

    def take(self, *what: *Things) -> None:
        """Puts it into the line, and returns at once."""
        if len(self._waiting) >= WAITING:
            self._left_out += 1
            return
        self._waiting.append(what)
        if self._work is None or self._work.done():
            self._work = asyncio.create_task(self._go_through(), name=f"told:{self._name}")

    async def finish(self, seconds: float) -> None:
        """Waits so long for what is in line; the rest is left out."""
        if self._work is None or self._work.done():
            return
        await asyncio.wait({self._work}, timeout=seconds)
        if self._work.cancel():
            log.warning("listener.given_up: %s was not told of %d", self._name, len(self._waiting) + 1)
            self._waiting.clear()
            await asyncio.wait({self._work}, timeout=1.0)

    async def _go_through(self) -> None:
        while self._waiting:
            await self._listen(*self._waiting.popleft())
            if self._left_out:
                left_out, self._left_out = self._left_out, 0
                log.warning("listener.too_slow: %s was not told of %d", self._name, left_out)
