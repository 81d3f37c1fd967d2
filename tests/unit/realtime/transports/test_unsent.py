"""What waits for a client that is slow, seen through long-poll: between its polls a client takes nothing."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from antiphon.realtime.channel import Channel
from antiphon.realtime.transports.backlog import DROP_OLDEST, keep_latest
from tests.rules import rule
from tests.unit.realtime.transports.polling import Poller


class Cursors(Channel):
    queue = keep_latest("who")


class Ticker(Channel):
    queue = DROP_OLDEST


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def joined(http: aiohttp.ClientSession, live: Any, topic: str, channel: type[Channel]) -> Poller:
    live.app.channel(topic)(channel)
    poller = await Poller(http, f"http://127.0.0.1:{live.app.port}/socket/longpoll").open()
    await poller.join(topic)
    return poller


async def payloads(poller: Poller) -> list[Any]:
    """What one poll brings."""
    return [json.loads(text)[4] for text in (await poller.get())["messages"]]


@rule("BC-11")
async def test_of_broadcasts_with_one_key_the_last_one_waits(serve: Any, http: aiohttp.ClientSession) -> None:
    live = await serve(longpoll=True)
    poller = await joined(http, live, "cursors", Cursors)
    for number in range(10):
        for who in ("ann", "bob"):
            live.app.broadcast("cursors", "moved", {"who": who, "n": number})
    await asyncio.sleep(0)
    assert await payloads(poller) == [{"who": "ann", "n": 9}, {"who": "bob", "n": 9}]
    assert b"antiphon_ws_dropped_total 18.0" in live.metrics.render()


async def test_a_poll_that_waits_is_not_slow(serve: Any, http: aiohttp.ClientSession) -> None:
    live = await serve(longpoll=True)
    poller = await joined(http, live, "cursors", Cursors)
    poll = asyncio.create_task(payloads(poller))
    (session,) = live.app.longpoll.sessions._sessions.values()
    async with asyncio.timeout(5):
        while session._poll is None:
            await asyncio.sleep(0.001)
    for number in range(5):
        live.app.broadcast("cursors", "moved", {"who": "ann", "n": number})
    assert await poll == [{"who": "ann", "n": number} for number in range(5)]


@rule("BC-11")
async def test_the_oldest_go_first_and_what_is_for_this_client_alone_stays(
    serve: Any, http: aiohttp.ClientSession, logged: list[Any]
) -> None:
    live = await serve(longpoll=True, blocked_messages=10)
    poller = await joined(http, live, "ticker", Ticker)
    assert await poller.post([None, "mine", "phoenix", "heartbeat", {}]) == 200
    for number in range(50):
        live.app.broadcast("ticker", "tick", {"n": number})
    await asyncio.sleep(0)
    answer, *ticks = await payloads(poller)
    assert answer == {"status": "ok", "response": {}}
    assert ticks == [{"n": number} for number in range(41, 50)]
    assert [line["event"] for line in logged].count("realtime.broadcasts_dropped") == 1
    assert await poller.post(["1", "2", "ticker", "any", {}]) == 200, "the session lives"
