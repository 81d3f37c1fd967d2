"""A stored conversation is handed over: from its next turn on another assistant answers in it."""

from antiphon.assistants.directory import Directory
from antiphon.conversation.live import Live
from antiphon.conversation.sessions import SessionManager
from antiphon.errors import NotFoundError


class ConversationHandover:
    """The `Handover` of a house. History, state and files stay with the conversation, and so go along."""

    def __init__(self, assistants: Directory, sessions: SessionManager, live: Live) -> None:
        self._assistants = assistants
        self._sessions = sessions
        self._live = live

    async def hand_over(self, conversation_id: str, to: str) -> None:
        assistant = self._assistants.get(to)
        changed = await self._sessions.update(conversation_id, assistant=assistant.name)
        if changed is None:
            raise NotFoundError("This conversation is not kept here, so it cannot be handed over.")
        self._live.conversation("updated", changed)
