"""A Redis that is gone, cut off, silent, slow, started again, full, locked or not a Redis."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, MutableMapping
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from pydantic import SecretStr

from antiphon.cache import cache as home
from antiphon.cache.cache import Cache, open_cache
from antiphon.cache.config import CacheSettings, RedisSettings
from antiphon.cache.redis import RedisBackend
from antiphon.domain import Value
from antiphon.errors import ConfigError, ModuleError, ServiceError, ValidationError
from antiphon.runtime.config import PerformanceSettings, ServiceSettings
from antiphon.telemetry.metrics import Metrics
from tests.proxy import Proxy
from tests.redis_server import RedisServer

Logged = list[MutableMapping[str, Any]]
HOUR = 3600.0


class Thing(Value, frozen=True):
    name: str


def named(logged: Logged) -> list[str]:
    return [line["event"] for line in logged if line["event"].startswith("cache.")]


@pytest.fixture
async def proxy(redis: RedisServer) -> AsyncIterator[Proxy]:
    async with Proxy("127.0.0.1", redis.port) as made:
        yield made


@pytest.fixture
async def make() -> AsyncIterator[Callable[..., Cache]]:
    """Makes caches that are quick to give up and quick to try again."""
    opened = []

    def open_(port: int, *, timeout: float = 0.2, failures: int = 3, seconds: float = 0.05, **more: Any) -> Cache:
        settings = CacheSettings(timeout=timeout, **more)
        services = ServiceSettings(breaker_failures=failures, breaker_seconds=seconds)
        url = f"redis://127.0.0.1:{port}/0"
        opened.append(Cache("redis", url=url, settings=settings, services=services, metrics=Metrics()))
        return opened[-1]

    yield open_
    for cache in opened:
        await cache.stop()


async def back(cache: Cache) -> None:
    """Returns once it keeps things again, by itself."""
    async with asyncio.timeout(20):
        while not await cache.set("back", 1):
            await asyncio.sleep(0.01)


async def test_the_sample_of_the_document_needs_no_server() -> None:
    cache = Cache(backend="redis", ttl=3600)
    assert cache.url == "redis://127.0.0.1:6379/0"
    await cache.stop()


def test_it_is_made_without_a_loop_and_used_in_several(redis: RedisServer) -> None:
    cache = Cache("redis", url=redis.url)

    async def use(value: int) -> Any:
        await cache.set("k", value)
        found = await cache.get("k")
        await cache.stop()
        return found

    assert [asyncio.run(use(number)) for number in range(3)] == [0, 1, 2]


async def test_who_asks_from_a_thread_of_his_own_takes_nobodys_connections(redis: RedisServer) -> None:
    backend = RedisBackend(redis.url, timeout=10)

    async def look() -> None:
        for _ in range(100):
            await backend.get("k")
        await backend.stop()

    await backend.get("k")
    mine = backend._mine()._idle[0]
    others = [asyncio.to_thread(asyncio.run, look()) for _ in range(3)]
    await asyncio.gather(*others, *(backend.get("k") for _ in range(300)))
    assert mine in backend._mine()._idle
    await backend.stop()


async def test_values_of_kinds(redis: RedisServer, make: Callable[..., Cache]) -> None:
    cache = make(redis.port)
    await cache.set("thing", Thing(name="cup"))
    assert await cache.get("thing") == {"name": "cup"}
    assert await cache.get("thing", Thing) == Thing(name="cup")
    assert await cache.get("thing", int) is None
    with pytest.raises(ValidationError, match="cannot be kept"):
        await cache.set("thing", object())


async def test_killed_and_started_again(redis: RedisServer, make: Callable[..., Cache], logged: Logged) -> None:
    cache = make(redis.port)
    assert await cache.set("k", 1)
    redis.kill()
    assert await cache.get("k") is None
    assert not await cache.set("k", 2)
    assert not await cache.add("k", 2)
    assert not await cache.delete("k")
    assert not await cache.clear()
    assert await cache.increment("n") is None
    with pytest.raises(ServiceError, match=f"127.0.0.1:{redis.port} cannot be used"):
        await cache.check()
    redis.start()
    await back(cache)
    assert await cache.get("k") is None
    assert await cache.check() == f"Redis at 127.0.0.1:{redis.port}"
    assert named(logged) == ["cache.unreachable", "cache.reached"]


async def test_a_connection_that_was_cut_is_made_again(proxy: Proxy, make: Callable[..., Cache]) -> None:
    cache = make(proxy.port)
    assert await cache.set("k", 1)
    proxy.cut()
    await back(cache)
    assert await cache.get("k") == 1


async def test_a_silent_server_costs_one_timeout_and_then_nothing(proxy: Proxy, make: Callable[..., Cache]) -> None:
    cache = make(proxy.port, timeout=0.1, failures=1, seconds=60)
    await cache.set("k", 1)
    proxy.pause()
    assert await cache.get("k") is None
    began = time.perf_counter()
    for _ in range(1_000):
        await cache.get("k")
    assert time.perf_counter() - began < 0.1 * 10
    with pytest.raises(ServiceError, match=r"did not answer within 0\.1 s"):
        await cache.check()
    proxy.resume()


async def test_answers_that_come_too_late_are_nobodys(proxy: Proxy, make: Callable[..., Cache]) -> None:
    cache = make(proxy.port, timeout=0.1, failures=100)
    for number in range(20):
        assert await cache.set(f"k{number}", number)
    proxy.pause()
    assert await asyncio.gather(*(cache.get(f"k{number}") for number in range(20))) == [None] * 20
    proxy.resume()
    await back(cache)
    assert await asyncio.gather(*(cache.get(f"k{number}") for number in range(20))) == list(range(20))


async def test_who_gives_up_takes_no_answer_away_from_the_next(proxy: Proxy, make: Callable[..., Cache]) -> None:
    cache = make(proxy.port, timeout=10, connections=2)
    for number in range(10):
        await cache.set(f"k{number}", number)
    proxy.delay = 0.005
    for number in range(10):
        asked = [asyncio.create_task(cache.get(f"k{number}")) for _ in range(4)]
        await asyncio.sleep(0.002 * (number % 4))
        for task in asked[:3]:
            task.cancel()
        assert await asked[3] == number
        await asyncio.gather(*asked, return_exceptions=True)
    assert proxy.open <= 2


async def test_who_gives_up_takes_no_connection_away(redis: RedisServer, make: Callable[..., Cache]) -> None:
    """At every step of an exchange, also while a connection is made, waited for and given back."""
    cache = make(redis.port, timeout=10, connections=2)
    for steps in range(200):
        asked = [asyncio.create_task(cache.get("k")) for _ in range(3)]
        for _ in range(steps % 25):
            await asyncio.sleep(0)
        for task in asked:
            task.cancel()
        await asyncio.gather(*asked, return_exceptions=True)
    assert await cache.set("k", 1)
    assert await asyncio.gather(*(cache.get("k") for _ in range(20))) == [1] * 20


async def test_a_thousand_at_once_share_the_connections(proxy: Proxy, make: Callable[..., Cache]) -> None:
    cache = make(proxy.port, timeout=20, connections=4)
    await cache.set("k", 1)
    assert await asyncio.gather(*(cache.get("k") for _ in range(1_000))) == [1] * 1_000
    assert proxy.accepted <= 4


async def test_one_that_is_full_gives_and_does_not_take(
    redis: RedisServer, make: Callable[..., Cache], logged: Logged
) -> None:
    cache = make(redis.port, failures=2)
    await cache.set("k", "kept")
    redis.ask("CONFIG", "SET", "maxmemory-policy", "noeviction")
    redis.ask("CONFIG", "SET", "maxmemory", "1")
    for _ in range(5):
        assert not await cache.set("other", 1)
        assert await cache.get("k") == "kept"
    with pytest.raises(ServiceError, match=r"refuses: .*memory"):
        await cache.check()
    assert await cache.delete("k")
    assert named(logged) == ["cache.not_stored"]
    redis.ask("CONFIG", "SET", "maxmemory", "0")
    await back(cache)
    assert named(logged) == ["cache.not_stored", "cache.stored"]


async def test_what_a_server_had_saved_before_it_died_does_not_come_back(make: Callable[..., Cache]) -> None:
    with RedisServer("--dbfilename", "saved.rdb") as redis:
        cache = make(redis.port)
        await cache.set("k", "old")
        redis.ask("SAVE")
        await cache.set("k", "new")
        redis.restart()
        assert redis.ask("DBSIZE") != ":0\r\n"
        await back(cache)
        assert await cache.get("k") is None
        await cache.clear()
        assert redis.ask("DBSIZE") == ":0\r\n"


async def test_only_what_begins_with_the_prefix_is_cleared(redis: RedisServer, make: Callable[..., Cache]) -> None:
    mine, other = make(redis.port, prefix="a*"), make(redis.port, prefix="ab")
    await mine.set("k", 1)
    await other.set("k", 2)
    redis.ask("SET", "somebody's", "3")
    assert await mine.clear()
    assert await mine.get("k") is None
    assert await other.get("k") == 2
    assert "3" in redis.ask("GET", "somebody's")


async def test_a_wrong_password_is_said_and_no_password_shown(logged: Logged) -> None:
    with RedisServer("--requirepass", "correct-horse", "--protected-mode", "no") as redis:
        url = f"redis://me:battery-staple@127.0.0.1:{redis.port}/0"
        cache = Cache("redis", url=url)
        assert not await cache.set("k", 1)
        with pytest.raises(ServiceError) as caught:
            await cache.check()
        await cache.stop()
        right = Cache("redis", url=f"redis://:correct-horse@127.0.0.1:{redis.port}/0")
        assert await right.set("k", 1)
        await right.stop()
    assert "127.0.0.1" in str(caught.value)
    assert "battery-staple" not in f"{caught.value} {logged} {CacheSettings(url=SecretStr(url))!r}"


async def test_over_a_socket_file() -> None:
    with TemporaryDirectory() as folder, RedisServer("--unixsocket", f"{folder}/r") as redis:
        cache = Cache("redis", url=f"unix://{folder}/r")
        assert await cache.set("k", 1)
        assert await cache.get("k") == 1
        assert await cache.check() == f"Redis at {folder}/r"
        assert redis.ask("DBSIZE") == ":2\r\n"
        await cache.stop()


async def test_a_user_who_may_not_ask_about_the_server(redis: RedisServer) -> None:
    redis.ask("ACL", "SETUSER", "me", "on", ">word", "~antiphon:*", "+@all", "-info")
    cache = Cache("redis", url=f"redis://me:word@127.0.0.1:{redis.port}/0")
    assert await cache.set("k", 1)
    assert await cache.get("k") == 1
    await cache.stop()


async def test_what_is_no_redis(make: Callable[..., Cache]) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    cache = make(server.sockets[0].getsockname()[1])
    assert not await cache.set("k", 1)
    assert await cache.get("k") is None
    with pytest.raises(ServiceError):
        await cache.check()
    await cache.stop()
    server.close()
    await server.wait_closed()


@pytest.mark.parametrize("url", ["http://127.0.0.1", "127.0.0.1", "redis//x", "redis://h:port", "memory", ""])
def test_what_is_no_url(url: str) -> None:
    with pytest.raises(ConfigError, match="redis://host:port"):
        RedisBackend(url)


def test_a_url_that_is_none_does_not_show_its_password() -> None:
    with pytest.raises(ConfigError) as caught:
        RedisBackend("redis://me:battery-staple@host:port/0")
    assert "battery" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise ModuleNotFoundError(name=name)

    monkeypatch.setattr(home, "import_module", missing)
    with pytest.raises(ModuleError, match=r"antiphon\[redis\]"):
        Cache("redis")


@pytest.mark.parametrize(
    ("cache", "redis", "url"),
    [
        (None, None, "memory://"),
        (None, "redis://a", "redis://a"),
        ("redis://b", "redis://a", "redis://b"),
        ("memory://", "redis://a", "memory://"),
        ("unix:///tmp/redis.sock", None, "unix:///tmp/redis.sock"),
        ("rediss://c:1", None, "rediss://c:1"),
    ],
)
def test_where_the_settings_say(cache: str | None, redis: str | None, url: str) -> None:
    opened = open_cache(
        CacheSettings.model_validate({"url": cache}),
        RedisSettings.model_validate({"url": redis}),
        PerformanceSettings(cache_max_size=7),
        ServiceSettings(),
    )
    assert opened.url == url
    assert opened.memory.stats().max_size == 7
