"""Functions that block, in threads: bounded, with the caller's context."""

import asyncio
import threading
from contextvars import ContextVar
from functools import partial

import pytest

from antiphon.errors import ServiceError
from antiphon.runtime import threads
from antiphon.runtime.threads import Threads, run_async

VALUE: ContextVar[str] = ContextVar("value", default="")


async def test_a_function_runs_beside_the_loop_with_the_callers_context() -> None:
    def look(prefix: str, *, suffix: str) -> tuple[str, bool]:
        return prefix + VALUE.get() + suffix, threading.current_thread() is threading.main_thread()

    VALUE.set("turn 7")
    assert await run_async(look, "<", suffix=">") == ("<turn 7>", False)


@pytest.mark.parametrize("error", [ValueError("no"), TimeoutError("late"), StopIteration("end"), SystemExit(3)])
async def test_what_it_raises_is_raised(error: BaseException) -> None:
    def fail() -> None:
        raise error

    caught = None
    try:
        await Threads(1, 1).run(fail)
    except BaseException as raised:  # noqa: BLE001 - SystemExit is one of them
        caught = raised
    assert caught is error or isinstance(caught.__cause__ if caught else None, StopIteration)


async def test_no_more_than_the_limit_run_and_no_more_than_the_queue_wait() -> None:
    pool, let_go, running = Threads(2, 3), threading.Event(), threading.Semaphore(0)

    def work() -> None:
        running.release()
        let_go.wait(30)

    begun = [asyncio.create_task(pool.run(work)) for _ in range(2)]
    await asyncio.to_thread(lambda: [running.acquire(timeout=30) for _ in range(2)])
    waiting = [asyncio.create_task(pool.run(work)) for _ in range(3)]
    await asyncio.sleep(0)
    with pytest.raises(ServiceError, match="3 functions wait for a thread already"):
        await pool.run(work)
    waiting[0].cancel()
    await asyncio.wait({waiting[0]})
    let_go.set()
    await asyncio.gather(*begun, *waiting[1:])
    assert running.acquire(timeout=0)
    assert running.acquire(timeout=0)
    assert not running.acquire(timeout=0), "what was cancelled in the line never ran"


async def test_a_thousand_calls_come_through_few_threads() -> None:
    pool, seen = Threads(4, 1_000, name="few"), set[str]()

    def work(number: int) -> int:
        seen.add(threading.current_thread().name)
        return number

    assert await asyncio.gather(*(pool.run(partial(work, number)) for number in range(1_000))) == list(range(1_000))
    assert seen == {"few"}


async def test_a_workspace_brings_its_own() -> None:
    mine = threads.adopt(Threads(1, 1, name="mine"))
    try:
        assert await run_async(lambda: threading.current_thread().name) == "mine"
    finally:
        threads.release(mine)


async def test_a_system_without_threads_to_give_refuses_and_recovers() -> None:
    pool = Threads(2, 5)
    before = threading.stack_size(2**46)  # more than there is: no thread can be begun
    try:
        for _ in range(3):
            with pytest.raises(ServiceError, match="no more threads"):
                await pool.run(lambda: 1)
    finally:
        threading.stack_size(before)
    assert await pool.run(lambda: 2) == 2


async def test_where_no_further_thread_can_be_begun_work_waits_for_those_that_there_are() -> None:
    pool, let_go, running = Threads(2, 5), threading.Event(), threading.Event()

    def work() -> None:
        running.set()
        let_go.wait(30)

    first = asyncio.create_task(pool.run(work))
    while not running.is_set():
        await asyncio.sleep(0.001)
    before = threading.stack_size(2**46)
    try:
        second = asyncio.create_task(pool.run(lambda: 2))
        await asyncio.sleep(0)
    finally:
        threading.stack_size(before)
    let_go.set()
    await first
    assert await second == 2
