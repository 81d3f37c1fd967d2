"""Holds back what a vendor would refuse: by what it says is left, and by what the settings allow.

Each process knows what its own answers told it. Processes with the same key do not tell each other: they notice each
other by what the vendor says is left, which may be too late for a request or two. Those are refused and tried again.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from types import TracebackType
from typing import Self

from msgspec import Struct

from antiphon.providers.base import Event, LimitUnit, ModelRequest, RateLimit, RateReport, UsageReport
from antiphon.providers.config import ProviderSettings
from antiphon.providers.counting import LimitManner
from antiphon.providers.remainder import LONGEST_WAIT, Count, MinuteWindow, Remainder
from antiphon.runtime.clock import Clock, SystemClock
from antiphon.telemetry.metrics import Metrics, get_metrics

_MOST_WAITING = 1_000
_MOST_MODELS = 1_000
_BYTES_A_TOKEN = 4
_SHORTEST = 0.001
"""Seconds. By less than that no clock is sure to move on."""

_TOKENS = ("tokens", "input")


class Load(Struct, frozen=True):
    """What a request takes: itself, and about so many tokens of its prompt."""

    requests: int = 1
    tokens: int = 0

    def of(self, unit: LimitUnit) -> int:
        # How much will be written nobody knows before; one is asked for, so that there is something left.
        return self.tokens if unit in _TOKENS else self.requests


class Limits:
    """What one key may still ask for.

    Who would be refused waits in line, first come, first served, for `providers.<name>.longest_wait` seconds at most.
    Whoever would have to wait longer is told so at once. For one event loop.
    """

    def __init__(
        self,
        name: str,
        settings: ProviderSettings | None = None,
        manner: LimitManner | None = None,
        *,
        clock: Clock | None = None,
        metrics: Metrics | None = None,
    ) -> None:
        settings = settings or ProviderSettings()
        self._manner = manner or LimitManner()
        self._longest = settings.longest_wait
        self._places = settings.concurrency
        self._windows: dict[LimitUnit, MinuteWindow] = {}
        if settings.requests_per_minute is not None:
            self._windows["requests"] = MinuteWindow(settings.requests_per_minute)
        if settings.tokens_per_minute is not None:
            self._windows["tokens"] = MinuteWindow(settings.tokens_per_minute)
        self._now = (clock or SystemClock()).monotonic
        self._scopes: dict[str, _Scope] = {}
        self._running = 0
        metrics = metrics or get_metrics()
        limited = metrics.counter(
            "antiphon_provider_limited_total",
            "Requests that the limits of a provider held back, by what became of them: asked later, or given up.",
            ("provider", "outcome"),
        )
        self._later, self._given_up = limited.labels(name, "waited"), limited.labels(name, "given_up")
        self._waiting = metrics.gauge(
            "antiphon_provider_waiting", "Requests that wait because a provider takes no more now.", ("provider",)
        ).labels(name)

    def wait(self, model: str) -> float | None:
        """The seconds until a model may be asked where that is longer than anybody waits, else None."""
        scope = self._scopes.get(self._key(model)) or _Scope(refills=False)
        wait = self._wait(scope, scope.with_line(Load()), self._now())
        return wait if wait > self._longest else None

    def exhausted(self) -> list[tuple[str, float]]:
        """The models that are not to be asked for longer than anybody waits, with the seconds; "" stands for all."""
        waits = ((model, self.wait(model)) for model in self._scopes)
        return [(model, seconds) for model, seconds in waits if seconds is not None]

    async def admit(self, request: ModelRequest) -> "Permit | float":
        """Leave to ask, to be closed after the answer; or in how many seconds it makes sense to come back."""
        scope = self._scope(request.model)
        amount = Load(1, _weight(request))
        if not scope.line and not self._full() and self._wait(scope, amount, self._now()) <= 0:
            return self._let_in(scope, amount)
        self._waiting.inc()
        try:
            permit = await self._queue(scope, amount)
        finally:
            self._waiting.dec()
        (self._given_up if isinstance(permit, float) else self._later).inc()
        return permit

    async def _queue(self, scope: "_Scope", amount: Load) -> "Permit | float":
        began = self._now()
        wait = self._wait(scope, scope.with_line(amount), began)
        if wait > self._longest or len(scope.line) >= _MOST_WAITING:
            return max(1.0, wait)
        mine = _Waiting(amount)
        scope.line.append(mine)
        try:
            while True:
                now = self._now()
                left = began + self._longest - now
                wait = self._wait(scope, amount, now)
                first = scope.line[0] is mine
                if first and wait <= 0 and not self._full():
                    return self._let_in(scope, amount)
                if wait > left or left <= 0:
                    return max(1.0, wait)
                await mine.sleep(max(wait, _SHORTEST) if first and wait > 0 else left)
        finally:
            scope.line.remove(mine)
            scope.wake()

    def _let_in(self, scope: "_Scope", amount: Load) -> "Permit":
        now = self._now()
        self._running += 1
        for unit, window in self._windows.items():
            window.take(amount.of(unit), now)
        return Permit(self, scope, amount, now)

    def _wait(self, scope: "_Scope", amount: Load, now: float) -> float:
        waits = [window.wait(amount.of(unit), now) for unit, window in self._windows.items()]
        return max([scope.wait(amount, now), *waits])

    def _full(self) -> bool:
        return self._places is not None and self._running >= self._places

    def _key(self, model: str) -> str:
        return model if self._manner.by_model else ""

    def _scope(self, model: str) -> "_Scope":
        key = self._key(model)
        if key not in self._scopes:
            if len(self._scopes) >= _MOST_MODELS:
                self._forget_one()
            self._scopes[key] = _Scope(refills=self._manner.refills)
        return self._scopes[key]

    def _forget_one(self) -> None:
        """Anybody may ask for models of any name, and each name is counted."""
        idle = next((key for key, scope in self._scopes.items() if not scope.line), None)
        if idle is not None:
            del self._scopes[idle]

    def leave(self) -> None:
        """One answer less is under way."""
        self._running -= 1
        if self._places is not None:
            for scope in self._scopes.values():
                scope.wake()

    @property
    def settles(self) -> bool:
        """Whether what an answer cost has to be told to `settle`."""
        return "tokens" in self._windows

    def settle(self, tokens: int) -> None:
        """An answer cost so many tokens more than it was let in for."""
        self._windows["tokens"].take(tokens, self._now())

    def now(self) -> float:
        return self._now()


class Permit:
    """Leave to ask once. It is closed when the answer has been read, or was not to be had."""

    __slots__ = ("_amount", "_answered", "_at", "_before", "_limits", "_scope")

    def __init__(self, limits: Limits, scope: "_Scope", amount: Load, now: float) -> None:
        self._limits = limits
        self._scope = scope
        self._amount = amount
        self._at = now
        self._before = scope.take(amount, now)
        self._answered = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, stack: TracebackType | None
    ) -> None:
        self._answer()
        self._limits.leave()

    def learn(self, report: RateReport) -> None:
        """The vendor says what is left."""
        self._answer()
        self._scope.learn(report, self._amount, self._before, self._at, self._limits.now())

    def refused(self, seconds: float) -> None:
        """The vendor wants nobody to come back before."""
        self._scope.block(self._limits.now() + min(seconds, LONGEST_WAIT))

    def watched(self, events: AsyncGenerator[Event, None]) -> AsyncGenerator[Event, None]:
        """The same events; what they cost is settled, where that matters."""
        return self._settled(events) if self._limits.settles else events

    async def _settled(self, events: AsyncGenerator[Event, None]) -> AsyncGenerator[Event, None]:
        async with aclosing(events):
            async for event in events:
                if isinstance(event, UsageReport):
                    spent = event.usage.input_tokens + event.usage.output_tokens
                    self._limits.settle(spent - self._amount.tokens)
                yield event

    def _answer(self) -> None:
        if not self._answered:
            self._answered = True
            self._scope.answered(self._amount)


class _Waiting:
    """One in line."""

    __slots__ = ("_woken", "amount")

    def __init__(self, amount: Load) -> None:
        self.amount = amount
        self._woken = asyncio.Event()

    def wake(self) -> None:
        self._woken.set()

    async def sleep(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        self._woken.clear()


class _Scope:
    """What is counted together, a model or a whole key, and who waits for it."""

    def __init__(self, *, refills: bool) -> None:
        self.line: deque[_Waiting] = deque()
        self._refills = refills
        self._requests, self._tokens = Count(), Count()
        self._remainders: dict[str, tuple[LimitUnit, Remainder]] = {}
        self._blocked = 0.0

    def with_line(self, amount: Load) -> Load:
        """What is to be taken until `amount` has been, by one who comes now."""
        tokens = sum(each.amount.tokens for each in self.line)
        return Load(amount.requests + len(self.line), amount.tokens + tokens)

    def wait(self, amount: Load, now: float) -> float:
        waits = [remainder.wait(amount.of(unit), now) for unit, remainder in self._remainders.values()]
        return max([0.0, self._blocked - now, *waits])

    def take(self, amount: Load, now: float) -> Load:
        """Takes it, and gives what had been answered until then, which `learn` wants to know."""
        for unit, remainder in self._remainders.values():
            remainder.take(amount.of(unit), now)
        self._requests.taken += amount.requests
        self._tokens.taken += amount.tokens
        return Load(self._requests.answered, self._tokens.answered)

    def answered(self, amount: Load) -> None:
        self._requests.answered += amount.requests
        self._tokens.answered += amount.tokens

    def learn(self, report: RateReport, amount: Load, answered: Load, began: float, now: float) -> None:
        """From the answer to the request that took `amount` at `began`."""
        for told in report.limits:
            unit, remainder = self._remainders.get(told.name) or self._new(told)
            remainder.learn(told, amount.of(unit), answered.of(unit), now - began, now)
        self.wake()

    def _new(self, told: RateLimit) -> tuple[LimitUnit, Remainder]:
        count = self._tokens if told.unit in _TOKENS else self._requests
        made = self._remainders[told.name] = (told.unit, Remainder(count, refills=self._refills))
        return made

    def block(self, until: float) -> None:
        """Nobody asks before."""
        self._blocked = max(self._blocked, until)
        for _, remainder in self._remainders.values():
            remainder.doubt()

    def wake(self) -> None:
        """Whoever is first looks again."""
        if self.line:
            self.line[0].wake()


def _weight(request: ModelRequest) -> int:
    """About how many tokens the prompt has."""
    return sum(len(message.text) for message in request.messages) // _BYTES_A_TOKEN + 4 * len(request.messages)
