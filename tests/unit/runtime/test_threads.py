"""Functions that block, in threads: bounded, with the caller's context."""

import asyncio
import gc
import subprocess
import sys
import threading
import weakref
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


# --- threads that are kept for a moment ---------------------------------------------------------------------------


def ours(name: str) -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name == name}


async def until_gone(name: str) -> None:
    async with asyncio.timeout(10):
        while ours(name):
            await asyncio.sleep(0.001)


async def test_one_thread_serves_what_comes_one_after_the_other() -> None:
    pool = Threads(4, 10, name="one by one")
    served = {await pool.run(threading.get_ident) for _ in range(20)}
    assert len(served) == 1
    assert len(ours("one by one")) == 1


async def test_a_thread_ends_when_nothing_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "IDLE_SECONDS", 0.01)
    pool = Threads(2, 10, name="idle")
    for _ in range(3):  # and begins anew for what comes after
        assert await pool.run(lambda: 7) == 7
        await until_gone("idle")


async def test_work_that_comes_just_as_threads_end_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "IDLE_SECONDS", 0.0005)
    pool = Threads(3, 1000, name="ending")

    async def some(number: int) -> list[int]:
        done = []
        for turn in range(150):
            done.append(await pool.run(lambda turn=turn: turn))  # type: ignore[misc]
            if turn % (number + 2) == 0:
                await asyncio.sleep(0.0005)
        return done

    async with asyncio.timeout(30):
        assert await asyncio.gather(*(some(number) for number in range(8))) == [list(range(150))] * 8
    await until_gone("ending")


async def test_an_idle_thread_keeps_nothing_alive() -> None:
    class Thing: ...

    pool, thing = Threads(1, 1), Thing()
    seen = weakref.ref(thing)

    def keep(thing: Thing = thing) -> Thing:
        return thing

    assert await pool.run(keep) is thing
    del thing, keep
    for _ in range(200):
        gc.collect()
        if seen() is None:
            return
        await asyncio.sleep(0.01)
    pytest.fail("the thread holds what it handled last")


def test_a_function_that_hangs_keeps_neither_loop_nor_process() -> None:
    program = """
import asyncio, threading
from antiphon.runtime.threads import Threads
pool, hang = Threads(1, 1), threading.Event()
async def main():
    try:
        await asyncio.wait_for(pool.run(hang.wait), 0.05)
    except TimeoutError:
        print("given up")
asyncio.run(main())
hang.set()  # it answers to a loop that is closed
"""
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=20)
    assert (told.stdout, told.stderr, told.returncode) == ("given up\n", "", 0)
