import asyncio
import logging

import pytest

from antiphon.errors import ServiceError
from antiphon.runtime.tasks import Tasks


async def test_work_is_done_and_forgotten() -> None:
    async with Tasks("test") as tasks:
        task = tasks.spawn(asyncio.sleep(0, result=42), "answer")
        assert len(tasks) == 1
        assert task.get_name() == "answer"
        assert await task == 42
        assert await tasks.join(1.0)
        assert len(tasks) == 0


async def test_an_error_is_logged_counted_and_told_and_the_others_go_on(caplog: pytest.LogCaptureFixture) -> None:
    told: list[tuple[str, BaseException]] = []
    error = ValueError("broken")

    async def fail() -> None:
        raise error

    tasks = Tasks("test", on_error=lambda name, problem: told.append((name, problem)))
    release = asyncio.Event()
    other = tasks.spawn(release.wait(), "other")
    with caplog.at_level(logging.ERROR):
        tasks.spawn(fail(), "failing")
        while tasks.failed == 0:
            await asyncio.sleep(0)
    assert told == [("failing", error)]
    assert caplog.records[0].getMessage() == "tasks.failed: failing of test"
    assert not other.done()
    release.set()
    assert await tasks.join()
    assert tasks.failed == 1


async def test_join_gives_up_after_its_time_and_cancels_nothing() -> None:
    async with Tasks("test") as tasks:
        task = tasks.spawn(asyncio.Event().wait(), "endless")
        assert not await tasks.join(0.01)
        assert not task.done()


async def test_stop_cancels_and_waits_for_the_clean_up() -> None:
    cleaned, begun = list[str](), asyncio.Event()

    async def work() -> None:
        try:
            begun.set()
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            cleaned.append("clean")

    tasks = Tasks("test")
    tasks.spawn(work(), "work")
    await begun.wait()
    await tasks.stop()
    assert cleaned == ["clean"]
    assert tasks.failed == 0


async def test_work_that_ignores_its_cancellation_is_named_and_left(caplog: pytest.LogCaptureFixture) -> None:
    release = asyncio.Event()

    async def stubborn() -> None:
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue

    tasks = Tasks("test")
    tasks.spawn(stubborn(), "mule")
    await asyncio.sleep(0)
    with caplog.at_level(logging.ERROR):
        await tasks.stop(0.01)
    assert caplog.records[0].getMessage() == "tasks.not_ended: mule of test ignores its cancellation"
    release.set()
    assert await tasks.join(1.0)


async def test_no_work_is_taken_after_the_end() -> None:
    tasks = Tasks("the house")
    await tasks.stop()
    with pytest.raises(ServiceError, match="the house has stopped"):
        tasks.spawn(asyncio.sleep(0), "late")


async def test_a_task_may_stop_its_owner() -> None:
    tasks = Tasks("test")
    task = tasks.spawn(tasks.stop(), "last")
    await asyncio.wait_for(task, 1.0)
