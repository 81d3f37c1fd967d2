"""Coroutines stepped by hand behave as if each ran in a task of its own."""

import asyncio
import contextvars
from typing import Any

import anyio
import pytest

from antiphon.realtime.stepper import Stepper

Outcome = tuple[Any, BaseException | None]
variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="outside")


class Runner:
    """A stepper, and the outcome of the last run."""

    def __init__(self) -> None:
        self.stepper = Stepper()
        self.outcomes: list[Outcome] = []

    def run(self, work: Any) -> asyncio.Task[None] | None:
        return self.stepper.run(work, lambda result, error: self.outcomes.append((result, error)))

    async def outcome(self) -> Outcome:
        async with asyncio.timeout(5):
            while not self.outcomes:
                await asyncio.sleep(0)
        return self.outcomes.pop()


@pytest.fixture(params=["asyncio", "uvloop"], scope="module")
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    return ("asyncio", {"use_uvloop": request.param == "uvloop"})


@pytest.fixture
def runner() -> Runner:
    return Runner()


async def test_what_does_not_wait_is_done_at_once_without_a_task(runner: Runner) -> None:
    async def work() -> int:
        return 7

    before = len(asyncio.all_tasks())
    assert runner.run(work()) is None
    assert runner.outcomes == [(7, None)]
    for _ in range(10):
        runner.run(work())
    # One spare stands by, however much is run.
    assert len(asyncio.all_tasks()) == before + 1


async def test_what_raises_at_once_is_told_to_its_owner(runner: Runner) -> None:
    error = RuntimeError("boom")

    async def work() -> None:
        raise error

    runner.run(work())
    assert runner.outcomes == [(None, error)]


async def test_what_waits_goes_on_in_one_and_the_same_task(runner: Runner) -> None:
    seen: list[Any] = []

    async def work() -> str:
        seen.append(asyncio.current_task())
        await asyncio.sleep(0)
        seen.append(asyncio.current_task())
        await asyncio.sleep(0.001)
        seen.append(asyncio.current_task())
        return "done"

    outer = asyncio.current_task()
    task = runner.run(work())
    assert asyncio.current_task() is outer
    assert await runner.outcome() == ("done", None)
    assert task is not None
    assert seen == [task, task, task]


async def test_time_limits_task_groups_and_cancel_scopes_work_across_the_first_wait(runner: Runner) -> None:
    async def work() -> list[str]:
        seen = []
        try:
            async with asyncio.timeout(0.01):
                await asyncio.Event().wait()
        except TimeoutError:
            seen.append("timeout")
        async with asyncio.TaskGroup() as group:
            group.create_task(asyncio.sleep(0))
        seen.append("group")
        with anyio.move_on_after(0.01) as scope:
            await anyio.sleep(10)
        assert scope.cancelled_caught
        seen.append("scope")
        return seen

    runner.run(work())
    assert await runner.outcome() == (["timeout", "group", "scope"], None)


@pytest.mark.parametrize("turns", [0, 1, 2, 5])
async def test_cancelling_reaches_the_coroutine_and_what_it_waits_for(runner: Runner, turns: int) -> None:
    inner: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def work() -> None:
        await inner

    task = runner.run(work())
    assert task is not None
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    _, error = await runner.outcome()
    assert isinstance(error, asyncio.CancelledError)
    assert inner.cancelled()


async def test_a_cancelled_coroutine_may_clean_up_and_answer(runner: Runner) -> None:
    async def work() -> str:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await asyncio.sleep(0)
            return "cleaned"
        return "never"

    task = runner.run(work())
    assert task is not None
    task.cancel()
    assert await runner.outcome() == ("cleaned", None)


async def test_context_variables_stay_inside_and_survive_the_wait(runner: Runner) -> None:
    async def work() -> tuple[str, str]:
        token = variable.set("inside")
        await asyncio.sleep(0)
        inside = variable.get()
        variable.reset(token)
        return inside, variable.get()

    async def leaky() -> None:
        variable.set("leaked")

    runner.run(work())
    runner.run(leaky())
    runner.outcomes.clear()
    assert variable.get() == "outside"
    assert await runner.outcome() == (("inside", "outside"), None)


async def test_a_coroutine_may_start_another_inside_its_first_step(runner: Runner) -> None:
    seen: list[Any] = []

    async def inner() -> None:
        seen.append(asyncio.current_task())
        await asyncio.sleep(0)

    async def outer() -> bool:
        mine = asyncio.current_task()
        runner.stepper.run(inner(), lambda result, error: None)
        same = asyncio.current_task() is mine
        await asyncio.sleep(0)
        return same and asyncio.current_task() is mine and seen[0] is not mine

    runner.run(outer())
    assert await runner.outcome() == (True, None)


async def test_a_spare_that_was_cancelled_is_replaced(runner: Runner) -> None:
    async def suicidal() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()

    async def work() -> str:
        await asyncio.sleep(0)
        return "fine"

    runner.run(suicidal())
    runner.outcomes.clear()
    runner.run(work())
    assert await runner.outcome() == ("fine", None)


async def test_stop_cancels_what_still_runs(runner: Runner) -> None:
    runner.run(asyncio.Event().wait())
    await runner.stepper.stop()
    assert isinstance(runner.outcomes[0][1], asyncio.CancelledError)


async def test_steps_inside_steps_leave_no_task_behind(runner: Runner) -> None:
    """Each depth has its own spare, which stands by for the next time."""
    depths: list[int] = []

    async def work(depth: int) -> None:
        me = asyncio.current_task()
        if depth:
            runner.run(work(depth - 1))
        assert asyncio.current_task() is me
        depths.append(depth)

    before = len(asyncio.all_tasks())
    for _ in range(5):
        runner.run(work(3))
    assert depths == [0, 1, 2, 3] * 5
    assert runner.outcomes == [(None, None)] * 20
    assert len(asyncio.all_tasks()) == before + 4
    await runner.stepper.stop()
    assert len(asyncio.all_tasks()) == before
