"""Rows of a store kept at hand in a cache, so that nobody is ever given what a change has replaced.

Three kinds of entries are under a key. `=` and a row: it is as in the store. `?` and a token: somebody is reading the
row and may put it here for as long as exactly this token is here, so a row that was read before a change cannot arrive
behind it, however late, from whatever process. `!`: the row is being changed, nobody may put it here; should whoever
changes it die half-way, the mark outlives the change and ends by itself.
"""

import os
import struct
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from msgspec import Struct

from antiphon.cache.base import CacheBackend, lifetime

READING, CHANGING = 10.0, 60.0
"""Seconds for which a token and a mark hold when nobody takes them away."""

UNSETTLED = 10_000
"""Changed rows to remember while the cache cannot be told; beyond that it is emptied once it can."""

_ROW, _READER, _MARK = b"=", b"?", b"!"
_TIME = struct.Struct(">d")
_HEAD = len(_ROW) + _TIME.size


class Glance(Struct, frozen=True):
    """What was found under a key: the row, or the `token` with which it may be put there once it was read. Both None:
    it is to be read, and not to be kept."""

    key: str
    row: bytes | None = None
    token: bytes | None = None


class Mirror:
    """The rows live for `ttl` seconds from when they were last looked at, to within a tenth of that: looking writes
    no more often. The lifetime of the rows is the only thing that wall clocks (`now`) decide."""

    def __init__(self, backend: CacheBackend, ttl: float, *, now: Callable[[], float] = time.time) -> None:
        self._backend = backend
        self._ttl = lifetime(ttl)
        self._now = now
        self._unsettled: dict[str, object] = {}
        self._all_unsettled: object = None

    async def look(self, *keys: str) -> list[Glance]:
        """A glance for each key, in one exchange when all the rows are there."""
        if (self._unsettled or self._all_unsettled) and not await self._settle():
            return [Glance(key) for key in keys]
        found = await self._backend.get(*keys)
        return [await self._glance(key, entry) for key, entry in zip(keys, found, strict=True)]

    async def learn(self, glance: Glance, row: bytes) -> None:
        """Keeps a row that was read after `glance`, unless it has been changed or read by somebody else since."""
        if glance.token is not None:
            await self._backend.swap(glance.key, glance.token, self._entry(row), self._ttl)

    async def forget(self, *keys: str) -> None:
        """Lets go of rows that cannot be read."""
        if not await self._backend.delete(*keys):
            self._unsettle(keys)

    @asynccontextmanager
    async def changing(self, *keys: str) -> AsyncIterator[None]:
        """Inside, the store changes the rows; behind it, whoever looks finds nothing older than the change.

        When the inside fails or is cancelled the store may carry it out all the same, so the mark stays."""
        marked = [await self._backend.set(key, _MARK, CHANGING) for key in keys]
        if not all(marked):
            await self.forget(*keys)  # a cache that is full takes no mark, but lets go
        yield
        await self.forget(*keys)

    async def _glance(self, key: str, entry: bytes | None) -> Glance:
        kind = entry[:1] if entry else None
        if entry is not None and kind == _ROW and len(entry) >= _HEAD:
            await self._touch(key, entry)
            return Glance(key, entry[_HEAD:])
        if kind in {_READER, _MARK}:
            return Glance(key)
        token = _READER + os.urandom(12)
        return Glance(key, None, token if await self._backend.swap(key, entry, token, READING) else None)

    async def _touch(self, key: str, entry: bytes) -> None:
        if self._now() - _TIME.unpack_from(entry, len(_ROW))[0] > self._ttl / 10:
            await self._backend.swap(key, entry, self._entry(entry[_HEAD:]), self._ttl)

    def _entry(self, row: bytes) -> bytes:
        return _ROW + _TIME.pack(self._now()) + row

    def _unsettle(self, keys: tuple[str, ...]) -> None:
        if self._all_unsettled or len(self._unsettled) + len(keys) > UNSETTLED:
            self._unsettled.clear()
            self._all_unsettled = object()
        else:
            self._unsettled |= dict.fromkeys(keys, object())

    async def _settle(self) -> bool:
        """Tells the cache of the changes that it could not be told of; False when it still cannot be."""
        if everything := self._all_unsettled:
            if await self._backend.clear() and self._all_unsettled is everything:
                self._all_unsettled = None
            return not self._all_unsettled
        told = dict(self._unsettled)
        if not await self._backend.delete(*told):
            return False
        for key, change in told.items():
            if self._unsettled.get(key) is change:
                del self._unsettled[key]
        return not self._unsettled
