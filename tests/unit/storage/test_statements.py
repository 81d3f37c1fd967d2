"""The generated SQL is what the definitions say, complete, and without hidden parameters."""

import inspect
import re
import sqlite3
from contextlib import closing
from itertools import count
from types import ModuleType

import asyncpg
import pytest

from antiphon.storage.postgres import store as postgres_store
from antiphon.storage.postgres.catalogue import catalogue as postgres_catalogue
from antiphon.storage.sql import (
    approvals,
    catalogue,
    conversations,
    experiments,
    facts,
    files,
    generate,
    inbox,
    nodes,
    outbox,
    people,
    spending,
    states,
    summaries,
    turns,
    vectors,
)
from antiphon.storage.sqlite import store

SQLITE = catalogue.statements("antiphon.storage.sqlite", "statements.sql", "nodes.sql", "search.sql")
POSTGRES = postgres_catalogue(similar=True, vectors=False)
STORES = (
    approvals,
    conversations,
    experiments,
    facts,
    files,
    inbox,
    nodes,
    outbox,
    people,
    spending,
    states,
    summaries,
    turns,
    vectors,
)
USERS: list[ModuleType] = [*STORES, store, postgres_store]

FREQUENT = [
    "chunk_add",
    "chunk_list",
    "conversation_list",
    "reply_of_turn",
    "delivery_open",
    "file_by_digest",
    "file_bytes",
    "file_for",
    "file_lock_of",
    "file_only_of",
    "fact_count",
    "fact_drop",
    "fact_list",
    "answer_latest",
    "assignment_of",
    "feedback_of",
    "message_context",
    "message_page",
    "message_settle",
    "sender_and_turn",
    "turn_begin",
    "turn_by_key",
    "turn_latest",
    "turn_open",
    "turn_open_of",
]
FREQUENT_AMONG_SEVERAL = ["node_turns", "turn_add_among"]
"""Not for a file, which is one process's."""
ONLY_SQLITE = {"index_messages"}
"""Its full-text index is filled behind the writing; that of PostgreSQL is a column."""


def test_the_committed_files_are_what_the_generator_writes() -> None:
    assert (generate.SQLITE / "statements.sql").read_text("utf-8") == generate.sqlite_statements()
    assert (generate.SQLITE / "schema.sql").read_text("utf-8") == generate.sqlite_schema()
    assert (generate.POSTGRES / "statements.sql").read_text("utf-8") == generate.postgres_statements()
    assert (generate.POSTGRES / "schema.sql").read_text("utf-8") == generate.postgres_schema()


def test_every_statement_is_used_and_every_used_one_exists() -> None:
    source = "".join(inspect.getsource(module) for module in USERS)
    named = set(re.findall(r'"([a-z]+_[a-z_]+)"', source))
    assert set(SQLITE) <= named
    calls = set(re.findall(r'(?:one\(|sure\(|many\(|run,?|yield \(?|= |\()\s*"([a-z]+_[a-z_]+)"[,)]', source))
    assert calls <= set(SQLITE)
    assert calls == set(SQLITE) - ONLY_SQLITE


def test_both_databases_have_the_same_statements_with_the_same_parameters() -> None:
    """But for the upkeep of SQLite's search, which PostgreSQL does by itself."""
    assert set(POSTGRES) == set(postgres_catalogue(similar=False, vectors=False)) == set(SQLITE) - {"index_messages"}
    for name in POSTGRES:
        named = set(re.findall(r"(?<!:):(\w+)", SQLITE[name]))
        for similar in (True, False):
            assert set(postgres_catalogue(similar=similar, vectors=False)[name].parameters) == named, name


def test_what_only_reads_is_known() -> None:
    reading = {name for name, statement in POSTGRES.items() if statement.reads}
    assert {"turn_open", "message_page", "search_messages", "person_by_account"} <= reading
    assert not reading & {"chunk_add", "turn_end", "message_add", "conversation_grow", "check_write"}


@pytest.mark.parametrize("name", SQLITE)
def test_sqlite_understands_every_statement(name: str) -> None:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript((generate.SQLITE / "schema.sql").read_text("utf-8"))
        values = dict.fromkeys(re.findall(r"(?<!:):(\w+)", SQLITE[name]))
        assert not [value for value in values if value.startswith(("param", "anon"))]
        connection.execute(f"EXPLAIN {SQLITE[name]}", values)


async def test_postgresql_understands_every_statement(postgres_url: str) -> None:
    link = await asyncpg.connect(postgres_url)
    try:
        for similar in (True, False):
            for name, statement in postgres_catalogue(similar=similar, vectors=False).items():
                prepared = await link.prepare(statement.sql)
                assert len(prepared.get_parameters()) == len(statement.parameters), name
    finally:
        await link.close()


def effort(connection: sqlite3.Connection, name: str, **values: object) -> int:
    """The steps that SQLite takes for a statement."""
    steps = count()
    connection.set_progress_handler(lambda: next(steps) < 0, 1)
    connection.execute(SQLITE[name], values).fetchall()
    connection.set_progress_handler(None, 0)
    return next(steps)


def said(connection: sqlite3.Connection, messages: int, context_from: int = 0) -> None:
    """A conversation of so many messages, each of them a turn."""
    add = "INSERT INTO conversations VALUES ('c', 'web', 'c', 'p', '', 'guide', NULL, ?, ?, 0, 0)"
    connection.execute(add, (context_from, messages))
    rows = [(f"m{number}", number, number) for number in range(1, messages + 1)]
    add = (
        "INSERT INTO messages (id, conversation_id, position, ticket, role, text, turn_id, status, created_at, "
        "in_context) VALUES (?, 'c', ?, ?, 'user', '', 't', 'answered', 0, 1)"
    )
    connection.executemany(add, rows)


@pytest.mark.parametrize("anew", [False, True])
def test_what_a_turn_reads_of_a_conversation_does_not_grow_with_it(anew: bool) -> None:
    """Whether the newest messages are those behind what is known, or those behind where people began anew."""
    efforts = []
    for before in (0, 990):
        with closing(sqlite3.connect(":memory:")) as connection:
            connection.executescript((generate.SQLITE / "schema.sql").read_text("utf-8"))
            said(connection, before + 10, before + 1 if anew else 0)
            after = 0 if anew else before
            values = {"conversation_id": "c", "after": after, "ticket": before + 11, "limit": 100}
            rows = connection.execute(SQLITE["message_context"], values).fetchall()
            assert [row[3] for row in rows] == list(range(before + 10, before, -1))
            efforts.append(effort(connection, "message_context", **values))
    assert efforts[1] <= efforts[0] + 5


def test_who_is_remembered_by_nothing_is_not_looked_for_among_the_facts_of_others() -> None:
    efforts = []
    for facts_of_others in (0, 500):
        with closing(sqlite3.connect(":memory:")) as connection:
            connection.executescript((generate.SQLITE / "schema.sql").read_text("utf-8"))
            add = "INSERT INTO facts VALUES (?, ?, 'bob', 'Has a cat.', ?, NULL, 0, NULL, 3, 0)"
            connection.executemany(add, [(number, f"f{number}", f"d{number}") for number in range(facts_of_others)])
            asked = {"words": "cat", "limit": 9}
            efforts.append(effort(connection, "search_facts", person_id="ann", **asked))
            found = connection.execute(SQLITE["search_facts"], {"person_id": "bob", **asked}).fetchall()
            assert len(found) == min(facts_of_others, 9)
    assert efforts[0] == efforts[1]


@pytest.mark.parametrize("name", FREQUENT)
def test_frequent_statements_never_walk_a_whole_table(name: str) -> None:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript((generate.SQLITE / "schema.sql").read_text("utf-8"))
        values = dict.fromkeys(re.findall(r"(?<!:):(\w+)", SQLITE[name]))
        plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {SQLITE[name]}", values)]
    assert not [step for step in plan if step.startswith("SCAN") and "USING" not in step]
    assert not [step for step in plan if "TEMP B-TREE FOR ORDER BY" in step]


async def test_frequent_statements_have_an_index_on_postgresql_too(postgres_url: str) -> None:
    link = await asyncpg.connect(postgres_url)
    try:
        await link.execute("SET enable_seqscan = off; SET enable_sort = off; SET plan_cache_mode = force_generic_plan")
        for name in (*FREQUENT, *FREQUENT_AMONG_SEVERAL):
            statement = POSTGRES[name]
            await link.execute(f"PREPARE {name} AS {statement.sql}")
            nulls = ", ".join("NULL" for _ in statement.parameters)
            rows = await link.fetch(f"EXPLAIN EXECUTE {name}{f'({nulls})' if nulls else ''}")
            plan = "\n".join(row[0] for row in rows)
            assert "Seq Scan" not in plan, f"{name}:\n{plan}"
            assert not re.search(r"(?<!Incremental )Sort  \(", plan), f"{name}:\n{plan}"
    finally:
        await link.close()


async def test_what_a_turn_reads_of_a_conversation_is_bounded_on_postgresql_too(postgres_url: str) -> None:
    """By the index itself: what only a filter leaves out is read."""
    link = await asyncpg.connect(postgres_url)
    try:
        await link.execute("SET enable_seqscan = off; SET enable_sort = off; SET plan_cache_mode = force_generic_plan")
        await link.execute(f"PREPARE context AS {POSTGRES['message_context'].sql}")
        rows = await link.fetch("EXPLAIN EXECUTE context('c', 1, 2, 3)")
        bounds = "".join(row[0] for row in rows if "Index Cond" in row[0])
        assert "ticket > $2" in bounds
        assert "ticket < $3" in bounds
    finally:
        await link.close()
