"""Threads for functions that block: bounded, and gone when their work is done."""

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextvars import copy_context
from threading import Lock, Thread
from typing import Any, ParamSpec, TypeVar, cast

from antiphon.errors import ServiceError
from antiphon.runtime.config import PerformanceSettings
from antiphon.runtime.current import Current

P = ParamSpec("P")
R = TypeVar("R")

_Outcome = Future[tuple[Any, BaseException | None]]


class Threads:
    """Runs blocking functions in at most `limit` threads; `queue` more wait in order, and others are refused.

    The threads are daemons and end when nothing waits: there is nothing to stop, and a function that hangs cannot keep
    the process from exiting, which it could in a `ThreadPoolExecutor`.
    """

    def __init__(self, limit: int, queue: int, *, name: str = "antiphon") -> None:
        self._limit = limit
        self._queue = queue
        self._name = name
        self._lock = Lock()
        self._waiting: deque[tuple[_Outcome, Callable[[], Any]]] = deque()
        self._threads = 0

    async def run(self, work: Callable[[], Any]) -> Any:
        """What `work` returns or raises, run in a copy of the caller's context. Raises `ServiceError` when too much
        waits already.

        Cancelling removes work that still waits; work that has begun goes on unattended.
        """
        value, error = await asyncio.wrap_future(self._submit(work))
        if error is not None:
            raise error
        return value

    def _submit(self, work: Callable[[], Any]) -> _Outcome:
        future: _Outcome = Future()
        context = copy_context()
        with self._lock:
            if len(self._waiting) >= self._queue:
                raise ServiceError(f"{len(self._waiting)} functions wait for a thread already; try again in a moment.")
            self._waiting.append((future, lambda: context.run(work)))
            if self._threads >= self._limit:
                return future
            self._threads += 1
        Thread(target=self._drain, name=self._name, daemon=True).start()
        return future

    def _drain(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self._threads -= 1
                    return
                future, work = self._waiting.popleft()
            if future.set_running_or_notify_cancel():
                future.set_result(_outcome(work))


def _outcome(work: Callable[[], Any]) -> tuple[Any, BaseException | None]:
    # As a value, because a future would replace TimeoutError, losing its stack, and refuse StopIteration.
    try:
        return work(), None
    except BaseException as error:  # noqa: BLE001 - raised again by whoever waits
        return None, error


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
