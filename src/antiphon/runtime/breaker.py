"""Leaving a server alone that has failed several times, so that nobody waits for it and it can recover."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Literal, ParamSpec, TypeVar

from antiphon.errors import AntiphonError, ServiceError
from antiphon.runtime.clock import Clock, SystemClock
from antiphon.runtime.config import ServiceSettings

P = ParamSpec("P")
R = TypeVar("R")

State = Literal["closed", "open", "half-open"]
"""Calls go through; they are refused; one goes through to see whether the server is back."""


def may_pass(error: BaseException) -> bool:
    """Whether a failure is one that may be over a moment later, by what our errors say of themselves and what the
    operating system reports; a mistake of the caller is none."""
    return error.retryable if isinstance(error, AntiphonError) else isinstance(error, OSError | TimeoutError)


class CircuitBreaker:
    """Refuses calls for `seconds` after `failures` of them in a row, then lets one through and judges by that.

    Use it as `await breaker.call(function, …)` or `async with breaker.guard():`. An error that `counts` does not
    recognise is an answer too: the server is there. `listener` is told of every change of state. For one event loop.
    """

    def __init__(
        self,
        name: str,
        *,
        failures: int = 5,
        seconds: float = 10.0,
        counts: Callable[[BaseException], bool] = may_pass,
        listener: Callable[[State], None] | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.name = name
        self._limit = failures
        self._seconds = seconds
        self._counts = counts
        self._listener = listener
        self._clock = clock or SystemClock()
        self._state: State = "closed"
        self._failures = 0
        self._opened_at = 0.0
        self._era = 0
        """Counts changes of state: the end of a call that began before the last one says nothing about now."""

    @classmethod
    def of(
        cls, name: str, settings: ServiceSettings, *, listener: Callable[[State], None] | None = None
    ) -> "CircuitBreaker":
        """As the settings have it."""
        return cls(name, failures=settings.breaker_failures, seconds=settings.breaker_seconds, listener=listener)

    @property
    def state(self) -> State:
        return self._state

    def wait(self) -> float | None:
        """The seconds until it makes sense to come back; None when a call would go through now."""
        left = self._opened_at + self._seconds - self._clock.monotonic()
        if self._state == "closed" or (self._state == "open" and left <= 0):
            return None
        return left if self._state == "open" else self._seconds

    async def call(self, function: Callable[P, Awaitable[R]], *args: P.args, **keywords: P.kwargs) -> R:
        """What `function` gives. Raises `ServiceError`, which says when to come back, while it is left alone."""
        async with self.guard():
            return await function(*args, **keywords)

    def guard(self) -> AbstractAsyncContextManager[None]:
        """For a block of code that is one call."""
        return _Call(self)

    def _begin(self) -> int:
        if (wait := self.wait()) is not None:
            raise ServiceError(
                f"{self.name} has failed {self._failures} times in a row and is left alone; try again in {wait:.0f} "
                "seconds.",
                retry_after=wait,
            )
        if self._state == "open":
            self._become("half-open")
        return self._era

    def _end(self, era: int, error: BaseException | None) -> None:
        if era != self._era:
            return
        if error is None or (isinstance(error, Exception) and not self._counts(error)):
            self._failures = 0
            self._become("closed")
        elif not isinstance(error, Exception):
            # Given up by the caller: it says nothing. The next one may try.
            if self._state == "half-open":
                self._become("open")
        else:
            self._failures += 1
            if self._state == "half-open" or self._failures >= self._limit:
                self._opened_at = self._clock.monotonic()
                self._become("open")

    def _become(self, state: State) -> None:
        if state == self._state:
            return
        self._state = state
        self._era += 1
        if self._listener is not None:
            self._listener(state)


class _Call:
    """One call through a breaker."""

    __slots__ = ("_breaker", "_era")

    def __init__(self, breaker: CircuitBreaker) -> None:
        self._breaker = breaker
        self._era = 0

    async def __aenter__(self) -> None:
        self._era = self._breaker._begin()  # noqa: SLF001 - the two are one thing

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, stack: TracebackType | None
    ) -> None:
        self._breaker._end(self._era, error)  # noqa: SLF001
