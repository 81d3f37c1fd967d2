"""One unit of work on one connection, in as few round trips as it can be."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import asyncpg

from antiphon.errors import ServiceError
from antiphon.storage.postgres.catalogue import Statement
from antiphon.storage.postgres.connection import Link
from antiphon.storage.sql.unit import Row, Step, Unit


async def perform(link: Link, statements: Mapping[str, Statement], unit: Unit[Any], begin: str | None) -> Any:
    """Runs `unit` and returns its value; after an error nothing of it has happened, unless the connection broke.

    `begin` opens its transaction. Without it each statement stands alone, which is enough for one statement and for
    those that only read, and costs two round trips less.
    """
    try:
        if begin is not None:
            await link.execute(begin)
        step, value = _advance(unit, None)
        while step is not None:
            statement, values = statements[step[0]], step[1]
            rows: list[Any] = await link.fetch(statement.sql, *[values[name] for name in statement.parameters])
            step, value = _advance(unit, rows)
        if begin is not None:
            await link.execute("COMMIT")
    except Exception:
        await _undo(link)
        raise
    return value


def _advance(unit: Unit[Any], rows: list[Row] | None) -> tuple[Step | None, Any]:
    """The next step, or None and the value of the unit."""
    try:
        return (next(unit) if rows is None else unit.send(rows)), None
    except StopIteration as end:
        return None, end.value


async def _undo(link: Link) -> None:
    if link.is_closed() or not link.is_in_transaction():
        return
    with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
        await link.execute("ROLLBACK")
        return
    link.terminate()


class Reading(dict[str, Statement]):
    """The statements that only read: a unit that asks for another one was given to `Database.read` by mistake."""

    def __missing__(self, name: str) -> Statement:
        raise ServiceError(f"The statement {name} changes the database and was given to read.")
