"""`/api/v1/approvals`: what people have to allow before it is done."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path
from pydantic import BaseModel, ConfigDict, Field

from antiphon.conversation.approvals import REASON_LIMIT, Approvals
from antiphon.conversation.live import show_approval
from antiphon.domain import Person
from antiphon.web.api.shapes import ULID, ApprovalList, ApprovalShape
from antiphon.web.auth import CurrentPerson
from antiphon.web.openapi import failures

ApprovalId = Annotated[str, Path(pattern=ULID, examples=["01M7YTFAF3A5C20VBDC381VVAW"])]


class Permission(BaseModel):
    """Whether a call may be carried out."""

    model_config = ConfigDict(extra="forbid")

    verdict: Literal["approved", "denied"]
    reason: str | None = Field(None, max_length=REASON_LIMIT, description="For the model, of a call that is denied.")


def approval_routes(approvals: Approvals, current: CurrentPerson) -> APIRouter:
    """The routes over `approvals`, for the person that `current` finds in a request."""
    routes = APIRouter(prefix="/approvals", tags=["approvals"], responses=failures(403, 422, 503))
    Me = Annotated[Person, Depends(current)]  # noqa: N806 - a type

    @routes.get("", response_model=ApprovalList)
    async def list_approvals(me: Me) -> dict[str, Any]:
        """The calls that wait for your permission, oldest first; for an operator all of them."""
        return {"items": [show_approval(each) for each in await approvals.asked(me)]}

    @routes.post("/{approval_id}", response_model=ApprovalShape, responses=failures(400, 404, 413))
    async def answer_approval(me: Me, approval_id: ApprovalId, answer: Permission) -> dict[str, Any]:
        """Allows a call or does not. The first answer counts; 422 tells that somebody was faster."""
        approval = await approvals.find(me, approval_id)
        return show_approval(await approvals.answer(me, approval, answer.verdict, reason=answer.reason))

    return routes
