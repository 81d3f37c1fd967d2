"""`/api/v1/people`: who there is, for operators, and oneself."""

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

from antiphon.assistants.languages import tag_of
from antiphon.assistants.selector import ModelSelector
from antiphon.conversation.present import NAME_LIMIT
from antiphon.conversation.sessions import SessionManager
from antiphon.domain import Person
from antiphon.errors import ModuleError, NotFoundError
from antiphon.providers.catalogue import Catalogue
from antiphon.storage.base import PeopleStore
from antiphon.web.api.shapes import VISIBLE, PersonInPath, PersonPage, PersonShape
from antiphon.web.auth import CurrentPerson, is_operator
from antiphon.web.openapi import failures

MOST = 200

Limit = Annotated[int, Query(ge=1, le=MOST, description="The most to answer with.")]
Cursor = Annotated[str, Query(pattern=r"^[0-9A-Za-z]{0,26}$", description="The `cursor` of the page before.")]


class PersonChange(BaseModel):
    """What can be changed about a person; what is left out stays as it is."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(
        "",
        max_length=NAME_LIMIT,
        pattern=VISIBLE,
        description="At least one visible character, and no NUL. Runs of blanks become one.",
        examples=["Ada"],
    )
    language: str | None = Field(
        None,
        pattern=r"^[a-zA-Z]{2,3}(-[a-zA-Z0-9]{2,8}){0,3}$",
        description="The tag (BCP 47) of the language to be answered in; null for that of each question.",
        examples=["pt-BR"],
    )
    preferred_model: str | None = Field(
        None,
        max_length=200,
        pattern=r"^[^\x00]+$",
        description="The model that answers, unless a conversation has one of its own; null for that of the house.",
        examples=["demo"],
    )


def people_routes(
    people: PeopleStore, sessions: SessionManager, catalogue: Catalogue, selector: ModelSelector, current: CurrentPerson
) -> APIRouter:
    """The routes over `people`, for the person that `current` finds in a request."""
    routes = APIRouter(prefix="/people", tags=["people"], responses=failures(403, 422, 503))
    Me = Annotated[Person, Depends(current)]  # noqa: N806 - a type

    async def whom(me: Me, person_id: PersonInPath) -> Person:
        found = await people.get(person_id) if person_id == me.id or is_operator(me) else None
        if found is None:
            raise NotFoundError("This person does not exist, or is not for you.")
        return found

    Whom = Annotated[Person, Depends(whom)]  # noqa: N806 - a type

    @routes.get("", response_model=PersonPage)
    async def list_people(me: Me, limit: Limit = 50, cursor: Cursor = "") -> dict[str, Any]:
        """Everybody who has ever written, by id. Whoever is no operator sees themselves."""
        if is_operator(me):
            found = await people.page(after=cursor, limit=limit + 1)
        else:
            found = [me] if me.id > cursor else []
        shown = [_shown(person) for person in found[:limit]]
        return {"items": shown, "cursor": shown[-1]["id"] if len(found) > limit else None}

    @routes.get("/{person_id}", response_model=PersonShape, responses=failures(404))
    async def get_person(person: Whom) -> dict[str, Any]:
        """One person."""
        return _shown(person)

    @routes.patch("/{person_id}", response_model=PersonShape, responses=failures(400, 404, 413))
    async def change_person(me: Me, person: Whom, change: PersonChange) -> dict[str, Any]:
        """Changes what a person is called, and how they are answered from their next message on."""
        asked = change.model_fields_set
        model = change.preferred_model
        if "preferred_model" in asked:
            if not selector.may_choose(me):
                raise HTTPException(403, "The operator chooses the model here.")
            model = model and await _known(catalogue, model)
            await sessions.prefer_model(person.id, model)
        if "language" in asked:
            await sessions.prefer_language(person.id, change.language and tag_of(change.language))
        if "name" in asked:
            await sessions.rename(person.id, " ".join(change.name.split()))
        return _shown(await people.get(person.id) or person)

    return routes


async def _known(catalogue: Catalogue, model: str) -> str:
    try:
        return await catalogue.full_name(model)
    except ModuleError as error:
        raise NotFoundError(error.public) from error


def _shown(person: Person) -> dict[str, Any]:
    shown: dict[str, Any] = msgspec.to_builtins(person)
    return shown
