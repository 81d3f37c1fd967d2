"""Threads for functions that block: bounded, and gone soon after their work is done."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from contextvars import Context, copy_context
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from typing import Any, NamedTuple, ParamSpec, TypeVar, cast

from antiphon.errors import ServiceError
from antiphon.runtime.config import PerformanceSettings
from antiphon.runtime.current import Current

P = ParamSpec("P")
R = TypeVar("R")

IDLE_SECONDS = 5.0
"""How long a thread without work waits for more before it ends: to begin one costs ten times what handing over does."""


class Threads:
    """Runs blocking functions in at most `limit` threads; `queue` more wait in order, and others are refused.

    The threads are daemons and end when nothing comes any more: there is nothing to stop, and a function that hangs
    cannot keep the process from exiting, which it could in a `ThreadPoolExecutor`.
    """

    def __init__(self, limit: int, queue: int, *, name: str = "antiphon") -> None:
        self._limit = limit
        self._most_waiting = queue
        self._name = name
        self._lock = Lock()
        self._jobs: SimpleQueue[_Job] = SimpleQueue()
        self._waiting = 0
        self._idle = 0
        self._threads = 0

    async def run(self, work: Callable[[], Any]) -> Any:
        """What `work` returns or raises, run in a copy of the caller's context. Raises `ServiceError` when too much
        waits already.

        Cancelling removes work that still waits; work that has begun goes on unattended.
        """
        loop = asyncio.get_running_loop()
        job = _Job(work, copy_context(), loop, loop.create_future())
        self._submit(job)
        value, error = await job.future
        if error is not None:
            raise error
        return value

    def _submit(self, job: "_Job") -> None:
        with self._lock:
            if self._waiting - self._idle >= self._most_waiting:
                raise ServiceError(f"{self._waiting} functions wait for a thread already; try again in a moment.")
            self._waiting += 1
            another = self._waiting > self._idle and self._threads < self._limit
            if another:
                self._threads += 1
                self._idle += 1
        if another:
            self._begin_thread()
        self._jobs.put(job)

    def _begin_thread(self) -> None:
        try:
            Thread(target=self._work, name=self._name, daemon=True).start()
        except RuntimeError as error:
            with self._lock:
                self._threads -= 1
                self._idle -= 1
                if self._threads:  # it waits for one that there is
                    return
                self._waiting -= 1
            raise ServiceError("The system gives this process no more threads; raise its limit of tasks.") from error

    def _work(self) -> None:
        while (job := self._next()) is not None:
            outcome = job.outcome()
            with self._lock:
                self._idle += 1  # before the caller goes on, whose next work would begin another thread
            job.answer(outcome)
            del job, outcome  # a thread that waits must not keep what it last handled

    def _next(self) -> "_Job | None":
        """The next work; None when there was none for a while, and the thread is to end."""
        while True:
            with suppress(Empty):
                job = self._jobs.get(timeout=IDLE_SECONDS)
                with self._lock:
                    self._waiting -= 1
                    self._idle -= 1
                return job
            with self._lock:
                if self._waiting < self._idle:
                    self._idle -= 1
                    self._threads -= 1
                    return None


class _Job(NamedTuple):
    work: Callable[[], Any]
    context: Context
    loop: asyncio.AbstractEventLoop
    future: "asyncio.Future[tuple[Any, BaseException | None]]"

    def outcome(self) -> tuple[Any, BaseException | None]:
        """As a value, because a future would replace TimeoutError, losing its stack, and refuse StopIteration."""
        if self.future.cancelled():
            return None, None
        try:
            return self.context.run(self.work), None
        except BaseException as error:  # noqa: BLE001 - raised again by whoever waits
            return None, error

    def answer(self, outcome: tuple[Any, BaseException | None]) -> None:
        with suppress(RuntimeError):  # the loop was closed meanwhile: nobody waits any more
            self.loop.call_soon_threadsafe(self._settle, outcome)

    def _settle(self, outcome: tuple[Any, BaseException | None]) -> None:
        if not self.future.done():
            self.future.set_result(outcome)


def _default() -> Threads:
    settings = PerformanceSettings()
    return Threads(settings.max_workers, settings.queue_size)


_current = Current(_default)


async def run_async(function: Callable[P, R], /, *args: P.args, **keywords: P.kwargs) -> R:
    """What a blocking function returns or raises, run in one of the workspace's threads, or of the process where none
    runs, with the caller's context variables.

    Raises `ServiceError` when too many wait already. When the caller is cancelled, a function that has begun goes on
    unattended and its result is dropped.
    """
    return cast("R", await _current.get().run(lambda: function(*args, **keywords)))


def adopt(threads: Threads) -> Threads:
    """The threads that `run_async` is to use from a workspace's start on; see `runtime.current`."""
    return _current.adopt(threads)


def release(threads: Threads) -> None:
    """Called by the workspace that stopped."""
    _current.release(threads)
