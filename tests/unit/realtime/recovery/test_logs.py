"""The logs of topics: one contract for both, and what each does when it is short of time, of room or of a server."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable
from contextlib import suppress
from typing import Any

import pytest
from redis.asyncio import Redis

from antiphon.errors import ConfigError, ServiceError
from antiphon.realtime.recovery.base import Recovery
from antiphon.realtime.recovery.memory import MemoryLogs
from antiphon.realtime.recovery.redis import READERS, WAITING, WAITING_BYTES, RedisLogs
from antiphon.realtime.wire.base import Position, TopicMessage
from antiphon.runtime.clock import ManualClock
from tests.sentinel import SentinelServer
from tests.servers import LONGEST

KEEP = Recovery(messages=100, seconds=60)


def said(number: int, topic: str = "room:1") -> TopicMessage:
    return (
        TopicMessage.of(topic, "said", {"n": number}) if number % 2 else TopicMessage.of(topic, "said", bytes([number]))
    )


async def append(logs: Any, message: TopicMessage, keep: Recovery = KEEP) -> Position:
    place = logs.append(message, keep)
    assert isinstance(place, Position | Awaitable)
    return place if isinstance(place, Position) else await place


@pytest.fixture(params=["memory", "redis"])
async def logs(request: pytest.FixtureRequest) -> AsyncIterator[Any]:
    made: Any = (
        MemoryLogs()
        if request.param == "memory"
        else RedisLogs(request.getfixturevalue("redis_url"), prefix=secrets.token_hex(4))
    )
    await made.start()
    yield made
    await made.stop()


async def test_what_came_after_a_place_is_found_whole_and_in_order(logs: Any) -> None:
    begin = (await logs.since("room:1", None, KEEP)).position
    places = [await append(logs, said(number)) for number in range(5)]
    assert [place.offset for place in places] == [begin.offset + number for number in range(1, 6)]
    for seen, rest in ((begin, range(5)), (places[2], range(3, 5)), (places[4], range(0))):
        missed = await logs.since("room:1", seen, KEEP)
        assert missed.complete
        assert missed.position == places[4]
        assert [(one.event, one.raw, one.binary) for one in missed.messages] == [
            (one.event, one.raw, one.binary) for one in map(said, rest)
        ]


async def test_topics_have_logs_of_their_own(logs: Any) -> None:
    one, other = await append(logs, said(1, "a")), await append(logs, said(1, "b"))
    assert one.offset == other.offset
    assert one.epoch != other.epoch
    assert not (await logs.since("a", other, KEEP)).complete


@pytest.mark.parametrize("seen", [Position("elsewhere", 1), None])
async def test_a_place_that_is_not_known_is_not_taken_for_another(logs: Any, seen: Position | None) -> None:
    place = await append(logs, said(1))
    missed = await logs.since("room:1", seen, KEEP)
    assert (missed.complete, missed.messages, missed.position) == (False, (), place)


async def test_a_place_that_is_still_to_come_is_not_known(logs: Any) -> None:
    place = await append(logs, said(1))
    assert not (await logs.since("room:1", Position(place.epoch, place.offset + 1), KEEP)).complete


async def test_a_log_that_is_begun_anew_knows_none_of_the_old_places(logs: Any) -> None:
    old = await append(logs, said(1))
    await logs.restart("room:1")
    new = await append(logs, said(2))
    assert new.epoch != old.epoch
    assert not (await logs.since("room:1", old, KEEP)).complete


async def test_many_at_once_keep_their_order(logs: Any) -> None:
    begin = (await logs.since("room:1", None, KEEP)).position
    keep = Recovery(messages=5000, seconds=60)
    places = [logs.append(said(number % 200), keep) for number in range(2000)]
    offsets = [place.offset if isinstance(place, Position) else (await place).offset for place in places]
    assert offsets == list(range(begin.offset + 1, begin.offset + 2001))
    missed = await logs.since("room:1", begin, keep)
    assert [one.raw for one in missed.messages] == [said(number % 200).raw for number in range(2000)]


async def test_only_so_many_are_kept(logs: Any) -> None:
    keep = Recovery(messages=10, seconds=60)
    places = [await append(logs, said(1), keep) for _ in range(500)]
    assert not (await logs.since("room:1", places[0], keep)).complete, "it would be too much"
    assert (await logs.since("room:1", places[-5], keep)).complete


async def test_what_is_old_is_not_kept() -> None:
    clock = ManualClock()
    logs, keep = MemoryLogs(clock=clock), Recovery(messages=10, seconds=5)
    first = logs.append(said(1), keep)
    await clock.advance(4)
    second = logs.append(said(2), keep)
    assert (await logs.since("room:1", first, keep)).complete
    await clock.advance(2)
    assert (await logs.since("room:1", first, keep)).complete
    assert not (await logs.since("room:1", Position(first.epoch, first.offset - 1), keep)).complete
    await clock.advance(10)
    logs.append(said(1, "other"), keep)
    assert len(logs) == 1, "a topic that is quiet is forgotten"
    assert not (await logs.since("room:1", second, keep)).complete


async def test_the_memory_has_room_for_so_many_topics() -> None:
    logs = MemoryLogs(topics=3)
    for number in range(10):
        logs.append(said(1, f"room:{number}"), KEEP)
    assert len(logs) == 3


async def test_redis_forgets_a_quiet_topic(redis_url: str) -> None:
    logs, keep = RedisLogs(redis_url, prefix=secrets.token_hex(4)), Recovery(seconds=0.05)
    await logs.start()
    first = await append(logs, said(1), keep)
    async with asyncio.timeout(5):
        while (await logs.since("room:1", None, keep)).position.epoch == first.epoch:
            await asyncio.sleep(0.06)
    await logs.stop()


async def test_two_processes_see_one_log_and_two_prefixes_two(redis_url: str) -> None:
    shared = secrets.token_hex(4)
    one, two, other = (RedisLogs(redis_url, prefix=prefix) for prefix in (shared, shared, secrets.token_hex(4)))
    for logs in (one, two, other):
        await logs.start()
    places = [await append(logs, said(number)) for number, logs in enumerate((one, two, one))]
    assert len({place.epoch for place in places}) == 1
    assert [place.offset - places[0].offset for place in places] == [0, 1, 2]
    assert (await append(other, said(1))).epoch != places[0].epoch
    for logs in (one, two, other):
        await logs.stop()


async def test_without_redis_nothing_is_kept_and_nobody_waits_for_ever(redis: Any) -> None:
    logs = RedisLogs(redis.url, timeout=0.5)
    await logs.start()
    await append(logs, said(1))
    redis.kill()
    for call in (append(logs, said(2)), logs.since("room:1", None, KEEP), logs.restart("room:1")):
        with pytest.raises(ServiceError, match="Redis"):
            await call
    redis.start()
    assert (await append(logs, said(3))).offset >= 1
    await logs.stop()


async def test_a_redis_that_comes_back_with_less_gives_no_place_twice(redis: Any) -> None:
    logs = RedisLogs(redis.url, timeout=0.5)
    await logs.start()
    asker = Redis.from_url(redis.url)
    saved = await append(logs, said(1))
    await asker.save()
    after = await append(logs, said(2))
    await asker.aclose()
    redis.kill()
    redis.start()
    with suppress(ServiceError):  # it may take one question to notice that the connection is gone
        await logs.since("room:1", None, KEEP)
    assert not (await logs.since("room:1", saved, KEEP)).complete
    again = await append(logs, said(3))
    assert again.epoch != after.epoch
    assert not (await logs.since("room:1", after, KEEP)).complete
    await logs.stop()


async def test_whatever_fails_nobody_waits_for_ever(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    logs = RedisLogs(redis_url, prefix=secrets.token_hex(4))

    async def fail(batch: Any) -> Any:
        raise RuntimeError("what nobody thought of")

    with monkeypatch.context() as patch:
        patch.setattr(logs, "_append_all", fail)
        await logs.start()
        with pytest.raises(ServiceError, match="Redis"):
            await append(logs, said(1))
    await logs.stop()


async def test_what_waits_at_the_end_is_appended_first(redis_url: str) -> None:
    prefix = secrets.token_hex(4)
    logs, other = RedisLogs(redis_url, prefix=prefix), RedisLogs(redis_url, prefix=prefix)
    await logs.start()
    waiting = [logs.append(said(number), KEEP) for number in range(50)]
    await logs.stop()
    assert all(place.done() and not place.exception() for place in waiting)
    assert (await other.since("room:1", None, KEEP)).position == waiting[-1].result()
    await other.stop()


async def test_what_waits_to_be_appended_is_bounded_by_number_and_by_size(redis: Any) -> None:
    logs = RedisLogs(redis.url, timeout=0.3)
    message = TopicMessage.of("room:1", "said", bytes(1024 * 1024))
    for most, one in ((WAITING, said(1)), (WAITING_BYTES // len(message.raw), message)):
        waiting = [logs.append(one, KEEP) for _ in range(most + 2)]
        assert [place.done() for place in waiting].count(True) <= 2
        with pytest.raises(ServiceError, match="does not keep up"):
            await waiting[-1]
        await logs.stop()
        assert not [
            place for place in await asyncio.gather(*waiting, return_exceptions=True) if type(place) is Position
        ]
    await logs.start()
    assert (await append(logs, message)).offset == 1
    await logs.stop()


async def test_thousands_that_come_back_share_a_few_connections(redis: Any) -> None:
    logs = RedisLogs(redis.url, timeout=10)
    await asyncio.gather(*(logs.since(f"room:{number}", None, KEEP) for number in range(300)))
    asker = Redis.from_url(redis.url)
    assert len(await asker.client_list()) <= READERS + 1
    await asker.aclose()
    await logs.stop()


@pytest.mark.parametrize(
    "url",
    [
        "http://me:secret@localhost",
        "redis+sentinel://me:secret@localhost",
        "redis+sentinel:///secret",
        "redis+sentinel://me:secret@localhost/house/zero",
        "redis+sentinel://me:secret@localhost:port/house",
    ],
)
def test_an_address_that_is_none_is_refused_and_not_quoted(url: str) -> None:
    with pytest.raises(ConfigError, match="://") as refused:
        RedisLogs(url)
    assert "secret" not in str(refused.value)


async def test_it_follows_sentinel_to_the_new_master(sentinels: SentinelServer) -> None:
    logs = RedisLogs(f"{sentinels.url}/0", timeout=1.0)
    await logs.start()
    before = await append(logs, said(1))
    missed = await logs.since("room:1", Position(before.epoch, 0), KEEP)
    assert (missed.complete, len(missed.messages)) == (True, 1)
    sentinels.master.kill()
    after = None
    async with asyncio.timeout(LONGEST):
        while after is None:
            with suppress(ServiceError):
                after = await append(logs, said(2))
    assert after.epoch != before.epoch  # the replica may not have all: its log begins anew
    assert not (await logs.since("room:1", before, KEEP)).complete
    assert sentinels.replica.ask("EXISTS", "antiphon:{room:1}:log") == ":1\r\n"
    await logs.stop()
