"""What people asked to be remembered."""

import unicodedata
from hashlib import blake2b

from antiphon.domain import new_id, now
from antiphon.storage.base import Note
from antiphon.storage.sql.records import micros, note_of, storable
from antiphon.storage.sql.unit import Database, Unit, many, one
from antiphon.storage.sql.words import words_of


class SqlNotes:
    """`NoteStore` on any SQL database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, person_id: str, text: str, *, source_message_id: str | None = None) -> Note:
        return await self._database.write(_add, person_id, storable(text), source_message_id)

    async def search(self, person_id: str, query: str, *, limit: int = 5) -> list[Note]:
        """A query without a word (only signs) finds nothing; an empty one gives the newest."""
        if not query.strip():
            return await self.list(person_id, limit=limit)
        words = words_of(query)
        return await self._database.read(_search, person_id, words, limit) if words else []

    async def delete(self, person_id: str, note_id: str) -> bool:
        return await self._database.write(_delete, person_id, note_id)

    async def list(self, person_id: str, *, limit: int = 100) -> list[Note]:
        return await self._database.read(_list, person_id, limit)


def _digest(text: str) -> str:
    """The same for texts that differ only in case, spacing or how Unicode spells them."""
    normalised = " ".join(unicodedata.normalize("NFKC", text).casefold().split())
    return blake2b(normalised.encode(), digest_size=16).hexdigest()


def _add(person_id: str, text: str, source_message_id: str | None) -> Unit[Note]:
    digest = _digest(text)
    known = yield from one("note_by_digest", person_id=person_id, digest=digest)
    if known is not None:
        return note_of(known)
    note = Note(id=new_id(), person_id=person_id, text=text, source_message_id=source_message_id, created_at=now())
    yield (
        "note_add",
        {
            "id": note.id,
            "person_id": person_id,
            "text": text,
            "digest": digest,
            "source_message_id": source_message_id,
            "created_at": micros(note.created_at),
        },
    )
    return note


def _search(person_id: str, words: str, limit: int) -> Unit[list[Note]]:
    rows = yield from many("search_notes", person_id=person_id, words=words, limit=limit)
    return [note_of(row) for row in rows]


def _list(person_id: str, limit: int) -> Unit[list[Note]]:
    return [note_of(row) for row in (yield from many("note_list", person_id=person_id, limit=limit))]


def _delete(person_id: str, note_id: str) -> Unit[bool]:
    return (yield from one("note_delete", person_id=person_id, id=note_id)) is not None
