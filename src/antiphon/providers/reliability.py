"""Asks again when a vendor failed before it said anything, and measures how long its answers take."""

import asyncio
import random
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from time import perf_counter
from typing import cast

from antiphon.providers.base import Error, Event, ModelInfo, ModelRequest, Provider
from antiphon.runtime.config import ServiceSettings
from antiphon.runtime.retry import ErrorHandler
from antiphon.telemetry.logs import get_logger
from antiphon.telemetry.metrics import ANSWER_BUCKETS, Metrics, get_metrics

log = get_logger(__name__)

TOKEN_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)


class Retrying:
    """A provider that repeats a request as often as the settings say, and never after its first event.

    It waits as long as the vendor asks, or half a second, which grows with each try, with jitter. A vendor that asks
    for more time than there is in all is not waited for: its error goes on to the caller, who may ask another one.
    """

    def __init__(
        self,
        provider: Provider,
        settings: ServiceSettings | None = None,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        jitter: Callable[[], float] = random.random,
        metrics: Metrics | None = None,
    ) -> None:
        self.name = provider.name
        self._provider = provider
        self._settings = settings or ServiceSettings()
        self._sleep = sleep
        self._jitter = jitter
        self._times = _Times(provider.name, metrics or get_metrics())

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Event, None]:
        """The answer to `request`; of failures before the first event only the last one is seen."""
        began_asking = perf_counter()
        for attempt in range(self._settings.retry_attempts):
            asked = perf_counter()
            # Providers are async generators: the contract promises `aclose`, its type does not.
            events = cast("AsyncGenerator[Event, None]", self._provider.stream(request))
            async with aclosing(events):
                first = await anext(events)
                wait = self._wait(first, attempt, asked - began_asking)
                if wait is None:
                    began, count = perf_counter(), 0
                    yield first
                    async for event in events:
                        count += 1
                        yield event
                    if not isinstance(first, Error):
                        self._times.tell(asked, began, count)
                    return
            log.info("provider.retry", provider=self.name, reason=cast("Error", first).kind, wait=round(wait, 3))
            await self._sleep(wait)

    async def models(self) -> tuple[ModelInfo, ...]:
        return await ErrorHandler.of(self._settings).run(self._provider.models)

    async def stop(self) -> None:
        await self._provider.stop()

    def _wait(self, first: Event, attempt: int, spent: float) -> float | None:
        """The seconds until the next attempt, None when there is none."""
        if not isinstance(first, Error) or not first.retryable or attempt + 1 == self._settings.retry_attempts:
            return None
        if first.retry_after is None:
            wait = 0.5 * self._settings.backoff_factor**attempt * (0.5 + self._jitter() / 2)
        else:
            # A little later than asked, each client another little: all at once would be refused again.
            wait = first.retry_after * (1 + self._jitter() / 10)
        return wait if spent + wait <= self._settings.timeout else None


class _Times:
    """How long the answers of a vendor take that were read to their end."""

    def __init__(self, provider: str, metrics: Metrics) -> None:
        self._whole = metrics.histogram(
            "antiphon_model_seconds",
            "From asking a model to the end of its answer.",
            ("provider",),
            buckets=ANSWER_BUCKETS,
        ).labels(provider)
        self._first = metrics.histogram(
            "antiphon_model_first_seconds",
            "From asking a model to the first it says.",
            ("provider",),
            buckets=ANSWER_BUCKETS,
        ).labels(provider)
        self._token = metrics.histogram(
            "antiphon_model_token_seconds",
            "Between two pieces of an answer, on average over the answer.",
            ("provider",),
            buckets=TOKEN_BUCKETS,
        ).labels(provider)

    def tell(self, asked: float, began: float, count: int) -> None:
        """Of an answer that began with its first event and had `count` more."""
        ended = perf_counter()
        self._whole.observe(ended - asked)
        self._first.observe(began - asked)
        if count:
            self._token.observe((ended - began) / count)
