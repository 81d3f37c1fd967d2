"""`/api/v1/usage`: what models cost, by the day."""

import re
from datetime import date
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import BeforeValidator, Field

from antiphon.assistants.budgets import Budgets
from antiphon.domain import Person
from antiphon.storage.spending import NANOS, Spent
from antiphon.web.api.shapes import Count, Shape
from antiphon.web.auth import CurrentPerson, is_operator
from antiphon.web.openapi import failures

DAYS = 30

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")

Whose = Literal["person", "conversation", "platform", "model", "house"]


def _day(text: object) -> object:
    if isinstance(text, str) and not _DAY.fullmatch(text):
        raise ValueError("must be a day such as 2026-11-21")  # pydantic would take any number for a time
    return text


Since = Annotated[
    date | None, BeforeValidator(_day), Query(description=f"The first day; {DAYS} days ago when it is left out.")
]
Until = Annotated[date | None, BeforeValidator(_day), Query(description="The last day; today when it is left out.")]


class DayShape(Shape):
    """What somebody has spent in a day."""

    day: date
    scope: Whose
    owner: str = Field(description="Id of the person or conversation, or name of the adapter or model.")
    calls: Count
    input_tokens: Count
    output_tokens: Count
    cost: float | None = Field(description="US dollars; null when no price is known.")
    unpriced_calls: Count = Field(description="Calls of which nobody knows the price; `cost` is without them.")


class UsageList(Shape):
    items: list[DayShape] = Field(description="The newest day first, then the greatest; 1,000 at most.")


def usage_routes(budgets: Budgets, current: CurrentPerson) -> APIRouter:
    """The route over `budgets`, for the person that `current` finds in a request."""
    routes = APIRouter(tags=["usage"], responses=failures(403, 422, 503))
    Me = Annotated[Person, Depends(current)]  # noqa: N806 - a type

    @routes.get("/usage")
    async def list_usage(me: Me, by: Whose = "person", since: Since = None, until: Until = None) -> UsageList:
        """What models cost, day by day (UTC). Whoever is no operator sees what is theirs."""
        last = until or date.fromisoformat(budgets.today())
        # The calendar has a first day, and nobody has spent anything near it.
        first = since or date.fromordinal(max(1, last.toordinal() - DAYS))
        whose: tuple[Whose, str | None] = (by, None) if is_operator(me) else ("person", me.id)
        found = await budgets.spent(first.isoformat(), last.isoformat(), scope=whose[0], owner=whose[1])
        return UsageList(items=[_shown(spent) for spent in found])

    return routes


def _shown(spent: Spent) -> DayShape:
    amount = spent.amount
    known = amount.calls > amount.unpriced or not amount.calls
    return DayShape(
        day=date.fromisoformat(spent.day),
        scope=spent.scope,
        owner=spent.owner,
        calls=max(0, amount.calls),
        input_tokens=max(0, amount.input_tokens),
        output_tokens=max(0, amount.output_tokens),
        cost=amount.nanos / NANOS if known else None,
        unpriced_calls=max(0, amount.unpriced),
    )
