"""The same history on PostgreSQL: made in one go, upgraded step by step, refused when it is not ours."""

import asyncio
from collections.abc import AsyncIterator, Iterator, MutableMapping
from typing import Any

import asyncpg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import create_async_engine

from antiphon.domain import Approval, ChannelMessage
from antiphon.errors import ServiceError
from antiphon.storage.config import DatabaseSettings
from antiphon.storage.migrations.current import revisions
from antiphon.storage.migrations.postgres import LOCK
from antiphon.storage.migrations.upgrade_postgres import PostgresMigrator, run_postgres_migrations
from antiphon.storage.open import open_migrator, open_store
from antiphon.storage.postgres.connection import Link
from antiphon.storage.schema import metadata
from tests.postgres import Databases, PostgresServer, administer

FULL_TEXT = {"found", "messages_found", "notes_found", "facts_found", "facts_similar"}

COLUMNS = """
SELECT relname, attname, atttypid, attnotnull, attgenerated::text FROM pg_attribute JOIN pg_class ON oid = attrelid
WHERE attnum > 0 AND NOT attisdropped AND relkind = 'r' AND relnamespace = 'public'::regnamespace
"""


@pytest.fixture
def empty(databases: Databases) -> Iterator[DatabaseSettings]:
    """A database with nothing in it."""
    url = databases.empty()
    yield DatabaseSettings(url=url, connect_seconds=1)
    databases.drop(url)


@pytest.fixture
async def link(empty: DatabaseSettings) -> AsyncIterator[Link]:
    made = await asyncpg.connect(empty.url)
    yield made
    await made.close()


async def schema_of(link: Link) -> list[tuple[Any, ...]]:
    """Columns, indexes, constraints and functions, as the server has them."""
    queries = (
        COLUMNS,
        "SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'",
        "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE connamespace = 'public'::regnamespace",
        "SELECT proname, prosrc FROM pg_proc WHERE proname LIKE 'antiphon%'",
        "SELECT extname FROM pg_extension WHERE extname <> 'vector'",
    )
    found = [tuple(row) for query in queries for row in await link.fetch(query)]
    return sorted(found, key=str)


async def start(settings: DatabaseSettings) -> None:
    store = open_store(settings)
    await store.start()
    await store.check()
    await store.stop()


async def test_the_snapshot_is_what_migrations_make(empty: DatabaseSettings, link: Link, databases: Databases) -> None:
    await run_postgres_migrations(empty)
    other = databases.empty()
    await start(DatabaseSettings(url=other))
    fresh = await asyncpg.connect(other)
    assert await schema_of(fresh) == await schema_of(link)
    assert await fresh.fetchval("SELECT version_num FROM alembic_version") == revisions()[-1]
    await fresh.close()
    databases.drop(other)


async def test_the_migrated_schema_is_the_declared_one(empty: DatabaseSettings) -> None:
    await run_postgres_migrations(empty)
    ours = set(metadata.tables)
    options = {
        "compare_type": True,
        # The full-text columns are PostgreSQL's own.
        "include_name": lambda name, kind, _: (kind != "table" or name in ours) and name not in FULL_TEXT,
    }

    def differences(connection: Connection) -> object:
        return compare_metadata(MigrationContext.configure(connection, opts=options), metadata)

    engine = create_async_engine(empty.url.replace("postgresql://", "postgresql+asyncpg://"))
    async with engine.connect() as connection:
        assert await connection.run_sync(differences) == []
    await engine.dispose()


async def test_each_step_forward_and_back_keeps_what_was_said(empty: DatabaseSettings, link: Link) -> None:
    migrator = open_migrator(empty)
    assert isinstance(migrator, PostgresMigrator)
    assert await migrator.found() is None
    await migrator.move(revisions()[-1])
    newest = await schema_of(link)
    store = open_store(empty)
    await store.start()
    message = ChannelMessage(adapter="t", place="p", account="a", key="k", text="kept")
    accepted = await store.inbox.accept(message, assistant="g")
    await store.stop()
    for revision in revisions()[::-1]:
        await migrator.move(revision)
        assert await migrator.found() == revision
    await start(empty)
    assert await migrator.found() == revisions()[-1]
    assert await schema_of(link) == newest
    assert await link.fetchval("SELECT text FROM messages WHERE id = $1", accepted.message.id) == "kept"
    await migrator.move("base")
    assert [row[0] for row in await link.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")] == [
        "alembic_version"
    ]
    await start(empty)
    assert await schema_of(link) == newest


async def test_what_turns_wait_for_is_found_by_its_id_afterwards(
    empty: DatabaseSettings, link: Link, two_asked: tuple[Approval, Approval], pauses: dict[str, str]
) -> None:
    migrator = open_migrator(empty)
    await migrator.move("0012")
    await link.execute("SET session_replication_role = replica")  # their turns are not needed here
    await link.executemany("INSERT INTO pauses VALUES ($1, 'c', 'ann', 0, $2)", pauses.items())
    await migrator.move("0013")
    found = await link.fetch("SELECT id, turn_id, person_id FROM approvals ORDER BY id")
    assert [tuple(row) for row in found] == [(each.id, "t1", "ann") for each in two_asked]


async def test_the_sql_that_is_printed_does_the_same(empty: DatabaseSettings, link: Link, databases: Databases) -> None:
    await link.execute(open_migrator(empty).sql(None, revisions()[-1]))
    by_hand = await schema_of(link)
    await start(empty)
    other = databases.empty()
    await start(DatabaseSettings(url=other))
    fresh = await asyncpg.connect(other)
    assert await schema_of(fresh) == by_hand
    await fresh.close()
    databases.drop(other)


async def test_stores_that_start_at_once_make_one_schema(empty: DatabaseSettings) -> None:
    await asyncio.gather(*(start(empty) for _ in range(6)))


async def test_upgrades_that_start_at_once_are_one(empty: DatabaseSettings) -> None:
    await run_postgres_migrations(empty, to=revisions()[0])
    await asyncio.gather(*(start(empty) for _ in range(4)))
    assert await open_migrator(empty).found() == revisions()[-1]


async def test_a_start_waits_for_whoever_changes_the_schema(empty: DatabaseSettings, link: Link) -> None:
    async with link.transaction():
        await link.execute(LOCK)
        starting = asyncio.create_task(start(empty))
        await asyncio.sleep(0.2)
        assert not starting.done()
        assert await link.fetchval("SELECT to_regclass('messages') IS NULL")
    await starting


async def test_an_upgrade_that_fails_leaves_the_database_as_it_was(empty: DatabaseSettings, link: Link) -> None:
    await run_postgres_migrations(empty)
    await run_postgres_migrations(empty, to="base")
    await link.execute("CREATE TABLE outbox (in_the_way int)")
    before = await schema_of(link)
    with pytest.raises(ServiceError, match=r"reports an error \(42P07\)"):
        await start(empty)
    assert await schema_of(link) == before


async def test_databases_that_are_not_ours_are_refused_and_left_alone(empty: DatabaseSettings, link: Link) -> None:
    await link.execute("CREATE TABLE theirs (x int)")
    before = await schema_of(link)
    with pytest.raises(ServiceError, match="another program"):
        await start(empty)
    await link.execute("CREATE TABLE alembic_version (version_num text); INSERT INTO alembic_version VALUES ('5e1f')")
    with pytest.raises(ServiceError, match="another program"):
        await open_migrator(empty).found()
    await link.execute("DROP TABLE alembic_version")
    assert await schema_of(link) == before


async def test_a_newer_database_is_refused(postgres_url: str) -> None:
    await administer(postgres_url, "UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(ServiceError, match=r"newer version of Antiphon.*9999.*update Antiphon") as newer:
        await start(DatabaseSettings(url=postgres_url))
    assert "secret-word" not in str(newer.value)


async def test_a_start_that_may_not_migrate_names_the_command(
    empty: DatabaseSettings, databases: Databases, link: Link
) -> None:
    careful = empty.model_copy(update={"migrate": "check"})
    with pytest.raises(ServiceError, match=r"is empty, and this version needs .* run `antiphon migrate`"):
        await start(careful)
    await run_postgres_migrations(empty, to=revisions()[0])
    with pytest.raises(ServiceError, match=f"has the schema {revisions()[0]}"):
        await start(careful)
    await open_migrator(empty).move(revisions()[-1])
    await start(careful)


async def test_a_database_without_utf8_is_refused(own_postgres: PostgresServer) -> None:
    await administer(own_postgres.url(), "CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    with pytest.raises(ServiceError, match="does not keep UTF-8"):
        await start(DatabaseSettings(url=own_postgres.url("latin")))


async def test_without_pg_trgm_search_finds_whole_words_and_says_so(
    own_postgres: PostgresServer, logged: list[MutableMapping[str, Any]]
) -> None:
    """A user who may make tables and no extension."""
    await administer(own_postgres.url(), "CREATE ROLE plain LOGIN PASSWORD 'secret-word'", "CREATE DATABASE plain")
    await administer(own_postgres.url("plain"), "GRANT CREATE ON SCHEMA public TO plain")
    settings = DatabaseSettings(url=own_postgres.url("plain").replace("antiphon:", "plain:"))
    store = open_store(settings)
    await store.start()
    message = ChannelMessage(adapter="t", place="p", account="a", key="k", text="the lighthouse")
    person = (await store.inbox.accept(message, assistant="g")).turn.person_id
    assert len(await store.conversations.search(person, "LIGHTHOUSE")) == 1
    assert await store.conversations.search(person, "lighthose") == []
    assert [event["missing"] for event in logged if event["event"] == "store.search_limited"] == ["pg_trgm"]
    await store.stop()
