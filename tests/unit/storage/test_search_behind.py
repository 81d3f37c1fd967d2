"""SQLite's full-text index is filled behind the writing: nothing is missed, nothing is damaged."""

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from antiphon.domain import ChannelMessage, TurnRecord, new_id
from antiphon.storage.base import Accepted, Store, TurnReply
from antiphon.storage.config import DatabaseSettings
from antiphon.storage.migrations.upgrade import run_migrations
from antiphon.storage.open import open_store
from antiphon.storage.sqlite import lane


@pytest.fixture(autouse=True, scope="module")
def never_quiet() -> Iterator[None]:
    """Only a search fills the index."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lane, "QUIET_SECONDS", 3600)
        yield


def store_in(folder: Path) -> Store:
    return open_store(DatabaseSettings(url=f"sqlite:///{folder}/a.db"))


async def said(store: Store, text: str, place: str = "here") -> Accepted:
    message = ChannelMessage(adapter="telegram", place=place, account="ada", key=new_id(), text=text)
    accepted = await store.inbox.accept(message, assistant="guide")
    reply = TurnReply(id=new_id(), role="assistant", text=f"You said {text}.")
    await store.inbox.finish(accepted.turn, TurnRecord(outcome="answered"), reply)
    return accepted


async def found(store: Store, said: Accepted, word: str) -> list[str]:
    hits = await store.conversations.search(said.turn.person_id, word, limit=1000)
    return sorted(hit.role for hit in hits)


@contextmanager
def opened(folder: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(folder / "a.db", isolation_level=None)) as connection:
        yield connection


def indexed(folder: Path) -> int:
    with opened(folder) as connection:
        return int(connection.execute("SELECT count(*) FROM messages_fts_docsize").fetchone()[0])


def check(folder: Path) -> None:
    """FTS5 compares its index with the messages, and raises when they differ."""
    with opened(folder) as connection:
        connection.execute("INSERT INTO messages_fts(messages_fts, rank) VALUES ('integrity-check', 1)")


async def test_a_search_finds_what_was_said_a_moment_ago(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    await store.start()
    first = await said(store, "lighthouse")
    assert indexed(tmp_path) == 0
    assert await found(store, first, "lighthouse") == ["assistant", "user"]
    assert indexed(tmp_path) == 2
    await said(store, "lighthouse again")
    assert await found(store, first, "lighthouse") == ["assistant", "assistant", "user", "user"]
    await store.stop()
    check(tmp_path)


async def test_what_a_crash_left_out_is_found_after_it(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    await store.start()
    first = await said(store, "lighthouse")
    await store.stop()
    assert indexed(tmp_path) == 0, "nothing was indexed when the process ended"
    again = store_in(tmp_path)
    await again.start()
    assert await found(again, first, "lighthouse") == ["assistant", "user"]
    await again.stop()
    check(tmp_path)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.sampled_from(["say", "say there", "search", "delete", "delete there"]), max_size=25))
def test_the_index_holds_what_there_is_whatever_happens_in_between(moves: list[str]) -> None:
    async def play(folder: Path) -> None:
        store, alive = store_in(folder), dict[str, list[Accepted]]()
        await store.start()
        last = await said(store, "lighthouse", "elsewhere")
        for move in moves:
            place = "there" if "there" in move else "here"
            if "say" in move:
                last = await said(store, "lighthouse", place)
                alive.setdefault(place, []).append(last)
            elif "delete" in move and (gone := alive.pop(place, None)):
                assert await store.conversations.delete(gone[0].turn.conversation_id)
            elif move == "search":
                there = 1 + sum(map(len, alive.values()))
                assert await found(store, last, "lighthouse") == ["assistant"] * there + ["user"] * there
        await found(store, last, "lighthouse")
        await store.stop()
        check(folder)

    with TemporaryDirectory() as folder:
        asyncio.run(play(Path(folder)))


async def test_a_database_comes_and_goes_between_the_revisions_with_its_index(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    await store.start()
    first = await said(store, "lighthouse")
    await found(store, first, "lighthouse")
    await said(store, "lighthouse, not indexed")
    await store.stop()
    with opened(tmp_path) as connection:
        run_migrations(connection, to="0001")
    check(tmp_path)
    assert indexed(tmp_path) == 4
    with opened(tmp_path) as connection:
        connection.execute("UPDATE messages SET text = 'a whale' WHERE number = 1")
        run_migrations(connection)
        connection.execute("UPDATE messages SET text = 'a whale' WHERE number = 3")
    check(tmp_path)
    again = store_in(tmp_path)
    await again.start()
    assert await found(again, first, "whale") == ["user", "user"]
    await again.stop()
