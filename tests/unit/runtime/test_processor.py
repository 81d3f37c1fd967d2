"""Work in the background: how much of it, in which order, and how it ends."""

import asyncio
import threading
from contextvars import ContextVar
from typing import Any

import pytest

from antiphon.errors import ConfigError, ServiceError
from antiphon.runtime.processor import AsyncProcessor

VALUE: ContextVar[str] = ContextVar("value", default="")


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def double(number: int) -> int:
    await asyncio.sleep(0)
    return 2 * number


def test_it_is_made_where_no_loop_runs() -> None:
    processor = AsyncProcessor(max_workers=4, queue_size=1000)
    assert asyncio.run(processor.map(double, range(5_000))) == list(range(0, 10_000, 2))


async def test_functions_of_both_kinds_give_their_results() -> None:
    async with AsyncProcessor() as processor:
        one = await processor.submit(double, 4)
        other = await processor.submit(lambda: threading.current_thread() is threading.main_thread())
        assert (await one, await other) == (8, False)


async def test_an_error_is_that_of_its_future() -> None:
    async def fail() -> None:
        raise ValueError("no")

    async with AsyncProcessor() as processor:
        failing, fine = await processor.submit(fail), await processor.submit(double, 1)
        with pytest.raises(ValueError, match="no"):
            await failing
        assert await fine == 2


async def test_so_many_run_and_the_others_wait_in_order() -> None:
    begun: list[int] = []
    let_go = asyncio.Event()

    async def work(number: int) -> None:
        begun.append(number)
        await let_go.wait()

    async with AsyncProcessor(2, 10) as processor:
        for number in range(12):
            await processor.submit(work, number)
        await settle()
        assert begun == [0, 1]
        late = asyncio.create_task(processor.submit(work, 12))
        await settle()
        assert not late.done(), "the line is full"
        let_go.set()
        await late
        await processor.join()
    assert begun == list(range(13))


async def test_a_full_line_refuses_where_that_is_wanted() -> None:
    let_go = asyncio.Event()
    async with AsyncProcessor(1, 1, when_full="refuse") as processor:
        await processor.submit(let_go.wait)
        await processor.submit(let_go.wait)
        with pytest.raises(ServiceError, match="1 pieces of work wait already"):
            await processor.submit(let_go.wait)
        let_go.set()


async def test_a_future_that_is_cancelled_cancels_its_work() -> None:
    ended: list[str] = []

    async def work(name: str) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(name)

    async with AsyncProcessor(1) as processor:
        running, waiting = await processor.submit(work, "running"), await processor.submit(work, "waiting")
        await settle()
        waiting.cancel()
        running.cancel()
        await processor.join()
    assert ended == ["running"]


async def test_a_map_stops_at_the_first_error_and_leaves_nothing_behind() -> None:
    begun = 0

    async def work(number: int) -> int:
        nonlocal begun
        begun += 1
        await asyncio.sleep(0)
        if number == 50:
            raise ValueError(number)
        return number

    async with AsyncProcessor(4, 8) as processor:
        with pytest.raises(ValueError, match="50"):
            await processor.map(work, range(10**12))
        await processor.join()
    assert begun < 80


async def test_each_piece_sees_the_variables_of_who_submitted_it() -> None:
    async def look() -> str:
        await asyncio.sleep(0)
        return VALUE.get()

    async def submit(value: str) -> Any:
        VALUE.set(value)
        return await processor.submit(look)

    async with AsyncProcessor(1) as processor:
        futures = [await asyncio.create_task(submit(f"turn {number}")) for number in range(3)]
        assert await asyncio.gather(*futures) == ["turn 0", "turn 1", "turn 2"]


async def test_a_stop_finishes_what_is_there_and_takes_nothing_more() -> None:
    processor = AsyncProcessor(1)
    futures = [await processor.submit(double, number) for number in range(20)]
    await processor.stop()
    assert [future.result() for future in futures] == list(range(0, 40, 2))
    with pytest.raises(ServiceError, match="has been stopped"):
        await processor.submit(double, 1)


async def test_what_a_stop_cannot_finish_in_time_is_cancelled() -> None:
    before = asyncio.all_tasks()
    processor = AsyncProcessor(2, 3)
    futures = [await processor.submit(asyncio.Event().wait) for _ in range(5)]
    blocked = asyncio.create_task(processor.submit(double, 1))
    await settle()
    await processor.stop(limit=0.01)
    assert all(future.cancelled() for future in futures)
    with pytest.raises(ServiceError, match="has been stopped"):
        await blocked
    assert asyncio.all_tasks() == before


def test_it_says_what_is_wrong() -> None:
    for wrong in ({"max_workers": 0}, {"queue_size": 0}):
        with pytest.raises(ConfigError, match="both are at least 1"):
            AsyncProcessor(**wrong)  # type: ignore[arg-type]
