"""`Memory`: what is remembered of people, wherever it is kept."""

from typing import Literal

from antiphon.assistants.memory.base import LOCAL
from antiphon.assistants.memory.cached import CachedFacts
from antiphon.assistants.memory.config import MemorySettings
from antiphon.cache.base import LONGEST, CacheBackend, lifetime
from antiphon.cache.cache import open_redis, redis_url
from antiphon.cache.config import CacheSettings
from antiphon.cache.memory import CacheManager, MemoryBackend
from antiphon.errors import ConfigError, ValidationError
from antiphon.search.embedders.open import open_embedder
from antiphon.search.facts import FactFinder
from antiphon.search.vectors import VectorIndex
from antiphon.storage.base import Store
from antiphon.storage.facts import IMPORTANCE, Fact, FactStore, Kept

LONGEST_FACT = 2_000
"""Characters. A fact is a sentence; what is longer is a document."""

MOST_CACHED = 10_000
"""Facts of one person in a cache, where each change writes all of them."""

_PEOPLE = 10_000
_PREFIX = "antiphon-memory"


class Memory:
    """What is remembered of people: one fact after the other, each the matter of one person alone.

        memory = Memory(storage_type="redis", ttl=3600, max_size=1000)
        await memory.add("Likes green tea", person="ada")
        facts = await memory.search("which tea?", person="ada")

    `storage_type` is `memory` (of this process), `redis` (shared, gone when Redis is) or `database`, for what must
    last, in the `facts` of a store. Of one person `max_size` facts are kept: in a cache those that are in use, each
    for `ttl` seconds after it was said; in the database, which forgets nothing by itself, the important and the new.

    It works without a workspace. A workspace has one of its own, in its database: `workspace.memory`, and what tools
    and commands are given that ask for a `Recollection`, which it is. Raises `ConfigError` for what fits no place,
    `ModuleError` when a package is missing.
    """

    def __init__(
        self,
        storage_type: Literal["memory", "redis", "database"] = "memory",
        ttl: float | None = None,
        max_size: int = 1_000,
        *,
        url: str | None = None,
        facts: FactStore | None = None,
        index: VectorIndex | None = None,
    ) -> None:
        """`url` is that of a Redis; without it, it is the one of the running workspace, else one on this machine.
        `index` finds `facts` by meaning too; it is started and stopped with the memory."""
        self.storage_type, self.ttl, self.max_size = storage_type, ttl, max_size
        if max_size < 1:
            raise ConfigError(f"A memory has room for 1 fact of a person or more, not {max_size}.")
        self._cached: CachedFacts | None = None
        if storage_type == "database":
            if facts is None or ttl is not None:
                raise ConfigError(
                    "A memory in the database needs the facts of a store, as Memory('database', facts=store.facts), "
                    "and keeps them until they are deleted, so it takes no ttl. A workspace has one: workspace.memory."
                )
            self._facts = facts
        else:
            self._facts = self._cached = CachedFacts(self._backend(url), ttl=ttl, max_size=max_size)
        self._index = index
        self.finder = FactFinder(self._facts, index)

    async def add(
        self,
        text: str,
        *,
        person: str = LOCAL,
        importance: int = IMPORTANCE,
        source_message_id: str | None = None,
        assistant: str | None = None,
        extracted: bool = False,
    ) -> Kept:
        fact = _checked(text)
        _check_importance(importance)
        twin = await self.finder.twin(person, fact)
        if twin and extracted:
            return Kept(fact=twin, new=False)
        kept = await self._facts.add(
            person,
            fact,
            source_message_id=source_message_id,
            assistant=assistant,
            importance=max(importance, twin.importance) if twin else importance,
            most=self.max_size,
            instead_of=twin.id if twin else None,
            extracted=extracted,
        )
        self._changed()
        return kept

    async def search(self, query: str, *, person: str = LOCAL, limit: int = 8) -> list[Fact]:
        found = [fact for fact, _ in await self.finder.find(person, query, limit=limit)]
        if self._cached is not None and found:
            await self._cached.use(person, {fact.id for fact in found})
        return found

    async def get(self, fact_id: str, *, person: str = LOCAL) -> Fact | None:
        return await self._facts.get(person, fact_id)

    async def edit(
        self, fact_id: str, *, text: str | None = None, importance: int | None = None, person: str = LOCAL
    ) -> Fact | None:
        if importance is not None:
            _check_importance(importance)
        checked = None if text is None else _checked(text)
        edited = await self._facts.edit(person, fact_id, text=checked, importance=importance)
        self._changed()
        return edited

    async def delete(self, fact_id: str, *, person: str = LOCAL) -> bool:
        return await self._facts.delete(person, fact_id)

    async def clear(self, *, person: str = LOCAL) -> int:
        return await self._facts.clear(person)

    async def start(self) -> None:
        """Begins to make vectors, where there are any; all else works without."""
        if self._index is not None:
            await self._index.start()

    async def stop(self) -> None:
        """Lets go of connections; the next call makes new ones."""
        if self._index is not None:
            await self._index.stop()
        if self._cached is not None:
            await self._cached.stop()

    async def list(self, *, person: str = LOCAL, limit: int = 100) -> list[Fact]:
        return await self._facts.list(person, limit=limit)

    def _changed(self) -> None:
        if self._index is not None:
            self._index.changed()

    def _backend(self, url: str | None) -> CacheBackend:
        if self.storage_type not in {"memory", "redis"}:
            raise ConfigError(
                f"There is no memory named {self.storage_type!r:.40}; possible are memory, redis and database."
            )
        if self.max_size > MOST_CACHED:
            raise ConfigError(f"A memory in a cache keeps {MOST_CACHED} facts of a person at most; use the database.")
        ttl = LONGEST if self.ttl is None else lifetime(self.ttl)
        if self.storage_type == "memory":
            return MemoryBackend(CacheManager(ttl, _PEOPLE))
        return open_redis(url or redis_url(), CacheSettings(prefix=_PREFIX))


def open_memory(settings: MemorySettings, store: Store) -> Memory:
    """What a house remembers, in its database. Raises what `open_embedder` does."""
    embedder = open_embedder(settings.embedder)
    index = VectorIndex(store.vectors, embedder) if embedder is not None else None
    return Memory("database", max_size=settings.most_facts, facts=store.facts, index=index)


def _checked(text: str) -> str:
    """The fact as one line."""
    fact = " ".join(text.split())
    if not fact:
        raise ValidationError("There is nothing to remember: the text is empty.")
    if len(fact) > LONGEST_FACT:
        raise ValidationError(f"A fact has at most {LONGEST_FACT} characters; this one has {len(fact)}. Shorten it.")
    return fact


def _check_importance(importance: int) -> None:
    if not 1 <= importance <= 5:
        raise ValidationError(f"The importance of a fact is 1 to 5, not {importance}.")
