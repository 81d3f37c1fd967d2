"""Summaries of conversations, one each."""

from antiphon.storage.sql.records import micros, moment, storable
from antiphon.storage.sql.unit import Database, Unit, one
from antiphon.storage.summaries import Summary, SummaryStore


class SqlSummaries(SummaryStore):
    """`SummaryStore` on any SQL database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, conversation_id: str, context_from: int) -> Summary | None:
        return await self._database.read(_get, conversation_id, context_from)

    async def put(self, conversation_id: str, summary: Summary, *, behind: int = 0) -> bool:
        return await self._database.write(_put, conversation_id, summary, behind)


def _get(conversation_id: str, context_from: int) -> Unit[Summary | None]:
    row = yield from one("summary_get", conversation_id=conversation_id, context_from=context_from)
    if row is None:
        return None
    upto, text, model, created_at = row
    return Summary(context_from=context_from, upto=upto, text=text, model=model, created_at=moment(created_at))


def _put(conversation_id: str, summary: Summary, behind: int) -> Unit[bool]:
    row = yield from one(
        "summary_put",
        conversation_id=conversation_id,
        context_from=summary.context_from,
        upto=summary.upto,
        behind=behind,
        summary=storable(summary.text),
        model=summary.model,
        created_at=micros(summary.created_at),
    )
    return row is not None
