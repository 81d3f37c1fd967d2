"""What every memory must do, wherever it keeps its facts; and that nobody can tell from the order where that is."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from antiphon.assistants.memory.memory import LONGEST_FACT, Memory
from antiphon.domain import new_id
from antiphon.errors import ValidationError
from antiphon.search.facts import FactFinder
from antiphon.storage.base import Store
from antiphon.storage.config import DatabaseSettings
from antiphon.storage.facts import Fact
from antiphon.storage.open import open_store

PLACES = ("memory", "redis", "sqlite", "postgres", "pgvector")
DATABASES = ("sqlite", "postgres", "pgvector")

HOSTILE = [
    '"', '"""', "'", "*", "a*", "NEAR(a b)", "a AND", "OR", "NOT", "text:a", "^a", "(", "a) OR (b", "-a", "{a b}: c",
    "\0", "a\0b", "\ud83d", "日本語", "🎉", "%", "_", "\\", ";--", "&|!<->:*", "$1", ":name", "?", "a" * 100_000,
    "a " * 100_000, "\u0301", "'; DROP TABLE facts; --", "{0}%s", '["', "\\%",
]  # fmt: skip


@pytest.fixture
async def stores(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[list[Store]]:
    """Opened by `store_of`, closed here."""
    opened: list[Store] = []
    yield opened
    for store in opened:
        await store.stop()


async def store_of(place: str, request: pytest.FixtureRequest, folder: Path, stores: list[Store]) -> Store:
    url = f"sqlite:///{folder}/memory.db" if place == "sqlite" else request.getfixturevalue(f"{place}_url")
    store = open_store(DatabaseSettings(url=url))
    await store.start()
    stores.append(store)
    return store


@pytest.fixture(params=PLACES)
async def memory(request: pytest.FixtureRequest, tmp_path: Path, stores: list[Store]) -> AsyncIterator[Memory]:
    """With room for five facts of a person. There is the person `local`."""
    if request.param in DATABASES:
        store = await store_of(request.param, request, tmp_path, stores)
        await store.people.by_account("web", "local")
        made = Memory("database", max_size=5, facts=store.facts)
    else:
        url = request.getfixturevalue("redis_url") if request.param == "redis" else None
        made = Memory(request.param, ttl=60, max_size=5, url=url)
        await made.clear()
    yield made
    await made.clear()
    await made.stop()


def texts(facts: list[Fact]) -> list[str]:
    return [fact.text for fact in facts]


async def test_a_fact_is_kept_as_one_line_with_all_that_is_known_of_it(memory: Memory) -> None:
    kept = await memory.add("  Likes\n green   tea ", importance=4, source_message_id="m", assistant="guide")
    fact = kept.fact
    assert (fact.text, fact.importance, fact.source_message_id, fact.assistant, fact.person_id) == (
        "Likes green tea", 4, "m", "guide", "local",
    )  # fmt: skip
    assert (kept.new, kept.replaced, kept.dropped) == (True, None, ())
    assert await memory.get(fact.id) == fact
    assert await memory.list() == [fact]


async def test_the_same_again_is_the_one_that_is_there(memory: Memory) -> None:
    first = (await memory.add("Her café is closed")).fact
    again = await memory.add("her  CAFE\u0301 is closed")
    assert (again.fact, again.new) == (first, False)
    assert await memory.list() == [first]


async def test_what_says_nothing_or_too_much_is_refused(memory: Memory) -> None:
    for text in ("", " \n\t ", "x" * (LONGEST_FACT + 1)):
        with pytest.raises(ValidationError):
            await memory.add(text)
    for importance in (0, 6):
        with pytest.raises(ValidationError, match="1 to 5"):
            await memory.add("Likes tea", importance=importance)
    assert await memory.list() == []


async def test_facts_are_found_by_any_word_by_slips_of_the_pen_and_inside_unspaced_writing(memory: Memory) -> None:
    await memory.add("Their dog is called Zoë")
    await memory.add("The lighthouse keeper lives next door")
    await memory.add("東京に住んでいます")
    assert texts(await memory.search("zoe, or something")) == ["Their dog is called Zoë"]
    assert texts(await memory.search("dogs")) == ["Their dog is called Zoë"]
    assert texts(await memory.search("lihgthouse")) == ["The lighthouse keeper lives next door"]
    assert texts(await memory.search("東京")) == ["東京に住んでいます"]
    assert await memory.search("zebra") == []
    assert texts(await memory.search("", limit=1)) == ["東京に住んでいます"]


async def test_any_text_is_a_query_and_any_text_a_fact(memory: Memory) -> None:
    await memory.add("nothing of the kind")
    for query in HOSTILE:
        assert await memory.search(query) == [], query
    for text in ("'; DROP TABLE facts; --", '"" OR ""', "%_\\"):
        fact = (await memory.add(text)).fact
        assert await memory.get(fact.id) == fact
        await memory.delete(fact.id)


async def test_a_fact_is_edited_and_found_by_its_new_words_alone(memory: Memory) -> None:
    fact = (await memory.add("Lives in Lisbon")).fact
    other = (await memory.add("Likes tea")).fact
    edited = await memory.edit(fact.id, text="Lives in  Porto", importance=5)
    assert edited is not None
    assert (edited.id, edited.text, edited.importance) == (fact.id, "Lives in Porto", 5)
    assert await memory.search("Lisbon") == []
    assert await memory.search("Porto") == [edited] == [await memory.get(fact.id)]
    assert await memory.edit(fact.id, text="LIVES in Porto") is not None
    with pytest.raises(ValidationError, match="already"):
        await memory.edit(other.id, text="lives in porto")
    with pytest.raises(ValidationError):
        await memory.edit(other.id, text="  ")
    assert await memory.edit(new_id(), text="x") is None


async def test_what_is_deleted_is_gone(memory: Memory) -> None:
    tea, dog = (await memory.add("Likes tea")).fact, (await memory.add("Has a dog")).fact
    assert await memory.delete(tea.id)
    assert not await memory.delete(tea.id)
    assert (await memory.list(), await memory.search("tea"), await memory.get(tea.id)) == ([dog], [], None)
    assert await memory.clear() == 1
    assert await memory.clear() == 0
    assert await memory.search("dog") == [] == await memory.list()


async def test_of_too_many_one_goes_and_that_is_told(memory: Memory) -> None:
    facts = [(await memory.add(f"Number {number}")).fact for number in range(5)]
    kept = await memory.add("One more")
    assert kept.dropped == (facts[0],)
    assert texts(await memory.list()) == ["One more", *(f"Number {number}" for number in (4, 3, 2, 1))]
    assert await memory.get(facts[0].id) is None


async def test_many_at_once_lose_nothing_and_double_nothing(memory: Memory) -> None:
    kept = await asyncio.gather(*(memory.add(f"Number {number % 4}") for number in range(24)))
    assert sum(one.new for one in kept) == 4
    assert len({one.fact.id for one in kept}) == 4
    assert sorted(texts(await memory.list())) == [f"Number {number}" for number in range(4)]


# --- the databases ------------------------------------------------------------------------------------------------


@pytest.fixture(params=DATABASES)
async def store(request: pytest.FixtureRequest, tmp_path: Path, stores: list[Store]) -> Store:
    return await store_of(request.param, request, tmp_path, stores)


async def test_nobody_reaches_what_is_somebody_elses(store: Store) -> None:
    ada, eve = [(await store.people.by_account("telegram", name)).id for name in ("ada", "eve")]
    memory = Memory("database", facts=store.facts)
    secret = (await memory.add("The boiler code is 1234", person=ada)).fact
    for query in ("boiler", "1234", "boilr", ""):
        assert await memory.search(query, person=eve) == []
    assert await memory.get(secret.id, person=eve) is None
    assert await memory.edit(secret.id, text="x", person=eve) is None
    assert not await memory.delete(secret.id, person=eve)
    assert await memory.clear(person=eve) == 0
    assert await memory.list(person=ada) == [secret]
    with pytest.raises(ValidationError):
        await memory.add("x", person="nobody")


async def test_the_least_important_go_first_and_of_those_the_oldest(store: Store) -> None:
    await store.people.by_account("web", "local")
    memory = Memory("database", max_size=3, facts=store.facts)
    for text, importance in (("old and dear", 5), ("old", 2), ("new", 2)):
        await memory.add(text, importance=importance)
    assert texts(list((await memory.add("trifle", importance=1)).dropped)) == ["old"]
    assert texts(list((await memory.add("again", importance=3)).dropped)) == ["trifle"]
    assert texts(await memory.list()) == ["again", "new", "old and dear"]


async def test_a_smaller_house_makes_room_at_the_next_fact(store: Store) -> None:
    await store.people.by_account("web", "local")
    large, small = (Memory("database", max_size=size, facts=store.facts) for size in (10, 2))
    for number in range(6):
        await large.add(f"Number {number}")
    assert len((await small.add("the last")).dropped) == 5
    assert texts(await small.list()) == ["the last", "Number 5"]


CORPUS = (
    "Lives in Lisbon, near the old lighthouse",
    "Works at the lighthouse on Mondays",
    "Her dog Argos is afraid of thunder",
    "Connected the boiler to the new thermostat",
    "The connections of the boiler leak",
    "Likes green tea in the morning, and coffee never",
    "Never drinks coffee",
    "Is allergic to peanuts",
    "東京の大学で働いている",
    "Wohnt in Köln, in der Nähe des Doms",
    "Работает в порту",
    "the harbour " + "and something else entirely " * 20,
)
QUERIES = (
    "lighthouse", "who works at the lighthouse?", "coffee or tea", "connect boiler", "koln", "東京", "大学で", "порту",
    "argoss", "thundr", "is the", "allergy to peanut", "harbour", "nothing at all like it", "Köln Argos tea lighthouse",
)  # fmt: skip


async def test_all_databases_answer_in_the_same_order(
    request: pytest.FixtureRequest, tmp_path: Path, stores: list[Store]
) -> None:
    finders = []
    for place in DATABASES:
        store = await store_of(place, request, tmp_path, stores)
        await store.people.by_account("web", "local")
        for number, text in enumerate(CORPUS):
            await store.facts.add("local", text, importance=1 + number % 5)
        finders.append(FactFinder(store.facts))
    for query in QUERIES:
        one, *others = [
            [fact.text for fact, _ in await finder.find("local", query, limit=len(CORPUS))] for finder in finders
        ]
        assert others == [one, one], query
        assert one or query.startswith("nothing"), query


async def test_what_was_found_is_marked_and_makes_no_room_at_the_cost_of_what_was_asked_for(memory: Memory) -> None:
    for number in range(3):
        await memory.add(f"asked {number}")
    for number in range(3):
        kept = await memory.add(f"found {number}", importance=2, extracted=True)
    assert [fact.text for fact in kept.dropped] == ["found 0"]
    assert [(fact.text, fact.extracted) for fact in await memory.list()] == [
        ("found 2", True), ("found 1", True), ("asked 2", False), ("asked 1", False), ("asked 0", False)
    ]  # fmt: skip
    (again,) = await memory.search("found 2", limit=1)
    assert again.extracted
    await memory.clear()
    for number in range(5):
        await memory.add(f"asked {number}")
    full = await memory.add("found 3", importance=2, extracted=True)
    assert full.fact in full.dropped
    assert not any(fact.extracted for fact in await memory.list())
    assert len(await memory.list()) == 5
