"""The session of a turn: its conversation and its person, as they are now."""

from msgspec import Struct

from antiphon.commands.base import CommandOutcome
from antiphon.domain import Conversation, Person, Turn
from antiphon.errors import ProcessingError
from antiphon.storage.base import Store


class Session(Struct, frozen=True, kw_only=True):
    """The view of a conversation and its user that one turn works on."""

    conversation: Conversation
    person: Person


class SessionManager:
    """Finds the session of a turn in the store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def resolve(self, turn: Turn) -> Session:
        """Raises `ProcessingError` when the conversation was deleted after the message was accepted."""
        # One unit of work for both: going to another thread and back costs more than reading a row.
        found = await self._store.inbox.parties(turn)
        if found is None:
            raise ProcessingError("This conversation was deleted before the message could be answered.")
        return Session(conversation=found[0], person=found[1])

    async def change(self, session: Session, outcome: CommandOutcome) -> None:
        """Carries out what a command asks for."""
        if outcome.model is not None or outcome.reset_context:
            await self._store.conversations.update(
                session.conversation.id, model=outcome.model, reset_context=outcome.reset_context
            )
        if outcome.preferred_model is not None:
            await self._store.people.prefer_model(session.person.id, outcome.preferred_model or None)
