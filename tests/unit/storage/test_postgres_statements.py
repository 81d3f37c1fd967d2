"""Steps as queries: what is yielded together is one query that does what all of them do."""

import inspect
import re
from typing import Any

import asyncpg
import pytest

from antiphon.errors import ServiceError
from antiphon.storage.postgres.catalogue import Statement, catalogue
from antiphon.storage.postgres.statements import Statements
from antiphon.storage.sql import inbox, unit
from antiphon.storage.sql.unit import Alone, Together

ADD = Statement("INSERT INTO things VALUES ($1::BIGINT, $2::TEXT)", ("id", "name"), reads=False)
NAME = Statement("UPDATE things SET name = $2::TEXT WHERE id = $1::BIGINT RETURNING id", ("id", "name"), reads=False)
ALL = Statement("SELECT id, name FROM things WHERE id < $1::BIGINT ORDER BY id", ("below",), reads=True)
THINGS = {"thing_add": ADD, "thing_name": NAME, "thing_all": ALL}


def test_parameters_go_in_the_order_of_the_statement() -> None:
    sql, *given = Statements(THINGS).query(("thing_add", {"name": "one", "id": 1, "more": "than it needs"}))
    assert (sql, given) == (ADD.sql, [1, "one"])


async def test_what_is_yielded_together_is_carried_out_and_the_rows_are_the_last_ones(postgres_url: str) -> None:
    statements = Statements(THINGS)
    link = await asyncpg.connect(postgres_url)
    await link.execute("CREATE TABLE things (id BIGINT PRIMARY KEY, name TEXT)")
    await link.execute("INSERT INTO things VALUES (1, 'one'), (2, 'two')")
    add: tuple[str, dict[str, Any]] = "thing_add", {"id": 3, "name": "three"}
    rename: tuple[str, dict[str, Any]] = "thing_name", {"id": 1, "name": "first"}
    rows = await link.fetch(*statements.query(Together((add, rename, ("thing_all", {"below": 10})))))
    assert [tuple(row) for row in rows] == [(1, "one"), (2, "two")], "none of them sees what another changes"
    rows = await link.fetch(*statements.query(Together((("thing_add", {"id": 4, "name": "$1"}), rename))))
    assert [tuple(row) for row in rows] == [(1,)]
    rows = await link.fetch(*statements.query(("thing_all", {"below": 10})))
    assert [tuple(row) for row in rows] == [(1, "first"), (2, "two"), (3, "three"), (4, "$1")]
    with pytest.raises(asyncpg.UniqueViolationError):
        await link.execute(*statements.query(Together((("thing_add", {"id": 5, "name": "five"}), add))))
    assert await link.fetchval("SELECT count(*) FROM things") == 4, "all of it or nothing"
    await link.close()


def test_a_query_is_made_once_for_each_combination() -> None:
    statements = Statements(THINGS)
    steps = [Together((("thing_add", {"id": number, "name": ""}), ("thing_all", {"below": 1}))) for number in (1, 2)]
    first, second = (statements.query(step) for step in steps)
    assert first[0] is second[0]
    assert (first[1], second[1]) == (1, 2)


def test_who_only_reads_may_not_change_anything() -> None:
    reading = Statements({name: one for name, one in catalogue(similar=True, vectors=False).items() if one.reads})
    with pytest.raises(ServiceError, match="turn_begin changes the database and was given to read"):
        reading.query(("turn_begin", {}))
    with pytest.raises(ServiceError, match="turn_begin"):
        reading.query(Together((("turn_begin", {}), ("turn_open", {}))))


def test_units_that_stand_alone_change_something_in_one_step() -> None:
    alone = [one for module in (inbox, unit) for one in vars(module).values() if isinstance(one, Alone)]
    assert alone
    known = catalogue(similar=True, vectors=False)
    for each in alone:
        steps = re.findall(r'yield (?:from (?:one|sure|many)\("(\w+)")?', inspect.getsource(each._unit))
        changes = [name for name in steps if not (name and known[name].reads)]
        assert len(changes) == 1, "without a transaction a second step would not be undone with the first"
