"""Threads for what blocks: as many as needed, no more than allowed, none that stays."""

import asyncio
import gc
import subprocess
import sys
import threading
import weakref
from contextvars import ContextVar

import pytest

from antiphon.errors import ServiceError
from antiphon.runtime import threads
from antiphon.runtime.threads import Threads


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


async def test_what_comes_at_once_is_served_at_once_within_the_limit() -> None:
    pool = Threads(3, 10, name="at once")
    meeting = threading.Barrier(3)
    async with asyncio.timeout(10):
        await asyncio.gather(*(pool.run(meeting.wait) for _ in range(6)))
    assert len(ours("at once")) == 3


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


async def test_too_much_is_refused_and_what_was_taken_is_done() -> None:
    pool, go = Threads(1, 2), threading.Event()
    taken = [asyncio.create_task(pool.run(go.wait)) for _ in range(3)]
    await asyncio.sleep(0)
    with pytest.raises(ServiceError, match="try again in a moment"):
        await pool.run(go.wait)
    go.set()
    assert await asyncio.gather(*taken) == [True] * 3
    assert await pool.run(lambda: "open again") == "open again"


async def test_cancelled_work_that_waits_is_never_begun() -> None:
    pool, go, begun = Threads(1, 10), threading.Event(), list[str]()
    first = asyncio.create_task(pool.run(go.wait))
    second = asyncio.create_task(pool.run(lambda: begun.append("second")))
    await asyncio.sleep(0)
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    go.set()
    await first
    await pool.run(lambda: begun.append("third"))
    assert begun == ["third"]


@pytest.mark.parametrize("error", [TimeoutError("late"), StopIteration(1), KeyboardInterrupt(), SystemExit(3)])
async def test_whatever_is_raised_reaches_the_caller(error: BaseException) -> None:
    def fail() -> None:
        raise error

    with pytest.raises(BaseException) as caught:
        await Threads(1, 1).run(fail)
    # A coroutine cannot raise StopIteration: Python makes a RuntimeError of it, with the cause.
    assert caught.value is error or caught.value.__cause__ is error


async def test_the_context_of_the_caller_is_seen_and_not_changed() -> None:
    place: ContextVar[str] = ContextVar("place", default="nowhere")
    place.set("here")

    def move() -> str:
        before = place.get()
        place.set("elsewhere")
        return before

    pool = Threads(1, 1)
    assert [await pool.run(move), await pool.run(move), place.get()] == ["here"] * 3


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
