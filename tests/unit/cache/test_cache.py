"""`Cache` in memory: values, lifetimes, single flight, and what is counted."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from antiphon.cache.cache import Cache
from antiphon.cache.memory import CacheManager, MemoryBackend
from antiphon.errors import ConfigError, ValidationError
from antiphon.telemetry.metrics import Metrics


@pytest.mark.parametrize(
    "value", [None, 0, -1.5, "text", b"\0bytes", [1, [2]], {"a": {"b": None}}, datetime(2026, 7, 1, tzinfo=UTC), 2**63]
)
async def test_values_come_back_as_they_were(value: Any) -> None:
    cache = Cache()
    assert await cache.set("k", value)
    assert await cache.get("k") == value


async def test_what_comes_back_is_a_copy() -> None:
    cache = Cache(backend="memory", ttl=60)
    await cache.set("k", [1])
    (await cache.get("k")).append(2)
    assert await cache.get("k") == [1]


@pytest.mark.parametrize("value", [object(), {1, object()}, 2**70, lambda: 1])
async def test_values_that_cannot_be_written(value: Any) -> None:
    cache = Cache()
    with pytest.raises(ValidationError, match="cannot be kept in a cache"):
        await cache.set("k", value)


async def test_a_value_that_contains_itself() -> None:
    value: list[Any] = []
    value.append(value)
    with pytest.raises(ValidationError, match="cannot be kept in a cache"):
        await Cache().set("k", value)


async def test_only_the_first_adds() -> None:
    cache = Cache()
    assert sorted(await asyncio.gather(*(cache.add("k", number) for number in range(5)))) == [False] * 4 + [True]
    await cache.delete("k")
    assert await cache.add("k", 1)


async def test_numbers() -> None:
    cache = Cache()
    assert [await cache.increment("n"), await cache.increment("n", 4), await cache.increment("n", 0)] == [1, 5, 5]


@pytest.mark.parametrize("ttl", [0, -5, float("nan")])
async def test_a_lifetime_is_a_time(ttl: float) -> None:
    cache = Cache()
    for refused in (cache.set("k", 1, ttl), cache.add("k", 1, ttl), cache.increment("k", 1, ttl)):
        with pytest.raises(ValidationError):
            await refused
    with pytest.raises(ValidationError):
        Cache(ttl=ttl)


def test_there_is_no_other_backend() -> None:
    with pytest.raises(ConfigError, match="'memcached'; possible are memory and redis"):
        Cache("memcached")  # type: ignore[arg-type]


async def test_made_once_for_all_who_ask() -> None:
    cache, calls = Cache(), []

    async def make() -> int | None:
        calls.append(1)
        await asyncio.sleep(0)
        return None

    assert await asyncio.gather(*(cache.get_or_set("k", make) for _ in range(100))) == [None] * 100
    assert await cache.get_or_set("k", make) is None
    assert len(calls) == 1


async def test_an_error_is_not_kept() -> None:
    cache, calls = Cache(), []

    async def fail() -> int:
        calls.append(1)
        raise ValueError

    for _ in range(2):
        with pytest.raises(ValueError):
            await cache.get_or_set("k", fail)
    assert len(calls) == 2


@pytest.mark.parametrize("change", ["set", "delete", "clear"])
async def test_what_was_begun_before_a_change_is_not_kept(change: str) -> None:
    cache, begun, go = Cache(), asyncio.Event(), asyncio.Event()

    async def make() -> str:
        begun.set()
        await go.wait()
        return "old"

    async def again() -> str:
        return "new"

    making = asyncio.create_task(cache.get_or_set("k", make))
    await begun.wait()
    if change == "set":
        await cache.set("k", "new")
    else:
        await (cache.delete("k") if change == "delete" else cache.clear())
    go.set()
    assert await making == "old"
    assert await cache.get_or_set("k", again) == "new"


async def test_what_is_on_its_way_when_it_changes_does_not_stay() -> None:
    sent, arrives = asyncio.Event(), asyncio.Event()

    class Far(MemoryBackend):
        async def set(self, key: str, value: bytes, ttl: float) -> bool:
            sent.set()
            await arrives.wait()
            return await super().set(key, value, ttl)

    async def make() -> str:
        return "old"

    cache = Cache()
    cache.backend = Far(CacheManager())
    making = asyncio.create_task(cache.get_or_set("k", make))
    await sent.wait()
    await cache.delete("k")
    arrives.set()
    assert await making == "old"
    assert await cache.get("k") is None


async def test_hits_and_misses_are_counted() -> None:
    metrics = Metrics()
    cache = Cache(metrics=metrics)
    await cache.set("k", 1)
    for key in ("k", "k", "none"):
        await cache.get(key)
    text = metrics.render().decode()
    assert 'antiphon_cache_requests_total{backend="memory",result="hit"} 2.0' in text
    assert 'antiphon_cache_requests_total{backend="memory",result="miss"} 1.0' in text
    assert 'antiphon_cache_failures_total{backend="memory"} 0.0' in text
    assert "memory of this process, 1 of 1000 entries" in await cache.check()
