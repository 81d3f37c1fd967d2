"""The contract of the outbox: replies until they are sent."""

from collections.abc import Collection
from datetime import datetime
from typing import Literal, Protocol

from msgspec import Struct

from antiphon.domain import Message, Target


class Delivery(Struct, frozen=True, kw_only=True):
    """A reply that waits in the outbox. `state` sending: a process died while it was on its way."""

    id: str
    target: Target
    message: Message
    state: Literal["pending", "sending"]
    attempts: int
    due_at: datetime


class OutboxStore(Protocol):
    async def pending(self, *, limit: int = 100, turn_ids: Collection[str] | None = None) -> list[Delivery]:
        """Replies not yet delivered (also those not due yet) of turns that this process sees through (a process alone
        all of them), of those given if some are, oldest first."""
        ...

    async def sending(self, delivery_id: str) -> None:
        """Marks that the send begins now."""
        ...

    async def delivered(self, delivery_id: str, *, platform_id: str | None = None) -> None: ...

    async def failed(self, delivery_id: str, *, error: str, retry_at: datetime | None) -> None:
        """Records a failed attempt; without `retry_at` the delivery is given up and kept with its error."""
        ...

    async def uncertain(self, delivery_id: str) -> None:
        """Marks a delivery `maybe_sent`: a send was in flight at a crash and must not be repeated."""
        ...
