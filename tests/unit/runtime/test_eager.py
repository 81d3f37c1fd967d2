"""Work that is begun before it is awaited."""

import asyncio
from collections.abc import Awaitable

import pytest

from antiphon.runtime.eager import Eager


class Work:
    """Says how far it has come."""

    def __init__(self, *waits: Awaitable[object]) -> None:
        self.waits = waits
        self.steps: list[object] = []

    async def run(self) -> None:
        for wait in self.waits:
            try:
                self.steps.append(await wait)
            except (asyncio.CancelledError, ValueError) as error:
                self.steps.append(type(error))
                if isinstance(error, asyncio.CancelledError):
                    raise
        self.steps.append("end")


async def at_once() -> str:
    return "at once"


async def test_what_need_not_wait_is_done_before_it_is_awaited() -> None:
    work = Work(at_once())
    eager = Eager(work.run())
    assert eager.done
    assert work.steps == ["at once", "end"]
    await eager


async def test_what_waits_goes_on_when_it_is_awaited() -> None:
    first, second = (asyncio.get_running_loop().create_future() for _ in range(2))
    work = Work(first, at_once(), second)
    eager = Eager(work.run())
    assert work.steps == []
    first.set_result(1)
    asyncio.get_running_loop().call_soon(second.set_exception, ValueError())
    await eager
    assert eager.done
    assert work.steps == [1, "at once", ValueError, "end"]


async def test_an_error_before_the_first_wait_comes_at_once() -> None:
    async def fails() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        Eager(fails())


async def test_a_time_limit_around_it_cancels_what_it_waits_for() -> None:
    never = asyncio.get_running_loop().create_future()
    work = Work(never)
    eager = Eager(work.run())
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await eager
    assert never.cancelled()
    assert work.steps == [asyncio.CancelledError]


async def test_a_wait_that_swallows_its_cancellation_goes_on() -> None:
    async def deaf() -> str:
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            await asyncio.sleep(0)
        return "heard, and not obeyed"

    work = Work(deaf())

    async def reads() -> None:
        await Eager(work.run())

    task = asyncio.create_task(reads())
    await asyncio.sleep(0)
    task.cancel()
    await task
    assert work.steps == ["heard, and not obeyed", "end"]
