"""Runs the application's callbacks one after the other, as soon as they are due."""

import asyncio
import inspect
from collections import deque
from collections.abc import Callable
from typing import Any

from antiphon.realtime.presence.instruments import PresenceInstruments
from antiphon.realtime.presence.loops import LoopStepper, Soon
from antiphon.telemetry.logs import get_logger

log = get_logger(__name__)

_SLICE = 500
"""Calls made within one tick of the loop, which has other things to do."""
_FINISH_SECONDS = 5.0


class Callbacks:
    """At most `backlog` calls wait; beyond that the oldest are dropped and counted. What a callback raises is logged
    and harms nobody."""

    def __init__(self, stepper: LoopStepper, instruments: PresenceInstruments) -> None:
        self.backlog = 0
        self._stepper = stepper
        self._instruments = instruments
        self._waiting: deque[tuple[Callable[..., Any], tuple[Any, ...]]] = deque()
        self._busy = False
        self._full = False
        self._allowed = _SLICE
        self._idle: asyncio.Future[None] | None = None
        self._soon = Soon(self._renew)

    def offer(self, callback: Callable[..., Any], *args: Any) -> None:
        """Calls `callback(*args)`, a coroutine function perhaps, after those offered before: at once if it can be."""
        if len(self._waiting) >= self.backlog:
            self._waiting.popleft()
            self._instruments.dropped.inc()
            if not self._full:
                self._full = True  # told once, until there is room again
                log.warning("presence.callbacks_dropped", backlog=self.backlog)
        self._waiting.append((callback, args))
        self._work()

    async def finish(self) -> None:
        """Returns when none waits or runs, after some seconds at the latest; drops what waits then."""
        if self._waiting or self._busy:
            self._idle = asyncio.get_running_loop().create_future()
            await asyncio.wait([self._idle], timeout=_FINISH_SECONDS)
            self._idle = None
        self._waiting.clear()

    def _work(self) -> None:
        while self._waiting and not self._busy and self._allowed:
            callback, args = self._waiting.popleft()
            self._busy = True
            self._allowed -= 1
            self._stepper.run(_call(callback, args), self._called)
        self._soon.ask()

    def _renew(self) -> None:
        """Another tick of the loop, another slice."""
        self._allowed = _SLICE
        if self._waiting and not self._busy:
            self._work()
        self._full = self._full and bool(self._waiting)
        if not self._waiting and self._idle is not None and not self._busy and not self._idle.done():
            self._idle.set_result(None)

    def _called(self, _result: Any, error: BaseException | None) -> None:
        self._busy = False
        if error is not None and not isinstance(error, asyncio.CancelledError):
            self._instruments.failed.inc()
            log.error("presence.callback_failed", exc_info=error)
        self._soon.ask()


async def _call(callback: Callable[..., Any], args: tuple[Any, ...]) -> None:
    answer = callback(*args)
    if inspect.isawaitable(answer):
        await answer
