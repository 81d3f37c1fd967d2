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
