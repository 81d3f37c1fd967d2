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
        self.epoch = "e"
        self.reachable = True
        self.asked = 0
        self.sequence = Sequence("t", lambda message, _: self.seen.append(message.payload["n"]), self.ask, self.lost)

    def broadcast(self, number: int) -> None:
        self.log[number] = said(number)

    def arrive(self, number: int, epoch: str = "e") -> None:
        self.sequence.take(said(number), Position(epoch, number))

    def lost(self, topic: str) -> None:
        self.seen.append("gap")

    async def ask(self, topic: str, seen: Position) -> Missed:
        self.asked += 1
        await asyncio.sleep(0)
        if not self.reachable:
            raise ServiceError("no log")
        last = max(self.log, default=0)
        wanted = range(seen.offset + 1, last + 1)
        whole = self.epoch == seen.epoch and all(number in self.log for number in wanted)
        messages = tuple(self.log[number] for number in wanted) if whole else ()
        return Missed(messages, whole, Position(self.epoch, last))

    async def settle(self) -> None:
        for _ in range(3):
            await asyncio.sleep(sequence.PATIENCE_SECONDS * 1.5)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sequence, "PATIENCE_SECONDS", 0.002)
    monkeypatch.setattr(sequence, "RETRY_SECONDS", 0.002)


@given(st.integers(1, 12).flatmap(lambda n: st.tuples(st.just(n), st.lists(st.integers(1, n), max_size=3 * n))))
def test_any_order_doubles_and_losses_give_each_once_in_order(case: tuple[int, list[int]]) -> None:
    count, arrivals = case

    async def play() -> None:
        sequence.PATIENCE_SECONDS = 0.002
        stage = Stage()
        stage.sequence.begin(Position("e", 0))
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
    assert stage.seen == [7, 8, 6], "what is older and late was not there yet"
    stage.arrive(7)
    assert stage.seen == [7, 8, 6]


async def test_what_comes_before_the_beginning_is_known_waits_for_it() -> None:
    stage = Stage()
    stage.sequence = Sequence(
        "t", lambda message, _: stage.seen.append(message.payload["n"]), stage.ask, stage.lost, holds=True
    )
    stage.arrive(4)
    stage.arrive(3)
    assert stage.seen == []
    stage.sequence.begin(Position("e", 2))
    assert stage.seen == [3, 4]


async def test_where_the_beginning_cannot_be_known_the_first_says_it_after_all() -> None:
    stage = Stage()
    stage.sequence = Sequence(
        "t", lambda message, _: stage.seen.append(message.payload["n"]), stage.ask, stage.lost, holds=True
    )
    stage.arrive(4)
    stage.sequence.begin(None)
    stage.arrive(5)
    assert stage.seen == [4, 5]


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
    stage.sequence.close()


async def test_of_a_log_that_begins_anew_nothing_is_skipped() -> None:
    stage = Stage()
    stage.arrive(7)
    stage.arrive(2, epoch="f")
    assert stage.seen == [7], "its first message is for the members that are here"
    stage.arrive(1, epoch="f")
    assert stage.seen == [7, 1, 2]


async def test_what_waited_for_a_log_that_has_ended_is_delivered_behind_a_gap() -> None:
    stage = Stage()
    stage.arrive(7)
    stage.arrive(9)
    stage.arrive(1, epoch="f")
    assert stage.seen == [7, "gap", 9, 1]
    stage.sequence.close()


async def test_a_late_message_of_a_log_that_has_ended_does_not_bring_it_back() -> None:
    stage = Stage()
    stage.arrive(7)
    stage.arrive(1, epoch="f")
    stage.arrive(8)
    stage.arrive(7)
    stage.arrive(2, epoch="f")
    stage.arrive(1, epoch="f")
    assert stage.seen == [7, 1, 8, 2]


async def test_what_was_in_no_log_between_two_may_be_lost_with_the_broker_and_is_announced_once() -> None:
    stage = Stage()
    stage.arrive(7)
    stage.arrive(1, epoch="f")
    stage.epoch, stage.log = "f", {1: said(1)}
    for _ in range(2):
        stage.sequence.heal()
        await stage.settle()
    assert stage.seen == [7, 1, "gap"]


async def test_logs_that_end_one_after_the_other_are_told_apart() -> None:
    stage = Stage()
    stage.arrive(7)
    for epoch in "fgh":
        stage.arrive(1, epoch=epoch)
    for epoch in "gfe":
        stage.arrive(1, epoch=epoch)
    stage.arrive(8)
    stage.arrive(2, epoch="h")
    assert stage.seen == [7, 1, 1, 1, 8, 2]
    for number in range(100):
        stage.arrive(1, epoch=f"e{number}")
    assert len(stage.sequence._ended) == sequence.MOST_ENDED


async def test_an_answer_about_a_log_that_has_ended_is_not_taken_for_the_new_one() -> None:
    stage = Stage()
    stage.arrive(1)
    for number in (1, 2, 3):
        stage.broadcast(number)
    stage.sequence.heal()
    await asyncio.sleep(0)
    assert stage.asked == 1
    stage.arrive(1, epoch="f")
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    for number in (2, 3):
        stage.sequence.take(said(10 * number), Position("f", number))
    assert stage.seen == [1, 1, 2, 3, 20, 30], "its own messages are told, late"
    stage.arrive(2)
    assert stage.seen == [1, 1, 2, 3, 20, 30]
    stage.sequence.close()


async def test_what_the_old_log_cannot_tell_any_more_is_a_gap_though_the_new_one_goes_on() -> None:
    stage = Stage()
    stage.arrive(1)
    stage.epoch = "f"
    stage.sequence.heal()
    await asyncio.sleep(0)
    stage.arrive(1, epoch="f")
    await stage.settle()
    assert stage.seen == [1, 1, "gap"]


async def test_an_answer_that_is_older_than_what_came_does_not_lead_back() -> None:
    stage = Stage()
    stage.arrive(1)
    stage.log = {3: said(3)}
    stage.sequence.heal()
    stage.arrive(2)
    for number in (3, 4):
        stage.arrive(number)
    await stage.settle()
    stage.arrive(4)
    stage.arrive(5)
    assert [number for number in stage.seen if number != "gap"] == [1, 2, 3, 4, 5]


async def test_the_log_may_say_that_another_one_has_begun() -> None:
    stage = Stage()
    stage.arrive(1)
    stage.epoch, stage.log = "f", {1: said(1), 2: said(2)}
    stage.sequence.heal()
    await stage.settle()
    assert stage.seen == [1, "gap"]
    stage.arrive(3, epoch="f")
    assert stage.seen == [1, "gap", 3]


async def test_a_log_that_cannot_be_reached_is_asked_until_it_can() -> None:
    stage = Stage()
    stage.arrive(1)
    for number in (1, 2):
        stage.broadcast(number)
    stage.reachable = False
    stage.sequence.heal()
    async with asyncio.timeout(5):
        while stage.asked < 3:
            await asyncio.sleep(0.001)
        stage.reachable = True
        while stage.seen != [1, 2]:
            await asyncio.sleep(0.001)
    asked = stage.asked
    await stage.settle()
    assert stage.asked == asked


async def test_what_is_lost_while_the_log_answers_is_asked_for_too() -> None:
    stage = Stage()
    stage.arrive(1)
    stage.broadcast(1)
    stage.sequence.heal()
    await asyncio.sleep(0)
    stage.sequence.heal()
    await stage.settle()
    assert stage.asked == 2


async def test_what_never_arrived_is_found_when_somebody_asks() -> None:
    stage = Stage()
    stage.arrive(1)
    stage.broadcast(1)
    stage.broadcast(2)
    stage.sequence.heal()
    await stage.settle()
    assert stage.seen == [1, 2]


async def test_what_comes_late_of_an_ended_log_is_not_told_again_by_its_answer() -> None:
    stage = Stage()
    stage.sequence.begin(Position("e", 0))
    stage.broadcast(1)
    stage.broadcast(2)
    stage.sequence.heal()
    await asyncio.sleep(0)  # the log is asked, and has not answered
    stage.arrive(1, "next")
    stage.arrive(1)
    await stage.settle()
    assert stage.seen == [1, 1, 2]
    stage.sequence.close()
