"""What may be lost must stop nobody: a backend that fails is one that knows nothing."""

from collections.abc import Awaitable, Callable
from typing import ParamSpec, TypeVar

from antiphon.cache.base import CacheBackend
from antiphon.errors import ServiceError
from antiphon.runtime.breaker import CircuitBreaker
from antiphon.runtime.clock import Clock, SystemClock
from antiphon.telemetry.logs import get_logger
from antiphon.telemetry.metrics import Metrics, get_metrics

P = ParamSpec("P")
T = TypeVar("T")

log = get_logger(__name__)

_FAILED = {"read": "cache.unreachable", "store": "cache.not_stored"}
_RECOVERED = {"read": "cache.reached", "store": "cache.stored"}


class SoftBackend:
    """A `CacheBackend` that never raises `ServiceError`, but for `check`: see there for what is said instead.

    After some failures in a row the server is left alone for a while, so that one that is gone costs no time-outs. An
    outage is logged when it begins and when it is over; reading and storing are told apart, since a server that is full
    still answers.
    """

    def __init__(
        self,
        backend: CacheBackend,
        breaker: CircuitBreaker,
        *,
        clock: Clock | None = None,
        metrics: Metrics | None = None,
    ) -> None:
        self.name = backend.name
        self._backend = backend
        self._breaker = breaker
        self._clock = clock or SystemClock()
        self._outages: dict[str, float] = {}
        metrics = metrics or get_metrics()
        requests = metrics.counter(
            "antiphon_cache_requests_total",
            "Values looked for in a cache, by whether they were there.",
            ("backend", "result"),
        )
        self._hits, self._misses = (requests.labels(self.name, result) for result in ("hit", "miss"))
        self._failures = metrics.counter(
            "antiphon_cache_failures_total", "Exchanges with a cache that failed or were spared.", ("backend",)
        ).labels(self.name)

    async def get(self, *keys: str) -> list[bytes | None]:
        found = await self._try("read", self._backend.get, *keys) or [None] * len(keys)
        missing = found.count(None)
        self._misses.inc(missing)
        self._hits.inc(len(found) - missing)
        return found

    async def set(self, key: str, value: bytes, ttl: float) -> bool:
        return await self._try("store", self._backend.set, key, value, ttl) or False

    async def swap(self, key: str, old: bytes | None, new: bytes, ttl: float) -> bool:
        return await self._try("store", self._backend.swap, key, old, new, ttl) or False

    async def delete(self, *keys: str) -> bool:
        return await self._try("read", self._backend.delete, *keys) or False

    async def increment(self, key: str, by: int, ttl: float) -> int | None:
        return await self._try("store", self._backend.increment, key, by, ttl)

    async def clear(self) -> bool:
        return await self._try("read", self._backend.clear) or False

    async def check(self) -> str:
        return await self._backend.check()

    async def stop(self) -> None:
        await self._backend.stop()

    async def _try(self, kind: str, exchange: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> T | None:
        """What the exchange gives, None when it fails or is spared."""
        try:
            result = await self._breaker.call(exchange, *args, **kwargs)
        except ServiceError as error:
            self._failures.inc()
            # Who cannot be reached does not store either: that would be no news.
            if kind not in self._outages and "read" not in self._outages:
                self._outages[kind] = self._clock.monotonic()
                log.warning(_FAILED[kind], backend=self.name, error=str(error))
            return None
        if kind in self._outages:
            began = self._outages.pop(kind)
            log.info(_RECOVERED[kind], backend=self.name, after_s=round(self._clock.monotonic() - began, 3))
        return result
