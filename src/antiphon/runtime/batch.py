"""Many small things handled as few large ones."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from itertools import islice
from typing import Any, Generic, Self, TypeVar

from antiphon.errors import ConfigError, ProcessingError, ServiceError
from antiphon.runtime.clock import Clock, SystemClock
from antiphon.runtime.tasks import gather_with_concurrency

T = TypeVar("T")
R = TypeVar("R")

_Entry = tuple[T, "asyncio.Future[Any]"]


class BatchProcessor(Generic[T]):
    """Collects items until there are `batch_size` of them, or until the first of them has waited `timeout` seconds.

        async with BatchProcessor(100, 0.05, handle=store_rows) as rows:
            stored = await rows.submit(row)

        results = await BatchProcessor(batch_size=100, timeout=30).process(items, handle_one)

    `handle` takes a list of items and gives a list of as many results; an exception in that list is the error of its
    item, one that it raises is the error of all. At most `max_concurrency` batches are handled at the same time. When
    `queue_size` items are under way, `submit` waits. It may be made where no event loop runs.
    """

    def __init__(
        self,
        batch_size: int = 100,
        timeout: float = 30.0,
        *,
        handle: Callable[[list[T]], Awaitable[Sequence[Any]]] | None = None,
        max_concurrency: int = 5,
        queue_size: int = 10_000,
        clock: Clock | None = None,
    ) -> None:
        if min(batch_size, max_concurrency, queue_size) < 1 or timeout <= 0:
            raise ConfigError(
                f"BatchProcessor(batch_size={batch_size}, timeout={timeout}, max_concurrency={max_concurrency}, "
                f"queue_size={queue_size}): sizes are at least 1, and the time is greater than 0."
            )
        self._size = min(batch_size, queue_size)
        self._timeout = timeout
        self._handle = handle
        self._max_concurrency = max_concurrency
        self._clock = clock or SystemClock()
        self._room = asyncio.Semaphore(queue_size)
        self._slots = asyncio.Semaphore(max_concurrency)
        self._collected: list[_Entry[T]] = []
        self._timer: asyncio.Task[None] | None = None
        self._running: set[asyncio.Task[None]] = set()
        self._stopped = False

    async def submit(self, item: T) -> Any:
        """The result of `item`, when its batch was handled. Who is cancelled takes back an item that still waits."""
        if self._handle is None:
            raise ConfigError("BatchProcessor(handle=…) is needed to submit single items.")
        await self._room.acquire()
        if self._stopped:
            self._room.release()
            raise ServiceError("This batch processor has been stopped.")
        result: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        result.add_done_callback(lambda _: self._room.release())
        self._collected.append((item, result))
        if len(self._collected) >= self._size:
            self.flush()
        elif self._timer is None:
            self._timer = asyncio.create_task(self._flush_later(), name="batch timer")
        return await result

    def flush(self) -> None:
        """Handles what has been collected now."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        batch, self._collected = self._collected, []
        if batch:
            task = asyncio.create_task(self._work(batch), name="batch")
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    async def stop(self, limit: float = 10.0) -> None:
        """Takes nothing more and handles what is there, for up to `limit` seconds; items left behind then fail."""
        self._stopped = True
        self.flush()
        if self._running:
            _, late = await asyncio.wait(set(self._running), timeout=limit)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def process(self, items: Iterable[T], handle: Callable[[T], Awaitable[R]]) -> list[R]:
        """The result of `handle` for each of `items`, in their order: one batch after the other, and of each
        `max_concurrency` at the same time. The first error ends it and is raised."""
        rest = iter(items)
        results: list[R] = []
        while batch := list(islice(rest, self._size)):
            results += await gather_with_concurrency(self._max_concurrency, (handle(item) for item in batch))
        return results

    async def _flush_later(self) -> None:
        await self._clock.sleep(self._timeout)
        self._timer = None  # it runs no more, and must not cancel itself
        self.flush()

    async def _work(self, batch: list[_Entry[T]]) -> None:
        try:
            async with self._slots:
                batch = [entry for entry in batch if not entry[1].done()]
                results = await self._results([item for item, _ in batch]) if batch else []
            for (_, future), result in zip(batch, results, strict=True):
                _settle(future, result)
        finally:
            for _, future in batch:
                _settle(future, ServiceError("The batch processor was stopped before this item was handled."))

    async def _results(self, items: list[T]) -> Sequence[Any]:
        assert self._handle is not None  # noqa: S101 - `submit` saw to it
        try:
            results = list(await self._handle(items))
        except Exception as error:  # noqa: BLE001 - handed to whoever submitted an item
            return [error] * len(items)
        if len(results) != len(items):
            wrong = ProcessingError(f"A batch of {len(items)} items came back with {len(results)} results.")
            return [wrong] * len(items)
        return results


def _settle(future: asyncio.Future[Any], result: Any) -> None:
    if future.done():
        return
    if isinstance(result, Exception):
        future.set_exception(result)
    else:
        future.set_result(result)
