"""Whatever way broadcasts come, members see them once, in order, and are told when one is nowhere to be had."""

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.errors import ServiceError
from antiphon.realtime.recovery import sequence
from antiphon.realtime.recovery.base import Missed
from antiphon.realtime.recovery.sequence import Sequence
from antiphon.realtime.wire.base import Position, TopicMessage


def said(number: int) -> TopicMessage:
    return TopicMessage.of("t", "said", {"n": number})


class Stage:
    """A topic whose log holds what is broadcast, unless a test takes it away."""

    def __init__(self) -> None:
        self.log: dict[int, TopicMessage] = {}
        self.seen: list[Any] = []
        self.reachable = True
        self.sequence = Sequence("t", lambda message, _: self.seen.append(message.payload["n"]), self.ask, self.lost)

    def broadcast(self, number: int) -> None:
        self.log[number] = said(number)

    def arrive(self, number: int, epoch: str = "e") -> None:
        self.sequence.take(said(number), Position(epoch, number))

    def lost(self, topic: str) -> None:
        self.seen.append("gap")

    async def ask(self, topic: str, seen: Position) -> Missed:
        await asyncio.sleep(0)
        if not self.reachable:
            raise ServiceError("no log")
        last = max(self.log, default=0)
        wanted = range(seen.offset + 1, last + 1)
        whole = all(number in self.log for number in wanted)
        messages = tuple(self.log[number] for number in wanted) if whole else ()
        return Missed(messages, whole, Position("e", last))

    async def settle(self) -> None:
        for _ in range(3):
            await asyncio.sleep(sequence.PATIENCE_SECONDS * 1.5)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sequence, "PATIENCE_SECONDS", 0.002)


@given(st.integers(1, 12).flatmap(lambda n: st.tuples(st.just(n), st.lists(st.integers(1, n), max_size=3 * n))))
def test_any_order_doubles_and_losses_give_each_once_in_order(case: tuple[int, list[int]]) -> None:
    count, arrivals = case

    async def play() -> None:
        sequence.PATIENCE_SECONDS = 0.002
        stage = Stage()
        stage.sequence.start_behind(Position("e", 0))
        for number in range(1, count + 1):
            stage.broadcast(number)
        for number in arrivals:
            stage.arrive(number)
        stage.sequence.heal()
        await stage.settle()
        assert stage.seen == list(range(1, count + 1))
        stage.sequence.close()

    asyncio.run(play())


async def test_the_first_says_where_it_begins() -> None:
    stage = Stage()
    for number in (7, 8, 6):
        stage.arrive(number)
    assert stage.seen == [7, 8]


async def test_what_the_log_has_lost_too_is_announced_and_left_behind() -> None:
    stage = Stage()
    stage.arrive(1)
    stage.log = {4: said(4)}
    stage.arrive(4)
    await stage.settle()
    assert stage.seen == [1, "gap", 4]
    stage.arrive(5)
    assert stage.seen[-1] == 5


async def test_without_the_log_a_hole_is_announced_after_a_moment() -> None:
    stage = Stage()
    stage.reachable = False
    stage.arrive(1)
    stage.arrive(3)
    await stage.settle()
    assert stage.seen == [1, "gap", 3]


async def test_a_question_that_fails_when_nothing_is_missing_is_no_gap() -> None:
    stage = Stage()
    stage.arrive(1)
    stage.reachable = False
    stage.sequence.heal()
    await stage.settle()
    assert stage.seen == [1]


async def test_a_log_that_begins_anew_is_followed() -> None:
    stage = Stage()
    stage.arrive(7)
    stage.arrive(9)
    stage.arrive(3, epoch="f")
    stage.arrive(4, epoch="f")
    assert stage.seen == [7, 3, 4]
    stage.sequence.close()


async def test_what_never_arrived_is_found_when_somebody_asks() -> None:
    stage = Stage()
    stage.arrive(1)
    stage.broadcast(1)
    stage.broadcast(2)
    stage.sequence.heal()
    await stage.settle()
    assert stage.seen == [1, 2]
