"""What a slow member is not sent, by the rule of its topic."""

import asyncio
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.realtime.channel import Channel
from antiphon.realtime.transports.backlog import DROP_OLDEST, Backlog, QueuePolicy, keep_latest
from antiphon.realtime.wire.base import TopicMessage
from tests.rules import rule

STEPS = st.lists(
    st.tuples(st.sampled_from(["own", "oldest", "latest"]), st.integers(0, 3), st.integers(1, 20)), max_size=60
)


@given(STEPS, st.integers(1, 200), st.integers(1, 20))
def test_own_frames_stay_and_the_rest_gives_way_in_order(steps: Any, size: int, count: int) -> None:
    backlog, policy = Backlog(0.0), keep_latest("k")
    kept: list[tuple[str, int, bytes]] = []
    for number, (kind, key, length) in enumerate(steps):
        frame = f"{number}".encode().ljust(length, b"x")
        message = TopicMessage.of("t", "e", {"k": key})
        if kind == "own":
            backlog.add(frame)
        elif kind == "oldest":
            assert backlog.add_message(message, frame, DROP_OLDEST) == 0
        else:
            before = [one for one in kept if one[:2] == ("latest", key)]
            assert backlog.add_message(message, frame, policy) == len(before)
            kept = [one for one in kept if one not in before]
        kept.append((kind, key, frame))
        dropped = backlog.shed(size, count)
        for _ in range(dropped):
            kept.remove(next(one for one in kept if one[0] != "own"))
        assert backlog.frames() == [one[2] for one in kept]
        assert backlog.size == sum(len(one[2]) for one in kept)
        fits = backlog.size <= size and len(backlog) <= count
        assert fits or all(one[0] == "own" for one in kept), "something that may go is still there"


@pytest.mark.parametrize(
    ("policy", "same"),
    [
        (keep_latest(), [True, True, False]),
        (keep_latest("id"), [True, False, False]),
        (keep_latest(lambda message: message.payload["x"]), [False, True, True]),
    ],
)
def test_what_takes_the_place_of_what(policy: QueuePolicy, same: list[bool]) -> None:
    others = [("e", {"id": 1, "x": 2}), ("e", {"id": 2, "x": 1}), ("f", {"id": 1, "x": 1})]
    for (event, payload), expected in zip(others, same, strict=True):
        backlog = Backlog(0.0)
        backlog.add_message(TopicMessage.of("t", "e", {"id": 1, "x": 1}), b"1", policy)
        assert backlog.add_message(TopicMessage.of("t", event, payload), b"2", policy) == expected
        assert backlog.add_message(TopicMessage.of("other", event, payload), b"3", policy) == 0


def test_what_cannot_be_a_key_is_one_of_its_own() -> None:
    backlog, policy = Backlog(0.0), keep_latest("id")
    for payload in ({"id": [1]}, {}, b"bytes"):
        backlog.add_message(TopicMessage.of("t", "e", payload), b"x", policy)
    assert len(backlog) == 1


@pytest.mark.parametrize("make", [lambda _: {}, lambda message: message.payload["missing"]])
def test_a_key_that_fails_costs_its_message_its_place_and_nobody_else(make: Any, logged: Any) -> None:
    backlog, policy = Backlog(0.0), keep_latest(make)
    for number in range(3):
        assert backlog.add_message(TopicMessage.of("t", "e", {}), f"{number}".encode(), policy) == 0
    assert backlog.frames() == [b"0", b"1", b"2"]
    assert backlog.shed(1, 10) == 2, "they may be let go of all the same"
    assert [line["event"] for line in logged].count("realtime.queue_key_failed") == 1


# --- with a slow client -------------------------------------------------------------------------------------------


class Ticker(Channel):
    """Old prices are of no interest."""

    queue = keep_latest("share")

    @Channel.on("ask")
    async def ask(self, payload: Any, socket: Any) -> Any:
        return payload


class Feed(Channel):
    """Who is slow misses some."""

    queue = DROP_OLDEST


async def blocked(live: Any, raw: Any, topic: str) -> Any:
    """A member that has taken nothing since its join, so that what comes now waits here."""
    slow = await raw(live, receive_buffer=4096)
    slow.write(1, json.dumps(["1", "1", topic, "phx_join", {}]).encode())
    await slow.frame()
    for _ in range(200):
        live.app.broadcast(topic, "filler", {"text": "x" * 50_000})
        await asyncio.sleep(0)
    return slow


async def rest(slow: Any, topic: str) -> list[list[Any]]:
    """What it is sent in the end, without the filler."""
    found: list[list[Any]] = []
    async with asyncio.timeout(10):
        while not found or found[-1][3] != "end":
            frame = json.loads((await slow.frame())[1])
            if frame[3] != "filler":
                found.append(frame)
    return found


@rule("BC-11")
async def test_a_slow_member_sees_the_latest_of_each_and_every_answer(serve: Any, raw: Any) -> None:
    live = await serve(blocked_bytes=1024 * 1024)
    live.app.channel("ticker")(Ticker)
    slow = await blocked(live, raw, "ticker")
    quick = await live.wire()
    await quick.join("ticker")
    for price in range(1000):
        live.app.broadcast("ticker", "price", {"share": price % 2, "price": price})
        await quick.expect([None, None, "ticker", "price", {"share": price % 2, "price": price}])
    live.app.broadcast("ticker", "end", {})
    prices = [frame[4]["price"] for frame in await rest(slow, "ticker") if frame[3] == "price"]
    assert prices == [998, 999]
    assert b"antiphon_ws_dropped_total 0.0" not in live.metrics.render()


@rule("BC-11")
@pytest.mark.parametrize("limit", [{"blocked_bytes": 200_000}, {"blocked_messages": 100}])
async def test_a_slow_member_loses_the_oldest_and_stays(serve: Any, raw: Any, limit: dict[str, int]) -> None:
    live = await serve(**limit)
    live.app.channel("feed")(Feed)
    slow = await blocked(live, raw, "feed")
    for number in range(1000):
        live.app.broadcast("feed", "news", {"n": number, "text": "x" * 1000})
    live.app.broadcast("feed", "end", {})
    await asyncio.sleep(0)
    assert live.app.members("feed") == 1
    numbers = [frame[4]["n"] for frame in await rest(slow, "feed") if frame[3] == "news"]
    assert numbers == list(range(1000 - len(numbers), 1000))
    assert 50 < len(numbers) < 250


@rule("BC-11")
async def test_what_may_not_be_dropped_still_ends_a_client_that_takes_nothing(serve: Any, raw: Any) -> None:
    live = await serve(blocked_messages=50, blocked_bytes=64 * 1024 * 1024)
    live.app.channel("feed")(Feed)
    slow = await blocked(live, raw, "feed")
    slow.write(1, b'["1","2","room:1","phx_join",{}]')
    async with asyncio.timeout(10):
        while live.app.members("feed"):
            live.app.broadcast("room:1", "message", {"text": "x" * 1000})
            live.app.broadcast("feed", "news", {})
            for member in list(live.app.topics._topics["feed"].members) if live.app.members("feed") else ():
                member.push("own", {"text": "x" * 1000})
            await asyncio.sleep(0)
    assert b'antiphon_ws_closed_total{code="1013"} 1.0' in live.metrics.render()
