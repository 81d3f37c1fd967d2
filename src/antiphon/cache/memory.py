"""A cache in this process: the entry that was not used for longest makes room, and each has its own lifetime."""

from collections.abc import Hashable
from threading import RLock
from typing import Any

from cachebox import LRUCache
from msgspec import Struct

from antiphon.cache.base import lifetime, sum_of
from antiphon.errors import ValidationError
from antiphon.runtime.clock import Clock, SystemClock

_NOTHING: Any = object()


class CacheStatistics(Struct, frozen=True, kw_only=True):
    """How a cache is doing. `evictions` counts entries that made room; `size` is how many there are."""

    hits: int
    misses: int
    evictions: int
    size: int
    max_size: int

    @property
    def hit_rate(self) -> float:
        """Between 0 and 1; 0 when nobody has asked."""
        return self.hits / asked if (asked := self.hits + self.misses) else 0.0


class CacheManager:
    """Keeps values of any kind, as they are: who changes what it was given changes it for all. Thread-safe.

        cache = CacheManager(default_ttl=3600, max_size=1000)
        cache.set("key", "value", ttl=60)
        value = cache.get("key")

    Keys are whatever can be hashed, lifetimes are in seconds.
    """

    def __init__(self, default_ttl: float = 3600.0, max_size: int = 1000, *, clock: Clock | None = None) -> None:
        if max_size < 1:
            raise ValidationError(f"A cache has room for 1 entry or more, not {max_size}.")
        self._default_ttl = lifetime(default_ttl)
        self._max_size = max_size
        self._clock = clock or SystemClock()
        self._entries: LRUCache[Hashable, tuple[float, Any]] = LRUCache(max_size)
        # Reentrant: comparing keys and letting go of values runs code of others, which may ask this cache.
        self._lock = RLock()
        self._hits = self._misses = self._evictions = 0

    def get(self, key: Hashable, default: Any = None) -> Any:
        with self._lock:
            value = self._find(key)
            if value is _NOTHING:
                self._misses += 1
                return default
            self._hits += 1
            return value

    def set(self, key: Hashable, value: Any, ttl: float | None = None) -> None:
        """Raises `ValidationError` for a `ttl` that is no time above 0."""
        seconds = self._default_ttl if ttl is None else lifetime(ttl)
        with self._lock:
            self._store(key, value, seconds)

    def swap(self, key: Hashable, old: Any, new: Any, ttl: float | None = None) -> bool:
        """Stores `new` when what is there equals `old`, None meaning that nothing is; False when it does not."""
        seconds = self._default_ttl if ttl is None else lifetime(ttl)
        with self._lock:
            found = self._find(key)
            if (None if found is _NOTHING else found) != old:
                return False
            self._store(key, new, seconds)
            return True

    def increment(self, key: Hashable, by: int = 1, ttl: float | None = None) -> int:
        """Adds to a number, which begins at 0 and lives for `ttl` from its beginning; returns what it is now.

        Kept as its digits, as Redis does. Raises `ValidationError` when there is something else than a number."""
        seconds = self._default_ttl if ttl is None else lifetime(ttl)
        with self._lock:
            found = self._find(key)
            if found is _NOTHING:
                self._store(key, b"%d" % by, seconds)
                return by
            number = sum_of(found, by)
            self._entries.insert(key, (self._entries[key][0], b"%d" % number))
            return number

    def delete(self, key: Hashable) -> bool:
        """False when it was not there."""
        with self._lock:
            return self._find(key) is not _NOTHING and self._entries.pop(key, None) is not None

    def clear(self, of: object = None) -> None:
        """Removes every entry, or those whose keys are tuples that begin with the object `of`. The counts go on."""
        with self._lock:
            if of is None:
                self._entries.clear()
                return
            for key in list(self._entries.keys()):
                if isinstance(key, tuple) and key and key[0] is of:
                    self._entries.pop(key, None)

    def stats(self) -> CacheStatistics:
        with self._lock:
            return CacheStatistics(
                hits=self._hits,
                misses=self._misses,
                evictions=self._evictions,
                size=len(self._entries),
                max_size=self._max_size,
            )

    def _find(self, key: Hashable) -> Any:
        entry: tuple[float, Any] | None = self._entries.get(key, None)
        if entry is None:
            return _NOTHING
        if entry[0] <= self._clock.monotonic():
            self._entries.pop(key, None)
            return _NOTHING
        return entry[1]

    def _store(self, key: Hashable, value: Any, seconds: float) -> None:
        if self._entries.is_full() and key not in self._entries:
            self._evictions += 1
        self._entries.insert(key, (self._clock.monotonic() + seconds, value))


class MemoryBackend:
    """`CacheBackend` in a `CacheManager`. It never fails."""

    name = "memory"

    def __init__(self, memory: CacheManager) -> None:
        self._memory = memory

    async def get(self, *keys: str) -> list[bytes | None]:
        return [self._memory.get(key) for key in keys]

    async def set(self, key: str, value: bytes, ttl: float) -> bool:
        self._memory.set(key, value, ttl)
        return True

    async def swap(self, key: str, old: bytes | None, new: bytes, ttl: float) -> bool:
        return self._memory.swap(key, old, new, ttl)

    async def delete(self, *keys: str) -> bool:
        for key in keys:
            self._memory.delete(key)
        return True

    async def increment(self, key: str, by: int, ttl: float) -> int:
        return self._memory.increment(key, by, ttl)

    async def clear(self) -> bool:
        self._memory.clear()
        return True

    async def check(self) -> str:
        stats = self._memory.stats()
        return f"memory of this process, {stats.size} of {stats.max_size} entries"

    async def stop(self) -> None:
        """Nothing is held but memory."""
