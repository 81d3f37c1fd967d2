"""Kept files, as rows with their bytes."""

from datetime import datetime
from hashlib import sha256

from msgspec import structs

from antiphon.domain import new_id, now
from antiphon.errors import ResourceError
from antiphon.runtime.threads import run_async
from antiphon.storage.files import FileStore, KeptFile
from antiphon.storage.sql.records import file_of, micros, storable
from antiphon.storage.sql.unit import Database, Unit, many, one


class SqlFiles(FileStore):
    """`FileStore` on any SQL database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(
        self, person_id: str, *, name: str, media_type: str, data: bytes, most_bytes: int, unnamed_since: datetime
    ) -> KeptFile:
        file = KeptFile(
            id=new_id(),
            person_id=person_id,
            name=storable(name),
            media_type=storable(media_type),
            size=len(data),
            digest=(await run_async(sha256, data)).hexdigest(),
            created_at=now(),
        )
        return await self._database.write(_add, file, data, most_bytes, micros(unnamed_since))

    async def name(self, file_id: str, conversation_id: str) -> bool:
        return await self._database.write(_name, file_id, conversation_id)

    async def get(self, file_id: str, *, person_id: str | None = None) -> KeptFile | None:
        return await self._database.read(_get, file_id, person_id)

    async def of(self, conversation_id: str, *, limit: int) -> list[KeptFile]:
        return await self._database.read(_of, conversation_id, limit)

    async def read(self, file_id: str) -> bytes | None:
        return await self._database.read(_read, file_id)


def _add(file: KeptFile, data: bytes, most_bytes: int, unnamed_since: int) -> Unit[KeptFile]:
    """The same bytes again are the file that is there, also when that is what this very call stored before its
    connection broke."""
    yield "file_owner_lock", {"person_id": file.person_id}
    known = yield from one("file_by_digest", person_id=file.person_id, digest=file.digest)
    if known is not None:
        return (yield from _given_again(file_of(known), file.created_at, unnamed_since))
    taken = yield from _taken(file.person_id)
    if taken + file.size > most_bytes:
        for (file_id,) in (yield from many("file_unnamed", person_id=file.person_id, before=unnamed_since)):
            if (yield from one("file_unnamed_still", id=file_id)):
                yield "file_drop", {"id": file_id}
        taken = yield from _taken(file.person_id)
    if taken + file.size > most_bytes:
        raise ResourceError(
            f"There is no room for this file: all your files may have {most_bytes:,} bytes, and {taken:,} are taken. "
            "Delete conversations with files, or send a smaller one."
        )
    yield "file_add", {**structs.asdict(file), "created_at": micros(file.created_at), "data": data}
    return file


def _given_again(known: KeptFile, at: datetime, unnamed_since: int) -> Unit[KeptFile]:
    """One of long ago is as if it had come now: it must not make room for the next file of the same message."""
    if micros(known.created_at) >= unnamed_since:
        return known
    yield "file_renew", {"id": known.id, "at": micros(at)}
    return structs.replace(known, created_at=at)


def _taken(person_id: str) -> Unit[int]:
    ((taken,),) = yield from many("file_bytes", person_id=person_id)
    return int(taken)


def _name(file_id: str, conversation_id: str) -> Unit[bool]:
    """The conversation is held, so that it is not deleted past the file that it names now."""
    there = yield from one("conversation_lock", id=conversation_id)
    if there is None or (yield from one("file_by_id", id=file_id)) is None:
        return False
    yield "file_use", {"file_id": file_id, "conversation_id": conversation_id}
    return True


def _get(file_id: str, person_id: str | None) -> Unit[KeptFile | None]:
    if person_id is None:
        row = yield from one("file_by_id", id=file_id)
    else:
        row = yield from one("file_for", id=file_id, person_id=person_id)
    return file_of(row) if row else None


def _of(conversation_id: str, limit: int) -> Unit[list[KeptFile]]:
    rows = yield from many("files_of", conversation_id=conversation_id, limit=limit)
    return [file_of(row) for row in rows]


def _read(file_id: str) -> Unit[bytes | None]:
    row = yield from one("file_data", id=file_id)
    return bytes(row[0]) if row else None
