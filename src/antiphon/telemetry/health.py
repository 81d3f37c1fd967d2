"""Is the house well? Named checks, run together, each within its time."""

import asyncio
import inspect
import threading
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any, Literal

from msgspec import Struct

from antiphon.errors import AntiphonError, ServiceError
from antiphon.runtime.clock import Clock, SystemClock
from antiphon.runtime.current import Current
from antiphon.telemetry.logs import get_logger
from antiphon.telemetry.redaction import redact_text

log = get_logger(__name__)

Status = Literal["healthy", "degraded", "unhealthy"]
"""`degraded`: something that is not critical fails; `unhealthy`: something critical does."""

Check = Callable[[], object | Awaitable[object]]
"""Fails by raising or by giving False. A text that it gives is shown as the detail. It may be a plain function, which
runs in a thread, or async."""

GRACE_SECONDS = 0.05
"""What handing over an answer between threads may take."""

_FAILURES = (Exception, SystemExit)
"""A check fails by raising whatever it likes; one that calls `sys.exit` must not end the house."""


class CheckResult(Struct, frozen=True, kw_only=True):
    name: str
    healthy: bool
    critical: bool
    detail: str
    elapsed_ms: float


class Health(Struct, frozen=True, kw_only=True):
    """What all checks said. `draining`: the process is about to stop and wants no new work."""

    status: Status
    draining: bool
    checks: tuple[CheckResult, ...]

    @property
    def ready(self) -> bool:
        return self.status != "unhealthy" and not self.draining


class _Registered(Struct, frozen=True):
    check: Check
    critical: bool


class HealthChecker:
    """Runs the checks. `limit` is the time of a round, in which all run at once, and `cache` how long its answer
    holds, both in seconds, so that probes, however many, cost one round a second."""

    def __init__(self, *, limit: float = 0.8, cache: float = 1.0, clock: Clock | None = None) -> None:
        self._limit = limit
        self._cache = cache
        self._clock = clock or SystemClock()
        self._checks: dict[str, _Registered] = {}
        self._asked: dict[str, asyncio.Task[None]] = {}
        self._answered: dict[str, CheckResult] = {}
        self._in_threads: set[str] = set()
        self._draining = False
        self._results: tuple[CheckResult, ...] | None = None
        self._checked_at = 0.0
        self._status: Status = "healthy"
        self._round: asyncio.Task[tuple[CheckResult, ...]] | None = None

    def register(self, name: str, check: Check, critical: bool = True) -> None:
        """Adds a check, in place of an earlier one of that name."""
        self._checks[name] = _Registered(check, critical)
        self._results = None

    def unregister(self, name: str) -> None:
        """Removes a check, if it is there."""
        self._checks.pop(name, None)
        self._results = None

    def drain(self, draining: bool = True) -> None:
        """Says that the process is about to stop: from now on it is not ready, whatever the checks say."""
        self._draining = draining

    def check_all(self) -> Health:
        """As `acheck_all`, for code without an event loop. The checks run in a loop and a thread of their own, so that
        the answer comes in time even when an async check blocks."""
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            pass
        else:
            raise ServiceError("check_all() would block the event loop; use `await checker.acheck_all()`.")
        answer: SimpleQueue[Health] = SimpleQueue()

        async def ask() -> None:
            answer.put(await self.acheck_all())

        threading.Thread(target=lambda: asyncio.run(ask()), name="health checks", daemon=True).start()
        try:
            return answer.get(timeout=self._limit + GRACE_SECONDS)
        except Empty:
            return self._judge(self._collect(dict(self._checks)))

    async def acheck_all(self) -> Health:
        """Runs all checks at once, or gives the answer of a moment ago. Never raises for what a check does."""
        results = self._results
        if results is None or self._clock.monotonic() - self._checked_at >= self._cache:
            results = await asyncio.shield(self._joined_round())
        return self._judge(results)

    def _joined_round(self) -> asyncio.Task[tuple[CheckResult, ...]]:
        loop = asyncio.get_running_loop()
        if self._round is None or self._round.done() or self._round.get_loop() is not loop:
            self._round = loop.create_task(self._run_all(), name="health checks")
        return self._round

    async def _run_all(self) -> tuple[CheckResult, ...]:
        checks = dict(self._checks)
        self._answered.clear()
        asked = {self._ask(name, known) for name, known in checks.items()}
        if asked:
            _, late = await asyncio.wait(asked, timeout=self._limit)
            for task in late:
                task.cancel()
        results = self._collect(checks)
        if checks == self._checks:
            self._results, self._checked_at = results, self._clock.monotonic()
        return results

    def _ask(self, name: str, known: _Registered) -> asyncio.Task[None]:
        """Of each check one task at most: one that ignores its end is waited for once more, not asked again."""
        task = self._asked.get(name)
        loop = asyncio.get_running_loop()
        if task is None or task.done() or task.get_loop() is not loop:
            task = self._asked[name] = loop.create_task(self._run(name, known), name=f"health check {name}")
        return task

    def _collect(self, checks: Mapping[str, _Registered]) -> tuple[CheckResult, ...]:
        """What was answered so far; a check that was not is failing."""
        return tuple(
            self._answered.get(name) or self._result(name, known, self._limit, False, self._silence)
            for name, known in checks.items()
        )

    def _judge(self, results: tuple[CheckResult, ...]) -> Health:
        failing = [result for result in results if not result.healthy]
        critical = any(result.critical for result in failing)
        status: Status = "unhealthy" if critical else "degraded" if failing else "healthy"
        if status != self._status:
            self._status = status
            say = log.info if status == "healthy" else log.warning
            say("health.changed", status=status, failing={result.name: result.detail for result in failing})
        return Health(status=status, draining=self._draining, checks=results)

    async def _run(self, name: str, known: _Registered) -> None:
        began = self._clock.monotonic()
        try:
            answer = await self._answer(name, known.check)
        except TimeoutError:
            healthy, detail = False, self._silence
        except _FAILURES as error:
            sentence = str(error) if isinstance(error, AntiphonError) else f"{type(error).__name__}: {error}"
            healthy, detail = False, redact_text(sentence)
        else:
            healthy = answer is not False
            detail = redact_text(answer) if isinstance(answer, str) else "ok" if healthy else "the check failed"
        self._answered[name] = self._result(name, known, self._clock.monotonic() - began, healthy, detail)

    @property
    def _silence(self) -> str:
        return f"no answer within {self._limit:g} s"

    @staticmethod
    def _result(name: str, known: _Registered, seconds: float, healthy: bool, detail: str) -> CheckResult:
        return CheckResult(
            name=name, healthy=healthy, critical=known.critical, detail=detail, elapsed_ms=round(seconds * 1000, 3)
        )

    async def _answer(self, name: str, check: Check) -> object:
        if inspect.iscoroutinefunction(check):
            return await check()
        if name in self._in_threads:
            raise TimeoutError
        answer = await self._in_thread(name, check)
        return await answer if inspect.isawaitable(answer) else answer

    async def _in_thread(self, name: str, check: Check) -> object:
        """The answer of a plain function. Its thread is a daemon and there is one of each check at most, so that a
        function that never returns holds up neither the other checks nor the end of the process."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()

        def settle(settler: Callable[[Any], None], value: object) -> None:
            if not future.done():
                settler(value)

        def run() -> None:
            settler: Callable[[Any], None] = future.set_result
            value: object = None
            try:
                value = check()
            except _FAILURES as error:
                settler, value = future.set_exception, error
            self._in_threads.discard(name)
            with suppress(RuntimeError):  # the loop was closed meanwhile
                loop.call_soon_threadsafe(settle, settler, value)

        self._in_threads.add(name)
        threading.Thread(target=run, name=f"health check {name}", daemon=True).start()
        return await future


_current = Current(HealthChecker)


def get_health_checker() -> HealthChecker:
    """The running workspace's checks; where none runs, a process default which the first one to start adopts."""
    return _current.get()


def adopt(checker: HealthChecker | None = None) -> HealthChecker:
    """The checks a starting workspace is to use; see `runtime.current`."""
    return _current.adopt(checker)


def release(checker: HealthChecker) -> None:
    """Called by the workspace that stopped, when it has unregistered its checks."""
    _current.release(checker)
