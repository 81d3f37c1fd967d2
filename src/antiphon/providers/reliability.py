"""Asks again when a vendor failed before it said anything."""

import asyncio
import random
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import cast

from antiphon.providers.base import Error, Event, ModelInfo, ModelRequest, Provider
from antiphon.telemetry.logs import get_logger

log = get_logger(__name__)


class Retrying:
    """A provider that repeats a request at most `retries` times, and never after its first event.

    It waits as long as the vendor asks, or half a second, doubled each time, with jitter. A vendor that asks for more
    than `longest_wait` seconds is not waited for: its error goes on to the caller, who may ask another one.
    """

    def __init__(
        self,
        provider: Provider,
        *,
        retries: int = 2,
        longest_wait: float = 15.0,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.name = provider.name
        self._provider = provider
        self._retries = retries
        self._longest_wait = longest_wait
        self._sleep = sleep
        self._jitter = jitter

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Event, None]:
        """The answer to `request`; of failures before the first event only the last one is seen."""
        for attempt in range(self._retries + 1):
            # Providers are async generators: the contract promises `aclose`, its type does not.
            events = cast("AsyncGenerator[Event, None]", self._provider.stream(request))
            async with aclosing(events):
                first = await anext(events)
                wait = self._wait(first, attempt)
                if wait is None:
                    yield first
                    async for event in events:
                        yield event
                    return
            log.info("provider.retry", provider=self.name, reason=cast("Error", first).kind, wait=round(wait, 3))
            await self._sleep(wait)

    async def models(self) -> tuple[ModelInfo, ...]:
        return await self._provider.models()

    async def stop(self) -> None:
        await self._provider.stop()

    def _wait(self, first: Event, attempt: int) -> float | None:
        """The seconds until the next attempt, None when there is none."""
        if not isinstance(first, Error) or not first.retryable or attempt == self._retries:
            return None
        if first.retry_after is None:
            return 0.5 * 2.0**attempt * (0.5 + self._jitter() / 2)
        # A little later than asked, each client another little: all at once would be refused again.
        wait = first.retry_after * (1 + self._jitter() / 10)
        return wait if wait <= self._longest_wait else None
