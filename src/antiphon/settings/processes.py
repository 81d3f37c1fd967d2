"""This process among those that serve the house, as the settings want it."""

import os
from functools import partial
from importlib import import_module
from typing import Any

from antiphon.cache.cache import Cache
from antiphon.errors import ConfigError
from antiphon.realtime.brokers.base import BrokerStatus
from antiphon.realtime.brokers.config import ClusterSettings
from antiphon.realtime.nodes.cluster import Cluster, open_cluster
from antiphon.realtime.pubsub import PubSub
from antiphon.realtime.recovery.base import TopicLogs
from antiphon.realtime.recovery.memory import MemoryLogs
from antiphon.settings.config import Config
from antiphon.settings.rules import several_processes_share_what_they_must
from antiphon.telemetry.metrics import Metrics

CHANGES = "cache:changes"
"""The topic of `PubSub` on which processes tell each other what they have changed in the cache."""


def cluster_of(config: Config, *, metrics: Metrics) -> Cluster:
    """Not yet joined; `alone` when the house has one process. Raises `ConfigError` when several lack what they must
    share."""
    for problem in several_processes_share_what_they_must(config):
        raise ConfigError(problem.text)
    broker = config.broker or ClusterSettings()
    if broker.node and config.server.workers > 1:
        broker = broker.model_copy(update={"node": f"{broker.node}:{os.getpid()}"})
    return open_cluster(broker, metrics=metrics)


def topic_logs(config: Config, cluster: Cluster) -> TopicLogs:
    """Where broadcasts are kept for clients that come back: in Redis when several processes serve the house and it has
    one, if only as the broker between them, so that they may come back to any of them."""
    url = config.redis.url or config.cluster.url
    address = "" if url is None else url.get_secret_value()
    if cluster.status == "alone" or not address.startswith(("redis", "unix:")):
        return MemoryLogs()
    logs: TopicLogs = import_module("antiphon.realtime.recovery.redis").RedisLogs(
        address, prefix=f"{config.cluster.prefix}:topics"
    )
    return logs


class SharedCache:
    """Lets this process keep at hand what it reads from the cache, for as long as it hears what the others change.

    Where there are no others, or nothing that is shared with them, it does nothing. Start it before the cluster.
    """

    def __init__(self, cache: Cache, cluster: Cluster, pubsub: PubSub) -> None:
        self._cluster = cluster
        self._pubsub = pubsub
        alone = cluster.status == "alone"
        self._tiered = None if alone else cache.share(partial(pubsub.publish_now, CHANGES))
        if self._tiered is not None:
            cluster.on_gap(partial(self._tiered.forget, None))
            cluster.on_status(self._see)

    async def start(self) -> None:
        """Listens to the others. Until they can be heard everything is asked of the cache itself."""
        if self._tiered is not None:
            self._tiered.trust(self._cluster.status == "up")
            await self._pubsub.subscribe(CHANGES, self._hear)

    async def stop(self) -> None:
        """Listens no more, and keeps nothing at hand from now on."""
        if self._tiered is not None:
            await self._pubsub.unsubscribe(CHANGES, self._hear)
            self._tiered.trust(False)

    def _see(self, status: BrokerStatus) -> None:
        if self._tiered is not None:
            self._tiered.trust(status != "down")

    def _hear(self, _topic: str, changes: Any) -> None:
        if self._tiered is not None:
            self._tiered.forget(changes)
