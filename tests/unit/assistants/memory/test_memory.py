"""A memory in a cache: for a while, what is in use, and never silently nowhere."""

import pytest

from antiphon.assistants.memory.cached import CachedFacts
from antiphon.assistants.memory.memory import MOST_CACHED, Memory
from antiphon.cache.memory import CacheManager, MemoryBackend
from antiphon.errors import ConfigError, ServiceError
from tests.redis_server import RedisServer


class Time:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def facts_for(time: Time, *, ttl: float | None = 60, max_size: int = 3) -> CachedFacts:
    return CachedFacts(MemoryBackend(CacheManager(10**6, 10)), ttl=ttl, max_size=max_size, clock=time)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"max_size": 0}, "room for 1 fact"),
        ({"storage_type": "disk"}, "no memory named 'disk'"),
        ({"storage_type": "database"}, "needs the facts of a store"),
        ({"storage_type": "redis", "max_size": MOST_CACHED + 1}, "use the database"),
        ({"storage_type": "redis", "url": "http://localhost"}, "URL of Redis"),
    ],
)
def test_what_fits_no_place_is_refused(arguments: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        Memory(**arguments)  # type: ignore[arg-type]


def test_it_is_made_without_a_server_and_knows_what_it_was_made_with() -> None:
    memory = Memory(storage_type="redis", ttl=3600, max_size=1000)
    assert (memory.storage_type, memory.ttl, memory.max_size) == ("redis", 3600, 1000)


async def test_each_fact_has_its_own_time_and_saying_it_again_begins_it_anew() -> None:
    time = Time()
    facts = facts_for(time)
    await facts.add("ada", "Likes tea")
    time.now += 40
    await facts.add("ada", "Has a dog")
    time.now += 19
    await facts.add("ada", "likes TEA")
    time.now += 30
    assert [fact.text for fact in await facts.search("ada", "tea dog")] == ["Likes tea", "Has a dog"]
    time.now += 15
    assert [fact.text for fact in await facts.list("ada")] == ["Likes tea"]
    assert await facts.search("ada", "dog") == []
    time.now += 60
    assert await facts.list("ada") == [] == await facts.search("ada", "tea")


async def test_of_too_many_the_one_goes_that_was_not_used_for_longest() -> None:
    time = Time()
    facts = facts_for(time)
    ids = []
    for text in ("one", "two", "three"):
        time.now += 1
        ids.append((await facts.add("ada", text)).fact.id)
    time.now += 1
    await facts.use("ada", {ids[0]})
    kept = await facts.add("ada", "four")
    assert [fact.text for fact in kept.dropped] == ["two"]
    assert [fact.text for fact in await facts.list("ada")] == ["four", "three", "one"]


async def test_a_search_counts_as_use() -> None:
    memory = Memory(max_size=2)
    await memory.add("Likes tea")
    await memory.add("Has a dog")
    assert [fact.text for fact in await memory.search("tea")] == ["Likes tea"]
    assert [fact.text for fact in (await memory.add("Is tall")).dropped] == ["Has a dog"]


async def test_what_another_version_wrote_counts_as_nothing() -> None:
    backend = MemoryBackend(CacheManager(60, 10))
    await backend.set("ada", b"\xc1 what is this", 60)
    facts = CachedFacts(backend, ttl=60, max_size=3)
    assert await facts.list("ada") == []
    assert (await facts.add("ada", "Likes tea")).new
    assert len(await facts.list("ada")) == 1


async def test_two_processes_share_what_is_in_redis(redis_url: str) -> None:
    one, two = (Memory("redis", ttl=60, url=redis_url) for _ in range(2))
    await one.clear(person="ada")
    await one.add("Likes tea", person="ada")
    await two.add("Has a dog", person="ada")
    assert [fact.text for fact in await one.list(person="ada")] == ["Has a dog", "Likes tea"]
    assert [fact.text for fact in await two.search("tea", person="ada")] == ["Likes tea"]
    await two.clear(person="ada")
    assert await one.list(person="ada") == []
    await one.stop()
    await two.stop()


async def test_without_redis_nothing_is_said_to_be_remembered(redis: RedisServer) -> None:
    memory = Memory("redis", ttl=60, url=redis.url)
    await memory.add("Likes tea")
    redis.kill()
    for call in (lambda: memory.add("Has a dog"), memory.list, lambda: memory.search("tea")):
        with pytest.raises(ServiceError, match="Redis"):
            await call()
    await memory.stop()
