"""The generated SQL is what the definitions say, complete, and without hidden parameters."""

import inspect
import re
import sqlite3
from contextlib import closing
from types import ModuleType

import pytest
from sqlalchemy.dialects import sqlite
from sqlalchemy.dialects.postgresql import asyncpg

from antiphon.storage.sql import catalogue, conversations, generate, inbox, notes, outbox, people
from antiphon.storage.sqlite import store

SQLITE = catalogue.statements("antiphon.storage.sqlite")
USERS: list[ModuleType] = [conversations, inbox, notes, outbox, people, store]


def test_the_committed_files_are_what_the_generator_writes() -> None:
    written = generate.statements_sql(sqlite.dialect(paramstyle="named"))
    assert (generate.SQLITE / "statements.sql").read_text("utf-8") == written
    assert (generate.SQLITE / "schema.sql").read_text("utf-8") == generate.sqlite_schema()


def test_every_statement_is_used_and_every_used_one_exists() -> None:
    source = "".join(inspect.getsource(module) for module in USERS)
    named = set(re.findall(r'"([a-z]+_[a-z_]+)"', source))
    assert set(SQLITE) - named == set()
    calls = set(re.findall(r'(?:one\(|sure\(|many\(|run,?|yield \(?)\s*"([a-z_]+)"', source))
    assert calls <= set(SQLITE)
    assert len(calls) == len(SQLITE)


@pytest.mark.parametrize("name", SQLITE)
def test_sqlite_understands_every_statement(name: str) -> None:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript((generate.SQLITE / "schema.sql").read_text("utf-8"))
        values = dict.fromkeys(re.findall(r"(?<!:):(\w+)", SQLITE[name]))
        assert not [value for value in values if value.startswith(("param", "anon"))]
        connection.execute(f"EXPLAIN {SQLITE[name]}", values)


@pytest.mark.parametrize(
    "name",
    [
        "chunk_add",
        "chunk_list",
        "conversation_list",
        "reply_of_turn",
        "delivery_open",
        "message_context",
        "message_page",
        "message_settle",
        "turn_begin",
        "turn_by_key",
        "turn_latest",
        "turn_open",
    ],
)
def test_frequent_statements_never_walk_a_whole_table(name: str) -> None:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript((generate.SQLITE / "schema.sql").read_text("utf-8"))
        values = dict.fromkeys(re.findall(r"(?<!:):(\w+)", SQLITE[name]))
        plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {SQLITE[name]}", values)]
    assert not [step for step in plan if step.startswith("SCAN") and "USING" not in step]
    assert not [step for step in plan if "TEMP B-TREE FOR ORDER BY" in step]


def test_the_same_definitions_serve_postgresql() -> None:
    text = generate.statements_sql(asyncpg.dialect())  # type: ignore[no-untyped-call]
    assert text.count("-- name: ") == len(SQLITE) - 2  # all but the two searches, which are SQLite's own
    assert "FOR UPDATE" in text
