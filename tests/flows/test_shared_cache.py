"""Two processes keep what they read from Redis at hand, and none of them gives out what the other has changed."""

import asyncio
import json
import re
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.redis_server import RedisServer
from tests.serving import LONGEST, Served, Visitor, Visitors

NEAR_SECONDS = 600
"""Longer than any test: what is forgotten here was told, and has not ended by itself."""

SHELF = '''
"""A tool of somebody else's package: it keeps things in the cache of the house."""

from antiphon import get_cache, tool

@tool
async def shelf(key: str, value: str = "") -> str:
    """What is on the shelf under a key, or puts something there."""
    cache = get_cache()
    if value == "-":
        await cache.delete(key)
    elif value:
        await cache.set(key, value)
    return f"found:{await cache.get(key)}"
'''


def install(folder: Path) -> None:
    """Puts the tool where the process in this folder finds it, as an installed package is found."""
    (folder / "shelf.py").write_text(SHELF)
    package = folder / "shelf-1.0.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: shelf\nVersion: 1.0\n")
    (package / "entry_points.txt").write_text("[antiphon.tools]\nshelf = shelf:shelf\n")


@pytest.fixture
def house(tmp_path: Path, postgres_url: str, redis: RedisServer) -> Iterator[list[Served]]:
    made = []
    for number in range(2):
        folder = tmp_path / str(number)
        folder.mkdir()
        install(folder)
        made.append(
            Served(
                folder,
                ANTIPHON_DATABASE__URL=postgres_url,
                ANTIPHON_REDIS__URL=redis.url,
                ANTIPHON_CLUSTER__URL=redis.url,
                ANTIPHON_CACHE__NEAR_SECONDS=str(NEAR_SECONDS),
                ANTIPHON_SERVICES__BREAKER_SECONDS="0.2",
                ANTIPHON_LOG_FORMAT="json",
            )
        )
    yield made
    for served in made:
        served.end()


class Keeper:
    """Somebody who talks to one of the processes, and has its tool look after the shelf."""

    def __init__(self, served: Served, visitor: Visitor) -> None:
        self.served = served
        self._visitor = visitor

    async def look(self, key: str) -> str:
        return await self._use(f"shelf key={key}")

    async def put(self, key: str, value: str) -> str:
        return await self._use(f"shelf key={key} value={value}")

    async def hits(self) -> float:
        """How often this process had at hand what was asked for."""
        return (await self._numbers())['antiphon_cache_requests_total{backend="near",result="hit"}']

    async def hears_the_others(self) -> bool:
        return (await self._numbers())["antiphon_cluster_up"] == 1 and await self._cache_is_well()

    async def _use(self, saying: str) -> str:
        found = re.search(r"found:(\S+)", (await self._visitor.ask(saying))["text"])
        assert found is not None
        return found[1].strip(".`*”\"'")

    async def _numbers(self) -> dict[str, float]:
        lines = (await self._fetch("metrics")).splitlines()
        return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if line[0] != "#")}

    async def _cache_is_well(self) -> bool:
        checks = json.loads(await self._fetch("health/deep"))["checks"]
        return all(check["healthy"] for check in checks if check["name"] == "cache")

    async def _fetch(self, path: str) -> str:
        def fetch() -> str:
            with urllib.request.urlopen(f"{self.served.url}/{path}", timeout=LONGEST) as answer:
                return str(answer.read().decode())

        return await asyncio.to_thread(fetch)


@pytest.fixture
async def both(house: list[Served], visitors: Visitors) -> tuple[Keeper, Keeper]:
    await asyncio.gather(*(asyncio.to_thread(served.start) for served in house))
    one, two = [Keeper(served, await visitors.enter(served.url)) for served in house]
    await hear_each_other(one, two)
    return one, two


async def hear_each_other(*keepers: Keeper) -> None:
    async with asyncio.timeout(LONGEST):
        for keeper in keepers:
            while not await keeper.hears_the_others():
                await asyncio.sleep(0.05)


async def sees(keeper: Keeper, key: str, value: str) -> None:
    """The change is on its way, faster than anybody who asks over a socket."""
    async with asyncio.timeout(LONGEST):
        while await keeper.look(key) != value:
            await asyncio.sleep(0.01)


async def keep_at_hand(keeper: Keeper, key: str, value: str) -> None:
    """Reads it until it is no longer Redis that is asked."""
    await sees(keeper, key, value)
    before = await keeper.hits()
    assert await keeper.look(key) == value
    assert await keeper.hits() == before + 1


async def test_what_one_process_changes_the_other_does_not_have_at_hand(
    both: tuple[Keeper, Keeper], visitors: Visitors
) -> None:
    one, two = both
    for number in range(5):
        writer, reader = (one, two) if number % 2 else (two, one)
        assert await writer.put("lamp", f"v{number}") == f"v{number}"
        await keep_at_hand(reader, "lamp", f"v{number}")
        await keep_at_hand(writer, "lamp", f"v{number}")
    assert await one.put("lamp", "-") == "None"
    await sees(two, "lamp", "None")
    # A process that is started again shares as before, and a stop changes nothing for the other.
    assert await asyncio.to_thread(one.served.stop) == 0
    assert await two.put("lamp", "alone") == "alone"
    await asyncio.to_thread(one.served.start)
    again = Keeper(one.served, await visitors.enter(one.served.url))
    await hear_each_other(again, two)
    await keep_at_hand(again, "lamp", "alone")
    await two.put("lamp", "together")
    await sees(again, "lamp", "together")


async def test_a_redis_that_is_gone_and_back_leaves_nothing_old_at_hand(
    both: tuple[Keeper, Keeper], redis: RedisServer
) -> None:
    one, two = both
    await one.put("lamp", "before")
    await keep_at_hand(two, "lamp", "before")
    redis.kill()
    async with asyncio.timeout(LONGEST):
        while await two.look("lamp") != "None":  # nobody can tell what the others do
            await asyncio.sleep(0.05)
    redis.start()
    await hear_each_other(one, two)
    assert await two.look("lamp") == "None"
    async with asyncio.timeout(LONGEST):
        while await one.put("lamp", "after") != "after":
            await asyncio.sleep(0.05)
    await keep_at_hand(two, "lamp", "after")
    await two.put("lamp", "later")
    await sees(one, "lamp", "later")
