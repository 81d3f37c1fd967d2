"""Clients that come back: they get what they missed, or are told that it is not known."""

import asyncio
import json
import secrets
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from antiphon.errors import ServiceError
from antiphon.realtime.brokers.memory import MemoryBroker, MemoryHub
from antiphon.realtime.channel import Channel, Rejected, Reply
from antiphon.realtime.nodes.cluster import Cluster
from antiphon.realtime.presence.presence import Presence
from antiphon.realtime.pubsub import PubSub
from antiphon.realtime.recovery import recorder
from antiphon.realtime.recovery.base import Missed, Recovery
from antiphon.realtime.recovery.memory import MemoryLogs
from antiphon.realtime.recovery.redis import RedisLogs
from antiphon.realtime.wire.base import Position, TopicMessage
from antiphon.telemetry.metrics import Metrics
from tests.rules import rule

Serve = Callable[..., Awaitable[Any]]


class News(Channel):
    """Keeps what it says."""

    recovery = Recovery(messages=50, seconds=60)

    async def on_join(self, payload: Any, socket: Any) -> Any:
        if "deny" in payload:
            raise Rejected({"reason": "no"})
        return payload.get("answer")

    async def after_join(self) -> None:
        await self.push("welcome", {})

    @Channel.on("say")
    async def say(self, payload: Any, socket: Any) -> None:
        await self.broadcast("said", payload)

    @Channel.on("tell")
    async def tell(self, payload: Any, socket: Any) -> None:
        await self.broadcast_from("said", payload)


class Guest:
    """A member of `news:1` on some server."""

    def __init__(self, wire: Any) -> None:
        self.wire = wire
        self.cursor: Any = None

    async def join(self, **payload: Any) -> dict[str, Any]:
        await self.wire.send(["1", "1", "news:1", "phx_join", payload])
        reply = await self.wire.receive()
        assert reply[3] == "phx_reply"
        assert (await self.wire.receive())[3] == "welcome"
        response: dict[str, Any] = reply[4]["response"]
        self.cursor = response.get("cursor")
        return response

    async def hear(self, *numbers: int) -> None:
        """Exactly these, each with its cursor."""
        heard = []
        for _ in numbers:
            frame = await self.wire.receive()
            assert frame[:4] == [None, None, "news:1", "said"], frame
            heard.append(frame[4]["n"])
            self.cursor = frame[4]["cursor"]
        assert heard == list(numbers)


@pytest.fixture
def news(live: Any) -> Any:
    live.app.channel("news:*")(News)
    return live


def say(live: Any, *numbers: int) -> None:
    for number in numbers:
        live.app.broadcast("news:1", "said", {"n": number})


async def test_who_comes_back_gets_what_was_missed_and_then_what_is_new(news: Any) -> None:
    guest = Guest(await news.wire())
    assert await guest.join(since=None) == {"recovered": False, "cursor": guest.cursor}
    say(news, 1, 2)
    await guest.hear(1, 2)
    await guest.wire.connection.close()
    say(news, 3, 4)
    back = Guest(await news.wire())
    assert await back.join(since=guest.cursor) == {"recovered": True, "cursor": guest.cursor}
    await back.hear(3, 4)
    say(news, 5)
    await back.hear(5)
    await back.wire.nothing_more()
    metrics = news.metrics.render()
    assert b'antiphon_recoveries_total{result="complete"} 1.0' in metrics
    assert b'antiphon_recoveries_total{result="incomplete"} 0.0' in metrics


async def test_a_break_in_the_middle_of_catching_up_loses_nothing(news: Any) -> None:
    guest = Guest(await news.wire())
    await guest.join(since=None)
    say(news, *range(10))
    for _ in range(3):
        back = Guest(await news.wire())
        assert (await back.join(since=guest.cursor))["recovered"]
        number = (await back.wire.receive())[4]
        guest.cursor = number["cursor"]
    await Guest(await news.wire()).join(since=guest.cursor)


@pytest.mark.parametrize("since", ["nonsense", 7, {"turn_id": "x"}, "feed-9", "0" * 10_000, None])
async def test_a_place_that_is_not_known_is_said_to_be_none(news: Any, since: Any) -> None:
    say(news, 1)
    guest = Guest(await news.wire())
    response = await guest.join(since=since)
    assert response["recovered"] is False
    say(news, 2)
    await guest.hear(2)


async def test_too_much_is_said_to_be_too_much(news: Any) -> None:
    guest = Guest(await news.wire())
    await guest.join(since=None)
    await guest.wire.connection.close()
    say(news, *range(51))
    back = Guest(await news.wire())
    assert (await back.join(since=guest.cursor))["recovered"] is False
    assert back.cursor != guest.cursor
    await back.wire.nothing_more()


async def test_whose_place_is_not_known_misses_nothing_said_since_its_snapshot(live: Any) -> None:
    class Snapshot(News):
        async def on_join(self, payload: Any, socket: Any) -> Any:
            self.listen_now()
            live.app.broadcast("news:1", "said", {"n": 1})

    live.app.channel("news:*")(Snapshot)
    guest = Guest(await live.wire())
    assert (await guest.join(since="gone-1"))["recovered"] is False
    await guest.hear(1)


@rule("JN-1")
async def test_who_does_not_ask_is_answered_as_ever(news: Any) -> None:
    guest = Guest(await news.wire())
    assert await guest.join() == {}
    assert await Guest(await news.wire()).join(since=None, answer={"a": 1}) | {"cursor": 0} == {
        "a": 1, "recovered": False, "cursor": 0,
    }  # fmt: skip


@rule("JN-2")
@pytest.mark.parametrize("payload", [{"deny": 1}, {"answer": {"status": "error", "reason": "no"}}])
async def test_who_is_refused_learns_no_place(news: Any, payload: Any) -> None:
    wire = await news.wire()
    reply = await wire.join("news:1", {"since": None, **payload})
    assert reply[4] == {"status": "error", "response": {"reason": "no"}}
    assert news.app.members("news:1") == 0


async def test_bytes_are_kept_too_and_both_versions_get_what_they_can_say(news: Any) -> None:
    guest = Guest(await news.wire())
    await guest.join(since=None)
    cursor = guest.cursor
    news.app.broadcast("news:1", "file", b"\x00\xff")
    say(news, 1)
    back = await news.wire()
    await back.send(["1", "1", "news:1", "phx_join", {"since": cursor}])
    assert [(await back.receive())[3] for _ in range(2)] == ["phx_reply", "welcome"]
    assert await back.connection.recv() == b"\x02\x06\x04news:1file\x00\xff"
    assert (await back.receive())[4]["n"] == 1
    old = await news.wire("")
    join = {"topic": "news:1", "event": "phx_join", "payload": {"since": cursor}, "ref": "1"}
    await old.connection.send(json.dumps(join))
    events = [(await old.receive())["event"] for _ in range(3)]
    assert events == ["phx_reply", "welcome", "said"]


async def test_a_reply_struct_of_the_channel_keeps_its_own_answer(live: Any) -> None:
    class Odd(News):
        async def on_join(self, payload: Any, socket: Any) -> Any:
            return Reply("ok", [1, 2])

    live.app.channel("odd")(Odd)
    wire = await live.wire()
    assert (await wire.join("odd", {"since": None}))[4] == {"status": "ok", "response": [1, 2]}


# --- several nodes ------------------------------------------------------------------------------------------------


class FaultyBroker(MemoryBroker):
    """Loses what it is told to lose."""

    deaf = False

    def publish(self, body: bytes) -> None:
        if not self.deaf:
            super().publish(body)


async def houses(serve: Serve, logs: Callable[[], Any], brokers: list[Any]) -> list[Any]:
    hub, started = MemoryHub(), []
    for number in range(2):
        metrics, broker = Metrics(), FaultyBroker(hub)
        brokers.append(broker)
        application = {
            "pubsub": PubSub(metrics=metrics),
            "presence": Presence(metrics=metrics),
            "cluster": Cluster(broker, name=f"node{number}", metrics=metrics),
            "recovery": logs(),
        }
        live = await serve(application=application)
        live.app.channel("news:*")(News)
        started.append(live)
    return started


async def test_with_logs_in_redis_the_place_is_the_same_on_every_node(serve: Serve, redis_url: str) -> None:
    prefix = secrets.token_hex(4)
    one, two = await houses(serve, lambda: RedisLogs(redis_url, prefix=prefix), [])
    guest = Guest(await one.wire())
    await guest.join(since=None)
    say(one, 1)
    await guest.hear(1)
    say(two, 2)
    await guest.hear(2)
    await guest.wire.connection.close()
    for number in range(3, 20):
        say(one if number % 2 else two, number)
        await asyncio.sleep(0.005)
    back = Guest(await two.wire())
    assert (await back.join(since=guest.cursor))["recovered"] is True
    await back.hear(*range(3, 20))
    say(one, 20)
    await back.hear(20)
    await back.wire.nothing_more()


class SlowToAnswer(RedisLogs):
    """Has what is appended at once, and says so when it may."""

    def __init__(self, url: str, *, prefix: str, may: asyncio.Event, fails: bool = False) -> None:
        super().__init__(url, prefix=prefix, timeout=5.0)
        self._may = may
        self._fails = fails
        self.answered = 0

    def append(self, message: TopicMessage, keep: Recovery) -> asyncio.Future[Position]:
        return asyncio.ensure_future(self._append_late(super().append(message, keep)))

    async def _append_late(self, place: Awaitable[Position]) -> Position:
        found = await place
        await self._may.wait()
        if self._fails and found.offset > 1:
            raise ServiceError("the answer was lost")
        return found

    async def since(self, topic: str, seen: Position | None, keep: Recovery) -> Missed:
        missed = await super().since(topic, seen, keep)
        self.answered += 1
        return missed


async def tells_while_healing(serve: Serve, logs: SlowToAnswer, may: asyncio.Event) -> tuple[Guest, Guest]:
    """Somebody who has told the others something, and one of them. The node has looked into the log meanwhile, which
    had it before this node knew."""
    (one, _) = await houses(serve, lambda: logs, [])
    teller, other = Guest(await one.wire()), Guest(await one.wire())
    await teller.join(since=None)
    await other.join(since=None)
    say(one, 1)
    for guest in (teller, other):
        await guest.hear(1)
    may.clear()
    await teller.wire.send(["1", "2", "news:1", "tell", {"n": 2}])
    start = Position.read(teller.cursor)
    async with asyncio.timeout(10):
        while not (await RedisLogs.since(logs, "news:1", start, Recovery())).messages:
            await asyncio.sleep(0.005)
        answered = logs.answered
        one.app.recorder.heal()
        while logs.answered == answered:
            await asyncio.sleep(0.005)
    await asyncio.sleep(0.05)  # nothing may come of it: there is nothing to wait for
    may.set()
    return teller, other


async def test_what_was_told_to_the_others_does_not_come_back_from_the_log(serve: Serve, redis_url: str) -> None:
    may = asyncio.Event()
    may.set()
    logs = SlowToAnswer(redis_url, prefix=secrets.token_hex(4), may=may)
    teller, other = await tells_while_healing(serve, logs, may)
    await other.hear(2)
    await other.wire.nothing_more()
    await teller.wire.nothing_more()


async def test_what_went_out_without_a_place_does_not_come_again_from_the_log(serve: Serve, redis_url: str) -> None:
    """The log has it, and its answer was lost: the members are told of the gap, and nothing twice."""
    may = asyncio.Event()
    may.set()
    logs = SlowToAnswer(redis_url, prefix=secrets.token_hex(4), may=may, fails=True)
    teller, other = await tells_while_healing(serve, logs, may)
    frame = await other.wire.receive()
    assert (frame[3], frame[4]) == ("said", {"n": 2})
    for guest in (teller, other):
        assert (await guest.wire.receive())[3] == "gap"
        await guest.wire.nothing_more()


async def test_what_the_broker_lost_is_taken_from_the_log(serve: Serve, redis_url: str) -> None:
    brokers: list[Any] = []
    prefix = secrets.token_hex(4)
    one, two = await houses(serve, lambda: RedisLogs(redis_url, prefix=prefix), brokers)
    here, there = Guest(await one.wire()), Guest(await two.wire())
    await here.join(since=None)
    await there.join(since=None)
    say(one, 1)
    await there.hear(1)
    brokers[0].deaf = True
    say(one, 2, 3)
    await here.hear(1, 2, 3)
    brokers[0].deaf = False
    say(one, 4)
    await there.hear(2, 3, 4)
    assert b"antiphon_recovery_gaps_total 0.0" in two.metrics.render()


async def test_while_redis_is_down_everybody_hears_everything_and_no_place_is_promised(
    serve: Serve, redis: Any
) -> None:
    one, two = await houses(serve, lambda: RedisLogs(redis.url, timeout=0.3), [])
    here, there = Guest(await one.wire()), Guest(await two.wire())
    await here.join(since=None)
    await there.join(since=None)
    say(one, 1)
    await here.hear(1)
    await there.hear(1)
    redis.kill()
    say(one, 2)
    for guest in (here, there):
        assert (await guest.wire.receive())[4] == {"n": 2}
    lost = Guest(await two.wire())
    assert await lost.join(since=here.cursor) == {"recovered": False}
    redis.start()
    async with asyncio.timeout(10):
        while one.app.recorder._broken:
            await asyncio.sleep(0.01)
    say(one, 3)
    for guest in (here, there):
        assert (await guest.wire.receive())[4]["n"] == 3
    back = Guest(await two.wire())
    assert (await back.join(since=here.cursor))["recovered"] is False, "the log does not have all of it"


async def test_topics_that_everybody_has_left_are_not_kept_in_order(
    serve: Serve, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "_ROOM", 4)
    one, _ = await houses(serve, lambda: RedisLogs(redis_url, prefix=secrets.token_hex(4)), [])
    for number in range(20):
        wire = await one.wire()
        assert (await wire.join(f"news:{number}", {"since": None}))[4]["status"] == "ok"
        await wire.connection.close()
        async with asyncio.timeout(5):
            while one.app.members(f"news:{number}"):
                await asyncio.sleep(0.001)
    assert len(one.app.recorder._sequences) <= 4


async def test_nothing_runs_on_when_it_has_stopped_without_its_log(serve: Serve, redis: Any) -> None:
    one, two = await houses(serve, lambda: RedisLogs(redis.url, timeout=0.2), [])
    redis.kill()
    say(one, 1)
    await two.app.recorder.stop()
    await one.app.recorder.stop()
    say(one, 2)
    await one.app.recorder.stop()
    names = {task.get_name() for task in asyncio.all_tasks()}
    assert not names & {"mend topic logs", "topic logs"}


async def test_logs_in_memory_know_nothing_of_other_nodes_and_say_so(serve: Serve) -> None:
    one, two = await houses(serve, MemoryLogs, [])
    guest, other = Guest(await one.wire()), Guest(await two.wire())
    await guest.join(since=None)
    await other.join(since=None)
    say(one, 1)
    await guest.hear(1)
    await other.hear(1)
    assert (await Guest(await two.wire()).join(since=guest.cursor))["recovered"] is False
    say(one, 2)
    back = Guest(await two.wire())
    assert (await back.join(since=other.cursor))["recovered"] is True
    await back.hear(2)
