"""A line of things that one listener is told, in order, beside whoever tells them."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

from antiphon.telemetry.logs import get_logger

WAITING = 1_000
"""What may wait in a line; what comes when there is so much is left out."""

LAST_SECONDS = 5.0
"""How long the end waits for a line to become empty."""

log = get_logger(__name__)


class Line:
    """Of one plugin: however slow it is, nobody waits for it. `listen` raises only what nothing can be done about."""

    def __init__(self, plugin: str, listen: Callable[..., Awaitable[object]]) -> None:
        self._plugin = plugin
        self._listen = listen
        self._waiting: deque[tuple[Any, ...]] = deque()
        self._left_out = 0
        self._work: asyncio.Task[None] | None = None

    def take(self, what: tuple[Any, ...]) -> None:
        """Puts it into the line."""
        if len(self._waiting) >= WAITING:
            self._left_out += 1
            return
        self._waiting.append(what)
        if self._work is None or self._work.done():
            self._work = asyncio.create_task(self._go_through(), name=f"told:{self._plugin}")

    async def finish(self) -> None:
        """Waits a moment for what is in line; the rest is left out."""
        if self._work is None or self._work.done():
            return
        await asyncio.wait({self._work}, timeout=LAST_SECONDS)
        if self._work.cancel():
            log.warning("plugin.given_up", plugin=self._plugin, untold=len(self._waiting) + 1)
            self._waiting.clear()
            await asyncio.wait({self._work}, timeout=1.0)

    async def _go_through(self) -> None:
        while self._waiting:
            await self._listen(*self._waiting.popleft())
            if self._left_out:
                left_out, self._left_out = self._left_out, 0
                log.warning("plugin.too_slow", plugin=self._plugin, left_out=left_out)
