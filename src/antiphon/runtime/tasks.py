"""Tasks that somebody looks after, and functions that run side by side within a limit."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Coroutine, Generator, Iterable
from itertools import chain
from typing import Any, Self, TypeVar

from msgspec import Struct

from antiphon.errors import ConfigError, ServiceError
from antiphon.runtime.clock import Clock, SystemClock

T = TypeVar("T")

log = logging.getLogger(__name__)


class Restart(Struct, frozen=True, kw_only=True):
    """Begin again after a crash: after `first_pause` seconds, twice as long after each further one up to
    `longest_pause`, and at most `attempts` times in a row. A run that lasts longer than that begins a new row."""

    first_pause: float = 1.0
    longest_pause: float = 60.0
    attempts: int | None = None


class Tasks:
    """Tasks by name. One that crashes is logged, and begun again where that was asked for; the others go on. `stop`
    cancels them all and waits up to `stop_limit` seconds for them."""

    def __init__(self, *, stop_limit: float = 10.0, clock: Clock | None = None) -> None:
        self._stop_limit = stop_limit
        self._clock = clock or SystemClock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = False

    def __len__(self) -> int:
        return len(self._tasks)

    def start(
        self, name: str, run: Callable[..., Awaitable[object]], *args: Any, restart: Restart | None = None
    ) -> asyncio.Task[None]:
        """Runs `run(*args)` from the next moment of the loop on. Awaiting the task never raises what `run` did."""
        if self._stopping:
            raise ServiceError(f"The task {name} cannot be started: everything is being stopped.")
        task = asyncio.create_task(self._look_after(name, run, args, restart), name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def stop(self) -> None:
        """Cancels every task, the youngest too, and waits for their ends; one that does not end in time is named in
        the log and left."""
        self._stopping = True
        try:
            tasks = set(self._tasks)
            for task in tasks:
                task.cancel()
            if tasks:
                _, deaf = await asyncio.wait(tasks, timeout=self._stop_limit)
                for task in deaf:
                    log.warning("task.ignores_cancellation: %s", task.get_name())
        finally:
            self._stopping = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def _look_after(
        self, name: str, run: Callable[..., Awaitable[object]], args: tuple[Any, ...], restart: Restart | None
    ) -> None:
        failed = 0
        while True:
            began = self._clock.monotonic()
            try:
                await run(*args)
            except Exception:
                log.exception("task.crashed: %s", name)
            else:
                return
            if restart is None:
                return
            failed = 1 if self._clock.monotonic() - began > restart.longest_pause else failed + 1
            if restart.attempts is not None and failed > restart.attempts:
                log.error("task.given_up: %s crashed %d times in a row", name, failed)
                return
            exponent = min(failed - 1, 30)  # a float ends where a task that always fails does not
            await self._clock.sleep(min(restart.first_pause * 2.0**exponent, restart.longest_pause))


async def gather_with_concurrency(limit: int, *awaitables: Awaitable[T] | Iterable[Awaitable[T]]) -> list[T]:
    """The results in the order of the awaitables, of which at most `limit` run at the same time.

    Takes them one by one, or as iterables that are read no faster than they are worked off. The first error is raised;
    what runs then is cancelled and awaited, and what has not begun never begins.
    """
    if limit < 1:
        raise ConfigError(f"gather_with_concurrency needs a limit of at least 1, not {limit}.")
    sources = [[each] if isinstance(each, Awaitable) else each for each in awaitables]
    waiting = enumerate(chain.from_iterable(sources))
    results: dict[int, T] = {}
    over = False

    async def work(first: tuple[int, Awaitable[T]]) -> None:
        nonlocal over
        try:
            for place, awaitable in chain([first], waiting):
                results[place] = await awaitable
                if over:  # after an error the cancellation comes only when something here waits
                    return
        finally:
            over = True  # nothing waits any more, or something failed

    workers = [asyncio.create_task(work(first)) for _, first in zip(range(limit), waiting, strict=False)]
    try:
        if workers:
            done, _ = await asyncio.wait(workers, return_when=asyncio.FIRST_EXCEPTION)
            for worker in done:
                worker.result()
    finally:
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
        _abandon(sources)
    return [results[place] for place in range(len(results))]


def _abandon(sources: Iterable[Iterable[Awaitable[Any]]]) -> None:
    """What never began is told so, else Python complains of it later."""
    for source in sources:
        if isinstance(source, Generator):
            source.close()
        elif isinstance(source, Collection):
            for awaitable in source:
                if isinstance(awaitable, Coroutine):
                    awaitable.close()
