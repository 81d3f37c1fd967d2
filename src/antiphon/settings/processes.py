"""This process among those that serve the house, as the settings want it."""

import os
from importlib import import_module

from antiphon.errors import ConfigError
from antiphon.realtime.brokers.config import ClusterSettings
from antiphon.realtime.nodes.cluster import Cluster, open_cluster
from antiphon.realtime.recovery.base import TopicLogs
from antiphon.realtime.recovery.memory import MemoryLogs
from antiphon.settings.config import Config
from antiphon.settings.rules import several_processes_share_what_they_must
from antiphon.telemetry.metrics import Metrics


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
    one, so that they may come back to any of them."""
    if cluster.status == "alone" or config.redis.url is None:
        return MemoryLogs()
    logs: TopicLogs = import_module("antiphon.realtime.recovery.redis").RedisLogs(
        config.redis.url.get_secret_value(), prefix=f"{config.cluster.prefix}:topics"
    )
    return logs
