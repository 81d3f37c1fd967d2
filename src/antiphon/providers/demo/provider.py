"""The demo model in process."""

import asyncio
from collections.abc import AsyncGenerator

from antiphon.providers.base import (
    DEMO,
    Error,
    Event,
    ModelInfo,
    ModelRequest,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
)
from antiphon.providers.demo.engine import perform
from antiphon.providers.demo.pace import Pace, period_of

_BURST = 64
"""Events between two chances for other tasks, where nothing paces the stream."""

_STOPPED = Error(
    "interrupted", "the provider was stopped", "The answer was interrupted because the server is stopping."
)


class DemoProvider:
    """The demo model as a provider: `rate` in tokens a second, None or 0 for as fast as the reader reads."""

    name = DEMO

    def __init__(self, rate: float | None = None) -> None:
        self._rate = rate
        self._stopped = False
        self._sleepers: set[asyncio.Future[None]] = set()

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Event, None]:
        """The answer to `request`, paced. Directives of the last message are obeyed (see `directives`)."""
        script = perform(request)
        pace = Pace(period_of(self._rate, script.delay), asyncio.get_running_loop().time)
        hangs = script.fault is not None and script.fault.kind == "hang"
        for number, event in enumerate(script.events):
            if hangs:
                await self._sleep(None)
            elif isinstance(event, TextDelta | ReasoningDelta | ToolCallDelta) and (seconds := pace.wait()):
                await self._sleep(seconds)
            elif number % _BURST == _BURST - 1:
                await asyncio.sleep(0)
            if self._stopped:
                yield _STOPPED
                return
            yield event

    async def models(self) -> tuple[ModelInfo, ...]:
        return (ModelInfo(id=DEMO),)

    async def stop(self) -> None:
        """Wakes every stream; each ends with `Error("interrupted")`."""
        self._stopped = True
        for sleeper in self._sleepers:
            _wake(sleeper)

    async def _sleep(self, seconds: float | None) -> None:
        """Waits that long, for ever with None, at most until `stop`."""
        if self._stopped:
            return
        loop = asyncio.get_running_loop()
        sleeper: asyncio.Future[None] = loop.create_future()
        timer = loop.call_later(seconds, _wake, sleeper) if seconds is not None else None
        self._sleepers.add(sleeper)
        try:
            await sleeper
        finally:
            self._sleepers.discard(sleeper)
            if timer is not None:
                timer.cancel()


def _wake(sleeper: asyncio.Future[None]) -> None:
    if not sleeper.done():
        sleeper.set_result(None)
