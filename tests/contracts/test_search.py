"""What every source of search must do, on every database, and that nobody can tell from the order which one it is."""

import asyncio
from collections.abc import AsyncIterator
from itertools import count
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from antiphon.domain import ChannelMessage, Message, TurnRecord, new_id
from antiphon.search.base import Passage, SearchSource
from antiphon.search.facts import FactFinder
from antiphon.search.manual import Manual
from antiphon.search.sources import FactSource, ManualSource, MessageSource, open_search
from antiphon.storage.base import Store, TurnReply
from antiphon.storage.config import DatabaseSettings
from antiphon.storage.open import open_store

SOURCES = ("messages", "facts", "manual")
DATABASES = ("sqlite", "postgres", "pgvector")
NUMBERS = count()

HOSTILE = [
    "", "   ", '"', '"""', "'", "*", "a*", "NEAR(a b)", "a AND", "OR", "NOT", "text:a", "^a", "(", "a) OR (b", "-a",
    "{a b}: c", "\0", "a\0b", "\ud83d", "a\udfffb", "日本語", "🎉", "%", "_", "\\", ";--", "&|!<->:*", "$1", ":name",
    "?", "«»", "«a", "a" * 100_000, "a " * 100_000, "é́́́", "\u0301", "'; DROP TABLE messages; --", "{0}%s",
]  # fmt: skip


def settings_of(name: str, request: pytest.FixtureRequest, folder: Path) -> DatabaseSettings:
    if name == "sqlite":
        return DatabaseSettings(url=f"sqlite:///{folder}/search.db")
    return DatabaseSettings(url=request.getfixturevalue(f"{name}_url"))


@pytest.fixture(params=DATABASES)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    made = open_store(settings_of(request.param, request, tmp_path))
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
async def every(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[list[Store]]:
    """A store of each kind."""
    stores = [open_store(settings_of(name, request, tmp_path)) for name in DATABASES]
    for store in stores:
        await store.start()
    yield stores
    for store in stores:
        await store.stop()


@pytest.fixture
def pages(tmp_path: Path) -> Path:
    folder = tmp_path / "pages"
    folder.mkdir()
    (folder / "harbour.md").write_text("# Harbour\n\nThe lighthouse is open.\n\n## Night\n\nNobody is there.\n")
    return folder


@pytest.fixture
def source(request: pytest.FixtureRequest, store: Store, pages: Path) -> SearchSource:
    """One of them; a test names which with `@pytest.mark.parametrize("source", …, indirect=True)`."""
    made: dict[str, SearchSource] = {
        "messages": MessageSource(store.conversations),
        "facts": FactSource(FactFinder(store.facts)),
        "manual": ManualSource(Manual(pages)),
    }
    return made[request.param]


every_source = pytest.mark.parametrize("source", SOURCES, indirect=True)


async def says(store: Store, text: str, account: str = "ada", place: str = "room") -> Message:
    inbound = ChannelMessage(adapter="telegram", place=f"{account}/{place}", account=account, key=new_id(), text=text)
    return (await store.inbox.accept(inbound, assistant="guide")).message


async def answers(store: Store, text: str, account: str = "ada") -> None:
    inbound = ChannelMessage(adapter="telegram", place=account, account=account, key=new_id(), text="Well?")
    accepted = await store.inbox.accept(inbound, assistant="guide")
    await store.inbox.finish(
        accepted.turn, TurnRecord(outcome="answered"), TurnReply(id=new_id(), role="assistant", text=text)
    )


async def person(store: Store, account: str = "ada") -> str:
    return (await store.people.by_account("telegram", account)).id


async def texts(source: SearchSource, person_id: str, query: str, limit: int = 50) -> list[str]:
    return [item.text for item in await source.find(person_id, query, limit=limit)]


# --- every source -------------------------------------------------------------------------------------------------


@every_source
async def test_what_is_there_is_found_by_any_word_and_marked(source: SearchSource, store: Store) -> None:
    me = await person(store)
    await says(store, "The lighthouse is open.")
    await store.facts.add(me, "The lighthouse is open.")
    [found] = await source.find(me, "zebra LIGHTHOUSE", limit=5)
    assert found.text == "The «lighthouse» is open."
    assert found.source == source.name
    assert found.id
    assert await source.find(me, "zebra", limit=5) == []


@every_source
async def test_any_text_is_a_legal_query(source: SearchSource, store: Store) -> None:
    me = await person(store)
    await says(store, "nothing of the kind")
    await store.facts.add(me, "nothing of the kind")
    for query in HOSTILE:
        found = await source.find(me, query, limit=3)
        assert len(found) == (source.name == "facts" and not query.strip()), query


@every_source
async def test_no_more_is_found_than_was_asked_for(source: SearchSource, store: Store, pages: Path) -> None:
    me = await person(store)
    for number in range(5):
        await says(store, f"The harbour at {number}")
        await store.facts.add(me, f"The harbour at {number}")
        (pages / f"{number}.md").write_text(f"# The harbour\n\nAt {number}\n")
    assert len(await source.find(me, "harbour", limit=2)) == 2


@pytest.mark.parametrize("source", ["messages", "facts"], indirect=True)
async def test_nobody_finds_what_is_somebody_elses(source: SearchSource, store: Store) -> None:
    ada, eve = await person(store), await person(store, "eve")
    await says(store, "The boiler code is 1234", "ada")
    await store.facts.add(ada, "The boiler code is 1234")
    assert await texts(source, ada, "boiler") == ["The «boiler» code is 1234"]
    for query in ("boiler", "1234", "boilers", "the code", ""):
        assert await source.find(eve, query, limit=50) == []
    assert await source.find("nobody", "boiler", limit=50) == []


@pytest.mark.parametrize("source", ["messages", "facts"], indirect=True)
async def test_what_was_said_a_moment_ago_is_found_and_what_was_deleted_is_not(
    source: SearchSource, store: Store
) -> None:
    me = await person(store)
    for number in range(3):
        said = await says(store, f"zeppelin {number}", place=str(number))
        kept = await store.facts.add(me, f"zeppelin {number}")
        assert await texts(source, me, f"zeppelin {number}", 1) == [f"«zeppelin» «{number}»"]
    await store.conversations.delete(said.conversation_id)
    await store.facts.delete(me, kept.fact.id)
    assert sorted(await texts(source, me, "zeppelin")) == ["«zeppelin» 0", "«zeppelin» 1"]


@pytest.mark.parametrize("source", ["messages", "facts"], indirect=True)
async def test_the_best_come_first_and_of_equals_the_newest(source: SearchSource, store: Store) -> None:
    """A rare word counts more than a frequent one, short texts before long ones."""
    me = await person(store)
    for text in (
        "the harbour " + "and something else entirely " * 40,
        "the harbour at nine",
        "the harbour and its lighthouse at noon",
        "the harbour at noon",
        "a lighthouse at noon, and nothing else to see",
        "nothing of that kind",
    ):
        await says(store, text)
        await store.facts.add(me, text)
    found = [text.replace("«", "").replace("»", "")[:20] for text in await texts(source, me, "lighthouse harbour")]
    assert found == [
        "the harbour and its ",
        "a lighthouse at noon",
        "the harbour at noon",
        "the harbour at nine",
        "the harbour and some",
    ]


# --- where it is --------------------------------------------------------------------------------------------------


async def test_a_message_leads_to_its_conversation_and_says_who_spoke(store: Store) -> None:
    source = MessageSource(store.conversations)
    said = await says(store, "Where is the lighthouse?")
    await answers(store, "The lighthouse is north.")
    found = {item.role: item for item in await source.find(await person(store), "lighthouse", limit=5)}
    assert set(found) == {"user", "assistant"}
    mine = found["user"]
    assert (mine.id, mine.reference, mine.when) == (said.id, said.conversation_id, said.created_at)
    assert mine.title == "Where is the lighthouse?"
    left = await source.find(await person(store), "lighthouse", limit=5, exclude=said.conversation_id)
    assert [item.role for item in left] == ["assistant"]


async def test_a_fact_leads_to_the_message_it_comes_from(store: Store) -> None:
    me, said = await person(store), await says(store, "Remember the tea.")
    fact = (await store.facts.add(me, "Likes tea", source_message_id=said.id)).fact
    [found] = await FactSource(FactFinder(store.facts)).find(me, "tea", limit=5)
    assert found == Passage(
        source="facts",
        id=fact.id,
        title="",
        text="Likes «tea»",
        score=found.score,
        when=fact.created_at,
        reference=said.id,
    )
    assert [item.text for item in await FactSource(FactFinder(store.facts)).find(me, "", limit=5)] == ["Likes tea"]


async def test_a_section_of_the_manual_is_found_by_its_address(pages: Path) -> None:
    [found] = await ManualSource(Manual(pages)).find("anybody", "night", limit=1)
    assert (found.id, found.title) == ("docs/guides/harbour.md#night", "Harbour › Night")
    assert found.when is None


# --- all of them as one -------------------------------------------------------------------------------------------


async def test_what_was_said_and_noted_is_shown_once(store: Store) -> None:
    me = await person(store)
    await says(store, "My boat is called Argo")
    await says(store, "my boat  is called ARGO", place="elsewhere")
    await store.facts.add(me, "My boat is called Argo")
    await says(store, "A boat")
    found = await open_search(store, FactFinder(store.facts)).find(me, "boat argo", sources=["messages", "facts"])
    assert len(found.items) == 2
    assert found.items[0].score > found.items[1].score


async def test_many_search_at_once_and_find_their_own(store: Store) -> None:
    finder = open_search(store, FactFinder(store.facts))
    people = [await person(store, f"p{number}") for number in range(20)]
    for number in range(20):
        await says(store, f"common word of {number}", f"p{number}")
    found = await asyncio.gather(*(finder.find(each, "common", sources=["messages"]) for each in people))
    assert [[item.text for item in one.items] for one in found] == [
        [f"«common» word of {number}"] for number in range(20)
    ]


WORDS = ["lighthouse", "Café", "tea", "zeppelin", "17", "Öl", "market", "the"]


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    said=st.lists(st.lists(st.sampled_from(WORDS), min_size=1, max_size=9).map(" ".join), min_size=1, max_size=7),
    query=st.lists(st.sampled_from(WORDS), min_size=1, max_size=4).map(" ".join),
)
async def test_the_order_is_the_same_on_all(every: list[Store], said: list[str], query: str) -> None:
    """Whatever is said and asked, and though each database has a measure of its own."""
    account = f"person {next(NUMBERS)}"
    sqlite, *others = [await shown(store, account, said, query) for store in every]
    assert others == [sqlite, sqlite]
    holding = {" ".join(text.split()).casefold() for text in said if set(text.split()) & set(query.split())}
    assert len(sqlite) == len(holding)


async def shown(store: Store, account: str, said: list[str], query: str) -> list[tuple[str, str]]:
    """What a new person who says all that, and has every other thing noted, finds."""
    me = await person(store, account)
    for number, text in enumerate(said):
        await says(store, text, account)
        if number % 2:
            await store.facts.add(me, text)
    found = await open_search(store, FactFinder(store.facts)).find(me, query, limit=50, sources=["messages", "facts"])
    return [(item.source, item.text) for item in found.items]
