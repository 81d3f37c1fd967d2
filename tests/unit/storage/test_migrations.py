"""The migrations make what `schema.py` says, and a database is never opened by a version that does not know it."""

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine
from sqlalchemy.pool import StaticPool

from antiphon.domain import Approval
from antiphon.errors import ServiceError
from antiphon.storage.config import DatabaseSettings
from antiphon.storage.migrations import current
from antiphon.storage.migrations.current import bring_up_to_date, revisions
from antiphon.storage.migrations.upgrade import config, run_migrations
from antiphon.storage.open import open_store
from antiphon.storage.schema import metadata

SETTINGS = DatabaseSettings()


@pytest.fixture
def database(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(tmp_path / "a.db", isolation_level=None)) as connection:
        yield connection


def schema_of(connection: sqlite3.Connection) -> list[tuple[str, str]]:
    rows = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name").fetchall()
    return [(name, " ".join(sql.split())) for name, sql in rows]


def test_the_migrated_schema_is_the_declared_one(database: sqlite3.Connection) -> None:
    run_migrations(database)
    engine = create_engine("sqlite://", creator=lambda: database, poolclass=StaticPool)
    ours = set(metadata.tables)
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={
                "compare_type": True,
                "include_name": lambda name, kind, _: kind != "table" or name in ours,
            },
        )
        assert compare_metadata(context, metadata) == []


def test_the_snapshot_for_new_databases_is_what_migrations_make(database: sqlite3.Connection, tmp_path: Path) -> None:
    run_migrations(database)
    with closing(sqlite3.connect(tmp_path / "fresh.db", isolation_level=None)) as fresh:
        bring_up_to_date(fresh, SETTINGS)
        assert schema_of(fresh) == schema_of(database)
        assert fresh.execute("SELECT version_num FROM alembic_version").fetchall() == [(revisions()[-1],)]


def test_down_and_up_again_gives_the_same_schema(database: sqlite3.Connection) -> None:
    run_migrations(database)
    before = schema_of(database)
    run_migrations(database, to="base")
    assert [name for name, _ in schema_of(database)] == ["alembic_version"]
    bring_up_to_date(database, SETTINGS)
    assert schema_of(database) == before


def test_revisions_are_alembics_own() -> None:
    scripts = ScriptDirectory.from_config(config())
    assert [revision.revision for revision in scripts.walk_revisions()] == revisions()[::-1]


def test_an_upgrade_that_fails_leaves_the_database_as_it_was(
    database: sqlite3.Connection,
) -> None:
    run_migrations(database)
    run_migrations(database, to="base")
    before = schema_of(database)
    database.execute("CREATE TABLE outbox (in_the_way)")
    with pytest.raises(Exception, match="outbox"):
        bring_up_to_date(database, SETTINGS)
    database.execute("DROP TABLE outbox")
    assert schema_of(database) == before


async def test_a_database_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    settings = DatabaseSettings(url=f"sqlite:///{tmp_path}/a.db")
    store = open_store(settings)
    await store.start()
    await store.stop()
    with closing(sqlite3.connect(tmp_path / "a.db", isolation_level=None)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(ServiceError, match=r"newer version of Antiphon.*9999.*update Antiphon"):
        await open_store(settings).start()


async def test_the_file_of_another_program_is_refused_and_left_alone(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "a.db", isolation_level=None)) as connection:
        connection.execute("CREATE TABLE theirs (x)")
    with pytest.raises(ServiceError, match="another program"):
        await open_store(DatabaseSettings(url=f"sqlite:///{tmp_path}/a.db")).start()
    with closing(sqlite3.connect(tmp_path / "a.db", isolation_level=None)) as connection:
        assert [name for name, _ in schema_of(connection)] == ["theirs"]


def test_neither_a_new_nor_a_current_database_needs_sqlalchemy(tmp_path: Path) -> None:
    program = f"""
import asyncio, sys
from antiphon.storage.config import DatabaseSettings
from antiphon.storage.open import open_store

async def main():
    for _ in range(2):
        store = open_store(DatabaseSettings(url="sqlite:///{tmp_path}/a.db"))
        await store.start()
        print(await store.check())
        await store.stop()

asyncio.run(main())
assert "sqlalchemy" not in sys.modules and "alembic" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=30)


def test_processes_that_start_at_once_make_one_schema(tmp_path: Path) -> None:
    program = """
import asyncio, sys
from antiphon.storage.config import DatabaseSettings
from antiphon.storage.open import open_store

async def main():
    store = open_store(DatabaseSettings(url=sys.argv[1]))
    sys.stdin.read()
    await store.start()
    await store.check()
    await store.stop()

asyncio.run(main())
"""
    arguments = [sys.executable, "-c", program, f"sqlite:///{tmp_path}/a.db"]
    started = [subprocess.Popen(arguments, stdin=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(4)]
    for process in started:
        assert process.stdin is not None
        process.stdin.close()
    for process in started:
        assert process.stderr is not None
        assert process.wait(timeout=30) == 0, process.stderr.read().decode()
        process.stderr.close()


def test_a_race_for_the_first_start_is_decided_inside_the_transaction(
    database: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first look finds an empty file; when the lock is had, another process has filled it."""
    real, looks = current.version, iter(["empty"])
    monkeypatch.setattr(current, "version", lambda *of: None if next(looks, "") == "empty" else real(*of))
    run_migrations(database)
    before = schema_of(database)
    bring_up_to_date(database, SETTINGS)
    assert schema_of(database) == before


def test_what_was_noted_is_remembered_as_facts_and_noted_again_on_the_way_back(database: sqlite3.Connection) -> None:
    run_migrations(database, to="0005")
    database.execute("INSERT INTO people VALUES ('local', 'Me', 1, NULL, 0)")
    for number in (1, 2, 3):
        database.execute(
            "INSERT INTO notes VALUES (?, ?, 'local', ?, ?, 'm', ?)",
            (number * 10, f"n{number}", f"Likes tea {number}", f"d{number}", number),
        )
    database.execute("DELETE FROM notes WHERE number = 20")
    run_migrations(database)
    kept = database.execute("SELECT id, text, source_message_id, importance, created_at FROM facts ORDER BY number")
    assert kept.fetchall() == [("n1", "Likes tea 1", "m", 3, 1), ("n3", "Likes tea 3", "m", 3, 3)]
    for index in ("facts_fts", "facts_similar_fts"):
        assert database.execute(f"SELECT count(*) FROM {index} WHERE {index} MATCH 'likes'").fetchone() == (2,)  # noqa: S608
    run_migrations(database, to="0005")
    assert database.execute("SELECT id FROM notes ORDER BY number").fetchall() == [("n1",), ("n3",)]
    assert database.execute("SELECT count(*) FROM notes_fts WHERE notes_fts MATCH 'tea'").fetchone() == (2,)


def test_what_turns_wait_for_is_found_by_its_id_afterwards(
    database: sqlite3.Connection, two_asked: tuple[Approval, Approval], pauses: dict[str, str]
) -> None:
    run_migrations(database, to="0012")
    database.execute("PRAGMA foreign_keys = OFF")
    database.executemany("INSERT INTO pauses VALUES (?, 'c', 'ann', 0, ?)", pauses.items())
    run_migrations(database)
    found = database.execute("SELECT id, turn_id, person_id FROM approvals ORDER BY id").fetchall()
    assert found == [(each.id, "t1", "ann") for each in two_asked]


def test_what_messages_name_is_kept_with_them_and_goes_back(database: sqlite3.Connection) -> None:
    run_migrations(database, to="0007")
    database.execute("INSERT INTO people VALUES ('local', 'Me', 1, NULL, 0)")
    database.execute("INSERT INTO conversations VALUES ('c', 'web', 'c', 'local', '', 'guide', NULL, 0, 2, 0, 0)")
    for number, named in ((1, "'[…]'"), (2, "NULL")):
        database.execute(
            "INSERT INTO messages VALUES (?, ?, 'c', ?, ?, 'user', 'x', NULL, ?, 'answered', 'local', 1, 0)",
            (number, f"m{number}", number, number, f"t{number}"),
        )
        database.execute(
            "INSERT INTO inbox VALUES (?, 'web', 'c', ?, NULL, NULL, 'c', ?, ?, 'local', "  # noqa: S608 - our own
            f"{named}, 'ended', NULL, NULL, 0, 0, '')",
            (f"t{number}", f"k{number}", f"m{number}", number),
        )
    run_migrations(database)
    assert database.execute("SELECT attachments FROM messages ORDER BY id").fetchall() == [("[…]",), (None,)]
    run_migrations(database, to="0007")
    assert database.execute("SELECT attachments FROM inbox ORDER BY id").fetchall() == [("[…]",), (None,)]
