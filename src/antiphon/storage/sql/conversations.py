"""Conversations and their messages."""

from collections.abc import Mapping
from datetime import datetime

import msgspec

from antiphon.domain import Conversation, Message
from antiphon.storage.base import Hit
from antiphon.storage.sql.excerpt import excerpt
from antiphon.storage.sql.records import conversation_of, message_of, micros, moment, storable
from antiphon.storage.sql.unit import Database, Unit, many, one
from antiphon.storage.sql.words import marked, words_of

_EVER = 2**62
"""Later than any time and position."""


class SqlConversations:
    """`ConversationStore` on any SQL database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, conversation: Conversation) -> tuple[Conversation, bool]:
        """A conversation without a place is its own place."""
        return await self._database.write(_create, conversation)

    async def get(self, conversation_id: str) -> Conversation | None:
        return await self._database.read(_get, conversation_id)

    async def update(
        self,
        conversation_id: str,
        *,
        title: str | None = None,
        model: str | None = None,
        assistant: str | None = None,
        reset_context: bool = False,
    ) -> Conversation | None:
        changes = {"new_title": None if title is None else storable(title), "new_model": model}
        return await self._database.write(
            _update, conversation_id, changes | {"new_assistant": assistant, "reset": reset_context}
        )

    async def delete(self, conversation_id: str) -> bool:
        return await self._database.write(_delete, conversation_id)

    async def messages(
        self, conversation_id: str, *, after: int = 0, before: int | None = None, limit: int = 100
    ) -> list[Message]:
        return await self._database.read(_page, conversation_id, after, before, limit)

    async def search(self, person_id: str, query: str, *, limit: int = 5, exclude: str | None = None) -> list[Hit]:
        words = words_of(query)
        return await self._database.find(_search, person_id, words, limit, exclude) if words else []

    async def list(self, person_id: str, *, limit: int = 100, before: datetime | None = None) -> list[Conversation]:
        return await self._database.read(_list, person_id, limit, before)


def _create(conversation: Conversation) -> Unit[tuple[Conversation, bool]]:
    place = conversation.place or conversation.id
    row = yield from one("conversation_by_place", adapter=conversation.adapter, place=place)
    if row is not None:
        known = conversation_of(row)
        return known, known.id == conversation.id  # stored by this very call, before its connection broke
    new = msgspec.structs.replace(conversation, place=place, title=storable(conversation.title))
    yield "conversation_add", conversation_values(new, last_position=0)
    return new, True


def conversation_values(conversation: Conversation, *, last_position: int) -> dict[str, object]:
    """The parameters of `conversation_add`."""
    values = msgspec.structs.asdict(conversation)
    return values | {
        "created_at": micros(conversation.created_at),
        "updated_at": micros(conversation.updated_at),
        "last_position": last_position,
    }


def _get(conversation_id: str) -> Unit[Conversation | None]:
    row = yield from one("conversation_by_id", id=conversation_id)
    return conversation_of(row) if row else None


def _list(person_id: str, limit: int, before: datetime | None) -> Unit[list[Conversation]]:
    until = micros(before) if before else _EVER
    rows = yield from many("conversation_list", person_id=person_id, before=until, limit=limit)
    return [conversation_of(row) for row in rows]


def _update(conversation_id: str, changes: Mapping[str, object]) -> Unit[Conversation | None]:
    row = yield from one("conversation_change", id=conversation_id, **changes)
    return conversation_of(row) if row else None


def _delete(conversation_id: str) -> Unit[bool]:
    """Takes its files along that no other conversation names. Whoever names one at this moment holds it."""
    yield "conversation_lock", {"id": conversation_id}
    if (yield from many("file_lock_of", conversation_id=conversation_id)):
        gone = yield from many("file_only_of", conversation_id=conversation_id)
        yield "file_use_drop", {"conversation_id": conversation_id}
        for (file_id,) in gone:
            yield "file_drop", {"id": file_id}
    return (yield from one("conversation_delete", id=conversation_id)) is not None


def _page(conversation_id: str, after: int, before: int | None, limit: int) -> Unit[list[Message]]:
    until = _EVER if before is None else before
    rows = yield from many("message_page", conversation_id=conversation_id, after=after, before=until, limit=limit)
    messages = [message_of(row, row[-4], row[-3:]) for row in rows]
    return sorted(messages, key=lambda message: (message.ticket, message.position))


def _search(person_id: str, words: str, limit: int, exclude: str | None) -> Unit[list[Hit]]:
    """A row ends with the words that were found, which need not be those that were asked for."""
    rows = yield from many("search_messages", person_id=person_id, words=words, limit=limit, exclude=exclude or "")
    return [
        Hit(
            conversation_id=row[0],
            conversation_title=row[1],
            message_id=row[2],
            role=row[3],
            snippet=excerpt(marked(row[4], row[7])),
            created_at=moment(row[5]),
            score=row[6],
        )
        for row in rows
    ]
