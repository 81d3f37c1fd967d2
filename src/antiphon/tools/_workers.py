"""Threads for blocking tools: bounded, and gone when their work is done."""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextvars import copy_context
from threading import Lock, Thread
from typing import Any


class Workers:
    """Runs blocking functions in at most `limit` threads; further work waits in order.

    Every tool has its own, so one that hangs starves only itself. The threads are daemons and end when nothing
    waits: there is nothing to stop, and a hung function cannot keep the process from exiting, which it could in a
    `ThreadPoolExecutor`.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lock = Lock()
        self._waiting: deque[tuple[Future[Any], Callable[[], Any]]] = deque()
        self._threads = 0

    def submit(self, work: Callable[[], Any]) -> Future[Any]:
        """The future of `work`, run in a copy of the caller's context. Cancelling it before it began removes it."""
        future: Future[Any] = Future()
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
                _settle(future, work)


def _settle(future: Future[Any], work: Callable[[], Any]) -> None:
    try:
        future.set_result(work())
    except StopIteration as error:
        wrapped = RuntimeError("the function raised StopIteration")  # which a future cannot carry into a coroutine
        wrapped.__cause__ = error
        future.set_exception(wrapped)
    except BaseException as error:  # noqa: BLE001 - the future carries it to whoever waits
        future.set_exception(error)
