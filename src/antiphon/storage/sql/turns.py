"""Turns that have ended."""

from datetime import datetime

from antiphon.domain import TurnRecord
from antiphon.storage.sql.records import load_record, micros, turn_of
from antiphon.storage.sql.unit import Database, Row, Unit, many, one
from antiphon.storage.turns import PastTurn

_EVER = 2**62
"""Later than any ticket."""


class SqlTurns:
    """`TurnStore` on any SQL database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, turn_id: str) -> PastTurn | None:
        return await self._database.read(_get, turn_id)

    async def latest(self, conversation_id: str, *, upto: int | None = None) -> PastTurn | None:
        return await self._database.read(_latest, conversation_id, _EVER if upto is None else upto)

    async def last(self) -> PastTurn | None:
        return await self._database.read(_last)

    async def page(
        self, *, conversation_id: str | None = None, since: datetime | None = None, after: str = "", limit: int = 100
    ) -> list[PastTurn]:
        return await self._database.read(_page, conversation_id, micros(since) if since else 0, after, limit)


def _get(turn_id: str) -> Unit[PastTurn | None]:
    row = yield from one("turn_past", id=turn_id)
    return _past(row) if row else None


def _latest(conversation_id: str, upto: int) -> Unit[PastTurn | None]:
    row = yield from one("turn_past_upto", conversation_id=conversation_id, upto=upto)
    return _past(row) if row else None


def _last() -> Unit[PastTurn | None]:
    row = yield from one("turn_past_last")
    return _past(row) if row else None


def _page(conversation_id: str | None, since: int, after: str, limit: int) -> Unit[list[PastTurn]]:
    if conversation_id is None:
        rows = yield from many("turn_past_page", since=since, after=after, limit=limit)
    else:
        rows = yield from many(
            "turn_past_page_of", conversation_id=conversation_id, since=since, after=after, limit=limit
        )
    return [_past(row) for row in rows]


def _past(row: Row) -> PastTurn:
    """A row ends with the record; one that is damaged says nothing but that it was answered."""
    turn = turn_of(row)
    record = load_record(row[-1], turn.id) if row[-1] else None
    return PastTurn(turn=turn, record=record or TurnRecord(outcome="answered"))
