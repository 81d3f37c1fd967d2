"""What every cache backend holds to, on memory, on a real Redis, and with a memory in front of it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from antiphon.cache.base import CacheBackend
from antiphon.cache.memory import CacheManager, MemoryBackend
from antiphon.cache.redis import RedisBackend
from antiphon.cache.tiered import TieredBackend
from antiphon.domain import new_id
from antiphon.errors import ValidationError
from antiphon.runtime.clock import ManualClock
from antiphon.telemetry.metrics import Metrics

Wait = Callable[[float], Awaitable[None]]
HOUR = 3600.0


@pytest.fixture(params=["memory", "redis", "tiered"])
async def made(request: pytest.FixtureRequest) -> AsyncIterator[tuple[CacheBackend, Wait]]:
    """A backend, and how its time passes."""
    if request.param == "memory":
        clock = ManualClock()
        yield MemoryBackend(CacheManager(clock=clock)), clock.advance
        return
    backend = RedisBackend(request.getfixturevalue("redis_url"), prefix=f"test-{new_id()}", timeout=10)
    near = TieredBackend(backend, lambda _: None, seconds=0.02, max_size=1000, metrics=Metrics())
    yield near if request.param == "tiered" else backend, asyncio.sleep
    await backend.clear()
    await backend.stop()


@pytest.fixture
def cache(made: tuple[CacheBackend, Wait]) -> CacheBackend:
    return made[0]


async def test_what_was_set_is_there(cache: CacheBackend) -> None:
    assert await cache.get("k") == [None]
    assert await cache.set("k", b"one", HOUR)
    assert await cache.set("k", b"two", HOUR)
    assert await cache.get("k") == [b"two"]


async def test_several_are_asked_for_at_once_in_their_order(cache: CacheBackend) -> None:
    await cache.set("a", b"1", HOUR)
    await cache.set("b", b"", HOUR)
    assert await cache.get("b", "none", "a", "a") == [b"", None, b"1", b"1"]
    assert await cache.get() == []


@pytest.mark.parametrize("key", ["", " ", "a:b", "*", "\n\0", "ключ🗝", "\ud800", "x" * 100_000])
async def test_any_text_is_a_key(cache: CacheBackend, key: str) -> None:
    await cache.set(key, b"value", HOUR)
    assert await cache.get(key, key + "1") == [b"value", None]
    assert await cache.delete(key)
    assert await cache.get(key) == [None]


@pytest.mark.parametrize("value", [b"", b"\0\r\n$-1\r\n", bytes(range(256)), b"x" * 5_000_000])
async def test_bytes_come_back_as_they_were(cache: CacheBackend, value: bytes) -> None:
    await cache.set("k", value, HOUR)
    assert await cache.get("k") == [value]


async def test_an_entry_ends_with_its_own_time(made: tuple[CacheBackend, Wait]) -> None:
    cache, wait = made
    await cache.set("short", b"1", 0.05)
    await cache.set("long", b"1", HOUR)
    await cache.set("renewed", b"1", 0.05)
    await cache.set("renewed", b"2", HOUR)
    await wait(0.06)
    assert await cache.get("short", "long", "renewed") == [None, b"1", b"2"]


async def test_the_shortest_and_the_longest_time_are_times(cache: CacheBackend) -> None:
    assert await cache.set("k", b"1", 1e-9)
    assert await cache.set("k", b"1", 10 * 365 * 86_400.0)
    assert await cache.get("k") == [b"1"]


async def test_a_swap_needs_what_is_there(cache: CacheBackend) -> None:
    assert not await cache.swap("k", b"old", b"new", HOUR)
    assert await cache.get("k") == [None]
    assert await cache.swap("k", None, b"first", HOUR)
    assert not await cache.swap("k", None, b"second", HOUR)
    assert not await cache.swap("k", b"firs", b"second", HOUR)
    assert await cache.swap("k", b"first", b"second", HOUR)
    assert await cache.get("k") == [b"second"]


async def test_a_swap_gives_a_new_time(made: tuple[CacheBackend, Wait]) -> None:
    cache, wait = made
    await cache.set("longer", b"1", 0.05)
    await cache.set("shorter", b"1", HOUR)
    assert await cache.swap("longer", b"1", b"2", HOUR)
    assert await cache.swap("shorter", b"1", b"2", 0.05)
    await wait(0.06)
    assert await cache.get("longer", "shorter") == [b"2", None]


async def test_what_has_ended_is_nothing_to_swap(made: tuple[CacheBackend, Wait]) -> None:
    cache, wait = made
    await cache.set("k", b"1", 0.02)
    await wait(0.03)
    assert not await cache.swap("k", b"1", b"2", HOUR)
    assert await cache.swap("k", None, b"3", HOUR)


async def test_of_many_who_swap_one_does(cache: CacheBackend) -> None:
    won = await asyncio.gather(*(cache.swap("k", None, b"%d" % number, HOUR) for number in range(50)))
    assert sum(won) == 1
    assert await cache.get("k") == [b"%d" % won.index(True)]


async def test_what_is_deleted_is_gone(cache: CacheBackend) -> None:
    await cache.set("a", b"1", HOUR)
    await cache.set("b", b"1", HOUR)
    await cache.set("c", b"1", HOUR)
    assert await cache.delete("a", "b", "never there")
    assert await cache.delete()
    assert await cache.get("a", "b", "c") == [None, None, b"1"]


async def test_numbers_are_counted_from_nothing(cache: CacheBackend) -> None:
    assert await cache.increment("n", 1, HOUR) == 1
    assert await cache.increment("n", 5, HOUR) == 6
    assert await cache.increment("n", -10, HOUR) == -4
    assert await cache.increment("n", 0, HOUR) == -4


async def test_of_many_who_count_all_count(cache: CacheBackend) -> None:
    counted = await asyncio.gather(*(cache.increment("n", 1, HOUR) for _ in range(100)))
    assert sorted(number for number in counted if number is not None) == list(range(1, 101))


async def test_a_number_ends_with_the_time_of_its_beginning(made: tuple[CacheBackend, Wait]) -> None:
    cache, wait = made
    await cache.increment("n", 1, 0.05)
    await cache.increment("n", 1, HOUR)
    await wait(0.06)
    assert await cache.increment("n", 1, HOUR) == 1


@pytest.mark.parametrize("value", [b"ten", b"", b"1.5", b"9223372036854775807"])
async def test_nothing_but_a_number_is_counted_on(cache: CacheBackend, value: bytes) -> None:
    await cache.set("n", value, HOUR)
    with pytest.raises(ValidationError, match="no number"):
        await cache.increment("n", 1, HOUR)
    assert await cache.get("n") == [value]


async def test_clearing_leaves_nothing(cache: CacheBackend) -> None:
    for number in range(50):
        await cache.set(f"k{number}", b"1", HOUR)
    assert await cache.clear()
    assert await cache.clear()
    assert await cache.get(*(f"k{number}" for number in range(50))) == [None] * 50


async def test_it_says_where_it_keeps_things(cache: CacheBackend) -> None:
    assert cache.name in {"memory", "redis"}
    assert cache.name in (await cache.check()).lower()


async def test_it_may_be_stopped_twice_and_used_again(cache: CacheBackend) -> None:
    await cache.set("k", b"1", HOUR)
    await cache.stop()
    await cache.stop()
    assert await cache.get("k") == [b"1"]
