"""What processes of a house keep together, and what each keeps at hand of a shared cache, from before it hears the
others until it has left them."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from antiphon.cache.cache import Cache
from antiphon.cache.config import CacheSettings
from antiphon.domain import new_id
from antiphon.realtime.brokers.memory import MemoryBroker, MemoryHub
from antiphon.realtime.nodes.cluster import Cluster
from antiphon.realtime.pubsub import PubSub
from antiphon.realtime.recovery.memory import MemoryLogs
from antiphon.realtime.recovery.redis import RedisLogs
from antiphon.settings.config import Config
from antiphon.settings.processes import SharedCache, cluster_of, topic_logs
from antiphon.telemetry.metrics import Metrics

LONGEST = 20.0

NEW = msgspec.msgpack.encode("new")


class Process:
    """What of a workspace has to do with the cache."""

    def __init__(self, hub: MemoryHub | None, url: str, prefix: str) -> None:
        self.metrics = Metrics()
        settings = CacheSettings(prefix=prefix, timeout=5, near_seconds=3600)
        self.cache = Cache("redis", url=url, settings=settings, metrics=self.metrics)
        self.cluster = Cluster(MemoryBroker(hub) if hub else None, name=new_id(), metrics=self.metrics)
        self.pubsub = PubSub(metrics=self.metrics)
        self.cluster.on_message(self.pubsub.publish_here)
        self.pubsub.forward = self.cluster.publish
        self.shared = SharedCache(self.cache, self.cluster, self.pubsub)

    async def changed_behind_its_back(self, told: "Process") -> object:
        """What it reads of an entry that was changed in Redis, of which nobody was told."""
        await told.cache.set("k", "old")
        await self.cache.get("k")
        await self.cache.backend.set("k", NEW, 60)
        return await self.cache.get("k")


@pytest.fixture
async def both(redis_url: str) -> AsyncIterator[tuple[Process, Process]]:
    hub, prefix = MemoryHub(), f"test-{new_id()}"
    one, two = Process(hub, redis_url, prefix), Process(hub, redis_url, prefix)
    yield one, two
    for process in (one, two):
        await process.cluster.stop()
        await process.shared.stop()
        await process.cache.stop()


async def test_it_is_trusted_from_when_the_others_are_heard_until_they_are_not(both: tuple[Process, Process]) -> None:
    one, two = both
    await one.shared.start()
    assert await one.changed_behind_its_back(two) == "new", "nobody can be heard yet"
    await one.cluster.start()
    assert await one.changed_behind_its_back(one) == "old", "it was not asked"
    await two.shared.start()
    await two.cluster.start()
    await two.cache.set("k", "newest")
    async with asyncio.timeout(LONGEST):
        while await one.cache.get("k") != "newest":  # it is on its way
            await asyncio.sleep(0)
    await one.cluster.stop()
    await one.shared.stop()
    assert await one.changed_behind_its_back(two) == "new"


async def test_it_can_be_started_again_and_hears_once(both: tuple[Process, Process]) -> None:
    one, two = both
    for _ in range(2):
        await one.shared.start()
        await one.cluster.start()
        assert one.pubsub.publish_here("cache:changes", []) == 1
        assert await one.changed_behind_its_back(one) == "old"
        await two.cache.set("k", "untold")
        await one.cluster.stop()
        await one.shared.stop()
    assert one.pubsub.publish_here("cache:changes", []) == 0


async def test_a_house_of_one_process_asks_every_time(redis_url: str) -> None:
    alone = Process(None, redis_url, f"test-{new_id()}")
    await alone.shared.start()
    assert await alone.changed_behind_its_back(alone) == "new"
    await alone.shared.stop()
    await alone.cache.stop()


SHARED = {
    "database": {"url": "postgresql://me@127.0.0.1/house"},
    "cache": {"url": "redis://127.0.0.1"},
}


@pytest.mark.parametrize(
    ("settings", "kept_in"),
    [
        ({}, MemoryLogs),
        ({**SHARED, "cluster": {"url": "redis+sentinel://127.0.0.1/house"}}, RedisLogs),
        ({**SHARED, "cluster": {"url": "nats://127.0.0.1"}, "redis": {"url": "redis://127.0.0.1"}}, RedisLogs),
        ({**SHARED, "cluster": {"url": "nats://127.0.0.1"}}, MemoryLogs),
    ],
    ids=["one process", "Redis behind Sentinel", "NATS and a Redis", "NATS alone"],
)
async def test_logs_of_topics_are_in_redis_where_there_is_one(settings: dict[str, Any], kept_in: type) -> None:
    config = Config.model_validate(settings)
    logs = topic_logs(config, cluster_of(config, metrics=Metrics()))
    assert isinstance(logs, kept_in)
