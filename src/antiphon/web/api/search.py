"""`/api/v1/search`: finding what was said, what is remembered, and how things are done."""

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Query
from pydantic import Field

from antiphon.domain import Person
from antiphon.search.finder import Finder
from antiphon.web.api.shapes import SearchResult
from antiphon.web.auth import CurrentPerson
from antiphon.web.openapi import failures

MOST = 50
LONGEST_QUERY = 1_000

Text = Annotated[
    str,
    Query(
        max_length=LONGEST_QUERY,
        pattern=r"[^\s\x00-\x1f\x7f-\x9f]",
        description="Words to look for, at least one visible character. Nothing in it is syntax.",
        examples=["lighthouse"],
    ),
]
Limit = Annotated[int, Query(ge=1, le=MOST, description="The most to answer with.")]


def search_routes(finder: Finder, current: CurrentPerson) -> APIRouter:
    """The route over `finder`, for the person that `current` finds in a request."""
    routes = APIRouter(tags=["search"], responses=failures(403, 422, 503))
    names = list(finder.names)
    Me = Annotated[Person, Depends(current)]  # noqa: N806 - a type
    Name = Annotated[str, Field(json_schema_extra={"enum": names})]  # noqa: N806
    Names = Annotated[  # noqa: N806
        list[Name],
        Query(alias="in", max_length=len(names), description="Where to look; everywhere when it is left out."),
    ]

    @routes.get("/search", response_model=SearchResult)
    async def search(me: Me, q: Text, limit: Limit = 10, within: Names = []) -> dict[str, Any]:  # noqa: B006
        """What fits any of the words, best first: of your messages, what is remembered of you and the manual."""
        found: dict[str, Any] = msgspec.to_builtins(await finder.find(me.id, q, limit=limit, sources=within))
        return found

    return routes
