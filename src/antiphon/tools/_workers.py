"""Threads for blocking tools: bounded, and gone when their work is done."""

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextvars import copy_context
from threading import Lock, Thread
from typing import Any

_Outcome = Future[tuple[Any, BaseException | None]]


class Workers:
    """Runs blocking functions in at most `limit` threads; further work waits in order.

    Every tool has its own, so one that hangs starves only itself. The threads are daemons and end when nothing
    waits: there is nothing to stop, and a hung function cannot keep the process from exiting, which it could in a
    `ThreadPoolExecutor`.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lock = Lock()
        self._waiting: deque[tuple[_Outcome, Callable[[], Any]]] = deque()
        self._threads = 0

    async def run(self, work: Callable[[], Any]) -> Any:
        """What `work` returns or raises, run in a copy of the caller's context.

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
            self._waiting.append((future, lambda: context.run(work)))
            if self._threads >= self._limit:
                return future
            self._threads += 1
        Thread(target=self._drain, name="antiphon-tool", daemon=True).start()
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
