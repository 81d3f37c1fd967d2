"""PostgreSQL compares vectors where it has pgvector and lets us; where it does not, nothing else changes."""

import asyncio
import subprocess
from collections.abc import AsyncIterator, MutableMapping
from typing import Any

import asyncpg
import pytest

from antiphon.storage.config import DatabaseSettings
from antiphon.storage.facts import Fact
from antiphon.storage.migrations.upgrade_postgres import run_postgres_migrations
from antiphon.storage.open import open_store
from antiphon.storage.postgres import vectors
from antiphon.storage.postgres.store import PostgresStore
from tests.postgres import Databases, PostgresServer, administer, programs_with_vectors

EAST = b"\0\0\x80?" + b"\0" * 4
MODEL = "test:one"


@pytest.fixture
async def store(pgvector_url: str) -> AsyncIterator[PostgresStore]:
    made = await started(pgvector_url)
    yield made
    await made.stop()


async def started(url: str, **settings: Any) -> PostgresStore:
    store = open_store(DatabaseSettings(url=url, **settings))
    assert isinstance(store, PostgresStore)
    await store.start()
    await store.people.by_account("web", "local")
    return store


async def keep(store: PostgresStore, text: str = "Lives in the east") -> Fact:
    fact = (await store.facts.add("local", text)).fact
    await store.vectors.put(MODEL, 2, [(fact, EAST)])
    return fact


async def nearest(store: PostgresStore) -> list[str] | None:
    found = await store.vectors.nearest("local", MODEL, EAST, limit=5)
    return None if found is None else [fact.text for fact, _ in found]


async def plain(server: PostgresServer, database: str) -> str:
    """The URL of a new database, as a user who may make tables and no extension."""
    await administer(server.url(), f"CREATE DATABASE {database}")
    await administer(server.url(database), "GRANT CREATE ON SCHEMA public TO plain")
    return server.url(database).replace("antiphon:", "plain:")


async def test_without_the_right_to_create_it_nothing_fails_and_once_it_is_there_it_is_used(
    own_pgvector: PostgresServer, logged: list[MutableMapping[str, Any]]
) -> None:
    await administer(own_pgvector.url(), "CREATE ROLE plain LOGIN PASSWORD 'secret-word'")
    url = await plain(own_pgvector, "house")
    store = await started(url)
    await keep(store)
    assert await nearest(store) is None
    assert await store.vectors.settle(limit=9) == 0
    assert len(await store.vectors.of("local", MODEL, 2, limit=9)) == 1
    await store.stop()
    assert [event["code"] for event in logged if event["event"] == "store.pgvector_unused"] == ["42501"]
    assert [event["pgvector"] for event in logged if event["event"] == "store.opened"] == [False]

    await administer(own_pgvector.url("house"), "CREATE EXTENSION vector")
    store = await started(url)
    assert await nearest(store) is None, "what is there is settled first"
    assert await store.vectors.settle(limit=9) == 1
    assert await nearest(store) == ["Lives in the east"]
    await store.stop()
    assert [event["pgvector"] for event in logged if event["event"] == "store.opened"] == [False, True]

    # A dump goes where pgvector may not be created: all that is lost is the copy that it compared.
    other = await plain(own_pgvector, "restored")
    folder = programs_with_vectors()
    assert folder is not None
    dump = subprocess.run([folder / "pg_dump", "-Fc", url], capture_output=True, check=True, timeout=60).stdout
    restore = [str(folder / "pg_restore"), "--no-owner", "-d", other]
    done = subprocess.run(restore, input=dump, capture_output=True, check=False, timeout=60)
    assert b"errors ignored on restore" in done.stderr
    store = await started(other)
    assert await nearest(store) is None
    assert len(await store.vectors.of("local", MODEL, 2, limit=9)) == 1
    await keep(store, "Likes tea")
    await store.stop()


async def test_an_extension_that_goes_while_it_is_used_is_done_without_until_it_is_back(
    store: PostgresStore, pgvector_url: str, logged: list[MutableMapping[str, Any]]
) -> None:
    await keep(store)
    await store.vectors.settle(limit=9)
    assert await nearest(store) == ["Lives in the east"]
    await administer(pgvector_url, "DROP EXTENSION vector CASCADE")
    await keep(store, "Likes tea")
    assert await nearest(store) is None
    assert await store.vectors.settle(limit=9) == 0
    assert len(await store.vectors.of("local", MODEL, 2, limit=9)) == 2
    assert [event["event"] for event in logged if "pgvector_" in event["event"]] == ["store.pgvector_lost"]
    again = await started(pgvector_url)
    assert await again.vectors.settle(limit=9) == 2
    assert await nearest(again) == ["Likes tea", "Lives in the east"]
    await again.stop()


async def test_what_is_embedded_again_meanwhile_is_not_settled_with_what_it_was(
    store: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    fact = await keep(store)

    async def between(work: Any, *arguments: Any) -> Any:
        await store.vectors.put(MODEL, 2, [(fact, b"\0" * 8)])
        return work(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(vectors, "run_async", between)
        assert await store.vectors.settle(limit=9) == 1
    assert await nearest(store) is None
    assert await store.vectors.settle(limit=9) == 1
    [(_, nearness)] = await store.vectors.nearest("local", MODEL, EAST, limit=1) or []
    assert nearness == 0


async def test_many_start_at_once(vector_databases: Databases) -> None:
    url = vector_databases.empty()
    stores = [open_store(DatabaseSettings(url=url)) for _ in range(6)]
    await asyncio.gather(*(store.start() for store in stores))
    for store in stores:
        assert await store.vectors.nearest("local", MODEL, EAST, limit=1) == []
        await store.stop()
    vector_databases.drop(url)


async def test_a_table_that_somebody_holds_keeps_no_start_waiting(
    store: PostgresStore, pgvector_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vectors, "_PATIENCE", "SET LOCAL lock_timeout = '50ms'")
    await administer(pgvector_url, "DROP EXTENSION vector CASCADE", "DROP TABLE embeddings")
    link = await asyncpg.connect(pgvector_url)
    async with link.transaction():
        await link.execute("LOCK TABLE vectors IN ROW EXCLUSIVE MODE")
        other = await started(pgvector_url)
        assert await nearest(other) is None
        await other.stop()
    await link.close()


async def test_a_start_that_may_change_nothing_does_not(vector_databases: Databases) -> None:
    url = vector_databases.empty()
    await run_postgres_migrations(DatabaseSettings(url=url))
    store = await started(url, migrate="check")
    assert await nearest(store) is None
    await store.stop()
    store = await started(url)
    await store.stop()
    store = await started(url, migrate="check")
    assert await nearest(store) == []
    await store.stop()
    await run_postgres_migrations(DatabaseSettings(url=url), to="base")
    [[gone]] = await administer(url, "SELECT to_regclass('embeddings') IS NULL")
    assert gone
    vector_databases.drop(url)
