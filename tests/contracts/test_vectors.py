"""What every store of vectors must do; and that nobody can tell from the order whether the database compared them."""

import asyncio
import math
import random
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from antiphon.search import vectors
from antiphon.search.facts import FactFinder
from antiphon.search.vectors import VectorIndex
from antiphon.storage.base import Store
from antiphon.storage.config import DatabaseSettings
from antiphon.storage.facts import Fact
from antiphon.storage.open import open_store

np: Any = pytest.importorskip("numpy")

DATABASES = ("sqlite", "postgres", "pgvector")
MODEL = "test:one"
DIMENSION = 48


class Places:
    """An `Embedder` that puts a text where its first word says, and a little beside it for each other word."""

    model = MODEL

    async def embed(self, texts: Sequence[str]) -> list[Sequence[float]]:
        return [self._place(text.split() or [""]) for text in texts]

    def _place(self, words: list[str]) -> list[float]:
        place = self._of(words[0])
        for word in words[1:]:
            place = [here + 0.3 * there for here, there in zip(place, self._of(word), strict=True)]
        return place

    def _of(self, word: str) -> list[float]:
        dice = random.Random(word)
        return [dice.gauss(0, 1) for _ in range(DIMENSION)]

    async def stop(self) -> None: ...


async def store_of(place: str, request: pytest.FixtureRequest, folder: Path) -> Store:
    url = f"sqlite:///{folder}/v.db" if place == "sqlite" else request.getfixturevalue(f"{place}_url")
    store = open_store(DatabaseSettings(url=url))
    await store.start()
    await store.people.by_account("web", "local")
    return store


@pytest.fixture(params=DATABASES)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    made = await store_of(request.param, request, tmp_path)
    yield made
    await made.stop()


@pytest.fixture
async def every(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[dict[str, Store]]:
    made = {place: await store_of(place, request, tmp_path) for place in DATABASES}
    yield made
    for store in made.values():
        await store.stop()


def bytes_of(*values: float) -> bytes:
    return bytes(np.asarray(values, dtype=np.float32).tobytes())


async def kept(store: Store, text: str, *values: float, person: str = "local", model: str = MODEL) -> Fact:
    fact = (await store.facts.add(person, text)).fact
    await store.vectors.put(model, len(values), [(fact, bytes_of(*values))])
    return fact


async def settled(store: Store) -> None:
    while await store.vectors.settle(limit=2):
        pass


async def nearest(store: Store, *values: float, person: str = "local", limit: int = 10) -> list[str] | None:
    found = await store.vectors.nearest(person, MODEL, bytes_of(*values), limit=limit)
    return None if found is None else [fact.text for fact, _ in found]


async def test_the_nearest_come_first_and_of_equals_the_newest(store: Store, request: pytest.FixtureRequest) -> None:
    for text, *values in (("east", 1, 0), ("north", 0, 1), ("also north", 0, 1), ("north-east", 0.6, 0.8)):
        await kept(store, str(text), *map(float, values))
    await settled(store)
    if "pgvector" not in request.node.callspec.id:
        assert await nearest(store, 0, 1) is None, "nothing here compares"
        return
    assert await nearest(store, 0, 1) == ["also north", "north", "north-east", "east"]
    assert await nearest(store, 0, 1, limit=1) == ["also north"]
    found = await store.vectors.nearest("local", MODEL, bytes_of(1, 0), limit=2)
    assert [nearness for _, nearness in found or []] == [1.0, 0.6]


async def test_nobody_and_no_other_kind_is_compared_with(store: Store) -> None:
    eve = (await store.people.by_account("telegram", "eve")).id
    await kept(store, "mine", 1, 0)
    await kept(store, "of more dimensions", 1, 0, 0)
    await kept(store, "of another model", 1, 0, model="test:two")
    await kept(store, "hers", 1, 0, person=eve)
    await settled(store)
    assert await nearest(store, 1, 0) in (None, ["mine"])
    assert await nearest(store, 1, 0, person=eve) in (None, ["hers"])
    assert await nearest(store, 1, 0, person="nobody") in (None, [])


async def test_what_is_not_settled_yet_is_missed_by_nobody(store: Store) -> None:
    fact = await kept(store, "old", 1, 0)
    await settled(store)
    await kept(store, "new", 0, 1)
    assert await nearest(store, 1, 0, limit=1) is None, "the caller compares, until all are settled"
    await settled(store)
    assert await nearest(store, 1, 0) in (None, ["old", "new"])
    await store.vectors.put(MODEL, 2, [(fact, bytes_of(-1, 0))])
    assert await nearest(store, 1, 0) is None
    await settled(store)
    assert await nearest(store, 1, 0) in (None, ["new", "old"]), "by the vector it has now"
    await store.facts.delete("local", fact.id)
    assert await nearest(store, 1, 0) in (None, ["new"])
    assert await store.vectors.settle(limit=9) == 0


async def test_what_is_no_number_or_all_zeros_is_near_to_nothing(store: Store) -> None:
    await kept(store, "east", 1, 0)
    for text, *values in (("nan", math.nan, 1), ("inf", math.inf, 0), ("zero", 0, 0)):
        await kept(store, str(text), *map(float, values))
    await settled(store)
    assert await nearest(store, 1, 0, limit=1) in (None, ["east"])


async def test_more_dimensions_than_a_server_compares_are_compared_by_the_caller(store: Store) -> None:
    await kept(store, "wide", *([1.0] + [0.0] * 16_000))
    await settled(store)
    assert await nearest(store, *([1.0] + [0.0] * 16_000)) is None
    assert len(await store.vectors.of("local", MODEL, 16_001, limit=9)) == 1


async def test_many_settle_and_delete_and_ask_at_once(store: Store) -> None:
    facts = [await kept(store, f"Number {number}", 1 - number / 50, 1) for number in range(50)]
    index = VectorIndex(store.vectors, Places())
    await asyncio.gather(
        *(settled(store) for _ in range(4)),
        *(store.facts.delete("local", fact.id) for fact in facts[::2]),
        *(index.nearest("local", "anything", 5) for _ in range(10)),
    )
    await settled(store)
    found = await nearest(store, 1, 0, limit=100)
    assert found in (None, [f"Number {number}" for number in range(1, 50, 2)])


WORDS = ("harbour", "lighthouse", "tea", "coffee", "dog", "thunder", "boiler", "market")


async def test_the_order_is_the_same_wherever_it_is_compared(
    every: dict[str, Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With vectors that are alike, that are the same, and that are written while it is asked."""
    monkeypatch.setattr(vectors, "SECONDS", 20.0)
    dice = random.Random(7)
    texts = [" ".join(dice.choices(WORDS, k=1 + number % 4)) for number in range(120)]
    texts += [f"{text}  ." for text in texts[:20]]
    indexes, finders = [], []
    for store in every.values():
        index = VectorIndex(store.vectors, Places())
        for number, text in enumerate(texts):
            await store.facts.add("local", text, importance=1 + number % 5)
        await index.start()
        async with asyncio.timeout(30):
            while await store.vectors.missing(MODEL, DIMENSION, limit=1):
                await index.nearest("local", "tea", 3)
        await settled(store)
        indexes.append(index)
        finders.append(FactFinder(store.facts, index))
    assert await every["pgvector"].vectors.nearest("local", MODEL, bytes_of(*[0.1] * DIMENSION), limit=1)
    for query in (*WORDS, "tea harbour", "dog thunder market", "lighthouse coffee coffee boiler"):
        asked = [await index.nearest("local", query, 30) for index in indexes]
        one, *others = [[fact.text for fact, _ in found] for found in asked]
        assert len(one) > 5
        assert others == [one, one], query
        assert [near for _, near in asked[2]] == pytest.approx([near for _, near in asked[0]], abs=2e-5)
        one, *others = [[fact.text for fact, _ in await finder.find("local", query, limit=30)] for finder in finders]
        assert others == [one, one], query
    for index in indexes:
        await index.stop()
