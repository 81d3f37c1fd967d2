"""`/api/v1/people/{id}/memory`: what is remembered of a person, for that person and for operators."""

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from antiphon.assistants.memory.base import Recollection
from antiphon.assistants.memory.memory import LONGEST_FACT
from antiphon.domain import Person
from antiphon.errors import NotFoundError
from antiphon.storage.facts import Fact
from antiphon.web.api.shapes import VISIBLE, FactList, FactShape, IdInPath, PersonInPath
from antiphon.web.auth import CurrentPerson, is_operator
from antiphon.web.openapi import failures

MOST = 1_000

Words = Annotated[str, Query(max_length=1_000, description="Words to look for; without any the newest are given.")]
Limit = Annotated[int, Query(ge=1, le=MOST, description="The most to answer with.")]


class Edit(BaseModel):
    """What can be changed about a fact."""

    model_config = ConfigDict(extra="forbid")

    text: str | None = Field(
        None,
        max_length=LONGEST_FACT,
        pattern=VISIBLE,
        description="At least one visible character, and no NUL.",
        examples=["Likes green tea"],
    )
    importance: int | None = Field(None, ge=1, le=5, description="5 matters most.")


def memory_routes(memory: Recollection, current: CurrentPerson) -> APIRouter:
    """The routes over `memory`, for the person that `current` finds in a request."""
    routes = APIRouter(prefix="/people/{person_id}/memory", tags=["memory"], responses=failures(403, 404, 422, 503))
    Me = Annotated[Person, Depends(current)]  # noqa: N806 - a type

    async def whose(me: Me, person_id: PersonInPath) -> str:
        if person_id != me.id and not is_operator(me):
            raise NotFoundError("This person does not exist, or is not for you.")
        return person_id

    Whose = Annotated[str, Depends(whose)]  # noqa: N806 - a type

    @routes.get("", response_model=FactList)
    async def list_facts(person: Whose, q: Words = "", limit: Limit = 100) -> dict[str, Any]:
        """What is remembered of a person: the newest first, or what fits `q` best."""
        return {"items": [_shown(fact) for fact in await memory.search(q, person=person, limit=limit)]}

    @routes.delete("", status_code=204)
    async def forget_everything(person: Whose) -> Response:
        """Removes all that is remembered of a person. There is no way back."""
        await memory.clear(person=person)
        return Response(status_code=204)

    @routes.patch("/{fact_id}", response_model=FactShape, responses=failures(400, 413))
    async def edit_fact(person: Whose, fact_id: IdInPath, change: Edit) -> dict[str, Any]:
        """Changes the text of a fact, or how much it matters."""
        edited = await memory.edit(fact_id, text=change.text, importance=change.importance, person=person)
        return _shown(_there(edited))

    @routes.delete("/{fact_id}", status_code=204)
    async def forget_fact(person: Whose, fact_id: IdInPath) -> Response:
        """Removes one fact. There is no way back."""
        if not await memory.delete(fact_id, person=person):
            _there(None)
        return Response(status_code=204)

    return routes


def _there(fact: Fact | None) -> Fact:
    if fact is None:
        raise NotFoundError("This is not remembered, or no longer is.")
    return fact


def _shown(fact: Fact) -> dict[str, Any]:
    shown: dict[str, Any] = msgspec.to_builtins(fact)
    return shown
