"""The memory cache against a model: what was used last stays, and each entry has its own time."""

import threading
from collections import OrderedDict
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from antiphon.cache.memory import CacheManager
from antiphon.errors import ValidationError
from antiphon.runtime.clock import ManualClock

SIZE = 4
KEYS = st.sampled_from("abcdef")
TIMES = st.sampled_from([1.0, 2.0, 5.0, 100.0])


class Model(RuleBasedStateMachine):
    """An ordered dictionary, the entry used last at its end."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = ManualClock()
        self.cache = CacheManager(default_ttl=10.0, max_size=SIZE, clock=self.clock)
        self.entries: OrderedDict[str, tuple[float, Any]] = OrderedDict()
        self.hits = self.misses = self.evictions = 0

    def found(self, key: str) -> Any:
        if key not in self.entries:
            return None
        self.entries.move_to_end(key)
        until, value = self.entries[key]
        if until <= self.clock.monotonic():
            del self.entries[key]
            return None
        return value

    def stored(self, key: str, value: Any, ttl: float) -> None:
        if key not in self.entries and len(self.entries) == SIZE:
            self.entries.popitem(last=False)
            self.evictions += 1
        self.entries[key] = (self.clock.monotonic() + ttl, value)
        self.entries.move_to_end(key)

    @rule(key=KEYS, value=st.integers(), ttl=st.none() | TIMES)
    def set(self, key: str, value: int, ttl: float | None) -> None:
        self.cache.set(key, value, ttl)
        self.stored(key, value, 10.0 if ttl is None else ttl)

    @rule(key=KEYS)
    def get(self, key: str) -> None:
        expected = self.found(key)
        assert self.cache.get(key) == expected
        self.hits += expected is not None
        self.misses += expected is None

    @rule(key=KEYS, old=st.none() | st.integers(0, 3), new=st.integers(0, 3), ttl=TIMES)
    def swap(self, key: str, old: int | None, new: int, ttl: float) -> None:
        expected = self.found(key) == old
        assert self.cache.swap(key, old, new, ttl) is expected
        if expected:
            self.stored(key, new, ttl)

    @rule(key=KEYS)
    def delete(self, key: str) -> None:
        assert self.cache.delete(key) is (self.found(key) is not None)
        self.entries.pop(key, None)

    @rule()
    def clear(self) -> None:
        self.cache.clear()
        self.entries.clear()

    @rule(seconds=st.sampled_from([0.5, 1.0, 3.0, 50.0]))
    def wait(self, seconds: float) -> None:
        self.clock._now += seconds

    @invariant()
    def counted(self) -> None:
        stats = self.cache.stats()
        assert (stats.hits, stats.misses, stats.evictions) == (self.hits, self.misses, self.evictions)
        assert stats.size == len(self.entries) <= stats.max_size == SIZE


TestModel = Model.TestCase


def test_the_sample_of_the_document() -> None:
    cache = CacheManager(default_ttl=3600, max_size=1000)
    cache.set("key", "value", ttl=60)
    assert cache.get("key") == "value"
    assert cache.get("other") is None
    assert cache.get("other", "else") == "else"


def test_none_is_a_value() -> None:
    cache = CacheManager()
    cache.set("k", None)
    assert cache.get("k", "missing") is None
    assert cache.delete("k")
    assert not cache.delete("k")


def test_values_are_given_out_as_they_are() -> None:
    cache, value = CacheManager(), object()
    cache.set(("a", 1), value)
    assert cache.get(("a", 1)) is value


def test_the_rate_of_hits() -> None:
    cache = CacheManager()
    assert cache.stats().hit_rate == 0
    cache.set("k", 1)
    for key in ("k", "k", "k", "none"):
        cache.get(key)
    assert cache.stats().hit_rate == 0.75


@pytest.mark.parametrize("ttl", [0, -1, float("nan"), float("-inf"), True, "60", None])
def test_a_lifetime_is_a_time(ttl: Any) -> None:
    with pytest.raises(ValidationError, match="number of seconds above 0"):
        CacheManager(default_ttl=ttl)
    if ttl is not None:
        with pytest.raises(ValidationError, match="number of seconds above 0"):
            CacheManager().set("k", 1, ttl=ttl)


@pytest.mark.parametrize("ttl", [float("inf"), 1e300, 10**400, 1])
def test_however_long(ttl: Any) -> None:
    cache = CacheManager()
    cache.set("k", 1, ttl=ttl)
    assert cache.get("k") == 1


@pytest.mark.parametrize("size", [0, -1])
def test_a_cache_has_room(size: int) -> None:
    with pytest.raises(ValidationError, match="room"):
        CacheManager(max_size=size)


def test_what_cannot_be_hashed_is_no_key() -> None:
    with pytest.raises(TypeError):
        CacheManager().get([])  # type: ignore[arg-type]


def test_only_the_entries_of_one_owner_are_cleared() -> None:
    cache, mine, yours = CacheManager(), object(), object()
    for key in [(mine, 1), (mine, 2), (yours, 1), (), "text"]:
        cache.set(key, 1)
    cache.clear(of=mine)
    assert [cache.get(key) for key in [(mine, 1), (mine, 2), (yours, 1), (), "text"]] == [None, None, 1, 1, 1]


def test_threads_count_every_use() -> None:
    cache = CacheManager(max_size=10)

    def use() -> None:
        for number in range(2_000):
            cache.set(number % 30, number)
            cache.get(number % 30)
            cache.increment("count", 1)

    threads = [threading.Thread(target=use) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    stats = cache.stats()
    assert stats.hits + stats.misses == 8_000
    assert stats.size == 10


def test_a_value_may_use_the_cache_while_it_is_let_go() -> None:
    cache = CacheManager(max_size=1)

    class Last:
        def __del__(self) -> None:
            cache.get("k")

    cache.set("k", Last())
    cache.set("k", 2)
    cache.set("other", 3)
    assert cache.get("other") == 3
