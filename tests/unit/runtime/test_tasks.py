"""Tasks that are looked after, and functions side by side."""

import asyncio
import gc
import logging
from collections.abc import AsyncIterator, Iterator
from contextvars import ContextVar
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.errors import ConfigError, ServiceError
from antiphon.runtime.clock import ManualClock
from antiphon.runtime.tasks import Restart, Tasks, gather_with_concurrency


@pytest.fixture
async def tasks() -> AsyncIterator[Tasks]:
    async with Tasks() as made:
        yield made


# --- looked after -------------------------------------------------------------------------------------------------


async def test_a_crash_is_logged_and_the_others_go_on(tasks: Tasks, caplog: pytest.LogCaptureFixture) -> None:
    async def crash(number: int) -> None:
        raise ValueError(number)

    forever = tasks.start("forever", asyncio.Event().wait)
    await tasks.start("crash", crash, 7)
    assert (len(tasks), forever.done()) == (1, False)
    assert "task.crashed: crash" in caplog.text


async def test_a_crash_is_begun_again_with_growing_pauses() -> None:
    clock, runs = ManualClock(), list[float]()

    async def crash() -> None:
        runs.append(clock.monotonic())
        raise ValueError

    async with Tasks(clock=clock) as tasks:
        tasks.start("crash", crash, restart=Restart(first_pause=1, longest_pause=5))
        await clock.advance(0)
        await clock.advance(23)
    assert runs == [0, 1, 3, 7, 12, 17, 22]


async def test_it_is_given_up_after_so_many_in_a_row(caplog: pytest.LogCaptureFixture) -> None:
    clock, runs = ManualClock(), 0

    async def crash() -> None:
        nonlocal runs
        runs += 1
        if runs == 3:
            await clock.sleep(100)  # a long run begins a new row
        raise ValueError

    async with Tasks(clock=clock) as tasks:
        task = tasks.start("crash", crash, restart=Restart(attempts=2, longest_pause=50))
        await clock.advance(0)
        await clock.advance(1_000)
        assert task.done()
    assert runs == 5
    assert "task.given_up: crash crashed 3 times in a row" in caplog.text


async def test_one_that_ends_well_is_not_begun_again(tasks: Tasks) -> None:
    runs = 0

    async def once() -> None:
        nonlocal runs
        runs += 1

    await tasks.start("once", once, restart=Restart())
    assert (runs, len(tasks)) == (1, 0)


async def test_stopping_cancels_all_of_them_and_waits_for_their_ends(tasks: Tasks) -> None:
    ended: list[int] = []

    async def work(number: int) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended.append(number)

    for number in range(1_000):
        tasks.start(f"work {number}", work, number)
    await asyncio.sleep(0)
    await tasks.stop()
    assert (len(ended), len(tasks)) == (1_000, 0)


async def test_one_that_does_not_listen_is_named_and_left(caplog: pytest.LogCaptureFixture) -> None:
    tasks, let_go = Tasks(stop_limit=0.01), asyncio.Event()

    async def deaf() -> None:
        while not let_go.is_set():
            try:
                await let_go.wait()
            except asyncio.CancelledError:
                continue

    task = tasks.start("deaf", deaf)
    await asyncio.sleep(0)
    await tasks.stop()
    assert "task.ignores_cancellation: deaf" in caplog.text
    let_go.set()
    await task


async def test_nothing_is_started_while_everything_stops(tasks: Tasks) -> None:
    refused: list[ServiceError] = []

    async def stubborn() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            try:
                tasks.start("child", asyncio.Event().wait)
            except ServiceError as error:
                refused.append(error)

    tasks.start("stubborn", stubborn)
    await asyncio.sleep(0)
    await tasks.stop()
    assert "The task child cannot be started" in str(refused[0])
    await tasks.start("again", asyncio.sleep, 0)


async def test_logged_once(tasks: Tasks, caplog: pytest.LogCaptureFixture) -> None:
    async def crash() -> None:
        raise ValueError

    tasks.start("crash", crash)
    await asyncio.sleep(0)
    gc.collect()
    assert [record.levelno for record in caplog.records] == [logging.ERROR]


# --- side by side -------------------------------------------------------------------------------------------------


class Meter:
    def __init__(self) -> None:
        self.now = self.most = self.begun = 0

    async def measure(self, value: Any = None, rounds: int = 3) -> Any:
        self.begun += 1
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            for _ in range(rounds):
                await asyncio.sleep(0)
            if isinstance(value, BaseException):
                raise value
            return value
        finally:
            self.now -= 1


@given(limit=st.integers(1, 30), rounds=st.lists(st.integers(0, 5), max_size=40), spread=st.booleans())
def test_results_are_in_order_and_never_too_many_run(limit: int, rounds: list[int], spread: bool) -> None:
    async def run() -> None:
        meter = Meter()
        work = [meter.measure(number, count) for number, count in enumerate(rounds)]
        results = await (gather_with_concurrency(limit, *work) if spread else gather_with_concurrency(limit, work))
        assert results == list(range(len(rounds)))
        assert meter.most <= limit
        assert meter.most == min(limit, len(rounds)) or min(rounds) == 0 or len(rounds) <= 1

    asyncio.run(run())


async def test_the_first_error_ends_it_and_nothing_is_left_behind() -> None:
    meter, before = Meter(), asyncio.all_tasks()
    work = [meter.measure(rounds=10_000), meter.measure(ValueError("second")), *(meter.measure() for _ in range(50))]
    with pytest.raises(ValueError, match="second"):
        await gather_with_concurrency(2, *work)
    assert (meter.now, meter.begun) == (0, 2)
    assert asyncio.all_tasks() == before
    gc.collect()  # a coroutine that was never awaited would warn here, and a warning is an error


async def test_who_is_cancelled_cancels_all_of_it() -> None:
    meter = Meter()
    work = [meter.measure(rounds=10_000) for _ in range(9)]
    task = asyncio.create_task(gather_with_concurrency(3, work))
    while meter.now < 3:
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (meter.now, meter.begun) == (0, 3)


async def test_an_endless_source_is_read_no_faster_than_it_is_worked_off() -> None:
    meter, made = Meter(), 0

    def endless() -> Iterator[Any]:
        nonlocal made
        while True:
            made += 1
            yield meter.measure(ValueError("enough") if made == 100_000 else None, rounds=0)

    with pytest.raises(ValueError, match="enough"):
        await gather_with_concurrency(4, endless())
    assert made <= 100_004


async def test_a_source_that_breaks_off_is_an_error() -> None:
    meter = Meter()

    def broken() -> Iterator[Any]:
        yield meter.measure()
        raise OSError("cut")

    with pytest.raises(OSError, match="cut"):
        await gather_with_concurrency(1, broken())


async def test_futures_and_nothing_at_all_are_fine_and_no_limit_is_not() -> None:
    future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    future.set_result(5)
    assert await gather_with_concurrency(10**9, future) == [5]
    assert await gather_with_concurrency(3) == []
    with pytest.raises(ConfigError, match="a limit of at least 1, not 0"):
        await gather_with_concurrency(0)


VALUE: ContextVar[str] = ContextVar("value", default="")


async def test_context_variables_reach_a_task(tasks: Tasks) -> None:
    seen: list[str] = []

    async def look() -> None:
        seen.append(VALUE.get())

    VALUE.set("turn 7")
    await tasks.start("look", look)
    assert seen == ["turn 7"]
