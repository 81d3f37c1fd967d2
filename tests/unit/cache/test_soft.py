"""A backend that fails stops nobody, is left alone, and is spoken of once."""

from collections.abc import MutableMapping
from typing import Any

import pytest

from antiphon.cache.memory import CacheManager, MemoryBackend
from antiphon.cache.soft import SoftBackend
from antiphon.errors import ServiceError, ValidationError
from antiphon.runtime.breaker import CircuitBreaker
from antiphon.runtime.clock import ManualClock
from antiphon.telemetry.metrics import Metrics

Logged = list[MutableMapping[str, Any]]


class Troubled(MemoryBackend):
    """Fails while it is told to, and counts who asks."""

    def __init__(self) -> None:
        super().__init__(CacheManager())
        self.gone = self.full = False
        self.asked = 0

    def _ask(self, *, stores: bool) -> None:
        self.asked += 1
        if self.gone or (self.full and stores):
            raise ServiceError("It is gone." if self.gone else "It is full.")

    async def get(self, *keys: str) -> list[bytes | None]:
        self._ask(stores=False)
        return await super().get(*keys)

    async def set(self, key: str, value: bytes, ttl: float) -> bool:
        self._ask(stores=True)
        return await super().set(key, value, ttl)

    async def check(self) -> str:
        self._ask(stores=True)
        return await super().check()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def backend() -> Troubled:
    return Troubled()


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def soft(backend: Troubled, clock: ManualClock, metrics: Metrics) -> SoftBackend:
    breaker = CircuitBreaker("The cache", failures=3, seconds=10, clock=clock)
    return SoftBackend(backend, breaker, clock=clock, metrics=metrics)


def events(logged: Logged) -> list[str]:
    return [line["event"] for line in logged if line["event"].startswith("cache.")]


async def test_one_that_is_gone_is_left_alone(backend: Troubled, soft: SoftBackend, clock: ManualClock) -> None:
    backend.gone = True
    for _ in range(10):
        assert await soft.get("a", "b") == [None, None]
        assert not await soft.set("a", b"1", 60)
    assert backend.asked == 3
    backend.gone = False
    assert not await soft.set("a", b"1", 60)
    await clock.advance(10)
    assert await soft.set("a", b"1", 60)
    assert await soft.get("a") == [b"1"]


async def test_an_outage_is_told_once_and_its_end_too(
    backend: Troubled, soft: SoftBackend, clock: ManualClock, logged: Logged
) -> None:
    for _ in range(2):
        backend.gone = True
        for _ in range(10):
            await soft.get("k")
            await soft.set("k", b"1", 60)
        await clock.advance(12)
        backend.gone = False
        await soft.get("k")
        await soft.set("k", b"1", 60)
    assert events(logged) == ["cache.unreachable", "cache.reached"] * 2
    assert [line["after_s"] for line in logged if line["event"] == "cache.reached"] == [12.0, 12.0]
    assert logged[0]["error"] == "It is gone."


async def test_one_that_is_full_is_still_asked(backend: Troubled, soft: SoftBackend, logged: Logged) -> None:
    await soft.set("k", b"1", 60)
    backend.full = True
    for _ in range(10):
        assert not await soft.set("k", b"2", 60)
        assert await soft.get("k") == [b"1"]
    backend.full = False
    assert await soft.set("k", b"2", 60)
    assert events(logged) == ["cache.not_stored", "cache.stored"]


async def test_failures_are_counted_and_a_failed_question_is_a_miss(
    backend: Troubled, soft: SoftBackend, metrics: Metrics
) -> None:
    backend.gone = True
    for _ in range(5):
        await soft.get("a", "b")
    text = metrics.render().decode()
    assert 'antiphon_cache_failures_total{backend="memory"} 5.0' in text
    assert 'antiphon_cache_requests_total{backend="memory",result="miss"} 10.0' in text


async def test_health_asks_the_server_itself(backend: Troubled, soft: SoftBackend) -> None:
    backend.gone = True
    for _ in range(5):
        await soft.get("k")
    with pytest.raises(ServiceError, match="It is gone"):
        await soft.check()
    backend.gone = False
    assert "memory" in await soft.check()


async def test_a_mistake_of_the_caller_is_no_outage(soft: SoftBackend, logged: Logged) -> None:
    await soft.set("k", b"text", 60)
    for _ in range(5):
        with pytest.raises(ValidationError):
            await soft.increment("k", 1, 60)
    assert await soft.get("k") == [b"text"]
    assert events(logged) == []
