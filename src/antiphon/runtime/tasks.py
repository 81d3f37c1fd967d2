"""Background work with an owner: nobody's task is forgotten, and nobody's error is lost."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any, Self, TypeVar

from antiphon.errors import ServiceError

log = logging.getLogger(__name__)

T = TypeVar("T")


class Tasks:
    """The tasks of one owner. A task that fails is logged with its name and counted; the others go on.

    `on_error` receives the name of the task and its error, for example to count it in a metric.
    """

    def __init__(self, owner: str, *, on_error: Callable[[str, BaseException], None] | None = None) -> None:
        self.failed = 0
        self._owner = owner
        self._on_error = on_error
        self._tasks: set[asyncio.Task[Any]] = set()
        self._stopped = False

    def __len__(self) -> int:
        return len(self._tasks)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def spawn(self, work: Coroutine[Any, Any, T], name: str) -> asyncio.Task[T]:
        """Runs `work` in the background. Raises `ServiceError` once the owner has stopped."""
        if self._stopped:
            work.close()
            raise ServiceError(f"{self._owner} has stopped and takes no more work ({name}).")
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    async def join(self, limit: float | None = None) -> bool:
        """Waits until nothing runs, at most `limit` seconds; tells whether that is so. Cancels nothing."""
        try:
            async with asyncio.timeout(limit):
                while others := self._others():
                    await asyncio.wait(others)
        except TimeoutError:
            return False
        return True

    async def stop(self, limit: float = 5.0) -> None:
        """Cancels what runs and waits for it, at most `limit` seconds; logs what did not end. Takes no work after."""
        self._stopped = True
        others = self._others()
        for task in others:
            task.cancel()
        if others:
            _, left = await asyncio.wait(others, timeout=limit)
            for task in left:
                log.error("tasks.not_ended: %s of %s ignores its cancellation", task.get_name(), self._owner)

    def _others(self) -> set[asyncio.Task[Any]]:
        return self._tasks - {asyncio.current_task()}

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if task.cancelled() or (error := task.exception()) is None:
            return
        self.failed += 1
        log.error("tasks.failed: %s of %s", task.get_name(), self._owner, exc_info=error)
        if self._on_error is not None:
            self._on_error(task.get_name(), error)
