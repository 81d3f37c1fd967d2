"""What was read from a shared cache is kept at hand in this process for a moment, until somebody changes it."""

from collections.abc import Callable

from antiphon.cache.base import CacheBackend
from antiphon.cache.memory import CacheManager
from antiphon.telemetry.metrics import Metrics, get_metrics

Changes = list[str] | None
"""The keys that were changed, as text that JSON can carry; None when it may be any."""


class TieredBackend:
    """`CacheBackend` with a memory in front of `far`, which stays the truth.

    Whoever changes an entry tells all others with `publish`, and each calls `forget` with what it is told. A value that
    was read before a change is not kept behind it, however the two cross on their way. Where a telling is lost, the
    memory is wrong for `seconds` at most; who learns that one may have been lost calls `forget(None)`, and while
    nothing can be heard `trust(False)`: then everything is asked of `far`.
    """

    def __init__(
        self,
        far: CacheBackend,
        publish: Callable[[Changes], object],
        *,
        seconds: float,
        max_size: int,
        metrics: Metrics | None = None,
    ) -> None:
        self.name = far.name
        self._far = far
        self._publish = publish
        self._near = CacheManager(seconds, max_size)
        self._reading: dict[str, set[object]] = {}
        self._trusted = True
        requests = (metrics or get_metrics()).counter(
            "antiphon_cache_requests_total",
            "Values looked for in a cache, by whether they were there.",
            ("backend", "result"),
        )
        self._hits, self._misses = (requests.labels("near", result) for result in ("hit", "miss"))

    async def get(self, *keys: str) -> list[bytes | None]:
        found: dict[str, bytes | None] = {key: self._near.get(key) for key in keys} if self._trusted else {}
        missing = [key for key in dict.fromkeys(keys) if found.get(key) is None]
        self._hits.inc(len(set(keys)) - len(missing))
        self._misses.inc(len(missing))
        if missing:
            found |= await self._read(missing)
        return [found[key] for key in keys]

    async def set(self, key: str, value: bytes, ttl: float) -> bool:
        try:
            return await self._far.set(key, value, ttl)
        finally:
            self._tell([key])

    async def swap(self, key: str, old: bytes | None, new: bytes, ttl: float) -> bool:
        try:
            return await self._far.swap(key, old, new, ttl)
        finally:
            self._tell([key])

    async def delete(self, *keys: str) -> bool:
        try:
            return await self._far.delete(*keys)
        finally:
            self._tell(list(keys))

    async def increment(self, key: str, by: int, ttl: float) -> int | None:
        return await self._far.increment(key, by, ttl)

    async def clear(self) -> bool:
        try:
            return await self._far.clear()
        finally:
            self.forget(None)
            self._publish(None)

    async def check(self) -> str:
        return await self._far.check()

    async def stop(self) -> None:
        self.forget(None)
        await self._far.stop()

    def forget(self, changes: Changes) -> None:
        """Somebody has changed these."""
        if changes is None:
            self._near.clear()
            self._reading.clear()
            return
        for change in changes:
            self._forget(_key(change))

    def trust(self, trusted: bool) -> None:
        """Whether changes of others are heard of."""
        self._trusted = trusted
        self.forget(None)

    async def _read(self, keys: list[str]) -> dict[str, bytes | None]:
        mine = object()
        for key in keys:
            self._reading.setdefault(key, set()).add(mine)
        try:
            found = dict(zip(keys, await self._far.get(*keys), strict=True))
            for key, value in found.items():
                if value is not None and self._trusted and mine in self._reading.get(key, ()):
                    self._near.set(key, value)
            return found
        finally:
            for key in keys:
                if readers := self._reading.get(key):
                    readers.discard(mine)
                    if not readers:
                        del self._reading[key]

    def _tell(self, keys: list[str]) -> None:
        """Also when it failed: it may have been carried out all the same."""
        for key in keys:
            self._forget(key)
        self._publish([_change(key) for key in keys])

    def _forget(self, key: str) -> None:
        self._near.delete(key)
        self._reading.pop(key, None)


def _change(key: str) -> str:
    """A key may be any text, also such as cannot be written as JSON."""
    return key.encode("utf-8", "surrogatepass").decode("latin-1")


def _key(change: str) -> str:
    try:
        return change.encode("latin-1").decode("utf-8", "surrogatepass")
    except UnicodeError:  # nobody here has written that
        return change
