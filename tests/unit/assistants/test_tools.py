"""What an assistant remembers, on a real store: its person's and nobody else's."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from antiphon.assistants.assistant import AnyTool
from antiphon.assistants.files import NONE, read_file, write_file
from antiphon.assistants.memory.base import Recollection
from antiphon.assistants.memory.memory import Memory
from antiphon.assistants.tools import NOTHING, forget, recall, remember, search_conversations
from antiphon.domain import ChannelMessage, Upload
from antiphon.files.config import FileSettings
from antiphon.files.keeper import FileKeeper
from antiphon.runtime.container import ServiceContainer
from antiphon.search.base import Search
from antiphon.search.facts import FactFinder
from antiphon.search.sources import open_search
from antiphon.storage.base import Accepted, ConversationStore, Store
from antiphon.storage.config import DatabaseSettings
from antiphon.storage.open import open_store
from antiphon.tools.base import ToolContext

PNG = b"\x89PNG\r\n\x1a\n" + bytes(40)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = open_store(DatabaseSettings(url=f"sqlite:///{tmp_path}/memory.db"))
    await store.start()
    yield store
    await store.stop()


async def says(store: Store, account: str, place: str, text: str) -> Accepted:
    inbound = ChannelMessage(adapter="telegram", place=place, account=account, key=text, text=text)
    return await store.inbox.accept(inbound, assistant="guide")


async def use(tool: AnyTool, store: Store, accepted: Accepted, **arguments: str | bool | int) -> str:
    services = ServiceContainer()
    services.register_singleton(Recollection, Memory("database", facts=store.facts))
    services.register_singleton(Search, open_search(store, FactFinder(store.facts)))
    services.register_singleton(ConversationStore, store.conversations)
    services.register_singleton(FileKeeper, FileKeeper(store.files, FileSettings(max_bytes=100_000)))
    context = ToolContext(
        person_id=accepted.turn.person_id,
        conversation_id=accepted.conversation.id,
        turn_id=accepted.turn.id,
        message_id=accepted.message.id,
        assistant="guide",
        services=services,
    )
    tool.check(services)
    result = await tool.call(msgspec.json.encode(arguments).decode(), context)
    return f"failed: {result.text}" if result.failed else result.text


async def test_what_is_remembered_is_recalled_in_one_line_with_its_day(store: Store) -> None:
    asked = await says(store, "ada", "a", "Remember my dog.")
    assert await use(remember, store, asked, text="Their dog\n is called  Argos") == (
        "Remembered: Their dog is called Argos"
    )
    found = await use(recall, store, asked, query="dog")
    assert found == f"- Their «dog» is called Argos (noted {asked.message.created_at:%Y-%m-%d})"
    assert await use(recall, store, asked, query="") == found.replace("«dog»", "dog")
    [fact] = await store.facts.list(asked.turn.person_id)
    assert (fact.source_message_id, fact.assistant) == (asked.message.id, "guide")


async def test_the_same_fact_twice_is_one(store: Store) -> None:
    asked = await says(store, "ada", "a", "Remember.")
    for _ in range(2):
        await use(remember, store, asked, text="Likes tea")
    assert len((await use(recall, store, asked, query="tea")).splitlines()) == 1


async def test_nothing_is_said_plainly(store: Store) -> None:
    asked = await says(store, "ada", "a", "What do you know?")
    assert await use(recall, store, asked, query="dog") == NOTHING
    assert await use(search_conversations, store, asked, query="dog") == NOTHING


@pytest.mark.parametrize(("text", "said"), [("  ", "nothing to remember"), ("x" * 2001, "at most 2000")])
async def test_what_is_no_fact_is_refused_in_words(store: Store, text: str, said: str) -> None:
    asked = await says(store, "ada", "a", "Remember.")
    answer = await use(remember, store, asked, text=text)
    assert answer.startswith("failed: ")
    assert said in answer


async def test_other_conversations_are_searched_and_this_one_is_not(store: Store) -> None:
    await says(store, "ada", "a", "The boiler\nmakes 17 bar")
    here = await says(store, "ada", "b", "What about the boiler?")
    found = await use(search_conversations, store, here, query="boiler")
    assert len(found.splitlines()) == 1
    assert "17 bar" in found
    assert f"(the person, {here.message.created_at:%Y-%m-%d}, in " in found
    assert "What about" not in found


@pytest.mark.parametrize("query", ['"', "a OR b*", "NEAR(", "\x00", "😀", "'; DROP TABLE facts; --"])
async def test_any_text_is_a_query(store: Store, query: str) -> None:
    asked = await says(store, "ada", "a", "hello")
    tools: list[AnyTool] = [recall, search_conversations]
    for tool in tools:
        assert not (await use(tool, store, asked, query=query)).startswith("failed")


async def test_a_store_that_is_gone_is_no_empty_answer(store: Store) -> None:
    asked = await says(store, "ada", "a", "hello")
    await store.stop()
    tools: list[AnyTool] = [recall, search_conversations]
    for tool in tools:
        assert (await use(tool, store, asked, query="dog")).startswith("failed")


async def test_nobody_reads_what_is_somebody_elses(store: Store) -> None:
    ada = await says(store, "ada", "a", "The secret boiler code")
    await use(remember, store, ada, text="The boiler code is 1234")
    eve = await says(store, "eve", "e", "hello")
    assert await use(recall, store, eve, query="boiler") == NOTHING
    assert await use(recall, store, eve, query="") == NOTHING
    assert await use(search_conversations, store, eve, query="boiler") == NOTHING


async def test_one_fact_is_forgotten_in_its_words_or_in_words_that_only_it_has(store: Store) -> None:
    asked = await says(store, "ada", "a", "Remember.")
    for fact in ("Likes green tea", "Likes tea", "Has a dog called Argos"):
        await use(remember, store, asked, text=fact)
    several = await use(forget, store, asked, text="likes")
    assert several.startswith("failed: Several facts fit, so none was deleted. There is: Likes")
    unknown = await use(forget, store, asked, text="the cat")
    assert unknown == "failed: Nothing is remembered in these words, so none was deleted."
    near = await use(forget, store, asked, text="the dog Rex")
    assert near.endswith("so none was deleted. There is: Has a dog called Argos.")
    assert len(await store.facts.list(asked.turn.person_id)) == 3
    assert await use(forget, store, asked, text="likes  TEA.") == "Forgotten: Likes tea"
    assert await use(forget, store, asked, text="dog") == "Forgotten: Has a dog called Argos"
    assert [fact.text for fact in await store.facts.list(asked.turn.person_id)] == ["Likes green tea"]


async def test_all_is_forgotten_when_all_is_meant_and_nobody_elses(store: Store) -> None:
    ada, eve = await says(store, "ada", "a", "hello"), await says(store, "eve", "e", "hello")
    for asked in (ada, eve):
        await use(remember, store, asked, text="Likes tea")
        await use(remember, store, asked, text="Likes cake")
    for unclear in ({}, {"text": " "}, {"text": "tea", "everything": True}, {"text": "?"}):
        assert (await use(forget, store, ada, **unclear)).startswith("failed")
    assert await use(forget, store, ada, everything=True) == "Forgotten: all 2 facts."
    assert await use(forget, store, ada, everything=True) == "Forgotten: all 0 facts."
    assert len(await store.facts.list(eve.turn.person_id)) == 2


def test_forgetting_asks_whatever_it_is_to_forget() -> None:
    for arguments in ("{}", '{"text": "tea"}', '{"everything": true}'):
        assert forget.asks(arguments)


REPORT = "".join(f"line {number}: {'x' * 40}\n" for number in range(500))


async def attaches(store: Store, account: str, place: str, *uploads: Upload) -> Accepted:
    accepted = await says(store, account, place, "Here.")
    keeper = FileKeeper(store.files, FileSettings())
    attachments = tuple([await keeper.keep(accepted.turn.person_id, upload) for upload in uploads])
    inbound = ChannelMessage(
        adapter="telegram", place=place, account=account, key="files", text="Read.", attachments=attachments
    )
    return await store.inbox.accept(inbound, assistant="guide")


async def test_a_long_file_is_read_page_by_page(store: Store) -> None:
    report = Upload(name="report.txt", media_type="text/plain", data=REPORT.encode())
    asked = await attaches(store, "ada", "a", report, Upload(name="a.png", media_type="image/png", data=PNG))
    assert await use(read_file, store, asked) == (
        f"- report.txt (text/plain, {len(REPORT):,} bytes)\n- a.png (image/png, {len(PNG)} bytes)"
    )
    pages = [await use(read_file, store, asked, name="report.txt", page=page) for page in (1, 2, 3, 4)]
    assert [page.partition("\n")[0] for page in pages] == [f"report.txt, page {number} of 4:" for number in range(1, 5)]
    assert "".join(page.partition("\n")[2] for page in pages) == REPORT
    assert await use(read_file, store, asked, name="report.txt", page=5) == "failed: report.txt has the pages 1 to 4."
    assert await use(read_file, store, asked, name="a.png") == "failed: a.png has no text that can be read."
    assert await use(read_file, store, asked, name="raport.txt") == (
        "failed: This conversation has no file of that name. Did you mean report.txt?"
    )


async def test_files_of_another_conversation_are_not_read(store: Store) -> None:
    await attaches(store, "ada", "a", Upload(name="diary.txt", media_type="text/plain", data=b"secret"))
    elsewhere = await says(store, "ada", "b", "Read my diary.")
    assert await use(read_file, store, elsewhere) == NONE
    assert "secret" not in await use(read_file, store, elsewhere, name="diary.txt")


LINK = re.compile(r"\[(.+)\]\(/api/v1/files/([0-9A-Z]{26})\)")


async def test_a_file_that_was_written_is_kept_and_read_again(store: Store) -> None:
    asked = await says(store, "ada", "a", "A table, please.")
    links = [await use(write_file, store, asked, name="out/prices[1].csv", text=f"lamp,{price}") for price in (1, 2)]
    ids = []
    for link in links:
        found = LINK.fullmatch(link)
        assert found
        assert found[1] == r"prices\[1\].csv"
        ids.append(found[2])
    assert await store.files.read(ids[0]) == b"lamp,1"
    kept = await store.files.get(ids[1], person_id=asked.turn.person_id)
    assert kept is not None
    assert (kept.name, kept.media_type) == ("prices[1].csv", "text/csv")
    assert await use(read_file, store, asked) == "- prices[1].csv (text/csv, 6 bytes)"
    assert (await use(read_file, store, asked, name="prices[1].csv")).endswith("lamp,2")
    elsewhere = await says(store, "ada", "b", "Read it here.")
    assert await use(read_file, store, elsewhere) == NONE


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("a.txt", "x" * 100_001, "This file has 100,001 bytes; 100,000 are the most."),
        ("a.png", "no picture", "a.png"),
        ("a.txt", "%PDF-1.7", "a.txt"),
    ],
    ids=["too large", "no picture", "no text"],
)
async def test_what_is_no_file_is_not_written(store: Store, name: str, text: str, why: str) -> None:
    asked = await says(store, "ada", "a", "Write.")
    told = await use(write_file, store, asked, name=name, text=text)
    assert told.startswith("failed: The file was not made. ")
    assert why in told
    assert await use(read_file, store, asked) == NONE


async def test_a_file_for_a_conversation_that_was_deleted_is_not_made(store: Store) -> None:
    asked = await says(store, "ada", "a", "Write.")
    await store.conversations.delete(asked.conversation.id)
    told = await use(write_file, store, asked, name="a.txt", text="too late")
    assert told == (
        "failed: The file was not made. This conversation does not exist any more, so there is no place for a file."
    )
