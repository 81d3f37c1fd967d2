"""One at a time, in threads and tasks together."""

import asyncio
import threading
from contextvars import Context

import pytest

from antiphon.errors import ServiceError
from antiphon.runtime.gate import Gate


class Room:
    """Notices when two are inside."""

    def __init__(self) -> None:
        self.inside = self.visits = 0

    def enter(self) -> None:
        self.inside += 1
        assert self.inside == 1
        self.visits += 1

    def leave(self) -> None:
        self.inside -= 1


async def test_threads_and_tasks_never_meet() -> None:
    gate, room = Gate(), Room()

    def in_thread() -> None:
        for _ in range(50):
            with gate.hold():
                room.enter()
                threading.Event().wait(0.0001)
                room.leave()

    async def in_task() -> None:
        for _ in range(5):
            async with gate.ahold():
                room.enter()
                await asyncio.sleep(0)
                room.leave()

    await asyncio.gather(*(asyncio.to_thread(in_thread) for _ in range(4)), *(in_task() for _ in range(8)))
    assert room.visits == 4 * 50 + 8 * 5


async def test_whoever_is_inside_may_enter_again() -> None:
    gate = Gate()
    with gate.hold(), gate.hold():
        async with gate.ahold(), gate.ahold():
            with gate.hold():
                pass

    def enter() -> bool:
        with gate.hold():
            return True

    assert await asyncio.to_thread(enter), "it has been left"


async def test_a_task_of_the_one_inside_is_inside_until_that_one_leaves() -> None:
    gate, left, order = Gate(), asyncio.Event(), list[str]()

    async def child() -> None:
        async with gate.ahold():
            order.append("with its maker")
        await left.wait()
        async with gate.ahold():
            order.append("behind the other")

    async with gate.ahold():
        task = asyncio.create_task(child())
        await asyncio.sleep(0)
    async with gate.ahold():
        left.set()
        await asyncio.sleep(0.005)
        order.append("the other")
    await task
    assert order == ["with its maker", "the other", "behind the other"]


async def test_blocking_code_is_not_made_to_wait_for_its_own_loop() -> None:
    gate, go_on = Gate(), asyncio.Event()

    async def holder() -> None:
        async with gate.ahold():
            await go_on.wait()

    task = asyncio.create_task(holder())
    await asyncio.sleep(0)
    with pytest.raises(ServiceError, match="await `aresolve`"), gate.hold():
        raise AssertionError
    go_on.set()
    await task
    with gate.hold():
        pass


async def test_who_gives_up_waiting_leaves_it_as_it_is() -> None:
    gate = Gate()

    async def wait() -> None:
        async with gate.ahold():
            raise AssertionError

    async with gate.ahold():
        task = asyncio.get_running_loop().create_task(wait(), context=Context())
        await asyncio.sleep(0.002)
        task.cancel()
        await asyncio.wait({task})
        assert task.cancelled()
    with gate.hold():
        pass
