import asyncio

from antiphon.runtime.clock import ManualClock, SystemClock


async def test_the_system_clock_sleeps_at_least_as_long_as_it_says() -> None:
    clock = SystemClock()
    before = clock.monotonic()
    await clock.sleep(0.01)
    assert clock.monotonic() - before >= 0.01


async def test_a_manual_clock_wakes_each_sleeper_at_its_moment() -> None:
    clock, woken = ManualClock(start=100.0), list[tuple[str, float]]()

    async def sleeper(name: str, *naps: float) -> None:
        for nap in naps:
            await clock.sleep(nap)
            woken.append((name, clock.monotonic()))

    async with asyncio.TaskGroup() as group:
        group.create_task(sleeper("twice", 2.0, 2.0))
        group.create_task(sleeper("once", 3.0))
        await clock.advance(1.9)
        assert woken == []
        assert clock.sleepers == 2
        await clock.advance(10.0)
    assert woken == [("twice", 102.0), ("once", 103.0), ("twice", 104.0)]
    assert clock.monotonic() == 111.9


async def test_a_sleeper_that_was_cancelled_is_passed_over() -> None:
    clock = ManualClock()
    sleeper = asyncio.create_task(clock.sleep(1.0))
    await asyncio.sleep(0)
    sleeper.cancel()
    await asyncio.wait([sleeper])
    assert clock.sleepers == 0
    await clock.advance(2.0)
    assert clock.monotonic() == 2.0
