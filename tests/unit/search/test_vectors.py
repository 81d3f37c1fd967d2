"""Facts found by meaning: embedded behind the writing, and by words alone while that cannot be done."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from antiphon.assistants.memory.memory import Memory
from antiphon.errors import ServiceError
from antiphon.search import vectors
from antiphon.search.vectors import VectorIndex
from antiphon.storage.config import DatabaseSettings
from antiphon.storage.sqlite.store import SqliteStore

pytest.importorskip("numpy")

AXES = (("dog", "pet", "hound"), ("tea", "drink", "beverage"), ("boat", "ship", "vessel"))


class Meanings:
    """An `Embedder` that knows three things in three words each; `extra` dimensions mean nothing."""

    def __init__(self, model: str = "test:one", extra: int = 0) -> None:
        self.model = model
        self.extra = extra
        self.error: Exception | None = None
        self.hangs = False

    async def embed(self, texts: Sequence[str]) -> list[Sequence[float]]:
        if self.error is not None:
            raise self.error
        if self.hangs:
            await asyncio.Event().wait()
        own = [[float(any(word in text.lower() for word in axis)) for axis in AXES] for text in texts]
        return [
            [*vector, 0.01 * (1 + len(text) % 3), *[0.0] * self.extra] for vector, text in zip(own, texts, strict=True)
        ]

    async def stop(self) -> None: ...


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    made = SqliteStore(DatabaseSettings(url=f"sqlite:///{tmp_path}/memory.db"))
    await made.start()
    await made.people.by_account("web", "local")
    yield made
    await made.stop()


def remembering(store: SqliteStore, embedder: Meanings) -> Memory:
    return Memory("database", facts=store.facts, index=VectorIndex(store.vectors, embedder))


async def embedded(store: SqliteStore, embedder: Meanings) -> None:
    dimension = len(AXES) + 1 + embedder.extra
    async with asyncio.timeout(10):
        while await store.vectors.missing(embedder.model, dimension, limit=1):
            await asyncio.sleep(0.01)


async def found(memory: Memory, query: str) -> list[str]:
    return [fact.text for fact in await memory.search(query)]


async def test_what_means_the_same_is_found_and_replaced_and_its_vector_goes_with_it(store: SqliteStore) -> None:
    embedder = Meanings()
    memory = remembering(store, embedder)
    await memory.start()
    argos = (await memory.add("Has a dog", importance=5)).fact
    await memory.add("Likes tea")
    await embedded(store, embedder)
    assert await found(memory, "which pet?") == ["Has a dog"]
    assert await found(memory, "zebra") == []
    assert sorted(await found(memory, "a hound and a beverage")) == ["Has a dog", "Likes tea"]
    kept = await memory.add("Keeps a hound")
    assert (kept.replaced, kept.fact.importance) == (argos, 5)
    await embedded(store, embedder)
    assert len(await store.vectors.of("local", embedder.model, 4, limit=10)) == 2
    await memory.edit(kept.fact.id, text="Owns a boat")
    await embedded(store, embedder)
    assert await found(memory, "vessel") == ["Owns a boat"]
    assert await found(memory, "pet") == []
    await memory.delete(kept.fact.id)
    assert await found(memory, "vessel") == []
    assert len(await store.vectors.of("local", embedder.model, 4, limit=10)) == 1
    await memory.stop()


async def test_after_a_change_of_model_or_dimension_everything_is_embedded_again(store: SqliteStore) -> None:
    for embedder in (Meanings(), Meanings("test:two"), Meanings("test:two", extra=3)):
        memory = remembering(store, embedder)
        await memory.add("Has a dog")
        assert await found(memory, "dog") == ["Has a dog"], "by its words, until it is embedded"
        await memory.start()
        await embedded(store, embedder)
        assert await found(memory, "which pet?") == ["Has a dog"]
        await memory.stop()
    assert await store.vectors.of("local", "test:one", 4, limit=10) == []


async def test_an_embedder_that_fails_or_hangs_leaves_the_words(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vectors, "SECONDS", 0.05)
    embedder = Meanings()
    memory = remembering(store, embedder)
    embedder.error = ServiceError("It is gone.")
    await memory.start()
    await memory.add("Has a dog")
    assert await found(memory, "dog") == ["Has a dog"]
    embedder.error, embedder.hangs = None, True
    assert await found(memory, "dogs") == ["Has a dog"]
    assert (await memory.add("Likes tea")).new
    embedder.hangs = False
    await memory.stop()


async def test_another_process_s_facts_are_found_too(store: SqliteStore) -> None:
    embedder = Meanings()
    one, two = remembering(store, embedder), remembering(store, embedder)
    await one.start()
    await one.add("Has a dog")
    await embedded(store, embedder)
    assert await found(two, "pet") == ["Has a dog"]
    await one.add("Likes tea")
    await embedded(store, embedder)
    assert await found(two, "beverage") == ["Likes tea"]
    await one.clear()
    assert await found(two, "pet") == []
    await one.stop()
