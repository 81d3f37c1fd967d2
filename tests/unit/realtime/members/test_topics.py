"""Topic patterns, and the fan-out: whatever the order of events, every member sees what it should, in order."""

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.errors import ConfigError
from antiphon.realtime.members.topics import TopicPattern, TopicRoutes, Topics
from antiphon.realtime.transports.base import Batch
from antiphon.realtime.wire.base import TopicMessage
from tests.rules import rule


@rule("MD-7")
@pytest.mark.parametrize(
    ("pattern", "topic", "matches"),
    [
        ("room:*", "room:", True),
        ("room:*", "room:a:b", True),
        ("room:*", "room", False),
        ("room:lobby", "room:lobby", True),
        ("room:lobby", "room:lobby2", False),
        ("*", "anything", True),
        ("*", "", True),
    ],
)
def test_patterns(pattern: str, topic: str, matches: bool) -> None:
    assert TopicPattern(pattern).matches(topic) is matches


@rule("MD-7")
@pytest.mark.parametrize("pattern", ["*:room", "room:*:x", "**", ""])
def test_a_star_elsewhere_is_a_start_up_error(pattern: str) -> None:
    with pytest.raises(ConfigError, match="topic pattern"):
        TopicPattern(pattern)


@rule("MD-7")
def test_the_first_match_wins() -> None:
    routes: TopicRoutes[str] = TopicRoutes()
    routes.add("room:lobby", "lobby")
    routes.add("room:*", "room")
    routes.add("room:special", "never")
    assert [routes.find(topic) for topic in ("room:lobby", "room:special", "other")] == ["lobby", "room", None]


def say(topic: str, raw: bytes) -> TopicMessage:
    return TopicMessage(topic, "said", raw)


class FakeMember:
    """Only what a topic touches."""

    def __init__(self) -> None:
        self.cursor = 0
        self.got: list[bytes] = []
        """The payloads, in order."""
        self.batches = 0

    def receive(self, batch: Batch) -> None:
        self.batches += 1
        self.got.extend(message.raw for message in batch.messages)


@rule("BC-3")
async def test_broadcasts_of_one_tick_arrive_as_one_shared_batch() -> None:
    topics = Topics(100)
    seen: list[Batch] = []
    members: list[Any] = [FakeMember() for _ in range(3)]
    for member in members:
        member.receive = seen.append
        topics.add("t", member)
    for body in (b"1", b"2", b"3"):
        assert topics.publish(say("t", body)) == 3
    await asyncio.sleep(0)
    assert len(seen) == 3
    assert seen[0] is seen[1] is seen[2]
    assert [message.raw for message in seen[0].messages] == [b"1", b"2", b"3"]


async def test_a_large_topic_is_served_in_slices_and_other_work_passes() -> None:
    topics = Topics(10)
    members: list[Any] = [FakeMember() for _ in range(35)]
    for member in members:
        topics.add("t", member)
    topics.publish(say("t", b"1"))
    await asyncio.sleep(0)
    assert sum(bool(member.got) for member in members) == 10
    topics.publish(say("t", b"2"))
    topics.remove("t", members[34])
    for _ in range(12):
        await asyncio.sleep(0)
    assert all(member.got == [b"1", b"2"] for member in members)


async def test_a_topic_that_is_never_quiet_does_not_starve_the_others() -> None:
    topics = Topics(2)
    for _ in range(3):
        topics.add("busy", FakeMember())  # type: ignore[arg-type]
    topics.add("quiet", quiet := FakeMember())  # type: ignore[arg-type]
    for number in range(10):
        topics.publish(say("busy", b"x"))
        if not number:
            topics.publish(say("quiet", b"1"))
        await asyncio.sleep(0)
    assert quiet.got == [b"1"]


def test_a_topic_without_members_is_forgotten() -> None:
    topics, member = Topics(10), FakeMember()
    topics.add("t", member)  # type: ignore[arg-type]
    assert (topics.count("t"), len(topics)) == (1, 1)
    topics.remove("t", member)  # type: ignore[arg-type]
    topics.remove("t", member)  # type: ignore[arg-type]
    assert (topics.count("t"), len(topics)) == (0, 0)


ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("join"), st.integers(0, 5)),
        st.tuples(st.just("leave"), st.integers(0, 5)),
        st.tuples(st.just("own"), st.integers(0, 5)),
        st.tuples(st.just("publish"), st.none() | st.integers(0, 5)),
        st.tuples(st.just("tick"), st.none()),
    ),
    max_size=60,
)


@given(ACTIONS, st.integers(1, 4))
def test_every_member_sees_exactly_what_was_published_while_it_was_one(actions: Any, slice_size: int) -> None:
    """The model: a list per member, to which everything is appended at once."""

    async def play() -> None:
        topics = Topics(slice_size)
        members: list[Any] = [FakeMember() for _ in range(6)]
        expected: list[list[bytes]] = [[] for _ in members]
        joined: set[int] = set()
        for number, (action, who) in enumerate(actions):
            body = str(number).encode()
            match action:
                case "join" if who not in joined:
                    topics.add("t", members[who])
                    joined.add(who)
                case "leave":
                    topics.remove("t", members[who])
                    joined.discard(who)
                case "own" if who in joined:
                    topics.catch_up("t", members[who])
                    members[who].got.append(body)
                    expected[who].append(body)
                case "publish":
                    topics.publish(say("t", body), None if who is None else members[who])
                    for each in joined - {who}:
                        expected[each].append(body)
                case "tick":
                    await asyncio.sleep(0)
        for _ in range(40):
            await asyncio.sleep(0)
        assert [member.got for member in members] == expected

    asyncio.run(play())
