"""Starting in order and stopping in reverse, each part within its time, and its health watched while it runs."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Protocol, Self

from msgspec import Struct

from antiphon.errors import AntiphonError, ConfigError, ServiceError

log = logging.getLogger(__name__)

Step = Callable[[], Awaitable[object]]


class Watch(Protocol):
    """Who is told what to look after (`telemetry.health.HealthChecker`)."""

    def register(self, name: str, check: Callable[[], object], critical: bool = True) -> None: ...

    def unregister(self, name: str) -> None: ...


class HealthCheck(Struct, frozen=True):
    """How to see whether a part is well; `run` fails by raising or by giving False. Without one that is `critical` the
    house is not ready for work."""

    name: str
    run: Callable[[], object]
    critical: bool = True


class _Part(Struct, frozen=True, kw_only=True):
    """Something with a life. The limits are in seconds."""

    name: str
    start: Step | None
    stop: Step | None
    check: HealthCheck | None
    start_limit: float
    stop_limit: float


class Lifecycle:
    """The parts of a whole, in the order in which they depend on each other.

    The limits, in seconds, are those of a part that has none of its own. `watch` is told of the health checks of the
    parts that run, and of no others.
    """

    def __init__(self, *, watch: Watch | None = None, start_limit: float = 30.0, stop_limit: float = 10.0) -> None:
        self._watch = watch
        self._limits = start_limit, stop_limit
        self._parts: list[_Part] = []
        self._started: list[_Part] = []

    @property
    def running(self) -> tuple[str, ...]:
        """The names of the parts that run, in the order in which they were started."""
        return tuple(part.name for part in self._started)

    def add(
        self,
        name: str,
        start: Step | None = None,
        stop: Step | None = None,
        *,
        check: HealthCheck | None = None,
        start_limit: float | None = None,
        stop_limit: float | None = None,
    ) -> None:
        """Adds a part behind those it needs. A `start` that fails or is cancelled cleans up after itself."""
        part = _Part(
            name=name,
            start=start,
            stop=stop,
            check=check,
            start_limit=self._limits[0] if start_limit is None else start_limit,
            stop_limit=self._limits[1] if stop_limit is None else stop_limit,
        )
        self._parts.append(part)

    async def start(self) -> None:
        """Starts every part that does not run yet. When one fails, those that run are stopped and an error names it:
        `ConfigError` when a setting is to blame, else `ServiceError`."""
        waiting = self._parts[len(self._started) :]
        async with AsyncExitStack() as undo:
            undo.push_async_callback(self._stop_all)
            for part in waiting:
                await self._start(part)
                self._started.append(part)
                if self._watch and part.check:
                    self._watch.register(part.check.name, part.check.run, part.check.critical)
            undo.pop_all()

    async def stop(self) -> None:
        """Stops what runs, the last first; a part that fails or takes too long does not keep the others from it.
        Raises `ServiceError` at the end, naming those parts."""
        failed = await self._stop_all()
        if failed:
            raise ServiceError(f"Not stopped in order: {', '.join(failed)}; see the log for the reasons.")

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def _start(self, part: _Part) -> None:
        if part.start is None:
            return
        try:
            async with asyncio.timeout(part.start_limit) as limit:
                await part.start()
        except TimeoutError as error:
            took = f"it was not ready within {part.start_limit:g} seconds" if limit.expired() else f"time-out {error}"
            raise ServiceError(f"Could not start {part.name}: {took}.") from error
        except ConfigError as error:
            raise ConfigError(f"Could not start {part.name}: {error}", public=error.public) from error
        except AntiphonError as error:
            raise ServiceError(f"Could not start {part.name}: {error}", public=error.public) from error
        except Exception as error:
            raise ServiceError(f"Could not start {part.name}: {type(error).__name__}: {error}") from error

    async def _stop_all(self) -> list[str]:
        failed = []
        while self._started:
            part = self._started.pop()
            if self._watch and part.check:
                self._watch.unregister(part.check.name)
            if part.stop is None:
                continue
            try:
                async with asyncio.timeout(part.stop_limit):
                    await part.stop()
            except Exception:
                log.exception("lifecycle.stop_failed: %s", part.name)
                failed.append(part.name)
        return failed
