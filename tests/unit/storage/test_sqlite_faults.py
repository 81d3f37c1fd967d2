"""Files that are missing, full, read-only, damaged, foreign: one sentence that says what to do, and nothing lost."""

import os
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest

from antiphon.domain import ChannelMessage, TurnRecord
from antiphon.errors import ConfigError, ServiceError
from antiphon.storage.config import DatabaseSettings
from antiphon.storage.open import open_store
from antiphon.storage.sqlite.connection import path_of
from antiphon.storage.sqlite.faults import translated
from antiphon.storage.sqlite.store import SqliteStore

HELLO = ChannelMessage(adapter="telegram", place="room", account="ann", key="1", text="Hello")


def file_of(settings: DatabaseSettings) -> Path:
    path = path_of(settings.url)
    assert path is not None
    return path


# --- the settings -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("url", ["hunter2", "hunter2@host:5432", "ant:hunter2@host"])
def test_what_is_no_scheme_is_not_quoted(url: str) -> None:
    with pytest.raises(ConfigError, match=r"database\.url") as caught:
        open_store(DatabaseSettings(url=url))
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("url", ["mysql://x", "", "data.db"])
def test_an_unknown_database_is_refused_with_what_is_possible(url: str) -> None:
    with pytest.raises(ConfigError, match="sqlite:///"):
        open_store(DatabaseSettings(url=url))


@pytest.mark.parametrize("url", ["sqlite", "sqlite://", "sqlite:///", "sqlite:data.db", "sqlite:///a.db?mode=ro"])
def test_a_malformed_sqlite_url_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match=r"database\.url"):
        open_store(DatabaseSettings(url=url))


def test_paths_are_relative_absolute_or_none() -> None:
    assert path_of("sqlite:///data/a b.db") == Path("data/a b.db")
    assert path_of("sqlite:////var/lib/a.db") == Path("/var/lib/a.db")
    assert path_of("sqlite:///:memory:") is None


# --- the file -----------------------------------------------------------------------------------------------------


async def test_new_files_and_folders_are_for_their_owner_alone(tmp_path: Path) -> None:
    store = open_store(DatabaseSettings(url=f"sqlite:///{tmp_path}/one/two/a.db"))
    await store.start()
    await store.inbox.accept(HELLO, assistant="guide")
    for folder in (tmp_path / "one", tmp_path / "one/two"):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for file in (tmp_path / "one/two").iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    await store.stop()
    assert [file.name for file in (tmp_path / "one/two").iterdir()] == ["a.db"]


async def test_a_folder_that_cannot_be_made_is_named_to_the_operator_only(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ServiceError, match="cannot be made") as caught:
        await open_store(DatabaseSettings(url=f"sqlite:///{tmp_path}/file/a.db")).start()
    assert str(tmp_path) in str(caught.value)
    assert str(tmp_path) not in caught.value.public


@pytest.mark.parametrize("content", [b"not a database at all " * 100, os.urandom(8_192)])
async def test_a_file_that_is_no_database_is_left_alone(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.db").write_bytes(content)
    with pytest.raises(ServiceError, match="no SQLite file"):
        await open_store(DatabaseSettings(url=f"sqlite:///{tmp_path}/a.db")).start()
    assert (tmp_path / "a.db").read_bytes() == content


async def test_a_folder_in_the_place_of_the_file(tmp_path: Path) -> None:
    with pytest.raises(ServiceError, match="cannot be opened"):
        await open_store(DatabaseSettings(url=f"sqlite:///{tmp_path}")).start()


@pytest.mark.parametrize("intact", [8_192, 65_536])
async def test_a_damaged_file_is_told_when_it_is_met(
    intact: int, store: SqliteStore, database_settings: DatabaseSettings
) -> None:
    """At the start when the damage is near the beginning, otherwise with the first message from the damaged part."""
    for number in range(500):
        message = ChannelMessage(adapter="telegram", place="room", account="ann", key=str(number), text="x" * 500)
        accepted = await store.inbox.accept(message, assistant="guide")
    await store.stop()
    path = file_of(database_settings)
    path.write_bytes(path.read_bytes()[:intact].ljust(path.stat().st_size, b"\xff"))
    damaged = SqliteStore(database_settings)

    async def read() -> None:
        await damaged.start()
        await damaged.conversations.messages(accepted.conversation.id, limit=1_000)

    with pytest.raises(ServiceError, match="put a backup in its place"):
        await read()
    await damaged.stop()


async def test_a_database_that_may_only_be_read_says_so(
    store: SqliteStore, database_settings: DatabaseSettings
) -> None:
    """As SQLite reports it; root may write any file, so the permission itself cannot be taken away here."""
    accepted = await store.inbox.accept(HELLO, assistant="guide")
    await store._writer.stop()
    writer = sqlite3.connect(
        f"file:{file_of(database_settings)}?mode=ro", uri=True, isolation_level=None, check_same_thread=False
    )
    store._writer.start([writer])
    with pytest.raises(ServiceError, match="write access"):
        await store.check()
    with pytest.raises(ServiceError, match="write access"):
        await store.inbox.begin(accepted.turn, TurnRecord(outcome="interrupted"), context=0)
    assert await store.conversations.messages(accepted.conversation.id) == [accepted.message]


async def test_a_file_that_was_taken_away_is_noticed(store: SqliteStore, database_settings: DatabaseSettings) -> None:
    """SQLite goes on writing into a file that has no name any more: nobody would miss it until the next start."""
    file = file_of(database_settings)
    await store.check()
    aside = file.rename(file.with_name("aside.db"))
    with pytest.raises(ServiceError, match="was deleted or replaced while it is in use"):
        await store.check()
    file.touch()
    with pytest.raises(ServiceError, match="put the file back"):
        await store.check()
    aside.rename(file)
    await store.check()


async def test_a_full_disk_refuses_a_message_and_goes_on_when_there_is_room(
    store: SqliteStore, database_settings: DatabaseSettings
) -> None:
    accepted = await store.inbox.accept(HELLO, assistant="guide")
    await store._writer.stop()
    with closing(sqlite3.connect(file_of(database_settings))) as connection:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
    writer = sqlite3.connect(file_of(database_settings), isolation_level=None, check_same_thread=False)
    writer.execute(f"PRAGMA max_page_count = {pages}")
    store._writer.start([writer])
    large = ChannelMessage(adapter="telegram", place="room", account="ann", key="2", text="x" * 100_000)
    with pytest.raises(ServiceError, match="free some space") as caught:
        await store.inbox.accept(large, assistant="guide")
    assert str(file_of(database_settings)) not in caught.value.public
    [kept] = await store.conversations.messages(accepted.conversation.id)
    assert kept == accepted.message
    writer.execute("PRAGMA max_page_count = 1000000")
    assert (await store.inbox.accept(large, assistant="guide")).turn.ticket == 2


# --- the sentences ------------------------------------------------------------------------------------------------


def test_errors_that_are_not_about_the_database_stay_what_they_are() -> None:
    mistake = LookupError("x")
    assert translated(mistake, "a.db") is mistake


def test_an_unknown_error_is_still_a_sentence() -> None:
    found = translated(sqlite3.OperationalError("no such table: x"), "a.db")
    assert isinstance(found, ServiceError)
    assert "no such table: x" in str(found)
    assert "no such table" not in found.public
    assert found.__cause__ is not None


# --- several programs ---------------------------------------------------------------------------------------------


async def test_two_stores_on_one_file_see_each_other(store: SqliteStore, database_settings: DatabaseSettings) -> None:
    other = SqliteStore(database_settings.model_copy(update={"busy_seconds": 5.0}))
    await other.start()
    first = await store.inbox.accept(HELLO, assistant="guide")
    again = await other.inbox.accept(HELLO, assistant="guide")
    assert (again.duplicate, again.turn) == (True, first.turn)
    await other.stop()
    assert await store.check()
