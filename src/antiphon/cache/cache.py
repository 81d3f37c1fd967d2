"""`Cache`: values under names, for a while, in this process or in Redis."""

from collections.abc import Awaitable, Callable
from importlib import import_module
from typing import Any, Literal, TypeVar, overload

import msgspec

from antiphon.cache.base import CacheBackend, lifetime
from antiphon.cache.config import CacheSettings, RedisSettings
from antiphon.cache.flights import Flights
from antiphon.cache.memory import CacheManager, MemoryBackend
from antiphon.cache.soft import SoftBackend
from antiphon.cache.tiered import Changes, TieredBackend
from antiphon.errors import ConfigError, ModuleError, ValidationError
from antiphon.runtime.breaker import CircuitBreaker
from antiphon.runtime.config import PerformanceSettings, ServiceSettings
from antiphon.runtime.current import Current
from antiphon.telemetry.metrics import Metrics

T = TypeVar("T")

DEFAULT_REDIS = "redis://127.0.0.1:6379/0"
"""Where a Redis is looked for when nothing says where it is."""

MEMORY = "memory://"

_NOTHING = object()


class Cache:
    """Keeps values under names; whatever it keeps may be gone when it is asked for.

        cache = Cache(backend="redis", ttl=3600)
        await cache.set("rates", {"EUR": 1.08}, ttl=60)
        rates = await cache.get("rates")

    It is made without a server and without an event loop, connects with the first call and lets go with `stop`. A
    Redis that is gone, slow or full makes every question a miss and keeps nothing: nothing raises for that, the log
    tells it once, and it ends by itself; `check` says it. Values are what msgspec can write (numbers, text, bytes,
    times, lists, dictionaries, structs), and what comes back is a copy. `memory` is the part that is not async, keeps
    values of any kind and is of this process alone. Lifetimes are in seconds.

    Without `url` it is the Redis of the running workspace, else one on this machine. Raises `ConfigError` for a URL
    that is none, `ModuleError` when a package is missing.
    """

    def __init__(
        self,
        backend: Literal["memory", "redis"] = "memory",
        ttl: float = 3600.0,
        *,
        max_size: int = 1000,
        url: str | None = None,
        settings: CacheSettings | None = None,
        services: ServiceSettings | None = None,
        metrics: Metrics | None = None,
    ) -> None:
        if backend not in {"memory", "redis"}:
            raise ConfigError(f"There is no cache named {backend!r:.40}; possible are memory and redis.")
        self._ttl = lifetime(ttl)
        self._flights = Flights()
        self._metrics = metrics
        self._near = (settings or CacheSettings()).near_seconds, max_size
        self.memory = CacheManager(ttl, max_size)
        self.url = MEMORY if backend == "memory" else url or redis_url()
        self.backend: CacheBackend = SoftBackend(
            MemoryBackend(self.memory) if backend == "memory" else open_redis(self.url, settings or CacheSettings()),
            CircuitBreaker.of("The cache", services or ServiceSettings()),
            metrics=metrics,
        )
        self._tiered: TieredBackend | None = None

    def share(self, publish: Callable[[Changes], object]) -> TieredBackend | None:
        """From now on values that were read from Redis are kept in this process too, for `cache.near_seconds`.

        `publish` tells the other processes of changes, and theirs are for the `forget` of what is returned. None when
        there is nothing to share: entries are in this process alone, or are not to be kept. Who needs the truth at
        once asks the `backend`, which this does not change.
        """
        seconds, max_size = self._near
        if self.url == MEMORY or not seconds:
            return None
        self._tiered = TieredBackend(self.backend, publish, seconds=seconds, max_size=max_size, metrics=self._metrics)
        return self._tiered

    @overload
    async def get(self, key: str) -> Any: ...

    @overload
    async def get(self, key: str, kind: type[T]) -> T | None: ...

    async def get(self, key: str, kind: Any = Any) -> Any:
        """What is kept under `key`, None when nothing is, or nothing that is a `kind`."""
        (found,) = await self._front.get(key)
        value = _NOTHING if found is None else _read(found, kind)
        return None if value is _NOTHING else value

    async def set(self, key: str, value: Any, ttl: float | None = None) -> bool:
        """False when it could not be kept. Raises `ValidationError` for a value that cannot be written."""
        self._flights.forget(key)
        return await self._front.set(key, _written(value), self._seconds(ttl))

    async def add(self, key: str, value: Any, ttl: float | None = None) -> bool:
        """As `set`, but only where nothing is: of several who add at the same time one gets True."""
        return await self._front.swap(key, None, _written(value), self._seconds(ttl))

    async def increment(self, key: str, by: int = 1, ttl: float | None = None) -> int | None:
        """Adds to a number that begins at 0 and ends `ttl` after its beginning; None when it could not be counted.
        `by=0` asks for it: `get` does not read numbers of this kind.

        Raises `ValidationError` when something else is kept there."""
        return await self._front.increment(key, by, self._seconds(ttl))

    async def get_or_set(
        self, key: str, make: Callable[[], Awaitable[T]], ttl: float | None = None, *, kind: type[T] | None = None
    ) -> T:
        """What is kept under `key`, else what `make` gives, which is kept from then on, None too.

        Of those in this process who ask at the same time one makes it, and an error is told to all of them; who gives
        up does not end it for the others. After `set` or `delete` nobody is given what was begun before.
        """

        async def found_or_made() -> T:
            (raw,) = await self._front.get(key)
            value: Any = _NOTHING if raw is None else _read(raw, kind or Any)
            if value is not _NOTHING:
                return value  # type: ignore[no-any-return]  # of the kind that was asked for
            made = await make()
            if self._flights.under_way(key):
                await self._front.set(key, _written(made), seconds)
                if not self._flights.under_way(key):  # changed meanwhile, and nobody knows which arrived first
                    await self._front.delete(key)
            return made

        seconds = self._seconds(ttl)
        return await self._flights.join(key, found_or_made)

    async def delete(self, *keys: str) -> bool:
        """False when the cache could not be reached, and what was there may still be."""
        for key in keys:
            self._flights.forget(key)
        return await self._front.delete(*keys)

    async def clear(self) -> bool:
        """Removes everything, in `memory` too; in Redis what begins with the prefix. False as for `delete`."""
        self._flights = Flights()
        self.memory.clear()
        return await self._front.clear()

    async def check(self) -> str:
        """For the health of the house: says where entries are kept. Raises `ServiceError` with what is wrong."""
        return await self.backend.check()

    async def stop(self) -> None:
        """Lets go of connections; the next call makes new ones."""
        await self._front.stop()

    @property
    def _front(self) -> CacheBackend:
        return self._tiered or self.backend

    def _seconds(self, ttl: float | None) -> float:
        return self._ttl if ttl is None else lifetime(ttl)


def open_cache(
    settings: CacheSettings,
    redis: RedisSettings,
    performance: PerformanceSettings,
    services: ServiceSettings,
    *,
    metrics: Metrics | None = None,
) -> Cache:
    """The cache that the settings describe, not yet connected. Raises as `Cache` does."""
    given = settings.url or redis.url
    url = given.get_secret_value() if given else MEMORY
    return Cache(
        "memory" if url == MEMORY else "redis",
        performance.cache_ttl,
        max_size=performance.cache_max_size,
        url=url,
        settings=settings,
        services=services,
        metrics=metrics,
    )


def open_redis(url: str, settings: CacheSettings) -> CacheBackend:
    """Entries in a Redis, not yet connected. Raises `ConfigError` for no URL, `ModuleError` without the extra."""
    try:
        module = import_module("antiphon.cache.redis")
    except ModuleNotFoundError as error:
        raise ModuleError(f"A cache in Redis needs the package {error.name}: pip install 'antiphon[redis]'.") from None
    backend: CacheBackend = module.RedisBackend(
        url, prefix=settings.prefix, timeout=settings.timeout, connections=settings.connections
    )
    return backend


def redis_url() -> str:
    """Where Redis is, for who does not say it: that of the running workspace, else one on this machine."""
    known = get_cache().url
    return DEFAULT_REDIS if known == MEMORY else known


def _written(value: Any) -> bytes:
    try:
        return msgspec.msgpack.encode(value)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise ValidationError(f"A {type(value).__name__} cannot be kept in a cache: {error}.") from None


def _read(raw: bytes, kind: Any) -> Any:
    """What was written, `_NOTHING` when it is no `kind`: another version of the house, or somebody else, wrote it."""
    try:
        return msgspec.msgpack.decode(raw, type=kind)
    except (msgspec.DecodeError, RecursionError):
        return _NOTHING


_current: Current[Cache] = Current(Cache)


def get_cache() -> Cache:
    """The running workspace's cache; where none runs, one in this process which the first one to start replaces."""
    return _current.get()


def adopt(cache: Cache) -> Cache:
    """Makes it the one that `get_cache` returns, unless another workspace came first."""
    return _current.adopt(cache)


def release(cache: Cache) -> None:
    """Called by the workspace that stopped."""
    _current.release(cache)
