"""Work in the background: a few at a time, a bounded line before them."""

import asyncio
import inspect
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from contextvars import Context, copy_context
from functools import partial
from typing import Any, Literal, ParamSpec, Self, TypeVar, overload

from msgspec import Struct

from antiphon.errors import ConfigError, ServiceError
from antiphon.runtime.threads import run_async

P = ParamSpec("P")
T = TypeVar("T")
R = TypeVar("R")


class _Job(Struct, frozen=True):
    call: Callable[[], Coroutine[Any, Any, Any]]
    result: "asyncio.Future[Any]"
    context: Context


class AsyncProcessor:
    """Runs at most `max_workers` functions at the same time; `queue_size` more wait in order.

        async with AsyncProcessor(max_workers=4, queue_size=1000) as processor:
            future = await processor.submit(resize, image)
            pages = await processor.map(fetch, urls)

    Async functions run in the event loop, others in threads. When the line is full, `submit` waits, or raises
    `ServiceError` with `when_full="refuse"`. It may be made where no event loop runs, and nothing of it runs while
    there is nothing to do.
    """

    def __init__(
        self, max_workers: int = 4, queue_size: int = 1000, *, when_full: Literal["wait", "refuse"] = "wait"
    ) -> None:
        if max_workers < 1 or queue_size < 1:
            raise ConfigError(
                f"AsyncProcessor(max_workers={max_workers}, queue_size={queue_size}): both are at least 1."
            )
        self._max_workers = max_workers
        self._queue_size = queue_size
        self._when_full = when_full
        self._room = asyncio.Semaphore(queue_size)
        self._waiting: deque[_Job] = deque()
        self._running: dict[asyncio.Task[Any], _Job] = {}
        self._idle = asyncio.Event()
        self._idle.set()
        self._stopped = False

    @overload
    async def submit(
        self, function: Callable[P, Awaitable[R]], /, *args: P.args, **keywords: P.kwargs
    ) -> "asyncio.Future[R]": ...

    @overload
    async def submit(self, function: Callable[P, R], /, *args: P.args, **keywords: P.kwargs) -> "asyncio.Future[R]": ...

    async def submit(self, function: Callable[..., Any], /, *args: Any, **keywords: Any) -> "asyncio.Future[Any]":
        """Gets `function(*args)` into line. The future has its result or its error; cancelling it takes the work out of
        the line, or cancels it where it is async. It sees the caller's context variables."""
        if self._when_full == "refuse" and self._room.locked():
            raise ServiceError(f"{self._queue_size} pieces of work wait already; try again in a moment.")
        await self._room.acquire()
        if self._stopped:
            self._room.release()
            raise ServiceError("This processor has been stopped.")
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Job(lambda: _call(function, args, keywords), future, copy_context()))
        self._idle.clear()
        self._pump()
        return future

    async def map(self, function: Callable[[T], Any], items: Iterable[T]) -> list[Any]:
        """The result of each item, in their order, read no faster than they are worked off. The first error is raised;
        what else runs or waits for this call is cancelled."""
        futures: list[asyncio.Future[Any]] = []
        failed: list[asyncio.Future[Any]] = []

        def ended(future: "asyncio.Future[Any]") -> None:
            if not future.cancelled() and future.exception() is not None:
                failed.append(future)

        try:
            for item in items:
                if failed:
                    failed[0].result()
                future = await self.submit(function, item)
                future.add_done_callback(ended)
                futures.append(future)
            return list(await asyncio.gather(*futures))
        finally:
            for future in futures:
                future.cancel()

    async def join(self) -> None:
        """Waits until nothing runs and nothing waits."""
        await self._idle.wait()

    async def stop(self, limit: float = 10.0) -> None:
        """Takes nothing more and finishes what is there, for up to `limit` seconds; then cancels the rest."""
        self._stopped = True
        try:
            async with asyncio.timeout(limit):
                await self.join()
        except TimeoutError:
            for job in (*self._waiting, *self._running.values()):
                job.result.cancel()
            if self._running:
                await asyncio.wait(set(self._running), timeout=limit)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def _pump(self) -> None:
        """Begins what may begin now."""
        while self._waiting and len(self._running) < self._max_workers:
            job = self._waiting.popleft()
            self._room.release()
            if job.result.cancelled():
                continue
            task = asyncio.create_task(job.call(), name="processor", context=job.context)
            self._running[task] = job
            job.result.add_done_callback(partial(_cancel, task))
            task.add_done_callback(self._ended)
        if not self._running and not self._waiting:
            self._idle.set()

    def _ended(self, task: asyncio.Task[Any]) -> None:
        _settle(self._running.pop(task).result, task)
        self._pump()


def _cancel(task: asyncio.Task[Any], _: "asyncio.Future[Any]") -> None:
    task.cancel()


def _settle(future: "asyncio.Future[Any]", task: asyncio.Task[Any]) -> None:
    """Hands the end of the work to whoever holds the future, which may be cancelled already."""
    if task.cancelled():
        future.cancel()
    elif (error := task.exception()) is None:
        if not future.done():
            future.set_result(task.result())
    elif not future.done():
        future.set_exception(error)


async def _call(function: Callable[..., Any], args: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
    if inspect.iscoroutinefunction(function):
        return await function(*args, **keywords)
    value = await run_async(function, *args, **keywords)
    return await value if inspect.isawaitable(value) else value
