"""`/api/v1/conversations`: the record, for programs and for the page."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from antiphon.conversation.history import PAGE, TITLE_LIMIT, ConversationHistory
from antiphon.conversation.live import show_conversation, show_message
from antiphon.conversation.router import MessageRouter
from antiphon.domain import Person
from antiphon.web.auth import CurrentPerson

Id = Annotated[str, Path(min_length=1, max_length=64, pattern="^[0-9A-Za-z_-]+$")]


class Rename(BaseModel):
    """What can be changed about a conversation."""

    model_config = ConfigDict(extra="forbid")

    title: str = Field(min_length=1, max_length=TITLE_LIMIT)


def conversation_routes(history: ConversationHistory, router: MessageRouter, current: CurrentPerson) -> APIRouter:
    """The routes over `history`, for the person that `current` finds in a request."""
    routes = APIRouter(prefix="/conversations", tags=["conversations"])
    Me = Annotated[Person, Depends(current)]  # noqa: N806 - a type

    @routes.get("")
    async def list_conversations(me: Me, limit: Annotated[int, Query(ge=1, le=PAGE)] = PAGE) -> dict[str, Any]:
        """Your conversations, the latest first."""
        return {"items": [show_conversation(item) for item in await history.of(me, limit=limit)]}

    @routes.get("/{conversation_id}")
    async def get_conversation(me: Me, conversation_id: Id) -> dict[str, Any]:
        return show_conversation(await history.get(me, conversation_id))

    @routes.patch("/{conversation_id}")
    async def rename_conversation(me: Me, conversation_id: Id, change: Rename) -> dict[str, Any]:
        return show_conversation(await history.rename(me, conversation_id, change.title))

    @routes.delete("/{conversation_id}", status_code=204)
    async def delete_conversation(me: Me, conversation_id: Id) -> Response:
        """Removes it with all its messages. There is no way back."""
        await history.delete(me, conversation_id)
        router.cancel_all(conversation_id)
        return Response(status_code=204)

    @routes.get("/{conversation_id}/messages")
    async def list_messages(
        me: Me,
        conversation_id: Id,
        before: Annotated[int | None, Query(ge=1, le=2**53)] = None,
        limit: Annotated[int, Query(ge=1, le=PAGE)] = PAGE,
    ) -> dict[str, Any]:
        """The newest messages before a position, in the order in which to show them."""
        await history.get(me, conversation_id)
        messages, more = await history.page(conversation_id, before=before, limit=limit)
        return {"items": [show_message(message) for message in messages], "more": more}

    return routes
