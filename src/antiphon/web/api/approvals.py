"""`/api/v1/approvals`: what people have to allow before it is done."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field

from antiphon.conversation.approvals import REASON_LIMIT, Approvals
from antiphon.conversation.history import PAGE
from antiphon.conversation.live import show_approval
from antiphon.domain import Person
from antiphon.web.api.shapes import ApprovalPage, ApprovalShape, IdInPath
from antiphon.web.auth import CurrentPerson
from antiphon.web.openapi import failures

Limit = Annotated[int, Query(ge=1, le=PAGE, description="The most to answer with.")]
Cursor = Annotated[str, Query(pattern=r"^[0-9A-Z]{0,26}$", description="The `cursor` of the page before.")]


class Permission(BaseModel):
    """Whether a call may be carried out."""

    model_config = ConfigDict(extra="forbid")

    verdict: Literal["approved", "denied"]
    reason: str | None = Field(None, max_length=REASON_LIMIT, description="For the model, of a call that is denied.")


def approval_routes(approvals: Approvals, current: CurrentPerson) -> APIRouter:
    """The routes over `approvals`, for the person that `current` finds in a request."""
    routes = APIRouter(prefix="/approvals", tags=["approvals"], responses=failures(403, 422, 503))
    Me = Annotated[Person, Depends(current)]  # noqa: N806 - a type

    @routes.get("", response_model=ApprovalPage)
    async def list_approvals(me: Me, limit: Limit = PAGE, cursor: Cursor = "") -> dict[str, Any]:
        """The calls that wait for your permission, oldest first; for an operator all of them."""
        found = await approvals.asked(me, after=cursor, limit=limit + 1)
        shown = [show_approval(each) for each in found[:limit]]
        return {"items": shown, "cursor": shown[-1]["id"] if len(found) > limit else None}

    @routes.post("/{approval_id}", response_model=ApprovalShape, responses=failures(400, 404, 413))
    async def answer_approval(me: Me, approval_id: IdInPath, answer: Permission) -> dict[str, Any]:
        """Allows a call or does not. The first answer counts; 422 tells that somebody was faster."""
        approval = await approvals.find(me, approval_id)
        return show_approval(await approvals.answer(me, approval, answer.verdict, reason=answer.reason))

    return routes
