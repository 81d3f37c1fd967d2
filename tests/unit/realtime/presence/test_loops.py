"""What is used on one loop after the other."""

import asyncio

from antiphon.realtime.presence.loops import LoopStepper, Soon


async def test_asked_many_times_it_is_done_once() -> None:
    done: list[int] = []
    soon = Soon(lambda: done.append(1))
    for _ in range(5):
        soon.ask()
    assert done == []
    await asyncio.sleep(0)
    assert done == [1]
    soon.ask()
    await asyncio.sleep(0)
    assert done == [1, 1]


async def test_with_a_delay_it_waits() -> None:
    happened = asyncio.Event()
    soon = Soon(happened.set)
    began = asyncio.get_running_loop().time()
    soon.ask(0.05)
    soon.ask()
    await asyncio.sleep(0)
    assert not happened.is_set()
    await happened.wait()
    assert asyncio.get_running_loop().time() - began > 0.04


def test_a_loop_that_ended_first_is_not_waited_for() -> None:
    done: list[int] = []
    soon = Soon(lambda: done.append(1))

    async def ask(delay: float) -> None:
        soon.ask(delay)
        await asyncio.sleep(0)

    asyncio.run(ask(60))
    asyncio.run(ask(0))
    assert done == [1]


def test_a_stepper_steps_on_each_loop_and_stops_there() -> None:
    stepper = LoopStepper()
    done: list[object] = []

    async def work(seconds: float) -> str:
        await asyncio.sleep(seconds)
        return "done"

    async def use(seconds: float, *, stop: bool) -> None:
        stepper.run(work(seconds), lambda result, error: done.append(result or type(error)))
        if stop:
            await stepper.stop()

    asyncio.run(use(60, stop=False))
    asyncio.run(use(60, stop=True))
    assert done == [asyncio.CancelledError, asyncio.CancelledError]
