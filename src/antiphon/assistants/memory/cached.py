"""Facts in a cache, of this process or in Redis: for a while, and where there are too many, those in use."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime
from typing import TypeVar

import msgspec
from msgspec import Struct, structs

from antiphon.cache.base import LONGEST, CacheBackend
from antiphon.domain import new_id
from antiphon.errors import ServiceError, ValidationError
from antiphon.runtime.threads import run_async
from antiphon.search.alike import alike
from antiphon.search.lexical import LexicalIndex
from antiphon.storage.digest import digest_of
from antiphon.storage.facts import IMPORTANCE, Fact, Kept

T = TypeVar("T")

_ATTEMPTS = 200
"""Each time somebody else was faster, so that one of all who change the same person's facts always gets on."""

_INDEXES = 64
"""Of the people who were asked about last."""


class _Entry(Struct):
    """`until` and `used` are seconds since 1970, because several processes may share them."""

    fact: Fact
    digest: str
    until: float
    used: float


class _Known(Struct, frozen=True):
    """What a person's entries were when they were last read, ready to be searched."""

    raw: bytes
    facts: tuple[Fact, ...]
    index: LexicalIndex


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[_Entry]).decode


class CachedFacts:
    """`FactStore` over a cache: all of a person's facts under one key, so that a change is one exchange that happens
    entirely or not at all, whoever else is at it.

    Each is forgotten `ttl` seconds after it was said, None for not by itself; of more than `max_size` of one person
    those go that were not used for longest. Raises `ServiceError` when the cache cannot be reached.
    """

    def __init__(
        self, backend: CacheBackend, *, ttl: float | None, max_size: int, clock: Callable[[], float] = time.time
    ) -> None:
        self._backend = backend
        self._ttl = LONGEST if ttl is None else ttl
        self._max_size = max_size
        self._clock = clock
        self._known: OrderedDict[str, _Known] = OrderedDict()

    async def add(
        self,
        person_id: str,
        text: str,
        *,
        source_message_id: str | None = None,
        assistant: str | None = None,
        importance: int = IMPORTANCE,
        most: int | None = None,
        instead_of: str | None = None,
        extracted: bool = False,
    ) -> Kept:
        digest, stamp = digest_of(text), self._clock()
        new = Fact(
            id=new_id(),
            person_id=person_id,
            text=text,
            created_at=datetime.fromtimestamp(stamp, UTC),
            source_message_id=source_message_id,
            assistant=assistant,
            importance=importance,
            extracted=extracted,
        )

        def change(entries: list[_Entry]) -> Kept:
            for entry in entries:
                if entry.digest == digest:
                    entry.until, entry.used = stamp + self._ttl, stamp
                    return Kept(fact=entry.fact, new=False)
            replaced = _take(entries, instead_of)
            entries.append(_Entry(new, digest, stamp + self._ttl, stamp))
            too_many = max(0, len(entries) - min(self._max_size, most or self._max_size))
            others = entries if extracted else entries[:-1]
            unused = sorted(others, key=lambda entry: _first_to_go(entry, extracted))[:too_many]
            dropped = tuple(entry.fact for entry in unused)
            for fact in dropped:
                _take(entries, fact.id)
            return Kept(fact=new, new=True, replaced=replaced, dropped=dropped)

        return await self._change(person_id, change)

    async def get(self, person_id: str, fact_id: str) -> Fact | None:
        facts = await self._facts(person_id)
        return next((fact for fact in facts if fact.id == fact_id), None)

    async def search(self, person_id: str, query: str, *, limit: int = 200) -> list[Fact]:
        (raw,) = await self._backend.get(person_id)
        facts = [entry.fact for entry in self._alive(raw)]
        if raw is None or not facts:
            self._known.pop(person_id, None)
            return []
        known, alive = await self._ready(person_id, raw, facts), {fact.id for fact in facts}
        found = [known.facts[match.position] for match in known.index.search(query, limit)]
        found = [fact for fact in found if fact.id in alive]
        return found or await run_async(lambda: [fact for fact in facts if alike(query, fact.text)][:limit])

    async def edit(
        self, person_id: str, fact_id: str, *, text: str | None = None, importance: int | None = None
    ) -> Fact | None:
        def change(entries: list[_Entry]) -> Fact | None:
            entry = next((entry for entry in entries if entry.fact.id == fact_id), None)
            if entry is None:
                return None
            if text is not None:
                digest = digest_of(text)
                if any(other.digest == digest and other is not entry for other in entries):
                    raise ValidationError("This is remembered already, as another fact. Delete one of the two.")
                entry.fact, entry.digest = structs.replace(entry.fact, text=text), digest
                entry.until = self._clock() + self._ttl
            if importance is not None:
                entry.fact = structs.replace(entry.fact, importance=importance)
            return entry.fact

        return await self._change(person_id, change)

    async def delete(self, person_id: str, fact_id: str) -> bool:
        return await self._change(person_id, lambda entries: _take(entries, fact_id)) is not None

    async def clear(self, person_id: str) -> int:
        def change(entries: list[_Entry]) -> int:
            gone = len(entries)
            entries.clear()
            return gone

        return await self._change(person_id, change)

    async def use(self, person_id: str, fact_ids: Collection[str]) -> None:
        """Counts these as used now."""

        def change(entries: list[_Entry]) -> None:
            for entry in entries:
                if entry.fact.id in fact_ids:
                    entry.used = self._clock()

        await self._change(person_id, change)

    async def stop(self) -> None:
        await self._backend.stop()

    async def _facts(self, person_id: str) -> list[Fact]:
        """Those that are not over, oldest first."""
        (raw,) = await self._backend.get(person_id)
        return [entry.fact for entry in self._alive(raw)]

    async def _ready(self, person_id: str, raw: bytes, facts: Sequence[Fact]) -> _Known:
        """What was read, ready to be searched, and kept so."""
        known = self._known.pop(person_id, None)
        if known is None or known.raw != raw:
            known = _Known(raw, tuple(facts), await run_async(LexicalIndex, [fact.text for fact in facts]))
        self._known[person_id] = known
        if len(self._known) > _INDEXES:
            self._known.popitem(last=False)
        return known

    def _alive(self, raw: bytes | None) -> list[_Entry]:
        try:
            entries = [] if raw is None else _decode(raw)
        except msgspec.DecodeError:
            return []  # of another version of the house: a cache may lose what it has
        stamp = self._clock()
        return [entry for entry in entries if entry.until > stamp]

    async def _change(self, person_id: str, change: Callable[[list[_Entry]], T]) -> T:
        for _ in range(_ATTEMPTS):
            (raw,) = await self._backend.get(person_id)
            entries = self._alive(raw)
            result = change(entries)
            if await self._backend.swap(person_id, raw, _encode(entries), self._ttl):
                return result
            await asyncio.sleep(0)
        raise ServiceError("Too many change what is remembered of this person at the same time. Try again.")

    async def list(self, person_id: str, *, limit: int = 100) -> list[Fact]:
        return (await self._facts(person_id))[::-1][:limit]


def _first_to_go(entry: _Entry, extracted: bool) -> tuple[bool, float, str]:
    """For one that is `extracted` those of its kind go first, and it itself before what somebody asked to keep."""
    return extracted and not entry.fact.extracted, entry.used, entry.fact.id


def _take(entries: list[_Entry], fact_id: str | None) -> Fact | None:
    """Takes a fact out of `entries`."""
    for place, entry in enumerate(entries):
        if entry.fact.id == fact_id:
            return entries.pop(place).fact
    return None
