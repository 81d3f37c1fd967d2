"""The outbox: replies on their way to a platform."""

from datetime import datetime

from antiphon.storage.base import Delivery
from antiphon.storage.sql.records import delivery_of, micros, storable
from antiphon.storage.sql.unit import Database, Unit, many, run


class SqlOutbox:
    """`OutboxStore` on any SQL database. What has been delivered or given up stays as it is."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def pending(self, *, limit: int = 100) -> list[Delivery]:
        return await self._database.read(_pending, limit)

    async def sending(self, delivery_id: str) -> None:
        await self._database.write(run, "delivery_sending", id=delivery_id)

    async def delivered(self, delivery_id: str, *, platform_id: str | None = None) -> None:
        await self._database.write(run, "delivery_done", id=delivery_id, platform=platform_id)

    async def failed(self, delivery_id: str, *, error: str, retry_at: datetime | None) -> None:
        await self._database.write(
            run,
            "delivery_failed",
            id=delivery_id,
            new_state="pending" if retry_at else "failed",
            retry_at=micros(retry_at) if retry_at else None,
            reason=storable(error),
        )

    async def uncertain(self, delivery_id: str) -> None:
        await self._database.write(run, "delivery_uncertain", id=delivery_id)


def _pending(limit: int) -> Unit[list[Delivery]]:
    return [delivery_of(row) for row in (yield from many("delivery_open", limit=limit))]
