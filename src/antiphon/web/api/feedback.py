"""`/api/v1/messages/{id}/feedback`: what people say of answers."""

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel, ConfigDict, Field

from antiphon.conversation.feedback import COMMENT_LIMIT, AnswerFeedback
from antiphon.domain import Person, Thumb
from antiphon.web.api.shapes import FeedbackShape, IdInPath
from antiphon.web.auth import CurrentPerson
from antiphon.web.openapi import failures


class Judgement(BaseModel):
    """A thumb, and why."""

    model_config = ConfigDict(extra="forbid")

    verdict: Thumb
    comment: str | None = Field(None, max_length=COMMENT_LIMIT, examples=["Too long for such a question."])


def feedback_routes(feedback: AnswerFeedback, current: CurrentPerson) -> APIRouter:
    """The routes over `feedback`, for the person that `current` finds in a request."""
    routes = APIRouter(prefix="/messages", tags=["conversations"], responses=failures(403, 404, 422, 503))
    Me = Annotated[Person, Depends(current)]  # noqa: N806 - a type

    @routes.put("/{message_id}/feedback", response_model=FeedbackShape, responses=failures(400, 413))
    async def judge_answer(me: Me, message_id: IdInPath, judgement: Judgement) -> Any:
        """Says what you think of an answer in a conversation of yours. The last word counts."""
        return msgspec.to_builtins(await feedback.judge(me, message_id, judgement.verdict, comment=judgement.comment))

    @routes.delete("/{message_id}/feedback", status_code=204)
    async def take_judgement_back(me: Me, message_id: IdInPath) -> Response:
        """Takes back what you said of an answer, if you have said anything."""
        await feedback.judge(me, message_id, None)
        return Response(status_code=204)

    return routes
