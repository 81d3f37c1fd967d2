"""The contract of the ledger: what models cost, counted by the day for whoever pays."""

from collections.abc import Sequence
from typing import Literal, Protocol

from msgspec import Struct

Scope = Literal["house", "platform", "person", "conversation", "model"]
"""Whose spending it is: of everybody, of an adapter, of a person, in a conversation, on a model."""

NO_LIMIT = 2**62

NANOS = 1_000_000_000
"""Of a dollar."""


class Amount(Struct, frozen=True, kw_only=True):
    """Model calls and what they cost; `nanos` are billionths of a dollar. Of `unpriced` calls no price is known."""

    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    nanos: int = 0
    unpriced: int = 0

    def __add__(self, other: "Amount") -> "Amount":
        return Amount(
            calls=self.calls + other.calls,
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            nanos=self.nanos + other.nanos,
            unpriced=self.unpriced + other.unpriced,
        )

    def __sub__(self, other: "Amount") -> "Amount":
        return Amount(**{name: getattr(self, name) - getattr(other, name) for name in self.__struct_fields__})


class Payer(Struct, frozen=True, kw_only=True):
    """Who is charged, and the most that one may have spent in a day."""

    scope: Scope
    owner: str
    most_tokens: int = NO_LIMIT
    most_nanos: int = NO_LIMIT


class Spent(Struct, frozen=True, kw_only=True):
    """What somebody has spent in a day."""

    day: str
    scope: Scope
    owner: str
    amount: Amount


class LedgerStore(Protocol):
    """Days are `YYYY-MM-DD`. A charge is open until it is settled; one that never is stays counted as it was made."""

    async def charge(self, charge_id: str, day: str, payers: Sequence[Payer], amount: Amount) -> Payer | None:
        """Counts `amount` for all payers and opens the charge. When that were too much for one of them nothing is
        counted, and that one is returned. Of calls at the same time, from any process, no two share what is left. The
        same charge again changes nothing."""
        ...

    async def settle(self, charge_id: str, day: str, additions: Sequence[tuple[Payer, Amount]]) -> None:
        """Closes the charge and counts `additions`, whatever the limits are; nothing when it is closed."""
        ...

    async def count(self, batch: str, spent: Sequence[Spent], *, before: str | None = None) -> None:
        """Counts what was never charged, whatever the limits are. The same `batch` again changes nothing until it is
        closed: by the one that names it as `before`, or as a charge is."""
        ...

    async def spent(self, since: str, until: str, *, scope: Scope, owner: str | None = None) -> list[Spent]:
        """What was spent from one day to another, both included, newest day first, then the greatest; 1,000 at most."""
        ...
