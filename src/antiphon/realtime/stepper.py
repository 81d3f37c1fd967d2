"""Runs coroutines at once, without a task, as long as they do not wait.

Most handlers answer without waiting; a task for each would cost more than the handler. Here a coroutine is stepped by
hand. While it is, `asyncio.current_task()` names a spare task; if the coroutine waits after all, that very task takes
it over. So time limits, task groups and cancel scopes see one and the same task from the first step to the last.
"""

import asyncio
import sys
from asyncio.tasks import _enter_task, _leave_task
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextvars import Context, copy_context
from types import CoroutineType, FrameType, coroutine
from typing import Any

if sys.version_info < (3, 12):
    # There `current_task` is in Python, and takes as long as four steps of the rest.
    from asyncio.tasks import _current_tasks  # type: ignore[attr-defined]

    _current_task = _current_tasks.get
else:
    from asyncio import current_task as _current_task

Done = Callable[[Any, BaseException | None], None]

OVER = object()
"""What a driver yields when the work it was given has ended; everything else it yields is what the work waits for."""

_NOTHING = object()


class Stepper:
    """One per loop. `stop` cancels what still runs."""

    def __init__(self) -> None:
        # One for each depth to which steps have run inside steps.
        self._spares: list[_Spare] = []
        self._running: set[asyncio.Task[None]] = set()

    def run(self, work: Coroutine[Any, Any, Any], done: Done) -> asyncio.Task[None] | None:
        """Starts `work` now. `done(result, error)` is called exactly once, before this returns if nothing waited.

        Returns the task that goes on with the work, None when it is done. `done` must not raise.
        """
        spare = self._spares.pop() if self._spares else None
        if spare is None or spare.task.cancelling():
            spare = _Spare(asyncio.get_running_loop())
        # The spare knows its loop: asking asyncio for it is a system call.
        loop, task = spare.loop, spare.task
        context = copy_context()
        outer = _current_task(loop)
        if outer is not None:
            _leave_task(loop, outer)
        _enter_task(loop, task)
        try:
            awaited = context.run(spare.step, work)
        finally:
            _leave_task(loop, task)
            if outer is not None:
                _enter_task(loop, outer)
        if awaited is OVER:
            # In place: a call of `outcome` would cost as much as the rest of what follows a step.
            result, failure = spare.result, spare.failure
            spare.result = spare.failure = None
            self._spares.append(spare)
            done(result, failure)
            return None
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        spare.take_over(awaited, context, done)
        return task

    async def stop(self) -> None:
        """Cancels what runs and waits for it."""
        tasks = [*self._running, *(spare.task for spare in self._spares)]
        self._spares.clear()
        tasks = [task for task in tasks if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def owner_of(frame: FrameType) -> Done | None:
    """The `done` of the work that is being stepped in this frame; None for any other. For whoever looks at a loop that
    stands still from another thread, so that nobody need note it down before each step."""
    if frame.f_code is Stepper.run.__code__:
        done: Done | None = frame.f_locals["done"]
        return done
    return frame.f_locals["self"]._done if frame.f_code is _Spare._advance.__code__ else None  # noqa: SLF001 - ours


class _Spare(Coroutine[Any, Any, None]):
    """The body of a spare task: waits at a gate until it is handed a half-run coroutine, then drives that."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.result: Any = None
        self.failure: BaseException | None = None
        self._driver = self._drive()
        next(self._driver)
        self.step = self._driver.send
        """Begins a work, or goes on with it: what it waits for, or `OVER`."""
        self._gate = loop.create_future()
        self._awaited: Any = _NOTHING
        self._context = copy_context()
        self._done: Done | None = None
        self.task: asyncio.Task[None] = loop.create_task(self)

    @coroutine
    def _drive(self) -> Generator[Any, Any, None]:
        """Runs one work after the other. A coroutine that ends inside another says so without an exception, which would
        cost as much as everything else that is done to run it."""
        outcome = None
        while True:
            work = yield outcome
            try:
                self.result = yield from work if type(work) is CoroutineType else _awaiting(work)
            except (KeyboardInterrupt, SystemExit):
                raise
            except BaseException as error:  # noqa: BLE001 - as a task would: the owner learns of it through `done`
                self.failure = error
            work, outcome = None, OVER

    def outcome(self) -> tuple[Any, BaseException | None]:
        """Of the work that is over; nothing of it is kept."""
        outcome = self.result, self.failure
        self.result = self.failure = None
        return outcome

    def take_over(self, awaited: Any, context: Context, done: Done) -> None:
        self._awaited, self._context, self._done = awaited, context, done
        if not self._gate.done():
            self._gate.set_result(None)

    def send(self, value: Any) -> Any:
        if self._done is None:
            return next(self._gate.__await__())
        if self._awaited is not _NOTHING:
            awaited, self._awaited = self._awaited, _NOTHING
            return awaited
        return self._advance(self.step, value)

    def throw(self, typ: Any, val: Any = None, tb: Any = None) -> Any:  # noqa: ARG002 - the interface of coroutines
        error = typ if isinstance(typ, BaseException) else val if val is not None else typ()
        if self._done is None:
            raise error
        awaited, self._awaited = self._awaited, _NOTHING
        if isinstance(awaited, asyncio.Future):
            # Cancelled between the hand-over and the first step: what it waits for has to hear of it too.
            awaited.cancel()
        return self._advance(self._driver.throw, error)

    def close(self) -> None:
        self._driver.close()

    def __await__(self) -> Generator[Any, Any, None]:
        raise RuntimeError("a spare is driven by its task only")

    def _advance(self, step: Callable[[Any], Any], value: Any) -> Any:
        awaited = self._context.run(step, value)
        if awaited is not OVER:
            return awaited
        done, self._done = self._done, None
        if done is not None:
            done(*self.outcome())
        # What it and they hold of each other would wait for the collector.
        self._driver.close()
        del self.task
        raise StopIteration


async def _awaiting(work: Awaitable[Any]) -> Any:
    """Any awaitable as a coroutine: a handler need not be an `async def`."""
    return await work
