"""Many small things as few large ones: when a batch goes, what each item gets, and what a stop leaves."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.errors import ConfigError, ProcessingError, ServiceError
from antiphon.runtime.batch import BatchProcessor
from antiphon.runtime.clock import ManualClock


class Table:
    """Takes rows in batches; `hold` keeps it from answering."""

    def __init__(self) -> None:
        self.batches: list[list[Any]] = []
        self.now = self.most = 0
        self.open = asyncio.Event()
        self.open.set()

    async def store(self, rows: list[Any]) -> Sequence[Any]:
        self.batches.append(rows)
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await self.open.wait()
        finally:
            self.now -= 1
        return [f"stored {row}" for row in rows]


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def test_it_is_made_where_no_loop_runs() -> None:
    processor: BatchProcessor[int] = BatchProcessor(batch_size=100, timeout=30)

    async def double(number: int) -> int:
        return 2 * number

    assert asyncio.run(processor.process(range(250), double)) == list(range(0, 500, 2))


async def test_a_full_batch_goes_at_once() -> None:
    table = Table()
    async with BatchProcessor(3, 3600, handle=table.store) as rows:
        assert await asyncio.gather(*map(rows.submit, range(6))) == [f"stored {row}" for row in range(6)]
    assert table.batches == [[0, 1, 2], [3, 4, 5]]


async def test_one_that_is_not_full_goes_when_its_first_item_has_waited_long_enough() -> None:
    table, clock = Table(), ManualClock()
    async with BatchProcessor(100, 30, handle=table.store, clock=clock) as rows:
        first = asyncio.create_task(rows.submit(1))
        await settle()
        await clock.advance(20)
        second = asyncio.create_task(rows.submit(2))
        await clock.advance(9)
        assert table.batches == []
        await clock.advance(1)
        assert [await first, await second] == ["stored 1", "stored 2"]
        third = asyncio.create_task(rows.submit(3))
        await settle()
        await clock.advance(30)
        assert await third == "stored 3"
    assert table.batches == [[1, 2], [3]]


async def test_a_batch_that_went_because_it_was_full_takes_its_timer_with_it() -> None:
    table, clock = Table(), ManualClock()
    async with BatchProcessor(2, 30, handle=table.store, clock=clock) as rows:
        await asyncio.gather(rows.submit(1), rows.submit(2))
        await clock.advance(29)
        late = asyncio.create_task(rows.submit(3))
        await settle()
        await clock.advance(2)
        assert not late.done(), "its own 30 seconds count"
    assert await late == "stored 3", "a stop handles what is there"


async def test_each_item_has_its_own_error() -> None:
    async def some(rows: list[int]) -> list[Any]:
        return [ValueError(row) if row % 2 else row for row in rows]

    async with BatchProcessor(4, handle=some) as rows:
        results = await asyncio.gather(*map(rows.submit, range(4)), return_exceptions=True)
    assert [repr(result) for result in results] == ["0", "ValueError(1)", "2", "ValueError(3)"]


async def test_a_batch_that_fails_fails_for_all_its_items_and_for_no_others() -> None:
    async def fail(rows: list[int]) -> list[int]:
        if 0 in rows:
            raise OSError("full")
        return rows

    async with BatchProcessor(2, handle=fail) as rows:
        results = await asyncio.gather(*map(rows.submit, range(4)), return_exceptions=True)
    assert [repr(result) for result in results] == ["OSError('full')", "OSError('full')", "2", "3"]


@pytest.mark.parametrize("answer", [[], [1], [1, 2, 3], None])
async def test_as_many_results_as_items_are_expected(answer: Any) -> None:
    async def wrong(rows: list[int]) -> Any:
        return answer

    async with BatchProcessor(2, handle=wrong) as rows:
        results = await asyncio.gather(*map(rows.submit, range(2)), return_exceptions=True)
    assert all(isinstance(result, ProcessingError | TypeError) for result in results), results


async def test_so_many_are_handled_at_once_and_so_many_wait() -> None:
    table = Table()
    table.open.clear()
    async with BatchProcessor(2, handle=table.store, max_concurrency=3, queue_size=10) as rows:
        tasks = [asyncio.create_task(rows.submit(number)) for number in range(40)]
        await settle()
        assert (table.now, sum(map(len, table.batches))) == (3, 6)
        table.open.set()
        assert await asyncio.gather(*tasks) == [f"stored {number}" for number in range(40)]
    assert table.most == 3


async def test_who_is_cancelled_takes_back_what_waits() -> None:
    table = Table()
    async with BatchProcessor(3, 3600, handle=table.store, queue_size=3) as rows:
        gone = asyncio.create_task(rows.submit("gone"))
        await settle()
        gone.cancel()
        await settle()
        assert await asyncio.gather(*map(rows.submit, "ab")) == ["stored a", "stored b"]
    assert table.batches == [["a", "b"]]


async def test_what_a_stop_cannot_finish_in_time_fails_and_nothing_is_taken_after_it() -> None:
    table = Table()
    table.open.clear()
    rows: BatchProcessor[int] = BatchProcessor(1, handle=table.store, max_concurrency=1, queue_size=2)
    tasks = [asyncio.create_task(rows.submit(number)) for number in range(3)]
    await settle()
    await rows.stop(limit=0.01)
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [str(result) for result in results] == [
        "The batch processor was stopped before this item was handled.",
        "The batch processor was stopped before this item was handled.",
        "This batch processor has been stopped.",
    ]
    with pytest.raises(ServiceError):
        await rows.submit(4)


@given(st.lists(st.integers(0, 3), max_size=60), st.integers(1, 9), st.integers(1, 4), st.integers(1, 12))
def test_every_item_gets_its_own_result_whatever_the_sizes(
    pauses: list[int], size: int, concurrency: int, queue: int
) -> None:
    async def run() -> None:
        clock, table = ManualClock(), Table()
        processor: BatchProcessor[int] = BatchProcessor(
            size, 1, handle=table.store, max_concurrency=concurrency, queue_size=queue, clock=clock
        )
        tasks = []
        for number, pause in enumerate(pauses):
            tasks.append(asyncio.create_task(processor.submit(number)))
            await clock.advance(pause / 2)
        while not all(task.done() for task in tasks):
            await clock.advance(1)
        await processor.stop()
        assert [task.result() for task in tasks] == [f"stored {number}" for number in range(len(pauses))]
        assert sorted(row for batch in table.batches for row in batch) == list(range(len(pauses)))
        assert all(len(batch) <= size for batch in table.batches)

    asyncio.run(run())


async def test_the_first_error_ends_a_process_and_is_raised() -> None:
    handled: list[int] = []

    async def handle(item: int) -> int:
        handled.append(item)
        if item == 7:
            raise ValueError(item)
        return item

    with pytest.raises(ValueError, match="7"):
        await BatchProcessor[int](5, max_concurrency=1).process(range(10**12), handle)
    assert handled == list(range(8))


async def test_it_says_what_it_lacks() -> None:
    with pytest.raises(ConfigError, match="handle"):
        await BatchProcessor[int]().submit(1)
    for wrong in ({"batch_size": 0}, {"timeout": 0}, {"max_concurrency": 0}, {"queue_size": 0}):
        with pytest.raises(ConfigError, match="sizes are at least 1"):
            BatchProcessor(**wrong)  # type: ignore[arg-type]
