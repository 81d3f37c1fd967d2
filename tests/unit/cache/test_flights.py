"""Of those who want the same at the same time one computes it."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from antiphon.cache.flights import Flights, ThreadFlights


class Work:
    """Counts how often it is done, and is done when it is told to."""

    def __init__(self) -> None:
        self.calls = 0
        self.begun = asyncio.Event()
        self.go = asyncio.Event()
        self.error: Exception | None = None

    async def __call__(self) -> int:
        self.calls += 1
        self.begun.set()
        await self.go.wait()
        if self.error:
            raise self.error
        return self.calls


async def test_a_hundred_at_once_compute_once() -> None:
    flights, work = Flights(), Work()
    callers = [asyncio.create_task(flights.join("k", work)) for _ in range(100)]
    await work.begun.wait()
    work.go.set()
    assert await asyncio.gather(*callers) == [1] * 100
    assert await flights.join("k", work) == 2


async def test_other_keys_fly_for_themselves() -> None:
    flights, work = Flights(), Work()
    work.go.set()
    assert sorted(await asyncio.gather(*(flights.join(key, work) for key in "abc"))) == [1, 2, 3]


async def test_an_error_is_told_to_all_and_the_next_one_tries_again() -> None:
    flights, work = Flights(), Work()
    work.error = ValueError("no")
    callers = [asyncio.create_task(flights.join("k", work)) for _ in range(5)]
    await work.begun.wait()
    work.go.set()
    assert await asyncio.gather(*callers, return_exceptions=True) == [work.error] * 5
    work.error = None
    assert await flights.join("k", work) == 2


async def test_the_first_gives_up_and_the_others_are_served() -> None:
    flights, work = Flights(), Work()
    first, second = (asyncio.create_task(flights.join("k", work)) for _ in range(2))
    await work.begun.wait()
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    work.go.set()
    assert await second == 1


async def test_all_give_up_and_nothing_is_said_of_the_error() -> None:
    flights, work = Flights(), Work()
    work.error = ValueError("nobody hears it")
    caller = asyncio.create_task(flights.join("k", work))
    await work.begun.wait()
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    heard: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: heard.append(context))
    (flight,) = (task for task in asyncio.all_tasks() if task.get_name() == "single flight")
    work.go.set()
    await asyncio.wait([flight])
    await asyncio.sleep(0)
    assert heard == []


async def test_what_is_forgotten_is_computed_again() -> None:
    flights, old, new = Flights(), Work(), Work()
    before = asyncio.create_task(flights.join("k", old))
    await old.begun.wait()
    flights.forget("k")
    after = asyncio.create_task(flights.join("k", new))
    await new.begun.wait()
    old.go.set()
    await before
    assert new.calls == 1
    joined = asyncio.create_task(flights.join("k", old))
    new.go.set()
    assert (await after, await joined) == (1, 1)
    assert old.calls == 1


async def test_who_waits_for_itself_is_told() -> None:
    flights = Flights()

    async def again() -> int:
        return await flights.join("k", again)

    async def around() -> int:
        return await flights.join("k", lambda: flights.join("other", again))

    with pytest.raises(RecursionError):
        await flights.join("k", again)
    with pytest.raises(RecursionError):
        await around()


def test_each_loop_flies_for_itself() -> None:
    flights = Flights()
    both = threading.Barrier(2, timeout=20)

    async def work() -> int:
        both.wait()
        return threading.get_ident()

    with ThreadPoolExecutor(2) as pool:
        flown = [pool.submit(lambda: asyncio.run(flights.join("k", work))) for _ in range(2)]
        assert len({flight.result() for flight in flown}) == 2


def test_threads_that_ask_at_once_compute_once() -> None:
    flights, calls, waiting, go = ThreadFlights(), [], threading.Semaphore(0), threading.Event()

    def work() -> int:
        calls.append(1)
        waiting.release()
        go.wait(20)
        return len(calls)

    with ThreadPoolExecutor(10) as pool:
        asked = [pool.submit(flights.join, "k", work) for _ in range(10)]
        waiting.acquire()
        go.set()
        answers = {answer.result() for answer in asked}
    assert len(calls) < 10
    assert answers == set(range(1, len(calls) + 1))
    assert flights.join("k", lambda: -1) == -1


def test_the_error_of_a_thread_is_told_to_all() -> None:
    flights, begun, go = ThreadFlights(), threading.Event(), threading.Event()

    def fail() -> int:
        begun.set()
        go.wait(20)
        raise ValueError("no")

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(flights.join, "k", fail)
        assert begun.wait(20)
        second = pool.submit(flights.join, "k", fail)
        go.set()
        for answer in (first, second):
            with pytest.raises(ValueError, match="no"):
                answer.result()


def test_a_thread_that_is_stopped_says_nothing_about_the_value() -> None:
    flights, begun, go = ThreadFlights(), threading.Event(), threading.Event()

    def stopped() -> int:
        begun.set()
        go.wait(20)
        raise SystemExit

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(flights.join, "k", stopped)
        assert begun.wait(20)
        second = pool.submit(flights.join, "k", lambda: 2)
        go.set()
        with pytest.raises(SystemExit):
            first.result()
        assert second.result() == 2


def test_a_function_that_asks_for_itself_is_told() -> None:
    flights = ThreadFlights()

    def again() -> int:
        return flights.join("k", again)

    with pytest.raises(RecursionError):
        flights.join("k", again)
    assert flights.join("k", lambda: 1) == 1
