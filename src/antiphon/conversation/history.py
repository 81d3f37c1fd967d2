"""The record of conversations as people see it: lists, pages, renaming, and what a client missed."""

from typing import Any

from msgspec import Struct

from antiphon.conversation.live import Live
from antiphon.conversation.sessions import SessionManager
from antiphon.domain import Conversation, Message, Person, new_id, now
from antiphon.errors import NotFoundError, ValidationError
from antiphon.storage.base import ConversationStore, PeopleStore

PAGE = 100
"""Messages a client gets unless it asks for fewer; also the most it gets at once."""

TITLE_LIMIT = 200


class Page(Struct, frozen=True, kw_only=True):
    """Messages for a client that joins. `recovered`: they are what it missed, else they are all it needs."""

    messages: list[Message]
    cursor: str
    recovered: bool
    waiting: bool
    """Whether a turn of the newest messages waits for a person."""


class ConversationHistory:
    """Everything about conversations that is not a turn. Every method that takes a person checks that it may."""

    def __init__(
        self, conversations: ConversationStore, people: PeopleStore, sessions: SessionManager, live: Live
    ) -> None:
        self._conversations = conversations
        self._people = people
        self._sessions = sessions
        self._live = live

    async def create(self, person: Person, *, client_id: str, assistant: str, title: str = "") -> Conversation:
        """A new conversation on the web; the same `client_id` of the same person gives the same one again."""
        if not client_id or len(client_id) > 200:
            raise ValidationError("`client_id` must be a text of 1 to 200 characters, made by the client.")
        stamp = now()
        conversation, created = await self._conversations.create(
            Conversation(
                id=new_id(),
                title=_title(title),
                assistant=assistant,
                created_at=stamp,
                updated_at=stamp,
                person_id=person.id,
                adapter="web",
                place=f"{person.id}/{client_id}",
            )
        )
        if created:
            self._live.conversation("created", conversation)
        return conversation

    async def get(self, person: Person, conversation_id: str) -> Conversation:
        """Raises `NotFoundError` when it does not exist or belongs to somebody else."""
        conversation = await self._conversations.get(conversation_id)
        if conversation is None or (conversation.person_id != person.id and not person.operator):
            raise NotFoundError("This conversation does not exist, or no longer does.")
        return conversation

    async def members(self, person: Person, conversation: Conversation) -> list[Person]:
        """Whose conversation it is, as `person` is told."""
        if conversation.person_id == person.id:
            return [person]
        owner = await self._people.get(conversation.person_id)
        return [owner] if owner is not None else []

    async def of(self, person: Person, *, limit: int = PAGE) -> list[Conversation]:
        """A person's conversations, the latest first."""
        return await self._conversations.list(person.id, limit=limit)

    async def rename(self, person: Person, conversation_id: str, title: str) -> Conversation:
        await self.get(person, conversation_id)
        if not (title := _title(title)):
            raise ValidationError("A title needs at least one visible character.")
        changed = await self._sessions.update(conversation_id, title=title)
        if changed is None:
            raise NotFoundError("This conversation does not exist, or no longer does.")
        self._live.conversation("updated", changed)
        return changed

    async def delete(self, person: Person, conversation_id: str) -> None:
        conversation = await self.get(person, conversation_id)
        if await self._sessions.delete(conversation_id):
            self._live.conversation("deleted", conversation)

    async def page(
        self, conversation_id: str, *, before: int | None = None, limit: int = PAGE
    ) -> tuple[list[Message], bool]:
        """A page of messages and whether there are earlier ones."""
        limit = max(1, min(limit, PAGE))
        messages = await self._conversations.messages(conversation_id, before=before, limit=limit + 1)
        earlier = len(messages) > limit
        if earlier:
            oldest = min(message.position for message in messages)
            messages = [message for message in messages if message.position != oldest]
        return messages, earlier

    async def since(self, conversation_id: str, since: Any, *, limit: int = PAGE) -> Page:
        """What a client missed that gives back a cursor or `{turn_id, seq}`; the newest page when that is not known."""
        newest = await self._conversations.messages(conversation_id, limit=max(1, min(limit, PAGE)))
        waiting = any(message.status == "waiting" for message in newest)
        cursor = str(max((message.position for message in newest), default=0))
        known = _known_position(since, newest)
        if known is None:
            return Page(messages=newest, cursor=cursor, recovered=False, waiting=waiting)
        unseen = [message for message in newest if message.position > known]
        oldest = min((message.position for message in newest), default=0)
        if known < oldest - 1:
            return Page(messages=newest, cursor=cursor, recovered=False, waiting=waiting)
        # An answer changes the status of its question, so the questions of what was missed come along.
        first = min((message.ticket for message in unseen), default=known + 1)
        return Page(
            messages=[message for message in newest if message.position >= first or message.position > known],
            cursor=cursor,
            recovered=True,
            waiting=waiting,
        )


def _title(text: str) -> str:
    return " ".join(text.split())[:TITLE_LIMIT]


def _known_position(since: Any, newest: list[Message]) -> int | None:
    """The position up to which a client has everything, None when `since` does not tell."""
    if isinstance(since, str) and since.isascii() and since.isdigit() and len(since) < 16:
        latest = max((message.position for message in newest), default=0)
        return int(since) if int(since) <= latest else None
    if isinstance(since, dict) and isinstance(since.get("turn_id"), str):
        of_turn = [message.ticket for message in newest if message.turn_id == since["turn_id"]]
        return of_turn[0] if of_turn else None
    return None
