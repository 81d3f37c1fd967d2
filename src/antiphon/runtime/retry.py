"""Trying again what failed for a reason that may be over a moment later. stamina underneath."""

import asyncio
import logging
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractContextManager
from functools import cache, wraps
from importlib import import_module
from typing import Any, ParamSpec, TypeVar, cast, overload

from antiphon.errors import ConfigError, ServiceError
from antiphon.runtime.breaker import may_pass
from antiphon.runtime.config import ServiceSettings

P = ParamSpec("P")
R = TypeVar("R")

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 30.0

log = logging.getLogger(__name__)


class ErrorHandler:
    """Tries something up to `retry_attempts` times within `timeout` seconds, with a pause between two tries that grows
    by `backoff_factor` and is never quite the same.

        handler = ErrorHandler(retry_attempts=3, backoff_factor=2, timeout=30)
        rows = await handler.run(fetch, url)

        @handler
        async def fetch(url: str) -> list[Row]: ...

        async for attempt in handler:
            with attempt:
                rows = await fetch(url)

    Only failures that `retry_on` recognises are tried again: our errors that say so, `OSError` and `TimeoutError`,
    unless you say otherwise. Where one names a time (`retry_after`) it is tried again then, or not at all when that is
    too late. The last failure is raised as it is. One handler serves any number of calls at once.
    `None` for attempts or time is no limit.
    """

    def __init__(
        self,
        retry_attempts: int | None = 3,
        backoff_factor: float = 2.0,
        timeout: float | None = 30.0,
        *,
        first_pause: float = FIRST_PAUSE,
        retry_on: type[Exception] | tuple[type[Exception], ...] | Callable[[Exception], bool] = may_pass,
    ) -> None:
        sound = (retry_attempts is None or retry_attempts >= 1) and (timeout is None or timeout > 0)
        if not sound or backoff_factor < 1 or first_pause < 0:
            raise ConfigError(
                f"ErrorHandler(retry_attempts={retry_attempts}, backoff_factor={backoff_factor}, timeout={timeout}): "
                "attempts and factor are at least 1, and the time is greater than 0."
            )
        self._attempts = retry_attempts
        self._factor = backoff_factor
        self._timeout = timeout
        self._first_pause = first_pause
        self._recognises = _predicate(retry_on)

    @classmethod
    def of(cls, settings: ServiceSettings) -> "ErrorHandler":
        """As the settings have it."""
        return cls(settings.retry_attempts, settings.backoff_factor, settings.timeout)

    async def run(self, function: Callable[P, Awaitable[R]], *args: P.args, **keywords: P.kwargs) -> R:
        """What `function` gives, at once or at a later try. When the time is up the running try is cancelled, and the
        failure before it is raised, or `ServiceError` where there was none."""
        failures: list[Exception] = []
        limit = asyncio.timeout(self._timeout)
        try:
            async with limit:
                async for attempt in self._tries(failures):
                    with attempt:
                        return await function(*args, **keywords)
        except TimeoutError as error:
            if not limit.expired():
                raise
            if failures:
                raise failures[-1] from error
            raise ServiceError(f"No answer within {self._timeout:g} seconds; try again later.") from error
        raise AssertionError("a try returns or raises")

    def __call__(self, function: Callable[P, Awaitable[R]]) -> Callable[P, Awaitable[R]]:
        """The function with this handler around every call."""

        @wraps(function)
        async def handled(*args: P.args, **keywords: P.kwargs) -> R:
            return await self.run(function, *args, **keywords)

        return handled

    def __aiter__(self) -> AsyncIterator[AbstractContextManager[Any]]:
        """The tries, for a block that is no function. The time limit ends them without cutting off one that runs."""
        return self._tries([])

    def _tries(self, failures: list[Exception]) -> AsyncIterator[AbstractContextManager[Any]]:
        clock = asyncio.get_running_loop().time
        deadline = math.inf if self._timeout is None else clock() + self._timeout

        def again(error: Exception) -> bool | float:
            """Whether to try again; a number says in how many seconds."""
            if not self._recognises(error):
                return False
            failures[:] = [error]  # there may be any number
            wait: float | None = getattr(error, "retry_after", None)
            return True if wait is None else clock() + wait < deadline and float(wait)

        tries = _stamina().retry_context(
            on=again,
            attempts=self._attempts,
            timeout=self._timeout,
            wait_initial=self._first_pause,
            wait_max=LONGEST_PAUSE,
            wait_jitter=self._first_pause,
            wait_exp_base=self._factor,
        )
        return cast("AsyncIterator[AbstractContextManager[Any]]", aiter(tries))


@overload
def retry_async(
    function: Callable[..., Awaitable[R]],
    /,
    *args: Any,
    retry_attempts: int = 3,
    backoff_factor: float = 2.0,
    timeout: float | None = 30.0,
    **keywords: Any,
) -> Awaitable[R]: ...


@overload
def retry_async(
    *, retry_attempts: int = 3, backoff_factor: float = 2.0, timeout: float | None = 30.0
) -> ErrorHandler: ...


def retry_async(
    function: Callable[..., Awaitable[R]] | None = None,
    /,
    *args: Any,
    retry_attempts: int = 3,
    backoff_factor: float = 2.0,
    timeout: float | None = 30.0,
    **keywords: Any,
) -> Awaitable[R] | ErrorHandler:
    """`await retry_async(fetch, url)` calls once, as `ErrorHandler.run` does; `@retry_async(retry_attempts=5)` is the
    decorator for every call."""
    handler = ErrorHandler(retry_attempts, backoff_factor, timeout)
    return handler if function is None else handler.run(function, *args, **keywords)


def _predicate(
    retry_on: type[Exception] | tuple[type[Exception], ...] | Callable[[Exception], bool],
) -> Callable[[Exception], bool]:
    if isinstance(retry_on, type | tuple):
        kinds = retry_on
        return lambda error: isinstance(error, kinds)
    return retry_on


@cache
def _stamina() -> Any:
    module = import_module("stamina")
    # Its own observers write the arguments and the text of the error into the log.
    module.instrumentation.set_on_retry_hooks([_tell])
    return module


def _tell(details: Any) -> None:
    log.info(
        "retry.scheduled: try %d failed (%s), again in %.2f s",
        details.retry_num,
        type(details.caused_by).__name__,
        details.wait_for,
    )
