"""`conversations`: a person's list, kept up to date."""

from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Any

from antiphon.conversation.history import ConversationHistory
from antiphon.conversation.live import person_topic, show_conversation
from antiphon.domain import Person
from antiphon.realtime.members.socket import Socket
from antiphon.web.channels.recall import RecalledChannel

EARLY_LIMIT = 1000
"""Changes kept while the list is read: whoever has missed more reads it again."""


class ConversationsChannel(RecalledChannel):
    """Gives the list and pushes what changes in it. Whose list that is says the socket, never the client."""

    def __init__(self, history: ConversationHistory) -> None:
        self._history = history
        self._source = ""
        self._early: list[Sequence[Any]] | None = []

    async def on_join(self, payload: Any, socket: Socket) -> dict[str, Any]:
        person: Person = socket.assigns["person"]
        self._source = person_topic(person.id)
        # Before the list is read, so that nothing falls between the two.
        await self.app.pubsub.subscribe(self._source, self._changed)
        async with AsyncExitStack() as undo:
            undo.push_async_callback(self._unsubscribe)
            conversations = await self._history.of(person)
            undo.pop_all()
        return {"conversations": [show_conversation(item) for item in conversations]}

    async def after_join(self) -> None:
        early, self._early = self._early or [], None
        for event, payload in early:
            await self.push(event, payload)
        self.answered()

    async def on_leave(self, reason: str, socket: Socket) -> None:
        await self._unsubscribe()

    async def _changed(self, _: str, change: Sequence[Any]) -> None:
        """`change` is (event, payload), a list when it comes from another process."""
        if self._early is None:
            await self.push(*change)
        elif len(self._early) < EARLY_LIMIT:
            self._early.append(change)
        else:
            self.socket.give_up_slow_join(self.topic)

    async def _unsubscribe(self) -> None:
        await self.app.pubsub.unsubscribe(self._source, self._changed)
