"""`conversations`: a person's list, kept up to date."""

from typing import Any

from antiphon.conversation.history import ConversationHistory
from antiphon.conversation.live import show_conversation
from antiphon.domain import Person
from antiphon.realtime.channel import Channel
from antiphon.realtime.socket import Socket


class ConversationsChannel(Channel):
    """Gives the list and pushes what changes in it."""

    def __init__(self, history: ConversationHistory) -> None:
        self._history = history

    async def on_join(self, payload: Any, socket: Socket) -> dict[str, Any]:
        person: Person = socket.assigns["person"]
        return {"conversations": [show_conversation(item) for item in await self._history.of(person)]}
