"""The contract of kept files: what people attach to their messages, with its bytes.

See `base.py` for what holds for every method. The bytes are in the database because any process of a house may have to
give them to a model or to a person, and because a copy of the database is a copy of everything.
"""

from datetime import datetime
from typing import Protocol

from msgspec import Struct


class KeptFile(Struct, frozen=True, kw_only=True):
    """A file that a person gave, without its bytes. `digest` is their SHA-256 in hexadecimal."""

    id: str
    person_id: str
    name: str
    media_type: str
    size: int
    digest: str
    created_at: datetime


class FileStore(Protocol):
    """Files belong to who gave them, and to the conversations whose messages name them (`InboxStore.accept`); with the
    last of these they go. The same bytes of the same person are one file."""

    async def add(
        self, person_id: str, *, name: str, media_type: str, data: bytes, most_bytes: int, unnamed_since: datetime
    ) -> KeptFile:
        """Keeps a file; the one that is there already when the person has given the same bytes before. Raises
        `ResourceError` when all files of the person would have more than `most_bytes`, also when those that were given
        last before `unnamed_since` and that no conversation names have made room."""
        ...

    async def name(self, file_id: str, conversation_id: str) -> bool:
        """Has a conversation name a file as one of its messages would: its people may have it, and with its last
        conversation it goes. False when either does not exist any more."""
        ...

    async def get(self, file_id: str, *, person_id: str | None = None) -> KeptFile | None:
        """None for an unknown one, and for one that a given person neither gave nor has in a conversation."""
        ...

    async def of(self, conversation_id: str, *, limit: int) -> list[KeptFile]:
        """The newest files that a conversation names, newest first."""
        ...

    async def read(self, file_id: str) -> bytes | None:
        """The bytes; None when it is gone. Whether somebody may have them is asked with `get`."""
        ...
