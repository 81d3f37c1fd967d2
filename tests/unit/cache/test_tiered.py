"""A memory in front of Redis: what it holds is never older than a change that was told, however the two cross."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.cache.cache import Cache
from antiphon.cache.config import CacheSettings
from antiphon.cache.memory import CacheManager, MemoryBackend
from antiphon.cache.tiered import Changes, TieredBackend, _change, _key
from antiphon.domain import new_id
from antiphon.telemetry.metrics import Metrics
from tests.redis_server import RedisServer

HOUR = 3600.0
LONGEST = 20.0


class Far(MemoryBackend):
    """What all share. It counts, and waits in front of an answer where a test wants to do something in between."""

    def __init__(self) -> None:
        super().__init__(CacheManager())
        self.asked = 0
        self.between: list[Callable[[], Any]] = []

    async def get(self, *keys: str) -> list[bytes | None]:
        self.asked += 1
        found = await super().get(*keys)
        for step in self.between:
            if asyncio.iscoroutine(doing := step()):
                await doing
        self.between.clear()
        return found


class Processes:
    """Several memories in front of one cache; what one tells the others hear when the test says so."""

    def __init__(self, number: int) -> None:
        self.far = Far()
        self.told: list[tuple[int, Changes]] = []
        self.each = [self._make(place) for place in range(number)]

    def _make(self, place: int) -> TieredBackend:
        def publish(changes: Changes) -> None:
            self.told.append((place, changes))

        return TieredBackend(self.far, publish, seconds=HOUR, max_size=100, metrics=Metrics())

    def tell(self) -> None:
        for sender, changes in self.told:
            for place, backend in enumerate(self.each):
                if place != sender:
                    backend.forget(changes)
        self.told.clear()


async def test_what_was_read_is_read_from_memory_until_somebody_changes_it() -> None:
    both = Processes(2)
    one, two = both.each
    await one.set("k", b"1", HOUR)
    both.tell()
    assert [await two.get("k") for _ in range(3)] == [[b"1"]] * 3
    assert both.far.asked == 1
    await one.set("k", b"2", HOUR)
    assert await two.get("k") == [b"1"]  # it has not been told yet
    both.tell()
    assert await two.get("k") == [b"2"]
    assert await one.get("k") == [b"2"]


async def test_several_keys_are_asked_for_as_far_as_they_are_missing() -> None:
    both = Processes(1)
    (one,) = both.each
    for key in "abc":
        await one.set(key, key.encode(), HOUR)
    await one.get("b")
    assert await one.get("a", "b", "c", "none", "a") == [b"a", b"b", b"c", None, b"a"]
    assert await one.get("a", "b", "c") == [b"a", b"b", b"c"]
    assert both.far.asked == 2
    assert await one.get("none") == [None]
    assert both.far.asked == 3


@pytest.mark.parametrize(
    "change",
    [
        lambda backend: backend.set("k", b"new", HOUR),
        lambda backend: backend.swap("k", b"old", b"new", HOUR),
        lambda backend: backend.delete("k"),
        lambda backend: backend.clear(),
    ],
)
@pytest.mark.parametrize("who", [0, 1])
async def test_a_value_that_was_read_before_a_change_is_not_kept_behind_it(change: Any, who: int) -> None:
    both = Processes(2)
    await both.far.set("k", b"old", HOUR)

    async def meanwhile() -> None:
        await change(both.each[who])
        both.tell()

    both.far.between.append(meanwhile)
    assert await both.each[0].get("k") == [b"old"]
    assert await both.each[0].get("k") == await both.far.get("k") != [b"old"]


async def test_a_gap_empties_the_memory_also_of_what_is_being_read() -> None:
    both = Processes(1)
    (one,) = both.each
    await both.far.set("k", b"old", HOUR)
    await both.far.set("l", b"old", HOUR)
    await one.get("l")
    both.far.between.append(lambda: one.forget(None))
    await one.get("k")
    for key in "kl":
        await both.far.set(key, b"new", HOUR)
    assert await one.get("k", "l") == [b"new", b"new"]


async def test_while_nothing_can_be_heard_everything_is_asked_for() -> None:
    both = Processes(1)
    (one,) = both.each
    await one.set("k", b"1", HOUR)
    await one.get("k")
    one.trust(False)
    await both.far.set("k", b"2", HOUR)
    assert await one.get("k") == [b"2"]
    await both.far.set("k", b"3", HOUR)
    one.trust(True)
    assert await one.get("k") == [b"3"]


async def test_a_change_that_nobody_told_is_seen_in_time() -> None:
    far = Far()
    one = TieredBackend(far, lambda _: None, seconds=0.05, max_size=10, metrics=Metrics())
    await far.set("k", b"1", HOUR)
    await one.get("k")
    await far.set("k", b"2", HOUR)
    began = time.monotonic()
    while await one.get("k") != [b"2"]:
        assert time.monotonic() - began < LONGEST
        await asyncio.sleep(0.005)
    assert time.monotonic() - began < 1


async def test_a_change_that_failed_is_told_all_the_same() -> None:
    """It may have been carried out."""
    both = Processes(1)

    async def broken(*_: Any) -> bool:
        raise OSError("cut")

    both.far.set = broken  # type: ignore[assignment, method-assign]
    with pytest.raises(OSError, match="cut"):
        await both.each[0].set("k", b"1", HOUR)
    assert both.told == [(0, ["k"])]


@given(st.lists(st.tuples(st.integers(0, 1), st.sampled_from(["get", "set", "delete", "tell"])), max_size=30))
async def test_who_has_been_told_everything_reads_the_truth(steps: list[tuple[int, str]]) -> None:
    both = Processes(2)
    for number, (who, what) in enumerate(steps):
        backend = both.each[who]
        match what:
            case "get":
                await backend.get("k")
            case "set":
                await backend.set("k", b"%d" % number, HOUR)
            case "delete":
                await backend.delete("k")
            case _:
                both.tell()
    both.tell()
    assert await both.each[0].get("k") == await both.each[1].get("k") == await both.far.get("k")


@given(st.text(alphabet=st.characters(), max_size=20))
def test_any_key_can_be_told(key: str) -> None:
    _change(key).encode()
    assert _key(_change(key)) == key
    _key(key)


def test_only_a_cache_that_is_shared_has_something_to_tell() -> None:
    url = "redis://127.0.0.1:1/0"
    assert Cache("memory", metrics=Metrics()).share(lambda _: None) is None
    off = CacheSettings(near_seconds=0)
    assert Cache("redis", url=url, settings=off, metrics=Metrics()).share(lambda _: None) is None
    assert Cache("redis", url=url, metrics=Metrics()).share(lambda _: None) is not None


async def test_the_truth_stays_within_reach(redis_url: str) -> None:
    """For sessions, whose marks must not be read from a memory."""
    metrics = Metrics()
    cache = Cache("redis", url=redis_url, settings=CacheSettings(prefix=f"test-{new_id()}", timeout=5), metrics=metrics)
    backend = cache.backend
    cache.share(lambda _: None)
    assert cache.backend is backend
    await cache.set("k", 1)
    assert [await cache.get("k", int) for _ in range(3)] == [1, 1, 1]
    text = metrics.render().decode()
    assert 'antiphon_cache_requests_total{backend="near",result="hit"} 2.0' in text
    assert 'antiphon_cache_requests_total{backend="redis",result="hit"} 1.0' in text
    await cache.clear()
    await cache.stop()


# --- two processes ------------------------------------------------------------------------------------------------


class Process:
    """`tests/unit/cache/tiers.py`, talked to line by line."""

    def __init__(self, url: str, prefix: str) -> None:
        root = Path(__file__).parents[3]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.unit.cache.tiers", url, prefix],
            cwd=root,
            env={**os.environ, "PYTHONPATH": f"{root / 'src'}{os.pathsep}{root}"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def __call__(self, command: str) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{command}\n")
        self._process.stdin.flush()
        return self._process.stdout.readline().strip()

    def becomes(self, command: str, answer: str) -> None:
        give_up = time.monotonic() + LONGEST
        while (found := self(command)) != answer:
            assert time.monotonic() < give_up, f"{command} is {found}"
            time.sleep(0.005)

    def end(self) -> None:
        self._process.communicate(timeout=LONGEST)


@pytest.fixture
def processes(redis: RedisServer) -> Iterator[list[Process]]:
    made = [Process(redis.url, "house") for _ in range(2)]
    for process in made:
        process.becomes("nodes", "1")
    yield made
    for process in made:
        process.end()


def test_two_processes_see_each_others_changes(processes: list[Process]) -> None:
    one, two = processes
    for number in range(50):
        assert one(f"set k {number}") == "True"
        two.becomes("get k", str(number))
        assert two(f"set k again-{number}") == "True"
        one.becomes("get k", f"again-{number}")
    one("delete k")
    two.becomes("get k", "None")
    one("set a 1")
    two.becomes("get a", "1")
    one("clear")
    two.becomes("get a", "None")


def test_two_processes_are_right_again_after_an_outage(processes: list[Process], redis: RedisServer) -> None:
    """Their memories live for an hour here: without being told of the gap they would be wrong for long."""
    one, two = processes
    one("set k before")
    two.becomes("get k", "before")
    redis.restart()
    two.becomes("get k", "None")  # a Redis that was started again is empty
    one.becomes("set k after", "True")
    two.becomes("get k", "after")
    for first, second in pairwise(["one", "two", "three"]):
        one.becomes(f"set k {first}", "True")
        two.becomes("get k", first)
        two.becomes(f"set k {second}", "True")
        one.becomes("get k", second)
