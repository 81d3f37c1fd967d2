"""The statements of the ledger."""

from sqlalchemy import select, text

from antiphon.storage.schema import spending
from antiphon.storage.sql.pieces import FIRST, number, text_of

_COUNTED = ("calls", "input_tokens", "output_tokens", "nanos", "unpriced")
_ADD = (
    "INSERT INTO spending (day, scope, owner, calls, input_tokens, output_tokens, nanos, unpriced) "
    "VALUES (:day, :scope, :owner, :calls, :input_tokens, :output_tokens, :nanos, :unpriced) "
    "ON CONFLICT (day, scope, owner) DO UPDATE SET "
    + ", ".join(f"{column} = spending.{column} + excluded.{column}" for column in _COUNTED)
)

CHARGE_OPEN = text("INSERT INTO charges (id) VALUES (:charge) ON CONFLICT (id) DO NOTHING RETURNING id")
CHARGE_CLOSE = text("DELETE FROM charges WHERE id = :charge RETURNING id")
SPENDING_ADD = text(_ADD)
SPENDING_ADD_WITHIN = text(
    f"{_ADD} WHERE spending.input_tokens + spending.output_tokens + excluded.input_tokens + excluded.output_tokens "
    "<= :most_tokens AND spending.nanos + excluded.nanos <= :most_nanos RETURNING owner"
)

_SPENT = (
    select(spending)
    .where(spending.c.day >= text_of("since"), spending.c.day <= text_of("until"), spending.c.scope == text_of("whose"))
    .order_by(spending.c.day.desc(), (spending.c.input_tokens + spending.c.output_tokens).desc(), spending.c.owner)
)
SPENDING_OF = _SPENT.limit(number("limit")).offset(FIRST)
SPENDING_BY = _SPENT.where(spending.c.owner == text_of("who")).limit(number("limit")).offset(FIRST)
