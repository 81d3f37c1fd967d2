"""One unit of work on one connection, in as few round trips as it can be."""

from contextlib import suppress
from typing import Any

from antiphon.storage.postgres.connection import BROKEN, Link
from antiphon.storage.postgres.statements import Statements
from antiphon.storage.sql.unit import Row, Step, Together, Unit


async def perform(link: Link, statements: Statements, unit: Unit[Any], begin: str | None) -> Any:
    """Runs `unit` and returns its value; after an error nothing of it has happened, unless the connection broke.

    `begin` opens its transaction. Without it each statement stands alone, which is enough for one statement and for
    those that only read, and costs two round trips less.
    """
    try:
        if begin is not None:
            await link.execute(begin)
        step, value = _advance(unit, None)
        while step is not None:
            rows: list[Any] = await link.fetch(*statements.query(step))
            step, value = _advance(unit, rows)
        if begin is not None:
            await link.execute("COMMIT")
    except TimeoutError:
        link.terminate()  # it would hang in a ROLLBACK just as long
        raise
    except Exception:
        await _undo(link)
        raise
    return value


def _advance(unit: Unit[Any], rows: list[Row] | None) -> tuple[Step | Together | None, Any]:
    """The next step, or None and the value of the unit."""
    try:
        return (next(unit) if rows is None else unit.send(rows)), None
    except StopIteration as end:
        return None, end.value


async def _undo(link: Link) -> None:
    if link.is_closed() or not link.is_in_transaction():
        return
    with suppress(*BROKEN):
        await link.execute("ROLLBACK")
        return
    link.terminate()
