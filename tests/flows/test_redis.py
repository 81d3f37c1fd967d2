"""Conversations of a real server while its Redis is killed, cut off, silent, slow, full and started again."""

import asyncio
import json
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from tests.proxy import Proxy
from tests.redis_server import RedisServer
from tests.serving import LONGEST, Served, Visitor, Visitors

TIMEOUT, REST = 0.2, 0.3
PASSWORD = "battery-staple"

Fault = Callable[[RedisServer, Proxy], Awaitable[None]]


@pytest.fixture
async def proxy(redis: RedisServer) -> AsyncIterator[Proxy]:
    async with Proxy("127.0.0.1", redis.port) as made:
        yield made


@pytest.fixture
def cached(served: Served, proxy: Proxy) -> Served:
    """A server that keeps its sessions in Redis, and is neither patient nor shy about it."""
    served.variables |= {
        "ANTIPHON_CACHE__URL": f"redis://127.0.0.1:{proxy.port}/0",
        "ANTIPHON_CACHE__TIMEOUT": str(TIMEOUT),
        "ANTIPHON_SERVICES__BREAKER_SECONDS": str(REST),
        "ANTIPHON_LOG_FORMAT": "json",
    }
    return served


def _fetch(url: str) -> str:
    with urllib.request.urlopen(url, timeout=LONGEST) as answer:
        return str(answer.read().decode())


async def health(served: Served) -> dict[str, Any]:
    """The whole, and what the cache says, under `cache`."""
    report: dict[str, Any] = json.loads(await asyncio.to_thread(_fetch, f"{served.url}/health/deep"))
    return report | {"cache": next(check for check in report["checks"] if check["name"] == "cache")}


async def becomes(served: Served, status: str, reason: str = "") -> dict[str, Any]:
    """The health, once it has this status and the cache gives this reason."""
    async with asyncio.timeout(LONGEST):
        while (found := await health(served))["status"] != status or reason not in found["cache"]["detail"]:
            await asyncio.sleep(0.05)
    return found


async def numbers(served: Served) -> dict[str, float]:
    lines = (await asyncio.to_thread(_fetch, f"{served.url}/metrics")).splitlines()
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))}


def events(served: Served) -> list[str]:
    lines = (json.loads(line) for line in served.log.splitlines() if line.startswith("{"))
    return [line["event"] for line in lines if line["event"].startswith("cache.")]


async def answers(visitor: Visitor, text: str) -> None:
    assert (await visitor.ask(f"!echo {text}"))["text"] == text


async def killed(redis: RedisServer, _: Proxy) -> None:
    redis.kill()


async def unreachable(_: RedisServer, proxy: Proxy) -> None:
    await proxy.refuse()


async def silent(redis: RedisServer, _: Proxy) -> None:
    redis.pause()


async def slow(_: RedisServer, proxy: Proxy) -> None:
    proxy.delay = 2 * TIMEOUT


async def full(redis: RedisServer, _: Proxy) -> None:
    redis.ask("CONFIG", "SET", "maxmemory-policy", "noeviction")
    redis.ask("CONFIG", "SET", "maxmemory", "1")


async def well_again(redis: RedisServer, proxy: Proxy) -> None:
    """Whatever it was, it is over."""
    proxy.delay = 0.0
    await proxy.restore()
    if redis.running:
        redis.resume()
    else:
        redis.start()
    redis.ask("CONFIG", "SET", "maxmemory", "0")


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (killed, "cannot be used"),
        (unreachable, "cannot be used"),
        (silent, "did not answer within 0.2 s"),
        (slow, "did not answer within 0.2 s"),
        (full, "refuses"),
    ],
)
async def test_conversations_go_on(
    cached: Served, visitors: Visitors, redis: RedisServer, proxy: Proxy, fault: Fault, reason: str
) -> None:
    cached.start()
    visitor = await visitors.enter(cached.url)
    await answers(visitor, "before")
    await answers(visitor, "from the cache")
    assert (await numbers(cached))['antiphon_sessions_total{found="cache"}'] >= 1
    await fault(redis, proxy)
    for number in range(4):
        await answers(visitor, f"during {number}")
    assert (await visitor.ask("/model demo:demo"))["status"] == "answered"
    assert (await visitor.ask("/why"))["status"] == "answered"
    report = await becomes(cached, "degraded", reason)
    assert not report["cache"]["critical"]
    await well_again(redis, proxy)
    report = await becomes(cached, "healthy")
    assert report["cache"]["detail"].startswith("Redis at 127.0.0.1:")
    async with asyncio.timeout(LONGEST):
        before = (await numbers(cached))['antiphon_sessions_total{found="cache"}']
        while (await numbers(cached))['antiphon_sessions_total{found="cache"}'] == before:
            await answers(visitor, "after")
    assert "conversation" in (await visitor.ask("/model"))["text"]
    assert cached.stop() == 0
    assert len(events(cached)) <= 4
    assert events(cached)[0] in {"cache.unreachable", "cache.not_stored"}
    assert events(cached)[-1] in {"cache.reached", "cache.stored"}


async def test_what_changes_while_it_is_gone_is_not_undone_when_it_is_back(
    cached: Served, visitors: Visitors, proxy: Proxy
) -> None:
    """The old entry is still in Redis: only the way to it was cut."""
    cached.start()
    visitor = await visitors.enter(cached.url)
    await visitor.ask("/model demo:demo")
    await answers(visitor, "known by its own model")
    await proxy.refuse()
    await visitor.ask("/model default")
    await proxy.restore()
    await becomes(cached, "healthy")
    for _ in range(5):
        said = (await visitor.ask("/model"))["text"]
        assert "chosen by: conversation" not in said
        await asyncio.sleep(REST / 3)


async def test_a_server_starts_without_its_redis(cached: Served, visitors: Visitors, redis: RedisServer) -> None:
    redis.kill()
    cached.start()
    visitor = await visitors.enter(cached.url)
    await answers(visitor, "alone")
    assert (await becomes(cached, "degraded"))["cache"]["critical"] is False
    redis.start()
    await becomes(cached, "healthy")
    await answers(visitor, "together")


async def test_no_message_is_lost_while_it_comes_and_goes(
    cached: Served, visitors: Visitors, redis: RedisServer
) -> None:
    cached.start()
    rooms = [await visitors.enter(cached.url, client_id=f"c{number}") for number in range(4)]
    over = asyncio.Event()

    async def come_and_go() -> None:
        while not over.is_set():
            await asyncio.to_thread(redis.restart)
            await asyncio.sleep(0.02)
            redis.pause()
            await asyncio.sleep(TIMEOUT / 2)
            redis.resume()

    trouble = asyncio.create_task(come_and_go())
    texts = [f"message {number}" for number in range(25)]

    async def chat(visitor: Visitor) -> None:
        for text in texts:
            await answers(visitor, text)

    await asyncio.gather(*map(chat, rooms))
    over.set()
    await trouble
    for visitor in rooms:
        assert [message["text"] for message in visitor.shown()] == [
            said for text in texts for said in (f"!echo {text}", text)
        ]
        assert {message["status"] for message in visitor.shown()} == {"answered"}


async def test_a_house_finds_the_sessions_of_its_life_before(cached: Served, visitors: Visitors) -> None:
    cached.start()
    visitor = await visitors.enter(cached.url)
    await visitor.ask("/model demo:demo")
    await answers(visitor, "first life")
    await answers(visitor, "kept")
    cached.kill()
    cached.start()
    visitor = await visitors.enter(cached.url, visitor.conversation_id)
    await answers(visitor, "second life")
    assert (await numbers(cached))['antiphon_sessions_total{found="cache"}'] == 1
    assert "chosen by: conversation" in (await visitor.ask("/model"))["text"]


async def test_its_password_is_shown_nowhere(served: Served, visitors: Visitors, redis: RedisServer) -> None:
    served.variables["ANTIPHON_REDIS__URL"] = f"redis://me:{PASSWORD}@127.0.0.1:{redis.port}/0"
    served.start()
    visitor = await visitors.enter(served.url)
    await answers(visitor, "hello")
    report = await becomes(served, "degraded")
    assert PASSWORD not in served.log + json.dumps(report)
