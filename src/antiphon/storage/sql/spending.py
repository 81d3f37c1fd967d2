"""What models cost, as counters that any process adds to."""

from collections.abc import Sequence

from msgspec import structs

from antiphon.storage.spending import Amount, LedgerStore, Payer, Scope, Spent
from antiphon.storage.sql.unit import Database, Row, Unit, many, one

_MOST = 1_000
"""Rows of one answer."""


class _TooMuchError(Exception):
    """Undoes a charge that one payer cannot take."""

    def __init__(self, payer: Payer) -> None:
        super().__init__(payer.scope)
        self.payer = payer


class SqlLedger(LedgerStore):
    """`LedgerStore` on any SQL database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def charge(self, charge_id: str, day: str, payers: Sequence[Payer], amount: Amount) -> Payer | None:
        tokens = amount.input_tokens + amount.output_tokens
        for payer in payers:  # the first row of a day is added without asking
            if tokens > payer.most_tokens or amount.nanos > payer.most_nanos:
                return payer
        try:
            await self._database.write(_charge, charge_id, day, _in_order(payers), amount)
        except _TooMuchError as error:
            return error.payer
        return None

    async def settle(self, charge_id: str, day: str, additions: Sequence[tuple[Payer, Amount]]) -> None:
        amounts = dict(additions)
        ordered = [(payer, amounts[payer]) for payer in _in_order([*amounts])]
        await self._database.write(_settle, charge_id, day, ordered)

    async def count(self, batch: str, spent: Sequence[Spent], *, before: str | None = None) -> None:
        ordered = sorted(spent, key=lambda each: (each.day, each.scope, each.owner))
        await self._database.write(_count, batch, ordered, before)

    async def spent(self, since: str, until: str, *, scope: Scope, owner: str | None = None) -> list[Spent]:
        return await self._database.read(_spent, since, until, scope, owner)


def _in_order(payers: Sequence[Payer]) -> list[Payer]:
    """Always the same, so that no two processes wait for each other."""
    return sorted(payers, key=lambda payer: (payer.scope, payer.owner))


def _charge(charge_id: str, day: str, payers: Sequence[Payer], amount: Amount) -> Unit[None]:
    if (yield from one("charge_open", charge=charge_id)) is None:
        return
    for payer in payers:
        limits = {"most_tokens": payer.most_tokens, "most_nanos": payer.most_nanos}
        if not (yield "spending_add_within", {**_values(day, payer, amount), **limits}):
            raise _TooMuchError(payer)


def _settle(charge_id: str, day: str, additions: Sequence[tuple[Payer, Amount]]) -> Unit[None]:
    if (yield from one("charge_close", charge=charge_id)) is None:
        return
    for payer, amount in additions:
        yield "spending_add", _values(day, payer, amount)


def _count(batch: str, spent: Sequence[Spent], before: str | None) -> Unit[None]:
    if before is not None:
        yield "charge_close", {"charge": before}
    if (yield from one("charge_open", charge=batch)) is None:
        return
    for each in spent:
        yield "spending_add", _values(each.day, each, each.amount)


def _spent(since: str, until: str, scope: Scope, owner: str | None) -> Unit[list[Spent]]:
    days = {"since": since, "until": until, "whose": scope, "limit": _MOST}
    rows = yield from (many("spending_of", **days) if owner is None else many("spending_by", **days, who=owner))
    return [_read(row) for row in rows]


def _values(day: str, payer: Payer | Spent, amount: Amount) -> dict[str, object]:
    return {"day": day, "scope": payer.scope, "owner": payer.owner, **structs.asdict(amount)}


def _read(row: Row) -> Spent:
    day, scope, owner, *counted = row
    return Spent(
        day=day, scope=scope, owner=owner, amount=Amount(**dict(zip(Amount.__struct_fields__, counted, strict=True)))
    )
