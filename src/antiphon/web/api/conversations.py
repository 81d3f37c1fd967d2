"""`/api/v1/conversations`: the record, for programs and for the page."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from antiphon.conversation.history import PAGE, TITLE_LIMIT, ConversationHistory
from antiphon.conversation.live import show_conversation, show_message
from antiphon.conversation.router import MessageRouter
from antiphon.domain import Person
from antiphon.web.api.shapes import VISIBLE, ConversationList, ConversationShape, IdInPath, MessagePage
from antiphon.web.auth import CurrentPerson
from antiphon.web.openapi import failures

LATEST = 2**53 - 1
"""Greater than every position, and a number that every JSON parser can read."""

Limit = Annotated[int, Query(ge=1, le=PAGE, description="The most to answer with.")]


class Rename(BaseModel):
    """What can be changed about a conversation."""

    model_config = ConfigDict(extra="forbid")

    title: str = Field(
        max_length=TITLE_LIMIT,
        pattern=VISIBLE,
        description="At least one visible character, and no NUL.",
        examples=["Tides and times"],
    )


def conversation_routes(history: ConversationHistory, router: MessageRouter, current: CurrentPerson) -> APIRouter:
    """The routes over `history`, for the person that `current` finds in a request."""
    routes = APIRouter(prefix="/conversations", tags=["conversations"], responses=failures(403, 422, 503))
    Me = Annotated[Person, Depends(current)]  # noqa: N806 - a type

    @routes.get("", response_model=ConversationList)
    async def list_conversations(me: Me, limit: Limit = PAGE) -> dict[str, Any]:
        """Your conversations, the latest first."""
        return {"items": [show_conversation(item) for item in await history.of(me, limit=limit)]}

    @routes.get("/{conversation_id}", response_model=ConversationShape, responses=failures(404))
    async def get_conversation(me: Me, conversation_id: IdInPath) -> dict[str, Any]:
        """One conversation, without its messages."""
        return show_conversation(await history.get(me, conversation_id))

    @routes.patch("/{conversation_id}", response_model=ConversationShape, responses=failures(400, 404, 413))
    async def rename_conversation(me: Me, conversation_id: IdInPath, change: Rename) -> dict[str, Any]:
        """Gives it another title. Runs of blanks become one."""
        return show_conversation(await history.rename(me, conversation_id, change.title))

    @routes.delete("/{conversation_id}", status_code=204, responses=failures(404))
    async def delete_conversation(me: Me, conversation_id: IdInPath) -> Response:
        """Removes it with all its messages. There is no way back."""
        await history.delete(me, conversation_id)
        router.cancel_all(conversation_id)
        return Response(status_code=204)

    @routes.get("/{conversation_id}/messages", response_model=MessagePage, responses=failures(404))
    async def list_messages(
        me: Me,
        conversation_id: IdInPath,
        before: Annotated[int, Query(ge=1, le=LATEST, description="The lowest `position` you have.")] = LATEST,
        limit: Limit = PAGE,
    ) -> dict[str, Any]:
        """The newest messages before a position, in the order in which to show them."""
        await history.get(me, conversation_id)
        messages, more = await history.page(conversation_id, before=before, limit=limit)
        return {"items": [show_message(message) for message in messages], "more": more}

    return routes
