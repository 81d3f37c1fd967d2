"""The contract of a broker, and how one is found by its URL."""

from collections.abc import Callable
from typing import Literal, Protocol

from prometheus_client import Counter

from antiphon.errors import ConfigError, ModuleError
from antiphon.realtime.brokers.config import ClusterSettings
from antiphon.runtime.registry import Registry
from antiphon.telemetry.metrics import Metrics

BrokerStatus = Literal["up", "down", "gap"]
"""`gap`: it is up, though not since the start, and messages may have been lost in between, in either direction."""

LARGEST = 16 * 1024 * 1024
"""Bytes of a message at most. A larger one is refused, counted and named in the log."""

Deliver = Callable[[bytes], None]
Changed = Callable[[BrokerStatus], None]


class Broker(Protocol):
    """Carries bytes between the nodes of a cluster: at most once, in order for each publisher, never to oneself.

    Belongs to the loop that starts it. A server that cannot be reached, or not any more, is no error: it is tried
    again until `stop`, with growing pauses, and the status tells.
    """

    name: str

    async def start(self, node: str, deliver: Deliver, changed: Changed) -> None:
        """Joins as `node`, and returns after the first attempt: with the status `up`, all that is published by others
        from now on arrives. `deliver` and `changed` are called in the loop and must not raise."""
        ...

    def publish(self, body: bytes) -> None:
        """To every other node; never waits, never raises. Dropped and counted while the broker is down, and when more
        waits to be sent than may wait."""
        ...

    def send(self, node: str, body: bytes) -> None:
        """As `publish`, to one node; unknown is no error."""
        ...

    async def stop(self) -> None:
        """Sends what waits to be sent, for a moment, and leaves. Stopping twice is fine."""
        ...


def count_dropped(metrics: Metrics) -> Counter:
    """What brokers count with; asked for by who has none too, so that nothing lost is told from nothing counted."""
    return metrics.counter(
        "antiphon_broker_dropped_total", "Messages that a broker did not carry.", ("broker", "reason")
    )


MakeBroker = Callable[[ClusterSettings, Metrics | None], Broker]

_KINDS = {
    "rediss": "redis",
    "redis+sentinel": "redis",
    "rediss+sentinel": "redis",
    "unix": "redis",
    "tls": "nats",
}
"""Schemes that are not the name of their broker."""


def broker_registry() -> Registry[MakeBroker]:
    """A file of this folder defines `open_url`; an entry point of the group is such a function, under its scheme."""
    return Registry(
        "broker",
        lambda module: module.open_url,
        package="antiphon.realtime.brokers",
        without=("config",),
        group="antiphon.brokers",
    )


def open_broker(settings: ClusterSettings, *, metrics: Metrics | None = None) -> Broker:
    """The broker that serves `settings.url`, not yet started.

    Raises `ConfigError` for a URL that no broker serves, `ModuleError` when a package is missing.
    """
    scheme, separator, _ = settings.address.partition("://")
    registry = broker_registry()
    kind = _KINDS.get(scheme, scheme)
    if not separator or kind not in registry:
        # What is no scheme may be anything, also a password.
        raise ConfigError(
            "The URL of the broker begins with none of memory://, redis://, rediss://, redis+sentinel://, "
            "rediss+sentinel://, unix://, nats:// and tls://."
        )
    return _loaded(registry, kind)(settings, metrics)


def _loaded(registry: Registry[MakeBroker], kind: str) -> MakeBroker:
    try:
        return registry.get(kind)
    except ModuleError as error:
        if kind == "redis" and isinstance(error.__cause__, ModuleNotFoundError):
            raise ModuleError("Redis as a broker needs hiredis: pip install 'antiphon[redis]'.") from error
        raise
