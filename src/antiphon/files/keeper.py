"""Takes files in: bounded, named and typed as what they are, kept once."""

from collections.abc import Sequence
from datetime import timedelta

from antiphon.domain import Attachment, Upload, now
from antiphon.errors import NotFoundError, ResourceError, ValidationError
from antiphon.files.config import FileSettings
from antiphon.files.kinds import media_type_of
from antiphon.files.names import clean_name
from antiphon.runtime.base import Injected
from antiphon.runtime.threads import run_async
from antiphon.storage.files import FileStore, KeptFile

FILE_URL = "/api/v1/files/"
"""Where a kept file is, in front of its id."""


class FileKeeper(Injected):
    """The files of people, kept in `store` as far as `settings` allow."""

    def __init__(self, store: FileStore, settings: FileSettings) -> None:
        self.store = store
        self.settings = settings

    async def keep(self, person_id: str, upload: Upload) -> Attachment:
        """Keeps what a person gives; the same bytes again are the same file. Raises `ResourceError` when it is too
        large or there is no room, `ValidationError` when it is not what it says."""
        most = self.settings.max_bytes
        if len(upload.data) > most:
            raise ResourceError(f"This file has {len(upload.data):,} bytes; {most:,} are the most. Send a smaller one.")
        name = clean_name(upload.name)
        kept = await self.store.add(
            person_id,
            name=name,
            media_type=await run_async(media_type_of, name, upload.media_type, upload.data),
            data=upload.data,
            most_bytes=self.settings.person_bytes,
            unnamed_since=now() - timedelta(hours=self.settings.unnamed_hours),
        )
        return _named(kept, name)

    async def keep_all(self, person_id: str, uploads: Sequence[Upload], *, besides: int = 0) -> list[Attachment]:
        """As `keep`, all that comes with one message, which names `besides` others; `ValidationError` also when those
        are too many together."""
        count, most = len(uploads) + besides, self.settings.most_at_once
        if count > most:
            raise ValidationError(f"A message has at most {most} files, and this one has {count}.")
        return [await self.keep(person_id, upload) for upload in uploads]

    async def keep_for(self, conversation_id: str, person_id: str, upload: Upload) -> Attachment:
        """Keeps what an assistant made for a person, as a file of their conversation. Raises as `keep` does, and
        `NotFoundError` where the conversation was deleted meanwhile."""
        kept = await self.keep(person_id, upload)
        if kept.id is None or not await self.store.name(kept.id, conversation_id):
            raise NotFoundError("This conversation does not exist any more, so there is no place for a file.")
        return kept

    async def named(self, person_id: str, file_id: str, name: str = "") -> Attachment:
        """A kept file as a message of this person may name it. Raises `NotFoundError`."""
        return _named(await self.get(person_id, file_id), clean_name(name) if name else "")

    async def get(self, person_id: str, file_id: str) -> KeptFile:
        """Raises `NotFoundError` for what does not exist, or not for this person."""
        kept = await self.store.get(file_id, person_id=person_id)
        if kept is None:
            raise NotFoundError("This file does not exist (any more). Attach it again.")
        return kept


def _named(kept: KeptFile, name: str) -> Attachment:
    return Attachment(id=kept.id, name=name or kept.name, media_type=kept.media_type, size=kept.size)
