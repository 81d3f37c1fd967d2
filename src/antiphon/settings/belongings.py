"""What a process has once, made as the settings want it."""

from collections.abc import Callable
from contextlib import ExitStack
from typing import TypeVar

from antiphon.cache import cache
from antiphon.cache.cache import open_cache
from antiphon.plugins import registry
from antiphon.plugins.house import Plugins
from antiphon.realtime import pubsub
from antiphon.runtime import threads
from antiphon.runtime.threads import Threads
from antiphon.settings.config import Config
from antiphon.telemetry import health, metrics, profile

T = TypeVar("T")


class Belongings:
    """Of a workspace: `get_metrics`, `get_cache` and the other getters give these until `close`, unless another
    workspace of the process came first. Raises `ConfigError` for a cache that cannot be one,
    and what `Plugins` raises."""

    def __init__(self, config: Config) -> None:
        performance = config.performance
        with ExitStack() as undo:
            self._undo = undo
            self.metrics = self._own(metrics.adopt(), metrics.release)
            self.health = self._own(health.adopt(), health.release)
            self.profiler = self._own(profile.adopt(), profile.release)
            opened = open_cache(config.cache, config.redis, performance, config.services, metrics=self.metrics)
            self.cache = self._own(cache.adopt(opened), cache.release)
            self.pubsub = self._own(pubsub.adopt(), pubsub.release)
            self._own(threads.adopt(Threads(performance.max_workers, performance.queue_size)), threads.release)
            self.plugins = Plugins(config.plugins, self._own(registry.adopt(), registry.release), self.metrics)
            undo.callback(self.plugins.close)
            self._undo = undo.pop_all()

    def close(self) -> None:
        """Leaves them to the next workspace. Closing twice is fine."""
        self._undo.close()

    def _own(self, part: T, release: Callable[[T], None]) -> T:
        self._undo.callback(release, part)
        return part
