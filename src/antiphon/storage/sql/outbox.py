"""The outbox: replies on their way to a platform."""

from collections.abc import Collection
from datetime import datetime

from antiphon.storage.outbox import Delivery
from antiphon.storage.sql.records import delivery_of, micros, storable
from antiphon.storage.sql.unit import Database, Row, Unit, many, run


class SqlOutbox:
    """`OutboxStore` on any SQL database. What has been delivered or given up stays as it is."""

    def __init__(self, database: Database, node: str = "") -> None:
        self._database = database
        self._node = node

    async def pending(self, *, limit: int = 100, turn_ids: Collection[str] | None = None) -> list[Delivery]:
        return await self._database.read(_pending, limit, self._node, turn_ids)

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


def _pending(limit: int, node: str, turn_ids: Collection[str] | None) -> Unit[list[Delivery]]:
    if turn_ids is None:
        return [delivery_of(row) for row in (yield from many("delivery_open", limit=limit, node=node))]
    rows: list[Row] = []
    for turn_id in sorted(turn_ids):
        rows += yield from many("delivery_open_of_turn", turn_id=turn_id, node=node)
    oldest_first = sorted(map(delivery_of, rows), key=lambda delivery: delivery.id)
    return oldest_first[:limit]
