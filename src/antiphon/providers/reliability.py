"""Asks again when a vendor failed before it said anything, leaves it alone when it keeps failing, and measures how long
its answers take."""

import asyncio
import random
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from time import perf_counter
from typing import cast

from antiphon.errors import ServiceError
from antiphon.providers.around import Around
from antiphon.providers.base import Error, ErrorKind, Event, ModelInfo, ModelRequest, Provider, RateReport
from antiphon.providers.failures import Failures
from antiphon.providers.limits import Limits, Permit
from antiphon.runtime.breaker import CircuitBreaker, State
from antiphon.runtime.clock import Clock
from antiphon.runtime.config import ServiceSettings
from antiphon.runtime.retry import ErrorHandler
from antiphon.telemetry.logs import get_logger
from antiphon.telemetry.metrics import ANSWER_BUCKETS, Metrics, get_metrics

log = get_logger(__name__)

TOKEN_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)

_BROKEN: frozenset[ErrorKind] = frozenset(
    {"auth", "quota", "overload", "timeout", "unreachable", "retired", "server", "protocol"}
)
"""What says that the next request will fare no better; the others say something about this request, or this minute."""


class _BrokenError(Exception):
    """Carries an error through the breaker."""

    def __init__(self, error: Error) -> None:
        super().__init__(error.kind)
        self.error = error


class Reliable(Around):
    """A provider that repeats a request as often as the settings say, and never after its first event.

    It waits as long as the vendor asks, or half a second, which grows with each try, with jitter. A vendor that asks
    for more time than there is in all is not waited for: its error goes on to the caller, who may ask another one. One
    that fails `services.breaker_failures` times in a row is left alone for `services.breaker_seconds`. What would be
    beyond its `limits` is held back.
    """

    def __init__(
        self,
        provider: Provider,
        settings: ServiceSettings | None = None,
        *,
        limits: Limits | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        jitter: Callable[[], float] = random.random,
        clock: Clock | None = None,
        metrics: Metrics | None = None,
    ) -> None:
        super().__init__(provider)
        self._settings = settings or ServiceSettings()
        self._sleep = sleep
        self._jitter = jitter
        metrics = metrics or get_metrics()
        self.limits = limits or Limits(provider.name, clock=clock, metrics=metrics)
        self._times = _Times(provider.name, metrics)
        self._failures = Failures(provider.name)
        self._resting = metrics.gauge(
            "antiphon_provider_resting", "1 while a provider is left alone because it keeps failing.", ("provider",)
        ).labels(provider.name)
        self._resting.set(0)  # whatever one of its name was before, in the workspace that ran before this one
        self._breaker = CircuitBreaker(
            provider.name,
            failures=self._settings.breaker_failures,
            seconds=self._settings.breaker_seconds,
            counts=lambda error: isinstance(error, _BrokenError),
            listener=self._tell,
            clock=clock,
        )

    def resting(self) -> float | None:
        """The seconds for which it is left alone, None when it is asked."""
        return self._breaker.wait()

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Event, None]:
        """The answer to `request`; of failures before the first event only the last one is seen."""
        began_asking = perf_counter()
        for attempt in range(self._settings.retry_attempts):
            permit = await self._admitted(request)
            if isinstance(permit, Error):
                yield permit
                return
            asked = perf_counter()
            events = permit.watched(self._provider.stream(request))
            with permit:
                async with aclosing(events):
                    first = await self._first(events, permit)
                    wait = self._wait(first, attempt, asked - began_asking)
                    if isinstance(first, Error) and wait is None:
                        yield first
                        return
                    if wait is None:
                        began, count = perf_counter(), 0
                        yield first
                        async for event in events:
                            count += 1
                            yield event
                        self._times.tell(asked, began, count)
                        return
            log.info("provider.retry", provider=self.name, reason=cast("Error", first).kind, wait=round(wait, 3))
            await self._sleep(wait)

    async def _admitted(self, request: ModelRequest) -> Permit | Error:
        """Leave to ask, once the limits allow it; the error where that is too long to wait, or it is left alone."""
        if (left_alone := self.resting()) is not None:
            return self._failures.of("resting", "left alone", wait=left_alone)
        permit = await self.limits.admit(request)
        if isinstance(permit, Permit):
            return permit
        # Not repeated: it was waited for as long as anybody waits.
        return self._failures.of("rate", "held back", wait=permit, retryable=False)

    async def _first(self, events: AsyncGenerator[Event, None], permit: Permit) -> Event:
        """The first event, which is what the breaker judges by: a vendor that begins an answer is there."""
        try:
            first = await self._breaker.call(_begin, events, permit)
        except _BrokenError as broken:
            return broken.error
        except ServiceError as error:
            return self._failures.of("resting", "left alone", wait=error.retry_after)
        if isinstance(first, Error) and first.kind == "rate" and first.retry_after is not None:
            permit.refused(first.retry_after)
        return first

    def _tell(self, state: State) -> None:
        self._resting.set(state == "open")
        log.warning("provider.breaker", provider=self.name, state=state)

    async def models(self) -> tuple[ModelInfo, ...]:
        return await ErrorHandler.of(self._settings).run(self._provider.models)

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


async def _begin(events: AsyncGenerator[Event, None], permit: Permit) -> Event:
    first = await anext(events)
    while isinstance(first, RateReport):
        permit.learn(first)
        first = await anext(events)
    if isinstance(first, Error) and first.kind in _BROKEN:
        raise _BrokenError(first)
    return first


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
