"""The contract of the past: turns that have ended, for whoever looks at them or learns from them later."""

from datetime import datetime
from typing import Protocol

from msgspec import Struct

from antiphon.domain import Turn, TurnRecord


class PastTurn(Struct, frozen=True, kw_only=True):
    """A turn that a model answered, and what is remembered of how."""

    turn: Turn
    record: TurnRecord


class TurnStore(Protocol):
    """Turns that a model answered; those that a command answered, and those that have not ended, are not among them."""

    async def get(self, turn_id: str) -> PastTurn | None: ...

    async def latest(self, conversation_id: str, *, upto: int | None = None) -> PastTurn | None:
        """The last one of a conversation, or of those up to the ticket `upto`."""
        ...

    async def last(self) -> PastTurn | None:
        """The newest one of all conversations."""
        ...

    async def page(
        self, *, conversation_id: str | None = None, since: datetime | None = None, after: str = "", limit: int = 100
    ) -> list[PastTurn]:
        """The oldest ones first, behind the id `after`."""
        ...
